package pool

import "context"

// Close fails clients that wait with ErrClosed, closes idle connections, waits for lent ones until ctx is done, then
// closes those too and returns the cause of ctx's end. Dials under way are called off. Without an error, all Close hooks
// have returned. Closing again waits again.
func (p *Pool[C]) Close(ctx context.Context) error {
	p.group.lock()
	p.stop()
	p.group.unlock()
	return p.wait(ctx)
}

// wait waits until a stopped pool has nothing open; when ctx is done first it takes the lent connections away.
func (p *Pool[C]) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	cause := context.Cause(ctx)
	defer p.group.lock().unlock()
	if p.open() == 0 {
		return nil
	}
	p.seize()
	return cause
}

// stop lets nobody in, tells those who wait, and closes or calls off what is not lent.
func (p *Pool[C]) stop() {
	if p.closed {
		return
	}
	p.closed = true
	for w := p.queue.oldest(); w != nil; w = p.queue.oldest() {
		p.fail(w, ErrClosed)
	}
	p.cool(0, Shutdown)
	for e := range p.all {
		if e.state == dialing || e.state == resetting {
			p.shut(e, Shutdown)
		}
	}
	p.calm()
	p.serve()
}

// seize closes what is lent although its holders have not released it.
func (p *Pool[C]) seize() {
	for e := range p.all {
		if e.state == lent {
			e.seized.Store(true)
			p.free(e)
			p.shut(e, Shutdown)
		}
	}
	p.serve()
}

// forget lets go of a closed pool that has nothing open; what it counted stays in the group's sums.
func (g *group[C]) forget(p *Pool[C]) {
	if len(p.parties) == 0 {
		return // was forgotten before
	}
	p.depart()
	g.past.count(&p.stat)
	close(p.done)
}
