package pool

import (
	"slices"
	"time"
)

// tend starts the keepalive checks that are due: on connections not used and not checked for Config.Keepalive, less the
// jitter of each, and of a cohort that is due together only so many a tick that it spreads over half that time.
func (p *Pool[C]) tend() {
	every := max(p.cfg.Keepalive, tick)
	now := p.group.now
	most := 1 + int(time.Duration(2*len(p.idle))*p.group.pace/every)
	for i := 0; i < len(p.idle) && most > 0; {
		e := p.idle[i]
		if now-max(e.since, e.tested) < time.Duration(e.jitter*float64(every)) {
			i++
			continue
		}
		p.pull(i)
		e.tending, e.tested = true, now
		p.prepare(e, "Check", p.hooks.Check)
		most--
	}
}

// rejoin puts e back where it was in the idle stack, by warmth: a check is no use, and IdleTime goes on.
func (p *Pool[C]) rejoin(e *entry[C]) {
	i := len(p.idle)
	for i > 0 && p.idle[i-1].since > e.since {
		i--
	}
	p.idle = slices.Insert(p.idle, i, e)
}
