package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/podapi"
)

// DefaultStateDir is where a pod keeps what must outlive its container.
const DefaultStateDir = "/var/lib/weir"

// keptFile is the last push that was accepted, as it came.
const keptFile = "accepted.json"

// keep makes a push outlive the process: when it returns nil, the push is on disk. It is called by one at a time.
func keep(dir string, push []byte) error {
	path := filepath.Join(dir, keptFile)
	if err := writeSynced(path+".new", push); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSynced(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close() // closed already when all went well
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return file.Close()
}

// syncDir makes a rename in a directory outlive the machine.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// kept reads the last push that was kept; nil: there is none.
func kept(dir string) (*podapi.Config, error) {
	return readConfig(filepath.Join(dir, keptFile))
}

// readConfig reads a Config from a file; nil: there is none.
func readConfig(path string) (*podapi.Config, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	document, err := io.ReadAll(io.LimitReader(file, podapi.MaxConfigBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	c, err := config.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &c, nil
}
