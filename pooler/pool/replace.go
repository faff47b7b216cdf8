package pool

// replace dials for connections that will soon be too old: they do not count as kept any more, so that what is missed
// without them is dialed while they still serve. At Max there is no room, and a hole of one dial remains.
func (p *Pool[C]) replace() {
	if p.cfg.Lifetime <= 0 || p.held() >= p.limit() {
		return
	}
	old := p.aging()
	lacking := min(old, p.missed()-(p.held()-old))
	p.stat.Replaced += p.fill(lacking)
}

// aging is how many connections expire before another would be there.
func (p *Pool[C]) aging() (n int) {
	for e := range p.all {
		if (e.state == idle || e.state == lent) && e.ages() {
			n++
		}
	}
	return n
}

// ages reports whether e is so near its end that a dial begun now comes just in time: two mean dials and two seconds
// before, as ticks may be slow, but not before nine tenths of its life.
func (e *entry[C]) ages() bool {
	if e.expires == 0 {
		return false
	}
	lead := min(2*(e.pool.size.dial+slowTick), (e.expires-e.born)/10)
	return e.pool.group.now >= e.expires-lead
}

// succeed closes an idle connection that is near its end in favour of e, which comes when MaxIdle are idle.
func (p *Pool[C]) succeed(e *entry[C]) bool {
	if p.cfg.MaxIdle <= 0 || e.ages() {
		return false
	}
	for i, old := range p.idle {
		if old.ages() {
			p.shut(p.pull(i), ByLifetime)
			return true
		}
	}
	return false
}
