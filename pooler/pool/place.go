package pool

// Place is the place in the queue of a client of AcquireFunc. The zero Place is none.
type Place[C any] struct {
	waiter *waiter[C]
	ticket uint64
}

// Leave gives the place up. It reports true if deliver will not be called any more, false if it was or is about to be.
func (l Place[C]) Leave() bool {
	left, _ := l.leave(nil)
	return left
}

// GiveUp is Leave for a client whose patience has ended because of cause: it counts as one that timed out, and the error is
// the *WaitError that Acquire would return.
func (l Place[C]) GiveUp(cause error) (err error, left bool) {
	left, err = l.leave(cause)
	return err, left
}

func (l Place[C]) leave(cause error) (left bool, err error) {
	w := l.waiter
	if w == nil {
		return false, nil
	}
	g := w.home
	g.lock()
	if w.ticket != l.ticket || !w.queued {
		g.unlock()
		return false, nil
	}
	p := w.pool
	if w.timer != nil {
		w.timer.Stop()
	}
	if cause == nil {
		p.stat.Cancelled++
	} else {
		late := p.waitError(g.now-w.since, p.queue.ahead(w), cause)
		err = &late
	}
	p.leave(w)
	p.serve()
	g.unlock()
	g.recycle(w)
	return true, err
}
