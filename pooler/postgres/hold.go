package postgres

import (
	"sync"
	"time"
)

// StopPolicy says whether clients are lent server connections.
type StopPolicy int

// Stop policies.
const (
	StopNone         StopPolicy = iota // they are
	StopHold                           // transactions that run go on to their end; clients that begin one wait
	StopHoldAndDrain                   // and server connections are closed as they come back
)

// longestHold bounds how long a client waits because of a hold, on top of its patience.
const longestHold = time.Hour

// hold is whether clients are held, by the configuration or by the console. Its zero value holds nobody.
type hold struct {
	mu     sync.Mutex
	policy StopPolicy
	pauses pauses
	ended  time.Time // of the last hold
}

// on says whether clients of a database, as the server calls it, are held.
func (h *hold) on(database string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.holds(database)
}

// holds is on with the lock held.
func (h *hold) holds(database string) bool { return h.policy != StopNone || h.pauses.on(database) }

func (h *hold) get() StopPolicy {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.policy
}

// set returns the policy before.
func (h *hold) set(policy StopPolicy) (old StopPolicy) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old, h.policy = h.policy, policy
	if old != StopNone && policy == StopNone {
		h.ended = time.Now()
	}
	return old
}

// until is when a wait ends that would end at deadline, having begun patience earlier: time on hold does not count, and
// after a hold clients have all their patience again. It may be later than that by the time it has come.
func (h *hold) until(database string, deadline time.Time, patience time.Duration) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.holds(database): // look again as soon as it may be over
		return earlier(time.Now().Add(patience), deadline.Add(longestHold))
	case h.ended.After(deadline.Add(-patience)):
		return h.ended.Add(patience)
	default:
		return deadline
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// endAt calls end when a wait is over that would be at deadline, but for holds. stop calls that off.
func (h *hold) endAt(database string, deadline time.Time, patience time.Duration, end func()) (stop func()) {
	var (
		mu    sync.Mutex
		timer *time.Timer
		done  bool
	)
	ring := func() {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return
		}
		if left := time.Until(h.until(database, deadline, patience)); left > 0 {
			timer.Reset(left)
			return
		}
		done = true
		end()
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(time.Until(h.until(database, deadline, patience)), ring)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		done = true
		timer.Stop()
	}
}

// holdClients makes the server connections obey a policy. Apply is locked.
func (e *Engine) holdClients(policy StopPolicy) {
	old := e.hold.set(policy)
	if policy != old {
		e.obeyHold()
	}
	if policy == StopHoldAndDrain && old != StopHoldAndDrain {
		for _, p := range e.servers.All() {
			p.Retire()
		}
	}
}

// obeyHold pauses the pools of the databases on hold, and resumes all others.
func (e *Engine) obeyHold() {
	e.servers.PauseOnly(func(k key) bool { return e.hold.on(k.database) })
}
