package pool

// Pause holds back leases and dials until Resume; clients wait. Drained is closed when nothing is lent (PAUSE, SUSPEND).
func (p *Pool[C]) Pause() (drained <-chan struct{}) {
	defer p.group.lock().unlock()
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
	defer p.group.lock().unlock()
	p.resume()
}

func (p *Pool[C]) resume() {
	p.paused = false
	p.calm()
	p.serve()
}

// Pause is Pool.Pause for all pools, those made until Resume included. Its clients wait for as long as their own context or
// deadline allows.
func (s *Set[K, C]) Pause() { s.PauseOnly(func(K) bool { return true }) }

// Resume ends a Pause of the Set, and that of each of its pools.
func (s *Set[K, C]) Resume() { s.PauseOnly(func(K) bool { return false }) }

// PauseOnly pauses the pools of the keys that which says yes to, those made later included, and resumes all others. which is
// called with locks held: it must be quick, and not call the Set.
func (s *Set[K, C]) PauseOnly(which func(K) bool) {
	defer s.group.lock().unlock()
	s.paused = which
	for key, p := range s.pools {
		switch yes := which(key); {
		case yes:
			p.pause()
		case p.paused:
			p.resume()
		}
	}
}
