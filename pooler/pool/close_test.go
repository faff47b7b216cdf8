package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

func TestADialThatFinishesAfterCloseIsClosed(t *testing.T) {
	bubbleWith(t, eternal(2), func(h *pool.Hooks[*conn]) {
		dial := h.Dial
		h.Dial = func(ctx context.Context) (*conn, error) { // deaf to its context
			time.Sleep(time.Second)
			return dial(context.Background())
		}
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a := ask(p.Acquire, 0)
		if err := p.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !errors.Is(a.err, pool.ErrClosed) {
			t.Errorf("the client got %v, want ErrClosed", a.err)
		}
		if len(w.opened) != 1 || !w.opened[0].closed {
			t.Error("Close returned before the late connection was closed")
		}
	})
}

func TestADialThatFinishesAfterRetireIsClosedAndDialedAgain(t *testing.T) {
	bubble(t, eternal(2), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.manual = true
		a := ask(p.Acquire, 0)
		p.Retire()
		w.endDial(nil) // to the old primary
		mustWait(t, a)
		w.endDial(nil)
		mustServe(t, a)
		if !w.opened[0].closed || p.Stats().ClosedRetired != 1 {
			t.Error("the connection dialed before Retire was kept")
		}
	})
}

func TestADialThatFinishesAfterAShrinkIsNotKept(t *testing.T) {
	var calledOff *conn
	bubbleWith(t, eternal(2), func(h *pool.Hooks[*conn]) {
		dial := h.Dial
		h.Dial = func(ctx context.Context) (*conn, error) {
			time.Sleep(time.Second)
			c, err := dial(context.Background())
			if ctx.Err() != nil {
				calledOff = c
			}
			return c, err
		}
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a, b := ask(p.Acquire, 0), ask(p.Acquire, 0)
		p.Configure(eternal(1))
		if s := p.Stats(); s.Dialing != 1 || s.Closing != 1 {
			t.Fatalf("%d dialing, %d closing; want one each", s.Dialing, s.Closing)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, a)
		mustWait(t, b)
		if s := p.Stats(); s.Open != 1 || s.ClosedSurplus != 1 || !calledOff.closed {
			t.Errorf("%d open, %d closed as surplus; want 1, and of the two dials the one that was not called off", s.Open, s.ClosedSurplus)
		}
	})
}

func TestCloseWithWaitersTellsThem(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		holder := ask(p.Acquire, 0)
		a := ask(p.Acquire, 0)
		var err error
		done := false
		go func() { err = p.Close(context.Background()); done = true }()
		synctest.Wait()
		if !errors.Is(a.err, pool.ErrClosed) || done {
			t.Fatalf("waiter got %v; Close returned %t before the release", a.err, done)
		}
		if late := ask(p.Acquire, 0); !errors.Is(late.err, pool.ErrClosed) {
			t.Errorf("a client after Close got %v", late.err)
		}
		holder.lease.Release()
		synctest.Wait()
		if !done || err != nil || w.live != 0 {
			t.Errorf("Close returned %t (%v) with %d open", done, err, w.live)
		}
	})
}

func TestCloseCallsDialsOff(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		w.manual = true
		a := ask(p.Acquire, 0)
		err := p.Close(context.Background())
		synctest.Wait()
		if err != nil || !errors.Is(a.err, pool.ErrClosed) {
			t.Errorf("Close %v, client %v", err, a.err)
		}
	})
}

func TestCloseTakesLentConnectionsAwayWhenItsTimeIsUp(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a := ask(p.Acquire, 0)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close returned %v, want the end of its context", err)
		}
		synctest.Wait()
		if !w.opened[0].closed || a.lease.Valid() {
			t.Error("the lent connection is still open")
		}
		a.lease.Release()
		if s := p.Stats(); s.Misuses != 0 || s.Open != 0 {
			t.Errorf("%d misuses, %d open; want 0, 0", s.Misuses, s.Open)
		}
		if err := p.Close(context.Background()); err != nil {
			t.Errorf("closing again: %v", err)
		}
	})
}

func TestALentConnectionPastItsLifetimeIsClosedAtRelease(t *testing.T) {
	cfg := eternal(1)
	cfg.Lifetime = time.Minute
	bubble(t, cfg, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a := ask(p.Acquire, 0)
		time.Sleep(2 * time.Minute)
		b := ask(p.Acquire, 0)
		a.lease.Release()
		synctest.Wait()
		mustServe(t, b)
		if b.lease.Conn() == w.opened[0] || p.Stats().ClosedAge != 1 {
			t.Error("a connection was lent past its lifetime")
		}
	})
}
