package postgres

import (
	"context"
)

// Probe opens a server connection within the limit, or finds one open, and returns why it cannot; Stats tells the outcome,
// too. It logs in as the server's user, else as the first user with a clear password, to the first declared database,
// else to postgres: if that was not declared and does not exist, the server is reachable all the same. With a limit of 0, and
// while clients are on hold, it does nothing.
func (e *Engine) Probe(ctx context.Context) error {
	s := e.settings.Load()
	if e.limit.Load() == 0 || e.hold.on(s.probe.database) {
		return nil
	}
	if !s.probes {
		missing := explain(Endpoint{}, key{}, &missingPassword{})
		e.fault.failed(missing)
		return missing
	}
	for {
		lease, err := e.servers.Acquire(ctx, s.probe)
		if err == nil && lease.Conn().broken.Load() {
			lease.Discard(nil)
			continue
		}
		if err == nil {
			lease.Release()
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
