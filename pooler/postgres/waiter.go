package postgres

import (
	"errors"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

// waiter is a client's wait for a server connection. It is used again for other clients of its lane.
type waiter struct {
	lane       *lane
	client     *client
	prev, next *waiter // in the lane's list, oldest first
	since      time.Time
	deadline   time.Time
	place      pool.Place[*conn]

	lease pool.Lease[*conn] // the answer
	err   error

	deliver func(pool.Lease[*conn], error) // takes the answer, anywhere
	answer  func()                         // brings it to the client, on the lane
}

// waiters are a lane's.
type waiters struct {
	first, last *waiter
	spare       *waiter     // used before, linked by next
	timer       *time.Timer // nil: nobody waits
	alarm       time.Time   // when it rings
}

// wait asks the pool for a server connection; the answer comes to cl.served.
func (l *lane) wait(cl *client, deadline time.Time) {
	w := l.waiters.spare
	if w != nil {
		l.waiters.spare = w.next
		w.next = nil
	} else {
		w = &waiter{lane: l}
		w.deliver = func(lease pool.Lease[*conn], err error) {
			w.lease, w.err = lease, err
			l.Post(w.answer)
		}
		w.answer = w.answered
	}
	w.client, w.since, w.deadline = cl, l.Now(), deadline
	cl.waiter = w
	l.waiters.push(w)
	if l.waiters.timer == nil || deadline.Before(l.waiters.alarm) {
		l.watchWaiters(deadline)
	}
	w.place = cl.engine.servers.AcquireFunc(cl.key(), time.Time{}, w.deliver, pool.Prefer(l.mark(cl.machine.Tag())))
}

// answered ends the wait.
func (w *waiter) answered() {
	cl, lease, err := w.client, w.lease, w.err
	cl.traffic.sawWait(w.lane.Now().Sub(w.since), err == nil)
	w.end()
	cl.served(lease, err)
}

// end takes w out of the list, to be used again.
func (w *waiter) end() {
	w.client.waiter = nil
	ws := &w.lane.waiters
	ws.remove(w)
	w.client, w.lease, w.err, w.place = nil, pool.Lease[*conn]{}, nil, pool.Place[*conn]{}
	w.prev, w.next, ws.spare = nil, ws.spare, w
}

// leave ends the wait without an answer. It reports false if the answer is on its way.
func (w *waiter) leave() bool {
	if !w.place.Leave() {
		return false
	}
	w.client.traffic.sawWait(w.lane.Now().Sub(w.since), false)
	w.end()
	return true
}

func (ws *waiters) push(w *waiter) {
	if w.prev = ws.last; ws.last == nil {
		ws.first = w
	} else {
		ws.last.next = w
	}
	ws.last = w
}

func (ws *waiters) remove(w *waiter) {
	if w.prev == nil {
		ws.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		ws.last = w.prev
	} else {
		w.next.prev = w.prev
	}
}

func (ws *waiters) stop() {
	if ws.timer != nil {
		ws.timer.Stop()
	}
}

// watchWaiters has somebody look at a time who has waited for too long. One timer serves all: it is not stopped when its
// waiter is served, and a look that finds nobody costs little.
func (l *lane) watchWaiters(at time.Time) {
	l.waiters.stop()
	l.waiters.alarm = at
	l.waiters.timer = l.after(time.Until(at), l.expireWaiters)
}

func (l *lane) expireWaiters() {
	l.waiters.timer = nil
	var soonest time.Time
	for w, next := l.waiters.first, (*waiter)(nil); w != nil; w = next {
		next = w.next
		e := w.client.engine
		until := e.hold.until(w.client.key().database, w.deadline, e.settings.Load().Limits.AcquireTimeout)
		if time.Until(until) <= 0 {
			w.expire()
		} else if soonest.IsZero() || until.Before(soonest) {
			soonest = until
		}
	}
	if !soonest.IsZero() {
		l.watchWaiters(soonest)
	}
}

// expire tells the client that its patience has ended, unless the answer is on its way.
func (w *waiter) expire() {
	err, left := w.place.GiveUp(errWaitedLong)
	if !left {
		return
	}
	cl := w.client
	cl.traffic.sawWait(w.lane.Now().Sub(w.since), false)
	w.end()
	if errors.Is(err, errWaitedLong) {
		cl.engine.counters.acquireTimeouts.Add(1)
	}
	cl.refuse(err)
}
