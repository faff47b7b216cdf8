package pool

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Hooks are what a Pool does with a connection. No hook is called with the pool locked, and each may be called from
// any goroutine; a panic in one counts as its error.
type Hooks[C any] struct {
	// Dial opens a connection. Required. Its ctx ends after Config.DialTimeout, or when the pool no longer wants the connection.
	Dial func(ctx context.Context) (C, error)
	// Check looks at a connection that was idle for longer than Config.CheckAfter, before it is lent, and at idle ones every
	// Config.Keepalive; on an error it is closed. nil: always good.
	Check func(ctx context.Context, conn C) error
	// Reset runs after Release and before the next lease; on an error the connection is closed. nil: nothing to reset.
	Reset func(ctx context.Context, conn C) error
	// Close closes the connection. Required. Only its return frees the place.
	Close func(conn C)
	// Final reports whether this error of Dial will come again, however often one dials (a wrong password, no such database).
	// All clients that wait are then told this error as it is. nil: no error is final.
	Final func(err error) bool
	// Refused reports whether by this error of Dial the server says that it has too many connections (SQLSTATE 53300, say).
	// The pool then opens fewer for a while, see Stats.Ceiling. nil: no error says so.
	Refused func(err error) bool
	// Event hears what happens to connections, to be logged or counted. It must not block. nil: nobody listens.
	Event func(Event)
}

// Event is something that happened to one connection.
type Event struct {
	Kind    EventKind
	Reason  Reason        // of Closed
	Err     error         // of DialFailed; of Closed by Discard, Check or Reset, or nil
	Took    time.Duration // of Dialed and DialFailed; of Leaked: since it was acquired
	Ceiling int           // of Lowered
	Where   string        // of Leaked: the functions that acquired the lease, the innermost first, as a stack trace shows them
}

// EventKind tells the events apart.
type EventKind uint8

// The kinds of Event.
const (
	Dialed EventKind = iota + 1
	DialFailed
	Closed
	Lowered // the server refused a dial as one too many: no more than Ceiling are opened
	Leaked  // a lease is held for longer than Config.LeakAfter
)

// Reason tells why a connection was closed.
type Reason uint8

// The reasons for which a Pool closes a connection.
const (
	kept       Reason = iota
	ByIdleTime        // idle for longer than Config.IdleTime
	ByLifetime        // open for its Lifetime
	Broken            // discarded, or its check or reset failed
	Surplus           // above Max, MaxIdle, a limit or the budget
	Retired           // Pool.Retire
	Yielded           // its place is needed by another pool of the Set
	Shutdown          // the pool closes
	reasons
)

func (r Reason) String() string {
	return [reasons]string{"kept", "idle time", "lifetime", "broken", "surplus", "retired", "yielded", "shutdown"}[r]
}

func (h *Hooks[C]) validate() error {
	if h.Dial == nil {
		return errors.New("pool: Hooks.Dial is required")
	}
	if h.Close == nil {
		return errors.New("pool: Hooks.Close is required")
	}
	return nil
}

// attempt runs a hook of this name. A panic in it is its error.
func attempt(hook string, run func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("pool: %s panicked: %v", hook, v)
		}
	}()
	return run()
}

// says asks a classifier, which may be nil. One that panics has said no.
func says(hook string, classify func(error) bool, err error) (yes bool) {
	_ = attempt(hook, func() error { yes = classify != nil && classify(err); return nil })
	return yes
}

// event tells the listener, whose panic must not break the pool.
func (h *Hooks[C]) event(e Event) {
	if h.Event != nil {
		_ = attempt("Event", func() error { h.Event(e); return nil })
	}
}
