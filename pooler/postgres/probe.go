package postgres

import (
	"context"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres/login"
)

// Probe opens a server connection within the limit, or finds one open, and returns why it cannot; Stats tells the outcome,
// too. It logs in as the server's user, else as the first user with a password, to the first declared database, else to
// postgres. Where it has to guess the database or the user, or knows no password yet, it is enough that the server answers.
// A lookup that failed is tried again then. With a limit of 0, and while clients are on hold, it does nothing.
func (e *Engine) Probe(ctx context.Context) error {
	s := e.settings.Load()
	if e.limit.Load() == 0 || e.hold.on(s.probe.database) {
		return nil
	}
	for {
		lease, err := e.servers.Acquire(ctx, s.probe)
		if err == nil && lease.Conn().spent() {
			lease.Discard(nil)
			continue
		}
		if err == nil {
			lease.Release()
			e.lookUpAgain()
		}
		return e.judge(err)
	}
}

// judge tells a server that is busy, or lacks a database nobody has asked for, from one that cannot be reached.
func (e *Engine) judge(err error) error {
	if state, _ := e.fault.get(); state == Reachable {
		return nil
	}
	return err
}

// answers says that a probe's failure shows a server that works: it refuses what was a guess.
func (s *settings) answers(f *dialError) bool {
	switch f.reason {
	case podapi.ReasonDatabaseMissing:
		return len(s.Databases) == 0
	case podapi.ReasonAuthenticationFailed:
		return s.guess
	}
	return login.NeedsPassword(f) && s.ServerUser == nil
}
