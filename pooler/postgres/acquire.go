package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// What ends a wait for a server connection before it is served.
var (
	errWaitedLong = errors.New("acquire timeout")
	errCanceled   = errors.New("canceled by the client")
	errClosing    = errors.New("the client is told to go")
	errGone       = errors.New("the client is gone")
)

const (
	textShutdown = "terminating connection due to administrator command"
	textTooMany  = "sorry, too many clients already"
)

// Last messages, ready to send.
var (
	shutdownMessage   = wire.AppendErrorResponse(nil, wire.Fatal(wire.CodeAdminShutdown, textShutdown))
	serverLostMessage = wire.AppendErrorResponse(nil,
		wire.Fatal(wire.CodeConnectionFailure, "the server closed the connection unexpectedly"))
)

// acquire lends a login a server connection that is alive.
func (en *entry) acquire() (pool.Lease[*conn], error) {
	e := en.engine
	deadline := time.Now().Add(e.settings.Load().Limits.AcquireTimeout)
	for {
		lease, ok := e.servers.TryAcquire(en.key)
		if !ok {
			var err error
			if lease, err = en.wait(deadline); err != nil {
				return lease, err
			}
		}
		if !lease.Conn().spent() {
			return lease, nil
		}
		lease.Discard(nil)
	}
}

// wait waits for a server connection, as long as the client is there.
func (en *entry) wait(deadline time.Time) (pool.Lease[*conn], error) {
	e := en.engine
	ctx, end := context.WithCancelCause(e.ctx)
	defer end(nil)
	defer e.hold.endAt(en.key.database, deadline, e.settings.Load().Limits.AcquireTimeout, func() { end(errWaitedLong) })()
	en.mu.Lock()
	if en.aborted {
		end(errClosing)
	}
	en.waits = end
	en.mu.Unlock()
	began := time.Now()
	unwatch := en.watch(end)
	lease, err := e.servers.Acquire(ctx, en.key)
	unwatch()
	e.traffic.of(en.key.pair()).sawWait(time.Since(began), err == nil)
	en.mu.Lock()
	en.waits = nil
	en.mu.Unlock()
	if errors.Is(err, errWaitedLong) {
		e.counters.acquireTimeouts.Add(1)
	}
	return lease, err
}

// refusal is what a client is told whom no server connection could be lent.
func (e *Engine) refusal(k key, err error) wire.Report {
	report := wire.Report{Severity: wire.SeverityError, Code: wire.CodeCannotConnect}
	var (
		waited  *pool.WaitError
		server  *wire.ServerError
		missing *missingPassword
	)
	switch {
	case errors.Is(err, errCanceled):
		report.Code, report.Message = wire.CodeQueryCanceled, "canceling statement due to user request"
	case errors.Is(err, pool.ErrQueueFull):
		report.Code, report.Message = wire.CodeTooManyConnections, textTooMany
		report.Detail = "Too many clients wait for a server connection."
	case errors.Is(err, pool.ErrClosed), errors.Is(err, context.Canceled):
		report.Code, report.Message = wire.CodeAdminShutdown, textShutdown
	case errors.As(err, &waited):
		report.Message = strings.TrimPrefix(err.Error(), "pool: ")
		if waited.Dial == nil {
			report.Code = wire.CodeTooManyConnections
		}
	case errors.As(err, &server):
		return serverRefusal(k, report, server)
	case errors.As(err, &missing):
		report.Code, report.Message = wire.CodeInvalidAuthorization, missing.Error()
	default:
		report.Message = err.Error()
	}
	return report
}

// serverRefusal passes on what the server has said for good, but makes clear whose login it was about.
func serverRefusal(k key, report wire.Report, server *wire.ServerError) wire.Report {
	switch server.Code {
	case wire.CodeInvalidPassword, wire.CodeInvalidAuthorization:
		report.Message = fmt.Sprintf("the server refuses the pooler's login as user %q: %s", k.user, server.Message)
		report.Detail = "The client's own login was accepted by the pooler."
		return report
	}
	report.Code, report.Message, report.Detail, report.Hint = server.Code, server.Message, server.Detail, server.Hint
	return report
}
