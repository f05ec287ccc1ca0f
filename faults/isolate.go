package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// isolatedEnv tells a trial's process that its network and its mounts are its own.
const isolatedEnv = "WHATSAPPD_FAULTS_ISOLATED"

// exitNotOwn tells that a trial's process could not use the namespaces it was given.
const exitNotOwn = 3

// errNotOwn is the same inside of the process.
var errNotOwn = errors.New("the network and the mounts cannot be used")

// isolated runs this program once more with a network and mounts of its own, and returns its standard output. As another user
// than root it also gets a user namespace, in which it may change both; where that is refused it runs without.
func isolated(ctx context.Context, args []string) ([]byte, error) {
	flags := uintptr(unix.CLONE_NEWNS | unix.CLONE_NEWNET)
	attributes := &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		attributes.Cloneflags |= unix.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	told, err := again(ctx, args, attributes, "yes")
	ended, ok := errors.AsType[*exec.ExitError](err)
	if ok && ended.ExitCode() == exitNotOwn || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSPC) {
		return again(ctx, args, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}, "no")
	}
	return told, err
}

// again runs this program once more.
func again(ctx context.Context, args []string, attributes *syscall.SysProcAttr, own string) ([]byte, error) {
	self := exec.CommandContext(ctx, "/proc/self/exe", args...)
	var out bytes.Buffer
	self.Stdout, self.Stderr = &out, os.Stderr
	self.SysProcAttr = attributes
	self.Env = append(os.Environ(), isolatedEnv+"="+own)
	self.Cancel = func() error { return self.Process.Signal(syscall.SIGTERM) }
	self.WaitDelay = 30 * time.Second
	err := self.Run()
	return out.Bytes(), err
}

// settle makes the namespaces usable: mounts stay in here, and loopback is up.
func settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%w: keep the mounts to ourselves: %w", errNotOwn, err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("%w: bring loopback up: %w", errNotOwn, err)
	}
	return nil
}
