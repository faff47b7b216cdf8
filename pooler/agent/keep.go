package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/durable"
	"github.com/weir-dev/weir/pooler/podapi"
)

// DefaultStateDir is where a pod keeps what must outlive its container.
const DefaultStateDir = "/var/lib/weir"

// keptFile is the last push that was accepted, as it came.
const keptFile = "accepted.json"

// keep makes a push outlive the process: when it returns nil, the push is on disk. It is called by one at a time.
func keep(dir string, push []byte) error {
	return durable.Write(dir, keptFile, push)
}

// kept reads the last push that was kept; nil: there is none.
func kept(dir string) (*podapi.Config, error) {
	if dir == "" {
		return nil, nil
	}
	return readConfig(filepath.Join(dir, keptFile))
}

// readConfig reads a Config from a file; nil: there is none.
func readConfig(path string) (*podapi.Config, error) {
	if path == "" {
		return nil, nil
	}
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
