package postgres

import (
	"context"
	"time"
)

// drainPace is the time between two clients that are told to go, unless there are so many that it must be less.
const drainPace = 20 * time.Millisecond

// Drain lets go of each client between two of its transactions and returns when none is left. Clients are told one after
// the other, spread over half of the time that ctx leaves at most: idle ones go at once, the others when their transaction
// ends. Meanwhile the limit only falls: no more connections than clients. When ctx is done the clients that are left are
// closed, and its error is returned.
func (e *Engine) Drain(ctx context.Context) error {
	e.draining.Store(true)
	e.apply.Lock()
	e.holdBudget()
	e.apply.Unlock()
	if err := e.tellAll(ctx); err == nil && e.clients.wait(ctx) == nil {
		return nil
	}
	e.clients.closeAll(shutdownMessage)
	late, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	_ = e.clients.wait(late) // ctx tells that it was late
	return ctx.Err()
}

// tellAll tells the clients to go that are there now; no more are let in.
func (e *Engine) tellAll(ctx context.Context) error {
	clients := e.clients.list()
	pace := drainPace
	if deadline, ok := ctx.Deadline(); ok && len(clients) > 0 {
		pace = min(pace, time.Until(deadline)/2/time.Duration(len(clients)))
	}
	tick := time.NewTicker(max(pace, time.Microsecond))
	defer tick.Stop()
	for _, cl := range clients {
		cl.drain()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// drain tells the client to go when its transaction ends, or its login.
func (cl *client) drain() {
	cl.drained.Store(true)
	if en := cl.entry.Load(); en != nil {
		en.mu.Lock()
		if en.inside {
			en.dismiss()
		}
		en.mu.Unlock()
	}
	cl.lane.Post(cl.letGo)
}
