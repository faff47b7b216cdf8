package pool

import (
	"math"
	"time"
)

// How one destination is sized.
//
// Demand now is the waiting clients, see need. What was lent lately tells how many connections will be missed when they
// expire, and, with Config.Ready, how many are kept ready: R is the peak of leases at one time in each second, and is
// forgotten slowly when demand falls.

const (
	lookEvery = time.Second
	forgetsIn = 2 * time.Minute // how fast R falls without Config.Ready: to 1/e
)

// size is what a pool has learned about the demand for it and about its server.
type size struct {
	dial   time.Duration // mean time of a dial, weighted to the recent; 0: unknown
	peak   int           // most leases at one time since the last look
	recent float64       // R
	looked time.Duration // when R was last brought up to date, on the coarse clock
}

// sawDial takes the time of a dial into the mean.
func (s *size) sawDial(took time.Duration) {
	if s.dial == 0 {
		s.dial = took
		return
	}
	s.dial += (took - s.dial) / 5
}

// look brings R up to date, each second.
func (p *Pool[C]) look() {
	s, now := &p.size, p.group.now
	s.peak = max(s.peak, p.peaks.lent)
	p.highest.see(p.peaks.lent, p.peaks.waiting)
	p.peaks = peaks{p.tally[lent], p.queue.len}
	past := now - s.looked
	if past < lookEvery {
		return
	}
	s.recent = max(float64(s.peak), s.recent*math.Exp(-float64(past)/float64(forgetsIn)))
	s.looked, s.peak = now, p.tally[lent]
}

// missed is how many connections are used these days, or to be kept by Config.
func (p *Pool[C]) missed() int {
	return min(p.limit(), max(p.cfg.Min, int(p.size.recent+0.5)+p.cfg.MinIdle))
}
