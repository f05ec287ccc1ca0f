package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// makeToken makes the token file that the settings name, with a new token in it, when there is no token yet: so a first
// start needs no preparation and is still not open to everybody. Only a file inside the data directory is made; a path
// elsewhere that does not exist is more likely a mistake.
func (c *Config) makeToken() (made bool, err error) {
	if len(c.tokens()) > 0 || c.TokenFile == "" {
		return false, nil
	}
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return false, err
	}
	path, err := filepath.Abs(c.TokenFile)
	if err != nil {
		return false, err
	}
	if filepath.Dir(path) != dir {
		return false, fmt.Errorf("%w: the token file %s does not exist; it is made by itself only in the data directory %s", errUsage, c.TokenFile, c.DataDir)
	}
	if err := makeDir(dir); err != nil {
		return false, err
	}
	token := newToken()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("the token file %s is empty or has just been made by another process", path)
	}
	if err != nil {
		return false, fmt.Errorf("make the token file: %w", err)
	}
	_, err = fmt.Fprintln(file, token)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return false, fmt.Errorf("write the token file: %w", err)
	}
	c.Token = Secret(token)
	return true, nil
}
