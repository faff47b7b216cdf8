package pool

import (
	"math"
	"time"
)

// Shedding, opt-in by Config.Queue.Adaptive. A queue that empties now and then absorbs bursts; one that stands only makes
// every client wait. It stands when for a whole span (100 ms, or 20 mean holds) the oldest client never waited for less
// than 5 ms, or 2 mean holds. Then the newest client is served first, as it may still be in time, and those at the
// old end that have waited for a span get ErrShed. Who is Patient is neither shed nor overtaken by his class.

// shed is what a pool knows of how its queue stands.
type shed struct {
	hold     time.Duration // mean time that a lease is held, sampled; 0: unknown
	least    time.Duration // the shortest wait of an oldest client in this span
	since    time.Duration // when the span began
	standing bool
}

const sampled = 64 // of so many leases the time of one is taken

func (s *shed) span() time.Duration { return max(100*time.Millisecond, 20*s.hold) }

// judge looks at the queue before somebody leaves it and at each tick, and sheds. The clock is fresh.
func (p *Pool[C]) judge() {
	s, now := &p.shed, p.group.now
	wait := time.Duration(0)
	if w := p.queue.oldest(); w != nil {
		wait = now - w.since
	}
	s.least = min(s.least, wait)
	if now-s.since >= s.span() {
		s.standing = s.least > max(5*time.Millisecond, 2*s.hold)
		s.least, s.since = wait, now
	}
	if !s.standing {
		return
	}
	for i := range p.queue.lines {
		var next *waiter[C]
		for w := p.queue.lines[i].head; w != nil && now-w.since > s.span(); w = next {
			if next = w.next; !w.patient {
				p.stat.Shed++
				p.fail(w, ErrShed)
			}
		}
	}
}

// begins notes that a client enters an empty queue: unless it emptied within the present span, a new one begins.
func (s *shed) begins(now time.Duration) {
	if now-s.since >= s.span() {
		s.least, s.since = math.MaxInt64, now
	}
}

// emptied notes that nobody waits any more: the queue does not stand.
func (s *shed) emptied() { s.least, s.standing = 0, false }

// first is the client of a line, in which somebody waits, that is served first.
func (p *Pool[C]) first(l *line[C]) *waiter[C] {
	if p.cfg.Queue.Adaptive && p.shed.standing && !l.head.patient {
		return l.tail
	}
	return l.head
}
