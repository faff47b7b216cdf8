package pool

import "time"

// The ceiling protects the server. When it refuses a dial because it has too many connections (see Hooks.Refused), the
// pool opens no more than nine tenths of what it has, though at least Min and one. What is open stays. After ten seconds
// without a refusal the ceiling rises by a twentieth, and again every ten seconds, while it keeps clients waiting.

const frozen = 10 * time.Second

// most is how many connections the pool may open: its limit, or the ceiling below it.
func (p *Pool[C]) most() int {
	if c := p.size.ceiling; c > 0 {
		return min(c, p.limit())
	}
	return p.limit()
}

// lower sets the ceiling after a refusal.
func (p *Pool[C]) lower() {
	taken := p.open() - p.tally[dialing]
	p.size.ceiling = max(1, p.cfg.Min, taken*9/10)
	p.size.thaws = p.group.now + frozen
}

// raise lifts a ceiling that binds; one at the limit is none.
func (p *Pool[C]) raise() {
	s, now := &p.size, p.group.now
	if s.ceiling == 0 || now < s.thaws || p.queue.len == 0 || p.open() < s.ceiling {
		return
	}
	s.ceiling += max(1, s.ceiling/20)
	s.thaws = now + frozen
	if s.ceiling >= p.limit() {
		s.ceiling = 0
	}
}
