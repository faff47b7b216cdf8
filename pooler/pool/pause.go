package pool

// Pause holds back leases and dials until Resume; clients wait. Drained is closed when nothing is lent (PAUSE, SUSPEND).
func (p *Pool[C]) Pause() (drained <-chan struct{}) {
	g := p.group
	g.mu.Lock()
	defer g.unlock()
	p.pause()
	return p.drained
}

func (p *Pool[C]) pause() {
	if !p.paused {
		p.paused, p.drained = true, make(chan struct{})
		p.serve()
	}
}

// Resume ends a Pause.
func (p *Pool[C]) Resume() {
	g := p.group
	g.mu.Lock()
	defer g.unlock()
	g.clock()
	p.resume()
}

func (p *Pool[C]) resume() {
	p.paused = false
	p.calm()
	p.serve()
}

// Pause is Pool.Pause for all pools, those made until Resume included. Its clients wait for as long as their own context or
// deadline allows.
func (s *Set[K, C]) Pause() {
	g := s.group
	g.mu.Lock()
	defer g.unlock()
	g.clock()
	s.paused = true
	for _, p := range s.pools {
		p.pause()
	}
}

// Resume ends a Pause of the Set, and that of each of its pools.
func (s *Set[K, C]) Resume() {
	g := s.group
	g.mu.Lock()
	defer g.unlock()
	g.clock()
	s.paused = false
	for _, p := range s.pools {
		p.resume()
	}
}
