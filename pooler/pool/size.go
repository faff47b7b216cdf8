package pool

import (
	"math"
	"time"
)

// How one destination is sized: four rules, on different clocks.
//
// Demand now, at each event: as many dials as clients wait, less what is on its way and, unless Config.Eager, less the
// connections that will come back before a dial begun now would be through (see hope). The dial window, at the end of
// each dial (dial.go). Ready stock, each second: R is the peak of leases at one time, forgotten slowly; R + 2·√R are kept,
// warmed one at a time and given up by a tenth a second. The ceiling, at each refusal of the server (ceiling.go).

const (
	lookEvery   = time.Second
	forgetsIn   = 2 * time.Minute // how fast R falls without Config.Ready: to 1/e
	leastSpan   = 100 * time.Millisecond
	shareClosed = 10 // of the surplus, one in so many is closed each second
)

// size is what a pool has learned about the demand for it and about its server.
type size struct {
	returns uint64        // connections released
	dial    time.Duration // mean time of a dial, weighted to the recent; 0: unknown
	peak    int           // most leases at one time since the last look
	recent  float64       // R
	looked  time.Duration // when R was last brought up to date, on the coarse clock

	counted uint64        // of them, those before the present span
	span    time.Duration // when it began
	rate    float64       // releases a second in the last one
	watched bool          // a timer looks again when the oldest waiter has waited for a dial's time
	watch   *time.Timer

	ceiling int           // see ceiling.go
	thaws   time.Duration // when it may rise
}

// mean takes a sample into a mean, which is weighted to the recent. 0 is none yet.
func mean(m *time.Duration, sample time.Duration) {
	if *m == 0 {
		*m = sample
		return
	}
	*m += (sample - *m) / 5
}

// hope is how many connections will come back before a dial begun now would be through, by the releases of the last
// tenth of a second or, if that is longer, of the last dial's time. Without history, or with nothing lent, there is none.
func (p *Pool[C]) hope() int {
	s := &p.size
	if p.cfg.Eager || s.dial == 0 || p.tally[lent]+p.tally[resetting] == 0 {
		return 0
	}
	if past := p.group.now - s.span; past >= max(leastSpan, s.dial) {
		s.rate = float64(s.returns-s.counted) / past.Seconds()
		s.counted, s.span = s.returns, p.group.now
	}
	return int(s.rate * s.dial.Seconds())
}

// overdue reports whether hope was in vain: the oldest client has waited for as long as a dial takes.
func (p *Pool[C]) overdue() bool {
	return p.group.now-p.queue.oldest().since >= p.size.dial
}

// watch makes sure that clients left to hope are looked at again when they are overdue. Those who are get a dial, or in a Set
// the next place that becomes free.
func (p *Pool[C]) watch() {
	s := &p.size
	if s.watched || p.cfg.Eager || p.tally[dialing] > 0 || p.room() == 0 || p.hope() == 0 {
		return
	}
	left := s.dial - (p.group.now - p.queue.oldest().since)
	if left <= 0 {
		return
	}
	s.watched = true
	arm(&s.watch, left, p.watching)
}

func (p *Pool[C]) watching() {
	defer p.group.lock().unlock()
	p.size.watched = false
	p.serve()
}

// look brings R up to date, and reports true, each second.
func (p *Pool[C]) look() bool {
	s, now := &p.size, p.group.now
	past := now - s.looked
	if past < lookEvery {
		return false
	}
	span := forgetsIn
	if p.cfg.Ready > 0 {
		span = p.cfg.Ready
	}
	s.recent = max(float64(s.peak), s.recent*math.Exp(-float64(past)/float64(span)))
	s.looked, s.peak = now, p.tally[lent]
	return true
}

// keep is how many connections are wanted open now, lent or not.
func (p *Pool[C]) keep() int {
	keep := p.cfg.Min
	if r := p.size.recent; p.cfg.Ready > 0 && r >= 0.5 {
		keep = max(keep, int(math.Ceil(r+2*math.Sqrt(r))))
	}
	return min(keep, p.most())
}

// missed is how many connections are used these days, or to be kept.
func (p *Pool[C]) missed() int {
	return min(p.most(), max(p.keep(), int(p.size.recent+0.5)+p.cfg.MinIdle))
}

// warm dials one connection for the ready stock, with what no client needs, if none is on its way.
func (p *Pool[C]) warm() {
	if p.cfg.Ready <= 0 || len(p.group.hungry) > 0 || p.tally[dialing] > 0 || p.tally[idle] >= p.cfg.MaxIdle {
		return
	}
	p.stat.Warmed += p.fill(min(1, p.keep()-p.held()))
}
