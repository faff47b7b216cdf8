package pool_test

import (
	"testing"
	"testing/synctest"

	"github.com/weir-dev/weir/pooler/pool"
)

func TestIdleConnectionsThatAreBrokenAreClosedWithoutBeingLent(t *testing.T) {
	bubble(t, eternal(4), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		var all []*client
		for range 4 {
			all = append(all, ask(p.Acquire, 0))
		}
		for _, c := range all[:3] {
			c.lease.Release()
		}
		p.ResetPeaks()
		odd := func(c *conn) bool { return c.id%2 == 1 } // 1 is idle, 3 is lent
		if n := p.DiscardIdle(odd); n != 1 {
			t.Errorf("%d closed, want 1", n)
		}
		synctest.Wait()
		s := p.Stats()
		if !w.opened[1].closed || w.opened[3].closed || s.Idle != 2 || s.Lent != 1 || s.ClosedBroken != 1 {
			t.Errorf("%d idle, %d lent, %d closed as broken; want 2, 1, 1", s.Idle, s.Lent, s.ClosedBroken)
		}
		if s.PeakLent != 1 || s.Acquired != 4 {
			t.Errorf("peak of %d lent, %d acquired; want 1, 4: nothing was lent for it", s.PeakLent, s.Acquired)
		}
		if n := p.DiscardIdle(odd); n != 0 {
			t.Errorf("%d closed the second time", n)
		}
	})
}

func TestAConnectionThatIsLentWhileItIsLookedAtIsLeftToItsHolder(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		ask(p.Acquire, 0).lease.Release()
		var holder *client
		n := p.DiscardIdle(func(*conn) bool { // called without locks, or this would never end
			holder = ask(p.Acquire, 0)
			return true
		})
		if n != 0 || !holder.lease.Valid() || w.opened[0].closed {
			t.Errorf("%d closed; want none, and the lease good", n)
		}
	})
}

func TestThePlaceOfABrokenIdleConnectionIsFree(t *testing.T) {
	bubbleSet(t, 1, eternal(1), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		ask(of(s, "a"), 0).lease.Release()
		if n := s.DiscardIdle("b", func(*conn) bool { return true }); n != 0 {
			t.Errorf("%d closed of a key that has no pool", n)
		}
		if n := s.DiscardIdle("a", func(*conn) bool { return true }); n != 1 {
			t.Errorf("%d closed, want 1", n)
		}
		synctest.Wait()
		if st := s.Stats(); st.Open != 0 || st.Dialed != 1 {
			t.Errorf("%d open, %d dialed; want 0, 1: nobody asked for another", st.Open, st.Dialed)
		}
		mustServe(t, ask(of(s, "b"), 0))
	})
}
