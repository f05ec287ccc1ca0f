package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// volume is a file system of its own for the daemon's data, in an image on a loop device, or a tmpfs.
type volume struct {
	t     *trial
	image string // empty for a tmpfs
	at    string // where it is mounted
}

// newImage makes an image with a file system and mounts it.
func (t *trial) newImage(kind, size string) *volume {
	t.needsOwn()
	t.needsTool("mkfs."+kind, map[string]string{"ext4": "e2fsprogs", "xfs": "xfsprogs"}[kind])
	if !known(kind) {
		t.skip("the kernel knows no %s", kind)
	}
	v := &volume{t: t, image: filepath.Join(t.dir, kind+".img"), at: filepath.Join(t.dir, kind)}
	t.must(os.Mkdir(v.at, 0o700), "make the mount point")
	t.must(t.command("truncate", "-s", size, v.image), "make the image")
	t.must(t.command("mkfs."+kind, "-q", v.image), "make the file system")
	if err := t.command("mount", "-o", "loop", v.image, v.at); err != nil {
		t.skip("no loop mounts here: %v", err)
	}
	t.cleanup(v.unmount)
	return v
}

// newMemory mounts a tmpfs of this size.
func (t *trial) newMemory(size string) *volume {
	t.needsOwn()
	v := &volume{t: t, at: filepath.Join(t.dir, "memory")}
	t.must(os.Mkdir(v.at, 0o700), "make the mount point")
	if err := unix.Mount("tmpfs", v.at, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		t.skip("no tmpfs here: %v", err)
	}
	t.cleanup(v.unmount)
	return v
}

// known reports whether the kernel can mount a kind of file system.
func known(kind string) bool {
	list, err := os.ReadFile("/proc/filesystems")
	return err == nil && strings.Contains(string(list), "\t"+kind+"\n")
}

// cut loses everything that the file system has not been made to keep, as a power cut does: its log is not written either,
// and from now on every read and write fails. ext4 and xfs share the call.
func (v *volume) cut() {
	const (
		goingDown  = 0x8004587d // EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN: _IOR('X', 125, __u32)
		noLogFlush = 2
	)
	directory, err := os.Open(v.at)
	v.t.must(err, "open the volume")
	defer func() { _ = directory.Close() }()
	v.t.must(unix.IoctlSetPointerInt(int(directory.Fd()), goingDown, noLogFlush), "shut the file system down")
}

// remount unmounts the volume and mounts it again, as the next start of the machine does.
func (v *volume) remount() {
	v.unmount()
	v.t.must(v.t.command("mount", "-o", "loop", v.image, v.at), "mount the image again")
}

// unmount waits until nothing uses the volume, and its loop device is free.
func (v *volume) unmount() {
	for range 500 {
		if err := unix.Unmount(v.at, 0); err == nil || err == unix.EINVAL { // EINVAL: it is not mounted
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for range 500 { // a late detach gives a false error at the next mount
		if v.image == "" || !v.attached() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// attached reports whether a loop device still holds the image.
func (v *volume) attached() bool {
	files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file") // the pattern is valid
	for _, name := range files {
		if held, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(held)) == v.image {
			return true
		}
	}
	return false
}

// fill writes a file until the volume is full.
func (v *volume) fill() {
	file, err := os.Create(filepath.Join(v.at, "filler"))
	v.t.must(err, "fill the volume")
	defer func() { _ = file.Close() }()
	for size := 1 << 16; size > 0; {
		if _, err := file.Write(make([]byte, size)); err != nil {
			size /= 2 // the last bytes too
		}
	}
}

// free removes what fill wrote.
func (v *volume) free() { v.t.must(os.Remove(filepath.Join(v.at, "filler")), "free the volume") }

// used says how full the volume is.
func (v *volume) used() string {
	var stat unix.Statfs_t
	if err := unix.Statfs(v.at, &stat); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d of %d blocks free", stat.Bavail, stat.Blocks)
}
