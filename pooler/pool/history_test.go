package pool_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/pooler/pool"
)

var (
	errFinal   = errors.New("no such database")
	errTooMany = errors.New("too many connections")
)

// history drives a Pool and the model through the same random history.
type history struct {
	*rapid.T
	w       *world
	p       *pool.Pool[*conn]
	m       *model
	clients []*client
	unwait  []func() bool // of the clients that came by AcquireFunc
}

// with draws one of the clients that are in this state.
func (h *history) with(state string) int {
	var all []int
	for i, c := range h.m.clients {
		if c.state == state {
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		h.Skip("no client is " + state)
	}
	return rapid.SampledFrom(all).Draw(h.T, state)
}

// ask lets a client come, blocking or by callback.
func (h *history) ask() {
	patience := rapid.SampledFrom([]time.Duration{0, 2600 * time.Millisecond, time.Minute + 100*time.Millisecond}).Draw(h.T, "patience") // none ends with a tick
	var deadline time.Time
	if patience > 0 {
		deadline = time.Now().Add(patience)
	}
	class, tag := rapid.IntRange(0, 3).Draw(h.T, "class"), rapid.Uint64Range(0, 2).Draw(h.T, "prefers")
	opts := []pool.Option{pool.Class(class), pool.Prefer(tag)}
	h.m.ask(deadline, class, tag)
	if rapid.Bool().Draw(h.T, "blocking") {
		h.clients = append(h.clients, ask(h.p.Acquire, patience, opts...))
		h.unwait = append(h.unwait, nil)
		return
	}
	c := new(client)
	h.clients = append(h.clients, c)
	h.unwait = append(h.unwait, h.p.AcquireFunc(deadline, func(l pool.Lease[*conn], err error) {
		if c.done.Load() {
			panic("delivered twice")
		}
		c.lease, c.err = l, err
		c.done.Store(true)
	}, opts...).Leave)
}

func (h *history) cancel() {
	i := h.with("waiting")
	h.m.leave(i, "cancelled")
	if withdraw := h.unwait[i]; withdraw != nil {
		if !withdraw() {
			h.Fatalf("client %d could not withdraw", i)
		}
		h.clients[i].err = context.Canceled
		h.clients[i].done.Store(true)
		return
	}
	h.clients[i].cancel()
}

// pick draws a dial that is under way.
func (h *history) pick() *dial {
	dials := h.w.books().pending
	if len(dials) == 0 {
		h.Skip("no dial is under way")
	}
	return dials[rapid.IntRange(0, len(dials)-1).Draw(h.T, "dial")]
}

func (h *history) fail(err error) {
	d := h.pick()
	h.m.dialFailed(err == errFinal, err == errTooMany)
	d.end <- err
	synctest.Wait()
}

// pass lets time pass. Jitter hides when a retry comes, so a backoff is ended before.
func (h *history) pass() {
	if h.m.backoff {
		h.m.configure(h.m.cfg)
		h.p.Configure(h.m.cfg)
		h.compare()
	}
	seconds := rapid.SampledFrom([]int{1, 1, 1, 11}).Draw(h.T, "seconds")
	for range 4 * seconds { // ticks of the pool
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		h.m.advance(time.Now())
		h.m.raise(time.Now())
	}
}

func (h *history) configure() {
	cfg := h.m.cfg
	cfg.Max = rapid.IntRange(0, 6).Draw(h.T, "max")
	cfg.MaxIdle = rapid.IntRange(-1, 6).Draw(h.T, "maxIdle")
	cfg.Min = rapid.IntRange(0, max(0, cfg.MaxIdle)).Draw(h.T, "min")
	cfg.MinIdle = rapid.IntRange(0, max(0, cfg.MaxIdle)).Draw(h.T, "minIdle")
	cfg.Reserve = rapid.IntRange(0, max(0, cfg.Max-1)).Draw(h.T, "reserve")
	cfg.MaxWaiting = rapid.IntRange(-1, 4).Draw(h.T, "maxWaiting")
	h.m.configure(cfg)
	if err := h.p.Configure(cfg); err != nil {
		h.Fatal(err)
	}
}

func (h *history) actions() map[string]func(*rapid.T) {
	do := func(f func()) func(*rapid.T) { return func(*rapid.T) { f() } }
	return map[string]func(*rapid.T){
		"ask":    do(h.ask),
		"ask2":   do(h.ask),
		"cancel": do(h.cancel),
		"release": do(func() {
			i := h.with("served")
			tag := rapid.Uint64Range(0, 2).Draw(h.T, "tag")
			h.m.release(i, tag)
			h.clients[i].lease.ReleaseAs(tag)
		}),
		"discard": do(func() {
			i := h.with("served")
			h.m.shut[h.m.end(i)] = true
			h.m.serve()
			h.clients[i].lease.Discard(nil)
		}),
		"hijack": do(func() {
			i := h.with("served")
			h.m.shut[h.m.end(i)] = true
			h.m.serve()
			h.w.close(h.clients[i].lease.Hijack())
		}),
		"releaseTwice": do(func() { h.clients[h.with("ended")].lease.Release() }),
		"dialed": do(func() {
			d := h.pick()
			h.m.dialed(d.tag)
			d.end <- nil
		}),
		"dialFails":    do(func() { h.fail(errRefused) }),
		"dialFailsFor": do(func() { h.fail(errFinal) }),
		"dialRefused":  do(func() { h.fail(errTooMany) }),
		"pass":         do(h.pass),
		"configure":    do(h.configure),
		"retire":       do(func() { h.m.retire(); h.p.Retire() }),
		"pause":        do(func() { h.m.paused = true; h.p.Pause() }),
		"resume":       do(func() { h.m.paused = false; h.m.calm(); h.m.serve(); h.p.Resume() }),
		"close": do(func() {
			if rapid.IntRange(0, 9).Draw(h.T, "really") > 0 {
				h.Skip("not yet")
			}
			h.m.close()
			go h.p.Close(context.Background())
		}),
		"": do(h.compare),
	}
}

// compare looks at everything that can be seen from outside.
func (h *history) compare() {
	synctest.Wait()
	s, at, m := h.p.Stats(), h.w.books(), h.m
	got := fmt.Sprintf("idle %d lent %d dialing %d waiting %d ceiling %d", s.Idle, s.Lent, s.Dialing, s.Waiting, s.Ceiling)
	want := fmt.Sprintf("idle %d lent %d dialing %d waiting %d ceiling %d", len(m.idle), len(m.lent), m.dialing, len(m.queue), m.ceiling)
	if got != want {
		h.Fatalf("got  %s\nwant %s", got, want)
	}
	if s.Open != s.Idle+s.Lent+s.Dialing+s.Resetting+s.Closing || s.Open != at.live {
		h.Fatalf("%d open, %d at the server, counts %+v", s.Open, at.live, s)
	}
	if len(at.pending) != m.dialing {
		h.Fatalf("%d dials at the server, want %d", len(at.pending), m.dialing)
	}
	for _, d := range at.pending {
		if d.tag < 0 {
			d.tag = m.gen
		}
	}
	for i, c := range h.clients {
		if got, want := seen(c), m.clients[i].state; got != want {
			h.Fatalf("client %d is %s, want %s", i, got, want)
		}
		if m.clients[i].state == "served" && c.lease.Conn().id != m.clients[i].conn {
			h.Fatalf("client %d got connection %d, want %d", i, c.lease.Conn().id, m.clients[i].conn)
		}
	}
	for _, c := range at.opened {
		if c.closed != m.shut[c.id] {
			h.Fatalf("connection %d closed %t, want %t", c.id, c.closed, m.shut[c.id])
		}
	}
}

// seen is a client's state in the words of the model.
func seen(c *client) string {
	switch {
	case !c.done.Load():
		return "waiting"
	case c.err == nil && c.lease.Valid():
		return "served"
	case c.err == nil:
		return "ended"
	case errors.Is(c.err, pool.ErrClosed):
		return "closed"
	case errors.Is(c.err, pool.ErrQueueFull):
		return "full"
	case c.err == errFinal:
		return "final"
	case errors.Is(c.err, context.DeadlineExceeded):
		return "expired"
	case errors.Is(c.err, context.Canceled):
		return "cancelled"
	}
	return c.err.Error()
}

func TestAPoolDoesWhatTheModelDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func() {
			w := &world{manual: true, tag: -1}
			cfg := eternal(4)
			cfg.Eager = true // the model has no clock to hope by
			cfg.MaxDials = 3
			p, err := pool.New(cfg, pool.Hooks[*conn]{
				Dial: w.dial, Close: w.close, Final: func(err error) bool { return err == errFinal },
				Refused: func(err error) bool { return err == errTooMany },
			})
			if err != nil {
				rt.Fatal(err)
			}
			h := &history{T: rt, w: w, p: p, m: newModel(cfg)}
			defer func() {
				for _, c := range h.clients {
					if c.cancel != nil {
						c.cancel()
					}
				}
				closeNow(p.Close)
			}()
			rt.Repeat(h.actions())
		})
	})
}

// inBubble runs f in a bubble and brings its panic, by which rapid ends a history, out of it.
func inBubble(t *testing.T, f func()) {
	var panicked any
	synctest.Test(t, func(*testing.T) {
		defer func() { panicked = recover() }()
		f()
	})
	// rapid tells failures apart by where they panic: a history that it cannot draw must not look like one that fails.
	if fmt.Sprintf("%T", panicked) == "rapid.invalidData" {
		panic(panicked)
	}
	if panicked != nil {
		panic(panicked)
	}
}
