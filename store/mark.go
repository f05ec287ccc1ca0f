package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrLive is returned when a data directory that holds a real account is opened for the simulator.
var ErrLive = errors.New("it belongs to the real WhatsApp; the simulator needs an empty data_dir")

// ErrSimulated is returned when a data directory of the simulator is opened for the real WhatsApp.
var ErrSimulated = errors.New("it belongs to a simulator; the real WhatsApp needs another data_dir")

// ErrOtherSimulator is returned when a data directory belongs to a simulator with another root key.
var ErrOtherSimulator = errors.New("it belongs to a simulator with another root key; use that one, or an empty data_dir")

// markFile holds the root key of the simulator that a data directory belongs to. A directory without it is live.
const markFile = "simulated"

// checkMark refuses a directory that belongs to another world than the one asked for, and marks a fresh one as simulated. The
// mark is on the disk before the first database is.
func checkMark(dir, rootKey string) error {
	rootKey = strings.ToLower(strings.TrimSpace(rootKey))
	path := filepath.Join(dir, markFile)
	text, err := os.ReadFile(path)
	marked := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the mark of the data directory: %w", withUser(err))
	}
	switch {
	case marked && rootKey == "":
		return fmt.Errorf("data directory %s: %w", dir, ErrSimulated)
	case marked && strings.TrimSpace(string(text)) != rootKey:
		return fmt.Errorf("data directory %s: %w", dir, ErrOtherSimulator)
	case marked || rootKey == "":
		return nil
	}
	for _, name := range []string{ledgerFile, whatsappFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("data directory %s: %w", dir, ErrLive)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look into the data directory: %w", withUser(err))
		}
	}
	if err := writeWhole(dir, markFile, rootKey+"\n"); err != nil {
		return fmt.Errorf("mark the data directory as simulated: %w", err)
	}
	return nil
}

// writeWhole writes a file that is there either completely or not at all, also after a power cut.
func writeWhole(dir, name, content string) (err error) {
	file, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.WriteString(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return rename(file.Name(), filepath.Join(dir, name))
}

// rename gives a file of the same directory its name, for good once it returns.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
