// Package durable writes files that must outlive the process that wrote them, and the machine's next start: whole or not at all.
package durable

import (
	"os"
	"path/filepath"
)

// Write gives a file in a directory new content. When it returns nil the content is on disk; with an error the file is as it
// was. Only the owner may read it. It is called by one at a time for each file.
func Write(dir, name string, content []byte) error {
	path := filepath.Join(dir, name)
	if err := writeSynced(path+".new", content); err != nil {
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
