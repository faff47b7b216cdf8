package standalone

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/weir-dev/weir/pooler/podapi"
)

// Follower keeps an agent in step with a file. It is safe for concurrent use.
type Follower struct {
	path string
	log  *slog.Logger
	file atomic.Pointer[File] // what is served

	mu     sync.Mutex
	ledger int64
	seen   [sha256.Size]byte // of what was tried last
}

// Follow reads the file for the first time. The error is that of Read.
func Follow(path string, log *slog.Logger) (*Follower, error) {
	document, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	file, err := parse(path, document)
	if err != nil {
		return nil, err
	}
	f := &Follower{path: path, log: log}
	f.file.Store(file)
	return f, nil
}

// File is what is served.
func (f *Follower) File() *File { return f.file.Load() }

// Secret is a secrets.Source of what the file says now.
func (f *Follower) Secret(name string) (map[string][]byte, error) { return f.File().Secret(name) }

// Push hands what the file says to an agent, if the file has changed since the last time; always: even if it has not. A file
// that cannot be used is logged and told once, and what was served stays.
func (f *Follower) Push(always bool, push func([]byte) (podapi.Applied, error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	document, err := readBounded(f.path)
	if err != nil {
		document = []byte(err.Error()) // so that it is told once
	}
	seen := sha256.Sum256(document)
	if seen == f.seen && !always {
		return nil
	}
	f.seen = seen
	if err == nil {
		err = f.take(document, push)
	}
	if err != nil {
		f.log.Error("the configuration cannot be used; what was served is served on", "error", err)
	}
	return err
}

func (f *Follower) take(document []byte, push func([]byte) (podapi.Applied, error)) error {
	file, err := parse(f.path, document)
	if err != nil {
		return err
	}
	was := f.file.Swap(file)
	if was.Listen != file.Listen || was.Health != file.Health {
		f.log.Warn("listen and health are read at the start only: restart to change them")
	}
	config, err := json.Marshal(file.Config(f.ledger + 1))
	if err == nil {
		_, err = push(config)
	}
	if err != nil {
		f.file.Store(was)
		return fmt.Errorf("apply %s: %w", f.path, err)
	}
	f.ledger++
	return nil
}
