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
	for _, limit := range [...]time.Duration{t.Login, t.ClientIdle, t.IdleInTransaction, t.Query, t.Transaction} {
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
	turn        moment // since when it is the client's turn
	statement   moment // since when the statement runs
	transaction moment // since when the transaction lasts

	pulse   session.Pulse
	phase   session.Phase
	begun   bool
	expired bool // the running statement has been cancelled
}

// look takes a round's look at the client, and returns the timeout that is over.
func (v *vigil) look(phase session.Phase, pulse session.Pulse, now moment, t Timeouts) Timeout {
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
	over := func(limit time.Duration, since moment) bool { return limit > 0 && now.sub(since) >= limit }
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

// enforceTimeouts looks at all clients, round after round, until the Engine is closed.
func (e *Engine) enforceTimeouts() {
	tick := time.NewTimer(slowestRound)
	defer tick.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-e.applied:
		case now := <-tick.C:
			if t := e.settings.Load().Timeouts; t.bounded() {
				e.enforceAll(t, momentOf(now))
			}
			e.expireLogins(now)
		}
		tick.Reset(e.settings.Load().Timeouts.round())
	}
}

// expireLogins has the lanes look at the logins that are under way there.
func (e *Engine) expireLogins(now time.Time) {
	for _, l := range e.lanes {
		if l.pending.Load() > 0 {
			l.Post(func() { l.expireEntries(now) })
		}
	}
}

// enforceAll has each lane look at its clients.
func (e *Engine) enforceAll(t Timeouts, now moment) {
	clients := make(map[*lane][]*client, len(e.lanes))
	for _, cl := range e.clients.list() {
		clients[cl.lane] = append(clients[cl.lane], cl)
	}
	for l, all := range clients {
		l.Post(func() {
			for _, cl := range all {
				cl.enforce(t, now)
			}
		})
	}
}

// enforce ends what takes the client too long.
func (cl *client) enforce(t Timeouts, now moment) {
	if cl.vigil == nil {
		cl.vigil = new(vigil)
	}
	if !cl.started || cl.closing || cl.waiter != nil || cl.moving || cl.replicates {
		cl.vigil.begun = false
		return
	}
	which := cl.vigil.look(cl.machine.Phase(), cl.machine.Pulse(), now, t)
	switch {
	case which == NoTimeout:
	case which == QueryTimeout && !cl.vigil.expired:
		cl.vigil.expired = true
		cl.expire()
	case which == QueryTimeout && now.sub(cl.vigil.statement) < t.Query+cancelTimeout: // the server has been asked to end it
	default:
		if which != QueryTimeout { // which has been counted when it was cancelled
			cl.engine.counters.timeouts[which].Add(1)
		}
		cl.hangUp(timeoutMessages[which])
	}
}

// expire cancels the client's statement because its time is up.
func (cl *client) expire() {
	cl.engine.counters.timeouts[QueryTimeout].Add(1)
	cl.machine.Expire()
	cl.cancelStatement(func() {})
}
