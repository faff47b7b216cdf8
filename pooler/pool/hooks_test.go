package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

func TestAPoolBornWithMaxZeroServesWhenItIsRaised(t *testing.T) {
	bubble(t, eternal(0), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a := ask(p.Acquire, 0)
		time.Sleep(time.Minute)
		mustWait(t, a)
		if w.dialed() != 0 {
			t.Fatalf("%d dials with Max 0", w.dialed())
		}
		p.Configure(eternal(1))
		synctest.Wait()
		mustServe(t, a)
		p.Configure(eternal(0))
		if s := p.Stats(); s.Lent != 1 {
			t.Fatalf("%d lent after Max fell to 0, want the one that is", s.Lent)
		}
		b := ask(p.Acquire, 0)
		a.lease.Release()
		synctest.Wait()
		mustWait(t, b)
		if s := p.Stats(); s.Open != 0 {
			t.Errorf("%d open after the release, want 0", s.Open)
		}
	})
}

func TestAPanicInAHookCountsAsItsError(t *testing.T) {
	t.Run("Dial", func(t *testing.T) {
		first := true
		bubbleWith(t, eternal(1), func(h *pool.Hooks[*conn]) {
			dial := h.Dial
			h.Dial = func(ctx context.Context) (*conn, error) {
				if first {
					first = false
					panic("no map")
				}
				return dial(ctx)
			}
		}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
			a := ask(p.Acquire, 0)
			mustWait(t, a)
			if s := p.Stats(); s.DialError == nil || s.DialError.Error() != "pool: Dial panicked: no map" {
				t.Errorf("dial error %v", s.DialError)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			mustServe(t, a)
		})
	})
	for _, hook := range []string{"Check", "Reset", "Event", "Close", "Final"} {
		t.Run(hook, func(t *testing.T) {
			bubbleWith(t, eternal(1), func(h *pool.Hooks[*conn]) {
				switch hook {
				case "Check":
					h.Check = func(context.Context, *conn) error { panic(hook) }
				case "Reset":
					h.Reset = func(context.Context, *conn) error { panic(hook) }
				case "Event":
					h.Event = func(pool.Event) { panic(hook) }
				case "Final":
					h.Final = func(error) bool { panic(hook) }
				case "Close":
					shut := h.Close
					h.Close = func(c *conn) { shut(c); panic(hook) }
				}
			}, func(t *testing.T, w *world, p *pool.Pool[*conn]) {
				if hook == "Final" {
					w.refuse = errRefused
					a := ask(p.Acquire, 0)
					mustWait(t, a)
					w.set(func() { w.refuse = nil })
				}
				for range 3 {
					c := ask(p.Acquire, time.Second)
					synctest.Wait()
					if hook == "Final" {
						time.Sleep(2 * time.Second)
						return
					}
					mustServe(t, c)
					c.lease.Release()
					time.Sleep(2 * time.Second) // idle for longer than CheckAfter
				}
				broken := uint64(0)
				switch hook {
				case "Check":
					broken = 2
				case "Reset":
					broken = 3
				}
				synctest.Wait()
				if s := p.Stats(); s.ClosedBroken != broken {
					t.Errorf("%d broken, want %d", s.ClosedBroken, broken)
				}
			})
		})
	}
}

func TestTheSecondReleaseDoesNothingAndIsCounted(t *testing.T) {
	bubble(t, eternal(1), func(t *testing.T, w *world, p *pool.Pool[*conn]) {
		a := ask(p.Acquire, 0)
		a.lease.Release()
		b := ask(p.Acquire, 0)
		mustServe(t, b)
		a.lease.Release()
		a.lease.Discard(nil)
		if c := a.lease.Hijack(); c != nil {
			t.Error("Hijack of an ended lease returned the connection of another client")
		}
		if s := p.Stats(); s.Lent != 1 || s.Misuses != 3 || !b.lease.Valid() || a.lease.Valid() {
			t.Errorf("%d lent, %d misuses; want 1, 3", s.Lent, s.Misuses)
		}
		defer func() {
			if recover() == nil {
				t.Error("Conn of an ended lease did not panic")
			}
		}()
		a.lease.Conn()
	})
}

func TestTheZeroLeaseHoldsNothing(t *testing.T) {
	var l pool.Lease[*conn]
	l.Release()
	l.Discard(nil)
	if l.Valid() || l.Hijack() != nil {
		t.Error("the zero lease holds something")
	}
}
