package postgres

import (
	"context"
	"log/slog"
	"net"
)

// VanishSeconds bounds how long a server connection outlives a process that vanished without closing it (power cut,
// network gone): every server connection asks the server for keepalives and time-outs that add up to less.
const VanishSeconds = 30

// Options are what does not change while an Engine runs.
type Options struct {
	Logger *slog.Logger // nil: slog.Default()
	Secret []byte       // makes the salts that names without an account are shown; the same in all pods; nil: drawn
}

// Engine serves the clients of one PostgreSQL destination. Its methods may be called at any time from any goroutine.
type Engine struct{}

// New returns an Engine that has no limit yet: clients wait until Apply gives it one.
func New(opts Options) *Engine { return &Engine{} }

// Apply replaces the Config without waiting for anything: limits hold at once; users, databases and TLS for new logins;
// the pool mode for new clients. When endpoints, TLS or the user towards the server differ, the server connections that exist are retired.
func (e *Engine) Apply(cfg Config) error { return nil }

// Serve lets in the clients that ln accepts, until ln is closed, which is no error. It may run for several listeners.
func (e *Engine) Serve(ln net.Listener) error { return nil }

// Drain lets go of each client between two of its transactions and returns when none is left. Idle clients are let go one
// by one, spread over the first half of the time that ctx leaves. Meanwhile the limit only falls: no more connections than
// clients. When ctx is done, the clients that are left are closed, and its error is returned.
func (e *Engine) Drain(ctx context.Context) error { return nil }

// Close closes all clients and server connections.
func (e *Engine) Close() error { return nil }

// Probe opens, or finds open, one server connection within the limit, and returns why it cannot; the outcome is also in
// Stats. With a limit of 0 it does nothing.
func (e *Engine) Probe(ctx context.Context) error { return nil }

// Stats returns what the Engine does and has done.
func (e *Engine) Stats() Stats { return Stats{} }

// ResetPeaks begins a new span for the peaks in Stats.
func (e *Engine) ResetPeaks() {}
