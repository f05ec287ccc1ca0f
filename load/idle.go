package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"
)

// size measures the binary, as `make build` makes it. It is nearly all of the image.
func size(_ context.Context, b *bench) error {
	file, err := os.Open(b.binary)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	var packed counter
	zip := gzip.NewWriter(&packed)
	plain, err := io.Copy(zip, file)
	if err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	b.tell("binary", fmt.Sprintf("%.1f MB, %.1f MB gzip", float64(plain)/1e6, float64(packed)/1e6), "", "the image: <= 60 MB, <= 25 MB gzip")
	return nil
}

// counter counts what is written to it.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// idle measures a daemon that is online and has nothing to do, and how it starts and stops.
func idle(ctx context.Context, b *bench) error {
	w, err := linked(ctx, b)
	if err != nil {
		return err
	}
	defer w.close()
	var starts, stops []time.Duration
	for range 5 {
		took, err := w.daemon.stop()
		if err != nil {
			return err
		}
		stops = append(stops, took)
		if took, err = w.serve(ctx); err != nil {
			return err
		}
		starts = append(starts, took)
		if err := w.online(ctx); err != nil {
			return err
		}
	}
	if err := pause(ctx, 5*time.Second); err != nil { // what a login brings along is done
		return err
	}
	http.DefaultClient.CloseIdleConnections() // ours, of which the daemon has the other end
	before, err := w.daemon.cpu()
	if err != nil {
		return err
	}
	if err := pause(ctx, b.span); err != nil {
		return err
	}
	after, err := w.daemon.cpu()
	if err != nil {
		return err
	}
	memory, err := w.daemon.memory("VmRSS")
	if err != nil {
		return err
	}
	own, err := w.daemon.memory("RssAnon")
	if err != nil {
		return err
	}
	handles, err := w.daemon.handles()
	if err != nil {
		return err
	}
	goroutines, err := w.metric(ctx, "go_goroutines")
	if err != nil {
		return err
	}
	b.tell("idle: RSS", mib(memory)+", "+mib(own)+" without the pages of files", "", "<= 40 MiB")
	b.tell("  CPU", fmt.Sprintf("%.2f %%", 100*(after-before).Seconds()/b.span.Seconds()), "", "<= 0.5 %")
	b.tell("  handles", fmt.Sprint(handles), "", "<= 20")
	b.tell("  goroutines", fmt.Sprintf("%.0f", goroutines), "", "<= 60")
	b.tell("start to /healthz 200", fmt.Sprintf("%.2f s, at most %.2f s of %d", percentile(slices.Sorted(slices.Values(starts)), 50).Seconds(), slices.Max(starts).Seconds(), len(starts)), "", "<= 0.5 s")
	b.tell("stop while idle", fmt.Sprintf("at most %.2f s of %d, exit code 0", slices.Max(stops).Seconds(), len(stops)), "", "<= 10 s, exit code 0")
	_, err = w.daemon.stop()
	return err
}
