package pool

import (
	"context"
	"sync/atomic"
	"time"
)

// state is where a connection is; each is in exactly one.
type state uint8

const (
	gone      state = iota // before its dial and after its Close: not open
	dialing                // its place is taken, the connection on its way
	idle                   // ready in the stack
	lent                   // a client holds its lease
	resetting              // its Reset or Check hook runs
	closing                // its Close hook runs, or a dial, check or reset that was called off is not back yet
	states
)

// tally counts connections by state. What enters the open states leaves gone, so the count of gone is minus open.
type tally [states]int

func (t *tally) open() int { return -t[gone] }

// held is what is open and will stay: open without closing.
func (t *tally) held() int { return -t[gone] - t[closing] }

func (t *tally) move(from, to state) {
	t[from]--
	t[to]++
}

// entry is one connection of a pool, from its dial to its end. The pool's lock guards it. Who holds its lease reads turn without
// the lock: nobody else ends the lease, but for Close, which says so by seized.
type entry[C any] struct {
	pool *Pool[C]
	conn C

	// What changes with each lease is together.
	turn       uint64 // a lease is good as long as this is its own number; rises when its holder ends it
	state      state
	common     bool          // it is lent to a client who may not use the reserve
	timed      bool          // its hold time is taken
	seized     atomic.Bool   // Close took it from its holder: the holder's Release is no misuse
	tending    bool          // a keepalive check runs: it goes back to its place in the stack
	tag        uint64        // from ReleaseAs; 0: none
	lentAt     time.Duration // on the group's coarse clock
	since      time.Duration // idle since, on the same clock
	generation uint64        // of the pool when the dial began; an older one is retired
	expires    time.Duration // end of its lifetime, on the group's clock; 0: never
	site       *site         // where its lease was acquired; nil unless Config.LeakAfter asks for it, or once reported

	born   time.Duration      // when it was dialed, on the group's clock
	tested time.Duration      // when its last keepalive check succeeded, on the coarse clock
	jitter float64            // its part of Config.Lifetime, drawn once
	cancel context.CancelFunc // of the dial, check or reset that runs; nil if none does

	reason Reason // why it is closing
	err    error  // what broke it
}

// move changes the state of e: the only place where counts change.
func (p *Pool[C]) move(e *entry[C], to state) {
	if e.state == to {
		return // from one client to the next
	}
	p.tally.move(e.state, to)
	for _, t := range p.parties {
		t.tally.move(e.state, to)
	}
	e.state = to
}

// back notes that the dial, check or reset came back.
func (e *entry[C]) back() {
	e.cancel()
	e.cancel = nil
}

// setExpiry computes the end of e's lifetime from the pool's present Config.
func (e *entry[C]) setExpiry() {
	e.expires = 0
	if life := e.pool.cfg.Lifetime; life > 0 {
		e.expires = e.born + max(1, time.Duration(e.jitter*float64(life)))
	}
}

// expired reports whether e's lifetime is over, on the coarse clock.
func (e *entry[C]) expired() bool { return e.expires != 0 && e.pool.group.now >= e.expires }

// stale reports whether e was idle and unchecked for so long that it must be checked before it is lent.
func (e *entry[C]) stale() bool {
	p := e.pool
	return p.hooks.Check != nil && p.cfg.CheckAfter > 0 && p.group.now-max(e.since, e.tested) >= p.cfg.CheckAfter
}
