package postgres

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/session"
)

// look is one round: what it finds, and what it says.
type look struct {
	at    int // seconds
	phase session.Phase
	pulse session.Pulse // messages, statements, transactions
	want  Timeout
}

func TestWhatTheRoundsTakeForTooLong(t *testing.T) {
	limits := Timeouts{ClientIdle: 30 * time.Second, IdleInTransaction: 20 * time.Second, Query: 10 * time.Second, Transaction: 40 * time.Second}
	const idle, inTx, running = session.Idle, session.InTransaction, session.Running
	p := func(message, statement, transaction uint32) session.Pulse {
		return session.Pulse{Message: message, Statement: statement, Transaction: transaction}
	}
	for _, c := range []struct {
		name  string
		looks []look
	}{
		{"nothing counts from before the first look", []look{{100, idle, p(9, 9, 9), 0}, {129, idle, p(9, 9, 9), 0}, {130, idle, p(9, 9, 9), ClientIdleTimeout}}},
		{"a client that says something between two looks is not idle", []look{{0, idle, p(1, 1, 1), 0}, {29, idle, p(2, 2, 2), 0}, {58, idle, p(2, 2, 2), 0}}},
		{"a transaction in which nothing is said", []look{{0, inTx, p(1, 1, 0), 0}, {20, inTx, p(1, 1, 0), IdleInTransactionTimeout}}},
		{"a transaction in which something is said", []look{{0, inTx, p(1, 1, 0), 0}, {19, inTx, p(2, 2, 0), 0}, {38, inTx, p(2, 2, 0), 0}}},
		{"a transaction in which something is said for too long", []look{
			{0, inTx, p(1, 1, 0), 0}, {19, inTx, p(2, 2, 0), 0}, {38, inTx, p(3, 3, 0), 0}, {40, inTx, p(4, 4, 0), TransactionTimeout},
		}},
		{"one transaction after the other", []look{{0, inTx, p(1, 1, 0), 0}, {19, inTx, p(2, 2, 1), 0}, {38, inTx, p(3, 3, 1), 0}, {45, inTx, p(4, 4, 1), 0}}},
		{"a statement", []look{{0, running, p(1, 1, 0), 0}, {9, running, p(1, 1, 0), 0}, {10, running, p(1, 1, 0), QueryTimeout}}},
		{"more messages behind a statement do not give it more time", []look{{0, running, p(1, 1, 0), 0}, {10, running, p(9, 1, 0), QueryTimeout}}},
		{"one statement after the other", []look{{0, running, p(1, 1, 0), 0}, {9, running, p(2, 2, 0), 0}, {18, running, p(3, 3, 0), 0}}},
		{"a client idle before its statement", []look{{0, idle, p(1, 1, 0), 0}, {29, running, p(2, 2, 0), 0}, {38, running, p(2, 2, 0), 0}}},
		{"a client that has just become idle", []look{{0, running, p(1, 1, 0), 0}, {9, idle, p(1, 2, 1), 0}, {38, idle, p(1, 2, 1), 0}}},
	} {
		var v vigil
		start := now()
		for _, l := range c.looks {
			if got := v.look(l.phase, l.pulse, start+moment(time.Duration(l.at)*time.Second), limits); got != l.want {
				t.Errorf("%s: at %d s the timeout is %v, want %v", c.name, l.at, got, l.want)
			}
		}
	}
}

func TestATimeoutThatIsOffIsNeverOver(t *testing.T) {
	var v vigil
	for _, phase := range []session.Phase{session.Idle, session.InTransaction, session.Running} {
		for _, years := range []time.Duration{0, 10} {
			if got := v.look(phase, session.Pulse{}, moment(years*8766*time.Hour), Timeouts{}); got != NoTimeout {
				t.Errorf("in phase %d: %v", phase, got)
			}
		}
	}
}

func TestRoundsAreAsFrequentAsTheShortestTimeoutNeeds(t *testing.T) {
	for _, c := range []struct {
		t    Timeouts
		want time.Duration
	}{
		{Timeouts{}, slowestRound},
		{Timeouts{ClientIdle: time.Hour}, slowestRound},
		{Timeouts{ClientIdle: time.Hour, Query: time.Second}, time.Second / 8},
		{Timeouts{Transaction: time.Millisecond}, fastestRound},
	} {
		if got := c.t.round(); got != c.want {
			t.Errorf("%+v: %v, want %v", c.t, got, c.want)
		}
	}
}
