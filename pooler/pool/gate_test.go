package pool_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

// gate is how a hook ends.
type gate int

const (
	ok gate = iota
	fails
	slow  // a second, then ok
	never // not before its context ends
	gates
)

func (g gate) String() string { return [gates]string{"ok", "error", "slow", "never"}[g] }

func (g gate) pass(ctx context.Context) error {
	switch g {
	case fails:
		return errRefused
	case slow:
		time.Sleep(time.Second)
	case never:
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// TestEachHookMayEndInEachWayWhenTheClientGivesUp is the gate matrix: dial, check and reset each end in each way, the second client
// gives up at each point, and whatever happens nothing is lost: the next client is served once the hooks behave.
func TestEachHookMayEndInEachWayWhenTheClientGivesUp(t *testing.T) {
	for dial := range gates {
		for check := range gates {
			for reset := range gates {
				for _, quits := range []time.Duration{-1, 0, 500 * time.Millisecond, 3 * time.Second} {
					t.Run(fmt.Sprintf("dial %v, check %v, reset %v, quits %v", dial, check, reset, quits), func(t *testing.T) {
						throughGates(t, dial, check, reset, quits)
					})
				}
			}
		}
	}
}

// throughGates lets two clients through; quits < 0 is never.
func throughGates(t *testing.T, dial, check, reset gate, quits time.Duration) {
	cfg := eternal(2)
	cfg.DialTimeout = 2 * time.Second
	bubbleWith(t, cfg, func(h *pool.Hooks[*conn]) {
		open := h.Dial
		begin := time.Now()
		behaved := func() bool { return time.Since(begin) > 20*time.Second }
		at := func(g gate) gate {
			if behaved() {
				return ok
			}
			return g
		}
		h.Dial = func(ctx context.Context) (*conn, error) {
			if err := at(dial).pass(ctx); err != nil {
				return nil, err
			}
			return open(ctx)
		}
		h.Check = func(ctx context.Context, _ *conn) error { return at(check).pass(ctx) }
		h.Reset = func(ctx context.Context, _ *conn) error { return at(reset).pass(ctx) }
	}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a := ask(p.Acquire, 10*time.Second)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if a.served() {
			a.lease.Release() // to its reset
			synctest.Wait()
		}
		time.Sleep(1200 * time.Millisecond) // if it is idle it needs a check
		b := ask(p.Acquire, 10*time.Second)
		if quits >= 0 {
			time.Sleep(quits)
			b.cancel()
			synctest.Wait()
			if !b.done.Load() {
				t.Fatal("who gave up still waits")
			}
		}
		time.Sleep(25 * time.Second)
		synctest.Wait()
		for _, c := range []*client{a, b} {
			if !c.done.Load() {
				t.Fatal("a client was neither served nor told that its time is up")
			}
			if c.served() && c.lease.Valid() {
				c.lease.Release()
			}
		}
		synctest.Wait()
		c := ask(p.Acquire, time.Minute)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		mustServe(t, c)
		if s := p.Stats(); s.Lent != 1 || s.Waiting != 0 || s.Open > 2 || s.Open != w.live {
			t.Errorf("%d lent, %d waiting, %d open, %d at the server", s.Lent, s.Waiting, s.Open, w.live)
		}
	})
}

// operation is one thing that happens to a pool with a holder, a client that waits and a dial under way.
type operation struct {
	name string
	do   func(*scene)
}

// scene is what the operations act on: Max 2, one connection lent, one dial under way, two clients waiting.
type scene struct {
	t      *testing.T
	w      *world
	p      *pool.Pool[*conn]
	holder *client
	a, b   *client
	closed bool
}

var operations = []operation{
	{"release", func(s *scene) { s.holder.lease.Release() }},
	{"discard", func(s *scene) { s.holder.lease.Discard(errors.New("broken")) }},
	{"hijack", func(s *scene) {
		if c := s.holder.lease.Hijack(); c != nil {
			s.w.close(c)
		}
	}},
	{"the first client gives up", func(s *scene) { s.a.cancel() }},
	{"the second client gives up", func(s *scene) { s.b.cancel() }},
	{"the dial succeeds", func(s *scene) { s.dialEnds(nil) }},
	{"the dial fails", func(s *scene) { s.dialEnds(errRefused) }},
	{"Max falls to 1", func(s *scene) { s.p.Configure(eternal(1)) }},
	{"Max rises to 4", func(s *scene) { s.p.Configure(eternal(4)) }},
	{"retire", func(s *scene) { s.p.Retire() }},
	{"pause and resume", func(s *scene) { s.p.Pause(); s.p.Resume() }},
	{"close", func(s *scene) { s.closed = true; go s.p.Close(context.Background()) }},
}

func (s *scene) dialEnds(err error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if len(s.w.pending) > 0 {
		select {
		case s.w.pending[0].end <- err:
		default: // was told already
		}
	}
}

// TestNoOrderOfTwoOrThreeOperationsStrandsAClient goes through all orders of two and three different operations, each with and without
// the pool coming to rest between them. In the end every client is served, told, or has given up, and nothing is left over.
func TestNoOrderOfTwoOrThreeOperationsStrandsAClient(t *testing.T) {
	for i := range operations {
		for j := range operations {
			for k := -1; k < len(operations); k++ {
				if i == j || i == k || j == k {
					continue
				}
				order := []operation{operations[i], operations[j]}
				if k >= 0 {
					order = append(order, operations[k])
				}
				for rests := range 1 << (len(order) - 1) {
					play(t, order, rests)
				}
			}
		}
	}
}

// play plays one order; where the bit of rests is set, the pool comes to rest before the next operation.
func play(t *testing.T, order []operation, rests int) {
	name := ""
	for i, o := range order {
		name += o.name + map[bool]string{true: "; ", false: ", "}[rests>>i&1 == 1]
	}
	bubble(t, eternal(2), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		s := &scene{t: t, w: w, p: p, holder: ask(p.Acquire, 0)}
		w.set(func() { w.manual = true })
		s.a, s.b = ask(p.Acquire, 0), ask(p.Acquire, 0)
		w.set(func() { w.manual = false })
		for i, o := range order {
			o.do(s)
			if rests>>i&1 == 1 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		s.end(name)
	})
}

// end lets the dial and the leases end, and demands that nobody is left waiting.
func (s *scene) end(name string) {
	s.dialEnds(nil)
	s.holder.lease.Release()
	time.Sleep(10 * time.Second) // for the retry of a dial
	synctest.Wait()
	for range 2 {
		for _, c := range []*client{s.a, s.b} {
			if c.served() && c.lease.Valid() {
				c.lease.Release()
			}
		}
		synctest.Wait()
	}
	for i, c := range []*client{s.a, s.b} {
		if !c.done.Load() {
			s.t.Errorf("%s: client %d is stranded: %+v", name, i, s.p.Stats())
			c.cancel()
		}
	}
	if !s.closed {
		if c := ask(s.p.Acquire, time.Minute); !c.served() {
			s.t.Errorf("%s: the next client is not served: %v", name, c.failed())
		} else {
			c.lease.Release()
		}
	}
	synctest.Wait()
	if st := s.p.Stats(); st.Lent != 0 || st.Waiting != 0 || st.Open != s.w.live || st.Open > 4 {
		s.t.Errorf("%s: in the end %d lent, %d waiting, %d open, %d at the server", name, st.Lent, st.Waiting, st.Open, s.w.live)
	}
}
