package main

import (
	"errors"
	"io"
	"os"
)

// settingMost bounds a file of settings or with a secret: what is larger is another file, or has no end.
const settingMost = 1 << 20

// readSetting reads such a file.
func readSetting(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, settingMost+1))
	if err == nil && len(content) > settingMost {
		err = errors.New("it is larger than 1 MiB")
	}
	return content, err
}
