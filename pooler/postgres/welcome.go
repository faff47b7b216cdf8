package postgres

import (
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// welcomes remembers what the server last reported at a login, by key: a client is told the same.
type welcomes struct {
	mu     sync.Mutex
	params map[key][]wire.Param
}

func (w *welcomes) set(k key, params []wire.Param) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.params == nil {
		w.params = make(map[key][]wire.Param)
	}
	w.params[k] = params
}

func (w *welcomes) get(k key) ([]wire.Param, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	params, ok := w.params[k]
	return params, ok
}

func (w *welcomes) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.params = nil
}

// keep forgets the keys that have no pool any more.
func (w *welcomes) keep(servers *pool.Set[key, *conn]) {
	known := make(map[key]bool)
	for k := range servers.All() {
		known[k] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.params {
		if !known[k] {
			delete(w.params, k)
		}
	}
}

// welcome returns what the server reports to the logins of a client's key. If that is not known it opens a connection.
func (e *Engine) welcome(cl *client) ([]wire.Param, error) {
	if params, ok := e.welcomes.get(cl.key); ok && !cl.replicates { // who has no right to is told so at the login
		return params, nil
	}
	deadline := time.Time{}
	lease, err := e.acquire(cl, &deadline)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	return lease.Conn().params, nil
}
