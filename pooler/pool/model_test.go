package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/pooler/pool"
)

// model is a sequential pool: what a Pool must do, without locks, time or speed. Connections are told by the order of
// their dials' success, clients by that of their asking.
type model struct {
	cfg     pool.Config
	window  int
	paused  bool
	closed  bool
	backoff bool
	final   bool // the backoff is after a final error

	idle    []int       // the warmest last
	lent    map[int]int // connection to generation
	gens    map[int]int
	dialing int
	gen     int
	opened  int
	shut    map[int]bool

	queue   []*modelClient
	credit  [4]int // of the classes
	tags    map[int]uint64
	clients []*modelClient
}

type modelClient struct {
	deadline time.Time
	class    int
	tag      uint64
	state    string // "waiting", "expired", "cancelled", "full", "closed", "final", "refused"…
	conn     int    // when "served"
}

// high reports whether the client may use the reserve.
func (c *modelClient) high() bool { return c.class == 3 }

func newModel(cfg pool.Config) *model {
	return &model{cfg: cfg, window: cfg.MaxDials, lent: map[int]int{}, gens: map[int]int{}, shut: map[int]bool{}, tags: map[int]uint64{}}
}

// common is how many leases those may have more who may not use the reserve.
func (m *model) common() int {
	left := max(min(1, m.cfg.Max), m.cfg.Max-m.cfg.Reserve)
	for _, c := range m.clients {
		if c.state == "served" && !c.high() {
			left--
		}
	}
	return max(0, left)
}

// wanting is who waits and may have a connection.
func (m *model) wanting() (wanting []*modelClient) {
	common := m.common()
	for _, w := range m.queue {
		if w.high() {
			wanting = append(wanting, w)
		} else if common > 0 {
			wanting = append(wanting, w)
			common--
		}
	}
	return wanting
}

func (m *model) held() int { return len(m.idle) + len(m.lent) + m.dialing }

// serve is the whole of the pool's promise.
func (m *model) serve() {
	for len(m.wanting()) > 0 && len(m.idle) > 0 && !m.paused {
		w := m.turn()
		c := m.suitable(w.tag)
		m.drop(w)
		m.idle = slices.DeleteFunc(m.idle, func(o int) bool { return o == c })
		w.state, w.conn, m.lent[c] = "served", c, m.gens[c]
	}
	for !m.paused && !m.backoff && !m.closed && m.dialing < min(m.window, m.cfg.MaxDials) && m.held() < m.cfg.Max &&
		(m.dialing+len(m.idle) < len(m.wanting())+m.cfg.MinIdle || m.held() < m.cfg.Min) {
		m.dialing++
	}
}

// turn is the client whose turn it is: the oldest of the class that is owed most, and books it.
func (m *model) turn() *modelClient {
	oldest, total, best := map[int]*modelClient{}, 0, -1
	for _, w := range slices.Backward(m.queue) {
		oldest[w.class] = w
	}
	if m.common() == 0 {
		return oldest[3]
	}
	if len(oldest) == 1 {
		return m.queue[0]
	}
	for class := range 4 {
		if oldest[class] == nil {
			continue
		}
		m.credit[class] += 1 << class
		total += 1 << class
		if best < 0 || m.credit[class] > m.credit[best] {
			best = class
		}
	}
	m.credit[best] -= total
	return oldest[best]
}

// suitable is the idle connection for a client that prefers tag.
func (m *model) suitable(tag uint64) int {
	for _, c := range slices.Backward(m.idle) {
		if tag != 0 && m.tags[c] == tag {
			return c
		}
	}
	return m.idle[len(m.idle)-1]
}

// drop takes w out of the queue; a class in which nobody waits is owed nothing.
func (m *model) drop(w *modelClient) {
	m.queue = slices.DeleteFunc(m.queue, func(o *modelClient) bool { return o == w })
	if !slices.ContainsFunc(m.queue, func(o *modelClient) bool { return o.class == w.class }) {
		m.credit[w.class] = 0
	}
}

func (m *model) ask(deadline time.Time, class int, tag uint64) {
	w := &modelClient{deadline: deadline, class: class, tag: tag, state: "waiting"}
	m.clients = append(m.clients, w)
	places := max(0, m.cfg.Max-len(m.lent))
	if !w.high() {
		places = min(places, m.common())
	}
	idle := len(m.idle) > 0 && (w.high() || m.common() > 0)
	switch {
	case m.closed:
		w.state = "closed"
	case m.final && m.held() == 0:
		w.state = "final"
	case (!idle || m.paused) && m.cfg.MaxWaiting >= 0 && len(m.queue)-places >= m.cfg.MaxWaiting:
		w.state = "full"
	default:
		m.queue = append(m.queue, w)
	}
	m.serve()
}

func (m *model) leave(i int, state string) {
	w := m.clients[i]
	m.drop(w)
	w.state = state
	m.serve()
}

// settle brings connection c to who waits, to idle or to its end.
func (m *model) settle(c int, above bool) {
	switch {
	case m.closed, m.gens[c] != m.gen, above:
		m.shut[c] = true
	case len(m.wanting()) > 0 && !m.paused:
		m.idle = append(m.idle, c)
	case len(m.idle) < m.cfg.MaxIdle:
		m.idle = append(m.idle, c)
	default:
		m.shut[c] = true
	}
	m.serve()
}

func (m *model) end(i int) int {
	c := m.clients[i].conn
	delete(m.lent, c)
	m.clients[i].state = "ended"
	return c
}

func (m *model) release(i int, tag uint64) {
	above := m.held() > m.cfg.Max
	c := m.end(i)
	m.tags[c] = tag
	m.settle(c, above)
}

func (m *model) dialed(gen int) {
	above := m.held() > m.cfg.Max
	m.dialing--
	c := m.opened
	m.opened++
	m.gens[c] = gen
	m.calm()
	m.window = min(m.window+1, m.cfg.MaxDials)
	m.settle(c, above)
}

func (m *model) dialFailed(final bool) {
	m.dialing--
	m.window, m.backoff = 1, true
	m.final = m.final || final
	if final && m.held() == m.dialing {
		for _, w := range m.queue {
			w.state = "final"
		}
		m.queue, m.credit = nil, [4]int{}
	}
}

func (m *model) configure(cfg pool.Config) {
	m.cfg = cfg
	m.calm()
	for m.held() > cfg.Max && len(m.idle)+m.dialing > 0 {
		if len(m.idle) == 0 {
			m.dialing--
		} else {
			m.chill()
		}
	}
	for len(m.idle) > max(0, cfg.MaxIdle) {
		m.chill()
	}
	m.serve()
}

// chill closes the coldest idle connection.
func (m *model) chill() {
	m.shut[m.idle[0]] = true
	m.idle = m.idle[1:]
}

func (m *model) retire() {
	m.gen++
	for len(m.idle) > 0 {
		m.chill()
	}
	m.calm()
	m.serve()
}

func (m *model) calm() { m.backoff, m.final = false, false }

func (m *model) advance(now time.Time) {
	for i, w := range m.clients {
		if w.state == "waiting" && !w.deadline.IsZero() && !now.Before(w.deadline) {
			m.leave(i, "expired")
		}
	}
}

func (m *model) close() {
	m.closed, m.dialing = true, 0
	for _, w := range m.queue {
		w.state = "closed"
	}
	m.queue = nil
	for len(m.idle) > 0 {
		m.chill()
	}
}

var errFinal = errors.New("no such database")

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
	patience := rapid.SampledFrom([]time.Duration{0, 3 * time.Second, time.Minute}).Draw(h.T, "patience")
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
	}, opts...))
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
	if len(h.w.pending) == 0 {
		h.Skip("no dial is under way")
	}
	return h.w.pending[rapid.IntRange(0, len(h.w.pending)-1).Draw(h.T, "dial")]
}

func (h *history) fail(err error) {
	d := h.pick()
	h.m.dialFailed(err == errFinal)
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
	time.Sleep(time.Second)
	synctest.Wait()
	h.m.advance(time.Now())
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
	s, m := h.p.Stats(), h.m
	got := fmt.Sprintf("idle %d lent %d dialing %d waiting %d", s.Idle, s.Lent, s.Dialing, s.Waiting)
	want := fmt.Sprintf("idle %d lent %d dialing %d waiting %d", len(m.idle), len(m.lent), m.dialing, len(m.queue))
	if got != want {
		h.Fatalf("got  %s\nwant %s", got, want)
	}
	if s.Open != s.Idle+s.Lent+s.Dialing+s.Resetting+s.Closing || s.Open != h.w.live {
		h.Fatalf("%d open, %d at the server, counts %+v", s.Open, h.w.live, s)
	}
	if len(h.w.pending) != m.dialing {
		h.Fatalf("%d dials at the server, want %d", len(h.w.pending), m.dialing)
	}
	for _, d := range h.w.pending {
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
	for _, c := range h.w.opened {
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
