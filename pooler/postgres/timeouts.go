package postgres

import (
	"time"

	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// Defaults of timeouts that cannot be off.
const (
	defaultConnectTimeout = 10 * time.Second
	defaultLoginTimeout   = 15 * time.Second
)

// Timeout is one of Timeouts.
type Timeout uint8

// Which timeout it is.
const (
	NoTimeout Timeout = iota
	ConnectTimeout
	LoginTimeout
	ClientIdleTimeout
	IdleInTransactionTimeout
	QueryTimeout
	TransactionTimeout

	timeouts = iota // how many there are
)

var timeoutNames = [timeouts]string{"none", "connect", "login", "client_idle", "idle_in_transaction", "query", "transaction"}

func (t Timeout) String() string { return timeoutNames[t] }

// Last words of PostgreSQL to who took too long, ready to send.
var timeoutMessages = [timeouts][]byte{
	ClientIdleTimeout: fatalMessage(wire.CodeIdleSessionTimeout, "terminating connection due to idle-session timeout"),
	IdleInTransactionTimeout: fatalMessage(wire.CodeIdleInTransaction,
		"terminating connection due to idle-in-transaction timeout"),
	QueryTimeout:       fatalMessage(wire.CodeQueryCanceled, "canceling statement due to statement timeout"),
	TransactionTimeout: fatalMessage(wire.CodeTransactionTimeout, "terminating connection due to transaction timeout"),
}

func fatalMessage(code, text string) []byte {
	return wire.AppendErrorResponse(nil, wire.Fatal(code, text))
}

// Clients are looked at in rounds: often enough that a timeout is late by a quarter of its length at most, and by two
// seconds. Nothing is measured between rounds, so that messages need not read the clock.
const (
	slowestRound = time.Second
	fastestRound = 10 * time.Millisecond
)

// round is the time between two looks at the clients.
func (t Timeouts) round() time.Duration {
	round := slowestRound
	for _, limit := range [...]time.Duration{t.ClientIdle, t.IdleInTransaction, t.Query, t.Transaction} {
		if limit > 0 {
			round = min(round, limit/8)
		}
	}
	return max(round, fastestRound)
}

// bounded says that there is something to look for.
func (t Timeouts) bounded() bool {
	return t.ClientIdle > 0 || t.IdleInTransaction > 0 || t.Query > 0 || t.Transaction > 0
}

// vigil is what the rounds have seen of one client. Times are at most a round later than what they tell of.
type vigil struct {
	phase   session.Phase
	pulse   session.Pulse
	begun   bool
	expired bool // the running statement has been cancelled

	turn        time.Time // since when it is the client's turn
	statement   time.Time // since when the statement runs
	transaction time.Time // since when the transaction lasts
}

// look takes a round's look at the client, and returns the timeout that is over.
func (v *vigil) look(phase session.Phase, pulse session.Pulse, now time.Time, t Timeouts) Timeout {
	if !v.begun || phase != v.phase || pulse.Message != v.pulse.Message {
		v.turn = now
	}
	if !v.begun || phase != session.Running || pulse.Statement != v.pulse.Statement {
		v.statement, v.expired = now, false
	}
	if !v.begun || phase == session.Idle || pulse.Transaction != v.pulse.Transaction {
		v.transaction = now
	}
	v.begun, v.phase, v.pulse = true, phase, pulse
	over := func(limit time.Duration, since time.Time) bool { return limit > 0 && now.Sub(since) >= limit }
	switch {
	case phase == session.Idle && over(t.ClientIdle, v.turn):
		return ClientIdleTimeout
	case phase == session.InTransaction && over(t.IdleInTransaction, v.turn):
		return IdleInTransactionTimeout
	case phase != session.Idle && over(t.Transaction, v.transaction):
		return TransactionTimeout
	case phase == session.Running && over(t.Query, v.statement):
		return QueryTimeout
	}
	return NoTimeout
}

// lasts says that what the timeout is about still goes on.
func (v *vigil) lasts(t Timeout, phase session.Phase, pulse session.Pulse) bool {
	switch t {
	case TransactionTimeout:
		return phase != session.Idle && pulse.Transaction == v.pulse.Transaction
	case QueryTimeout:
		return phase == session.Running && pulse.Statement == v.pulse.Statement
	}
	return phase == v.phase && pulse.Message == v.pulse.Message
}

// enforceTimeouts looks at all clients, round after round, until the Engine is closed.
func (e *Engine) enforceTimeouts() {
	defer e.running.Done()
	tick := time.NewTimer(slowestRound)
	defer tick.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-e.applied:
		case now := <-tick.C:
			if t := e.settings.Load().Timeouts; t.bounded() {
				for _, cl := range e.clients.list() {
					cl.enforce(t, now)
				}
			}
		}
		tick.Reset(e.settings.Load().Timeouts.round())
	}
}

// enforce ends what takes the client too long.
func (cl *client) enforce(t Timeouts, now time.Time) {
	cl.mu.Lock()
	if !cl.established || cl.console != nil || cl.closing || cl.wait != nil || cl.replicates {
		cl.vigil.begun = false
		cl.mu.Unlock()
		return
	}
	which := cl.vigil.look(cl.machine.Phase(), cl.machine.Pulse(), now, t)
	if which == QueryTimeout && !cl.vigil.expired {
		cl.vigil.expired = true
		cl.expire()
		cl.mu.Unlock()
		return
	}
	if which == QueryTimeout && now.Sub(cl.vigil.statement) < t.Query+cancelTimeout {
		which = NoTimeout // the server has been asked to end it
	}
	seen := cl.vigil
	cl.mu.Unlock()
	if which == NoTimeout {
		return
	}
	lasts := func() bool {
		if cl.wait != nil || !seen.lasts(which, cl.machine.Phase(), cl.machine.Pulse()) {
			return false
		}
		if which != QueryTimeout { // which has been counted when it was cancelled
			cl.engine.counters.timeouts[which].Add(1)
		}
		return true
	}
	cl.engine.background(func() { cl.hangUp(timeoutMessages[which], lasts) })
}

// expire cancels the client's statement because its time is up; mu is locked.
func (cl *client) expire() {
	cl.engine.counters.timeouts[QueryTimeout].Add(1)
	cl.machine.Expire()
	cl.cancelStatement()
}
