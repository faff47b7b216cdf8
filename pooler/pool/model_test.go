package pool_test

import (
	"slices"
	"time"

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
	ceiling int  // 0: none
	thaws   time.Time

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

// most is how many may be open: the limit, or the ceiling below it.
func (m *model) most() int {
	if m.ceiling > 0 {
		return min(m.ceiling, m.cfg.Max)
	}
	return m.cfg.Max
}

func (m *model) held() int { return len(m.idle) + len(m.lent) + m.dialing }

// serve is the whole of the pool's promise.
func (m *model) serve() {
	for len(m.wanting()) > 0 && len(m.idle) > 0 && !m.paused {
		w := m.turn()
		m.lend(m.suitable(w.tag), w)
	}
	for !m.paused && !m.backoff && !m.closed && m.dialing < min(m.window, m.cfg.MaxDials) && m.held() < m.most() &&
		(m.dialing+len(m.idle) < len(m.wanting())+m.cfg.MinIdle || m.held() < m.cfg.Min) {
		m.dialing++
	}
}

// lend gives connection c to w, who waits.
func (m *model) lend(c int, w *modelClient) {
	m.drop(w)
	m.idle = slices.DeleteFunc(m.idle, func(o int) bool { return o == c })
	w.state, w.conn, m.lent[c] = "served", c, m.gens[c]
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
	places := max(0, m.most()-len(m.lent))
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
		m.lend(c, m.turn()) // whatever it prefers: with a reserve others may be idle
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

func (m *model) dialFailed(final, refused bool) {
	m.dialing--
	if refused {
		m.ceiling, m.thaws = max(1, m.cfg.Min, (len(m.idle)+len(m.lent))*9/10), time.Now().Add(10*time.Second)
	}
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
	m.ceiling = 0
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

// raise is what a tick does to a ceiling that keeps clients waiting.
func (m *model) raise(now time.Time) {
	if m.ceiling == 0 || now.Before(m.thaws) || len(m.queue) == 0 || m.held() < m.ceiling {
		return
	}
	m.ceiling, m.thaws = m.ceiling+1, now.Add(10*time.Second)
	if m.ceiling >= m.cfg.Max {
		m.ceiling = 0
	}
	m.serve()
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
