package pool

// The reserve, opt-in by Config.Reserve: so many of Max are lent only to clients of the highest class. It is what the others may not
// have, rather than a set of connections: they are held to Max - Reserve leases, whoever has the rest, and wait while a connection
// is idle for who may have it. Within their part they have their turns as ever, so that the highest class does not starve them.

const highest = classes - 1

// commons is how many leases clients of lower classes may have together.
func (p *Pool[C]) commons() int {
	limit := p.limit()
	return max(min(1, limit), limit-p.cfg.Reserve)
}

// admits reports whether a client of a class may have one lease more.
func (p *Pool[C]) admits(class uint8) bool {
	return p.cfg.Reserve == 0 || class == highest || p.common < p.commons()
}

// occupy notes to whom e is lent, and free that the lease has ended.
func (p *Pool[C]) occupy(e *entry[C], class uint8) {
	if class != highest {
		e.common = true
		p.common++
	}
}

func (p *Pool[C]) free(e *entry[C]) {
	if e.common {
		e.common = false
		p.common--
	}
}

// wanting is how many of the waiting clients may have a connection as soon as there is one.
func (p *Pool[C]) wanting() int {
	if p.cfg.Reserve == 0 {
		return p.queue.len
	}
	high := p.queue.lines[highest].len
	return high + min(p.queue.len-high, max(0, p.commons()-p.common))
}
