package pool_test

import (
	"testing"
	"testing/synctest"

	"github.com/weir-dev/weir/pooler/pool"
)

// released acquires n connections at once and releases each as the tag of its number.
func released(t *testing.T, p *pool.Pool[*conn], tags ...uint64) {
	t.Helper()
	var all []*client
	for range tags {
		all = append(all, ask(p.Acquire, 0))
	}
	mustServe(t, all...)
	for i, c := range all {
		c.lease.ReleaseAs(tags[i])
	}
}

func TestPreferTakesTheWarmestConnectionLastReleasedWithTheTag(t *testing.T) {
	for _, c := range []struct {
		name string
		tags []uint64 // of connections 0, 1, 2, in the order of their release
		opts []pool.Option
		want int
	}{
		{"the warmest has it", []uint64{7, 8, 9}, []pool.Option{pool.Prefer(9)}, 2},
		{"a colder one has it", []uint64{7, 8, 9}, []pool.Option{pool.Prefer(7)}, 0},
		{"two have it: the warmer", []uint64{7, 7, 9}, []pool.Option{pool.Prefer(7)}, 1},
		{"none has it: the warmest", []uint64{7, 8, 9}, []pool.Option{pool.Prefer(5)}, 2},
		{"no tag is asked for: the warmest", []uint64{7, 8, 9}, nil, 2},
		{"tag 0 is none: the warmest", []uint64{0, 8, 9}, []pool.Option{pool.Prefer(0)}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, eternal(3), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
				released(t, p, c.tags...)
				a := ask(p.Acquire, 0, c.opts...)
				mustServe(t, a)
				if id := a.lease.Conn().id; id != c.want {
					t.Errorf("connection %d lent, want %d", id, c.want)
				}
			})
		})
	}
}

func TestAReleaseWithoutATagTakesItAway(t *testing.T) {
	bubble(t, eternal(2), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		released(t, p, 7, 8)
		a := ask(p.Acquire, 0, pool.Prefer(7))
		a.lease.Release() // connection 0, now the warmest, without a tag
		b := ask(p.Acquire, 0, pool.Prefer(8))
		b.lease.ReleaseAs(8)
		if c := ask(p.Acquire, 0, pool.Prefer(7)); c.lease.Conn().id != 1 {
			t.Errorf("connection %d lent, want the warmest: none has the tag", c.lease.Conn().id)
		}
	})
}

func TestPreferLooksAtTheThirtyTwoWarmestOnly(t *testing.T) {
	bubble(t, eternal(40), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		tags := make([]uint64, 40)
		tags[7], tags[8] = 1, 2 // the 33rd and the 32nd from the warm end
		released(t, p, tags...)
		if l, _ := p.TryAcquire(pool.Prefer(1)); l.Conn().id != 39 {
			t.Errorf("connection %d lent, want the warmest", l.Conn().id)
		} else {
			l.Release()
		}
		if l, _ := p.TryAcquire(pool.Prefer(2)); l.Conn().id != 8 {
			t.Errorf("connection %d lent, want the one with the tag", l.Conn().id)
		}
	})
}

func TestPreferNeitherWaitsNorOvertakes(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a := ask(p.Acquire, 0)
		b := ask(p.Acquire, 0)
		c := ask(p.Acquire, 0, pool.Prefer(7))
		a.lease.ReleaseAs(7)
		synctest.Wait()
		mustServe(t, b)
		mustWait(t, c)
		b.lease.ReleaseAs(8)
		synctest.Wait()
		mustServe(t, c)
	})
}
