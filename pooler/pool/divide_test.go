package pool_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/pooler/pool"
)

func TestIdleConnectionsOfOneKeyDoNotTakeTheBudgetFromAnother(t *testing.T) {
	bubbleSet(t, 4, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		leaveIdle(s, slices.Repeat([]string{"rich"}, 4)...)
		a, b := ask(of(s, "poor"), 0), ask(of(s, "poor"), 0)
		mustServe(t, a, b)
		if st := s.Stats(); st.ClosedYielded != 2 || st.Idle != 2 || w.peak != 4 {
			t.Errorf("%d yielded, %d idle, at most %d open; want 2, 2, 4", st.ClosedYielded, st.Idle, w.peak)
		}
	})
}

func TestNoMoreConnectionsYieldThanClientsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(world)
		hooks := w.hooks()
		shut := hooks.Close
		hooks.Close = func(c *conn) {
			time.Sleep(time.Second)
			shut(c)
		}
		s := pool.NewSet(6, func(string) (pool.Config, pool.Hooks[*conn], error) { return eternal(10), hooks, nil })
		defer closeNow(s.Close)
		var rich, poor []*client
		leaveIdle(s, slices.Repeat([]string{"rich"}, 6)...)
		ask(of(s, "poor"), 0)
		time.Sleep(900 * time.Millisecond) // ticks pass while the one that yielded closes
		if st := s.Stats(); st.Closing != 1 || st.Idle != 5 {
			t.Fatalf("%d closing, %d idle; want 1, 5", st.Closing, st.Idle)
		}
		for range 12 {
			rich = append(rich, ask(of(s, "rich"), 0))
		}
		for range 12 {
			poor = append(poor, ask(of(s, "poor"), 0))
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait() // poor has one by now, rich five
		for _, c := range rich[:5] {
			c.lease.Release()
		}
		synctest.Wait()
		if st := s.Stats(); st.Closing != 2 {
			t.Errorf("%d of rich's five go to poor, want two: then each has three", st.Closing)
		}
		mustWait(t, poor...)
	})
}

func TestAnIdleConnectionYieldsToARicherKeyOnlyAfterATurn(t *testing.T) {
	bubbleSet(t, 3, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		ask(of(s, "rich"), 0)
		ask(of(s, "rich"), 0)
		ask(of(s, "poor"), 0).lease.Release()
		c := ask(of(s, "rich"), 0)
		time.Sleep(300 * time.Millisecond)
		mustWait(t, c)
		time.Sleep(time.Second)
		synctest.Wait()
		mustServe(t, c)
	})
}

func TestASmallKeyIsNotStarvedByABigOne(t *testing.T) {
	for _, c := range []struct {
		budget, big, small, keys int
		least                    float64 // of the big key's leases, what a small key gets
		longest                  time.Duration
	}{
		{budget: 4, big: 50, small: 1, keys: 1, least: 0.3, longest: 50 * time.Millisecond},
		{budget: 4, big: 50, small: 2, keys: 2, least: 0.49, longest: 50 * time.Millisecond},
		{budget: 10, big: 100, small: 100, keys: 2, least: 0.74, longest: 500 * time.Millisecond},
		// One connection goes to and fro: it stays a turn with who has more to do, and its one client waits as long.
		{budget: 1, big: 50, small: 1, keys: 1, least: 0.01, longest: 600 * time.Millisecond},
		{budget: 2, big: 20, small: 3, keys: 6, least: 0.95, longest: 2 * time.Second},
	} {
		name := fmt.Sprintf("%d clients and %d keys of %d on %d connections", c.big, c.keys, c.small, c.budget)
		t.Run(name, func(t *testing.T) {
			bubbleSet(t, c.budget, eternal(100), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
				w.dialFor = 20 * time.Millisecond
				load := newLoad(s)
				load.start("big", c.big)
				time.Sleep(5 * time.Second)
				for i := range c.keys {
					load.start(fmt.Sprint("small", i), c.small)
				}
				load.forget()
				time.Sleep(20 * time.Second)
				load.stop()
				for i := range c.keys {
					key := fmt.Sprint("small", i)
					if got := float64(load.served[key]) / float64(load.served["big"]); got < c.least {
						t.Errorf("%s got %.2f of what big got, want %.2f", key, got, c.least)
					}
					if load.longest[key] > c.longest {
						t.Errorf("a client of %s waited %v, want at most %v", key, load.longest[key], c.longest)
					}
				}
				if w.peak > c.budget {
					t.Errorf("%d open at once, budget %d", w.peak, c.budget)
				}
				if w.dialed() > 150 {
					t.Errorf("%d dials in 25 s: connections are exchanged without end", w.dialed())
				}
			})
		})
	}
}

func TestKeysThatShareOnePlaceAreServedEvenIfADialTakesLongerThanATurn(t *testing.T) {
	bubbleSet(t, 1, eternal(10), func(t *testing.T, w *world, s *pool.Set[string, *conn]) {
		w.dialFor = 3 * time.Second
		load := newLoad(s)
		for _, key := range []string{"a", "b", "c"} {
			load.start(key, 5)
		}
		time.Sleep(time.Minute)
		load.stop()
		for _, key := range []string{"a", "b", "c"} {
			if load.served[key] < 5 {
				t.Errorf("%s got %d leases in a minute", key, load.served[key])
			}
		}
	})
}

// load is clients that acquire, hold for 10 ms and release, again and again. All run in one bubble, one after the other.
type load struct {
	set     *pool.Set[string, *conn]
	served  map[string]int
	longest map[string]time.Duration
	ctx     context.Context
	cancel  context.CancelFunc
	mu      sync.Mutex
}

func newLoad(s *pool.Set[string, *conn]) *load {
	l := &load{set: s, served: map[string]int{}, longest: map[string]time.Duration{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *load) start(key string, clients int) {
	for range clients {
		go func() {
			for l.ctx.Err() == nil {
				begin := time.Now()
				lease, err := l.set.Acquire(l.ctx, key)
				if err != nil {
					return
				}
				l.mu.Lock()
				l.served[key]++
				l.longest[key] = max(l.longest[key], time.Since(begin))
				l.mu.Unlock()
				time.Sleep(10 * time.Millisecond)
				lease.Release()
			}
		}()
	}
}

// forget begins the counts again.
func (l *load) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.served)
}

func (l *load) stop() {
	l.cancel()
	time.Sleep(time.Second)
	synctest.Wait()
}

// tenantBooks counts the connections of one tenant as a server would.
type tenantBooks struct {
	mu                 sync.Mutex
	live, most, before int
}

func (b *tenantBooks) count(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.live += n
	b.most = max(b.most, b.live)
}

// keep adds the counting to hooks.
func (b *tenantBooks) keep(hooks pool.Hooks[*conn]) pool.Hooks[*conn] {
	dial, shut := hooks.Dial, hooks.Close
	hooks.Dial = func(ctx context.Context) (*conn, error) {
		b.count(1)
		c, err := dial(ctx)
		if err != nil {
			b.count(-1)
		}
		return c, err
	}
	hooks.Close = func(c *conn) {
		shut(c)
		b.count(-1)
	}
	return hooks
}

// peak is the most that were open since it was last asked, and what was open then.
func (b *tenantBooks) peak() (most, before int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	most, before = b.most, b.before
	b.most, b.before = b.live, b.live
	return most, before
}

// The property: whatever happens, the server never sees more connections than the budget, or of one tenant than that may have (after
// either fell: than were open then), and when the clients that hold release and the server works, each client that waits is served.
func TestNoHistoryExceedsTheBudgetOrStarvesAKey(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func() {
			w := &world{dialFor: time.Duration(rapid.SampledFrom([]int{0, 1, 300}).Draw(rt, "dial ms")) * time.Millisecond}
			budget := rapid.IntRange(0, 5).Draw(rt, "budget")
			cfg := eternal(4)
			cfg.CheckAfter = -1
			hooks := w.hooks()
			if rapid.Bool().Draw(rt, "slow close") {
				shut := hooks.Close
				hooks.Close = func(c *conn) {
					time.Sleep(200 * time.Millisecond)
					shut(c)
				}
			}
			tenantMax := rapid.IntRange(0, 3).Draw(rt, "tenant max")
			books := map[string]*tenantBooks{"app": {}, "web": {}}
			s := pool.NewSet(budget, func(key string) (pool.Config, pool.Hooks[*conn], error) {
				cfg := ofTenant(cfg, key, tenantMax)
				return cfg, books[cfg.Tenant].keep(hooks), nil
			})
			defer closeNow(s.Close)
			ceiling := 0
			var clients []*client
			keys := []string{"app/a", "app/b", "app/c", "web/a"}
			key := rapid.SampledFrom(keys)
			release := func(end func(pool.Lease[*conn])) func(*rapid.T) {
				return func(*rapid.T) {
					i := slices.IndexFunc(clients, (*client).served)
					if i < 0 {
						rt.Skip("nobody holds")
					}
					end(clients[i].lease)
					clients = slices.Delete(clients, i, i+1)
				}
			}
			rt.Repeat(map[string]func(*rapid.T){
				"ask":      func(rt *rapid.T) { clients = append(clients, ask(of(s, key.Draw(rt, "key")), 0)) },
				"ask more": func(rt *rapid.T) { clients = append(clients, ask(of(s, key.Draw(rt, "key")), 0)) },
				"release":  release(pool.Lease[*conn].Release),
				"discard":  release(func(l pool.Lease[*conn]) { l.Discard(nil) }),
				"budget": func(rt *rapid.T) {
					budget = rapid.IntRange(0, 5).Draw(rt, "budget")
					s.SetBudget(budget)
				},
				"limit": func(rt *rapid.T) { s.Limit(key.Draw(rt, "key"), rapid.IntRange(-1, 3).Draw(rt, "limit")) },
				"tenant max": func(rt *rapid.T) {
					tenantMax = rapid.IntRange(0, 3).Draw(rt, "tenant max")
					setTenantMax(t, s, tenantMax)
				},
				"refuse":  func(*rapid.T) { w.set(func() { w.refuse = errRefused }) },
				"recover": func(*rapid.T) { w.set(func() { w.refuse = nil }) },
				"pass": func(rt *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 2000).Draw(rt, "ms")) * time.Millisecond)
				},
				"forget": func(*rapid.T) { s.Forget(time.Second) },
				"": func(rt *rapid.T) {
					synctest.Wait()
					w.mu.Lock()
					live, opened := w.live, w.peak
					w.peak = live
					w.mu.Unlock()
					if opened > max(budget, ceiling) {
						rt.Fatalf("%d at the server, budget %d, %d before", opened, budget, ceiling)
					}
					ceiling = live
					for tenant, b := range books {
						if opened, before := b.peak(); tenantMax > 0 && opened > max(tenantMax, before) {
							rt.Fatalf("%s has %d at the server, may have %d, had %d", tenant, opened, tenantMax, before)
						}
					}
					if st := s.Stats(); st.Open != live || st.Open != st.Idle+st.Lent+st.Dialing+st.Resetting+st.Closing {
						rt.Fatalf("%d at the server, Stats says %+v", live, st)
					}
				},
			})
			s.SetBudget(max(1, budget))
			for _, k := range keys {
				s.Limit(k, -1)
			}
			w.set(func() { w.refuse = nil })
			for range 60 + len(clients) { // each releases after a while
				time.Sleep(time.Second)
				synctest.Wait()
				clients = slices.DeleteFunc(clients, func(c *client) bool {
					served := c.served() // asked once: the releases of others serve it meanwhile
					if served {
						c.lease.Release()
					}
					return served
				})
			}
			if len(clients) > 0 {
				rt.Fatalf("%d clients are not served, budget %d, %+v", len(clients), budget, s.Stats())
			}
		})
	})
}
