package pool

import "slices"

// sweep does what time asks for: once a tick. The caller serves.
func (p *Pool[C]) sweep() {
	second := p.look()
	p.raise()
	if p.cfg.Queue.Adaptive {
		p.judge()
	}
	p.closeIdle(second)
	p.closeOld()
	p.replace()
	p.warm()
	if p.cfg.Keepalive > 0 && p.hooks.Check != nil && !p.paused {
		p.tend()
	}
	if p.cfg.LeakAfter > 0 {
		p.leaks()
	}
}

// closeIdle closes connections at the cold end that were idle for too long; with Config.Ready a tenth of them a second.
func (p *Pool[C]) closeIdle(second bool) {
	now := p.group.now
	surplus := min(p.held()-p.keep(), len(p.idle)-p.cfg.MinIdle)
	if p.cfg.Ready > 0 {
		if surplus = (surplus + shareClosed - 1) / shareClosed; !second {
			return
		}
	}
	for wait := p.cfg.IdleTime; wait > 0 && surplus > 0 && now-p.idle[0].since >= wait; surplus-- {
		p.shut(p.popCold(), ByIdleTime)
	}
}

// closeOld closes idle connections whose lifetime is over.
func (p *Pool[C]) closeOld() {
	if p.cfg.Lifetime <= 0 {
		return
	}
	for _, e := range p.idle {
		if e.expired() {
			p.shut(e, ByLifetime)
		}
	}
	p.prune()
}

// prune takes off the idle stack what is idle no more.
func (p *Pool[C]) prune() {
	p.idle = slices.DeleteFunc(p.idle, func(e *entry[C]) bool { return e.state != idle })
}

// shrink closes and calls off what is above the limits, except what is lent: that is closed when it comes back. The caller serves.
func (p *Pool[C]) shrink() {
	for p.held() > p.limit() && p.callOff() {
	}
	for _, t := range p.parties {
		t.shrink()
	}
	p.cool(max(0, p.cfg.MaxIdle), Surplus)
}

// cool closes what is idle above n, from the cold end. The caller serves.
func (p *Pool[C]) cool(n int, why Reason) {
	for len(p.idle) > n {
		p.shut(p.popCold(), why)
	}
}

// callOff ends one connection that nobody uses, reporting false if there is none: the coldest idle one, else a dial.
func (p *Pool[C]) callOff() bool {
	if len(p.idle) > 0 {
		p.shut(p.popCold(), Surplus)
		return true
	}
	if p.tally[dialing] == 0 {
		return false
	}
	for e := range p.all {
		if e.state == dialing {
			p.shut(e, Surplus)
			return true
		}
	}
	return false
}
