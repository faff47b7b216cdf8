package secrets

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// MaxBytes bounds one Secret, as Kubernetes does.
const MaxBytes = 1 << 20

// maxKeys bounds the keys of one Secret: it is one user per key at most.
const maxKeys = 20_000

// digest is what changes when a Secret changes.
type digest [sha256.Size]byte

// ReadDirectory returns the files of a directory as the keys of a Secret; there are none if it does not exist.
func ReadDirectory(path string) (map[string][]byte, error) {
	return read(filepath.Dir(path), filepath.Base(path))
}

// read returns the keys of a Secret, without those the kubelet needs for itself. A Secret that is not there is one
// without keys.
func read(directory, name string) (map[string][]byte, error) {
	const attempts = 3 // the kubelet may remove the version that is being read
	for attempt := 1; ; attempt++ {
		content, err := readVersion(filepath.Join(directory, name))
		if err == nil || !errors.Is(err, fs.ErrNotExist) || attempt == attempts {
			return content, err
		}
	}
}

func readVersion(path string) (map[string][]byte, error) {
	switch target, err := os.Readlink(filepath.Join(path, "..data")); {
	case err == nil && filepath.IsAbs(target):
		path = target
	case err == nil:
		path = filepath.Join(path, target)
	}
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(entries) > maxKeys {
		return nil, fmt.Errorf("it has more than %d keys", maxKeys)
	}
	content, room := map[string][]byte{}, int64(MaxBytes)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "..") || entry.IsDir() {
			continue
		}
		value, err := readKey(filepath.Join(path, entry.Name()), room)
		if err != nil {
			return nil, err
		}
		room -= int64(len(value))
		content[entry.Name()] = value
	}
	return content, nil
}

func readKey(path string, room int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key %q is not a file", filepath.Base(path))
	}
	value, err := io.ReadAll(io.LimitReader(file, room+1))
	if err == nil && int64(len(value)) > room {
		err = fmt.Errorf("it is larger than %d bytes", MaxBytes)
	}
	return value, err
}

func digestOf(content map[string][]byte, failure error) digest {
	keys := make([]string, 0, len(content))
	for key := range content {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	hash := sha256.New()
	field := func(b []byte) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(b)))
		hash.Write(size[:])
		hash.Write(b)
	}
	if failure != nil {
		field([]byte(failure.Error()))
	}
	for _, key := range keys {
		field([]byte(key))
		field(content[key])
	}
	return digest(hash.Sum(nil))
}
