package postgres

import (
	"context"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/console"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// pauses is what the console holds back, by the server's names of databases. It is of this process and outlives any Apply.
type pauses struct {
	all       bool            // PAUSE or KILL
	suspended bool            // SUSPEND
	databases map[string]bool // PAUSE and KILL of one
	refused   map[string]bool // DISABLE
}

func (p *pauses) on(database string) bool { return p.all || p.suspended || p.databases[database] }

// change changes what the console holds back, unless f says no, and makes the pools obey.
func (e *Engine) change(f func(*pauses) bool) bool {
	h := &e.hold
	h.mu.Lock()
	if !f(&h.pauses) {
		h.mu.Unlock()
		return false
	}
	h.ended = time.Now()
	h.mu.Unlock()
	e.obeyHold()
	return true
}

// pause begins to hold back a database, or all if the name is empty. It reports false if it is held back already.
func (e *Engine) pause(database string) bool {
	return e.change(func(p *pauses) bool {
		switch {
		case p.on(database):
			return false
		case database == "":
			p.all = true
		default:
			add(&p.databases, database)
		}
		return true
	})
}

// resume ends what pause and suspend began, and reports false if there was nothing.
func (e *Engine) resume(database string) bool {
	return e.change(func(p *pauses) bool {
		if database != "" {
			held := p.databases[database]
			delete(p.databases, database)
			return held
		}
		held := p.all || p.suspended
		p.all, p.suspended = false, false
		return held
	})
}

// suspend holds all back, but closes nothing.
func (e *Engine) suspend() bool {
	return e.change(func(p *pauses) bool {
		if p.all || p.suspended {
			return false
		}
		p.suspended = true
		return true
	})
}

// letIn says whether clients that come are let in to a database.
func (e *Engine) letIn(database string, in bool) {
	h := &e.hold
	h.mu.Lock()
	defer h.mu.Unlock()
	if in {
		delete(h.pauses.refused, database)
		return
	}
	add(&h.pauses.refused, database)
}

// refuses says whether clients of a database are not let in.
func (h *hold) refuses(database string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pauses.refused[database]
}

func add(set *map[string]bool, name string) {
	if *set == nil {
		*set = make(map[string]bool)
	}
	(*set)[name] = true
}

// retire closes the server connections that a database, or all, has now: when they are free.
func (e *Engine) retire(database string) {
	e.conns.Range(func(c, _ any) bool {
		if c := c.(*conn); database == "" || c.key.database == database {
			c.retired.Store(true)
		}
		return true
	})
	for k, p := range e.servers.All() {
		if database == "" || k.database == database {
			p.Retire()
		}
	}
}

// dismiss closes the clients of a database, or all of them.
func (e *Engine) dismiss(database string) {
	e.survey(func(cl *client) {
		if cl.started && (database == "" || cl.key().database == database) {
			cl.hangUp(shutdownMessage)
		}
	})
}

// lookEvery is how often a command of the console looks whether what it waits for has come.
const lookEvery = 20 * time.Millisecond

// until waits until done.
func until(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}

// counted is how many server connections are open and lent, of a database or of all.
func (e *Engine) counted(database string) (open, lent int) {
	for k, p := range e.servers.All() {
		if database == "" || k.database == database {
			s := p.Stats()
			open, lent = open+s.Open, lent+s.Lent+s.Resetting
		}
	}
	return open, lent
}

// refused is the error of a command that makes no sense now.
func refused(message string) error {
	return &console.Refusal{Code: wire.CodeNotInPrerequisiteState, Message: message}
}
