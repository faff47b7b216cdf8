package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// Endpoints are tried in the order of preference, but those that have just failed last. What a failure is held against an
// endpoint for doubles from the first to the longest setback.
const (
	firstSetback   = 2 * time.Second
	longestSetback = time.Minute

	scoutEvery   = 2 * time.Second // between two looks for an endpoint that is preferred to those in use
	scoutTimeout = 2 * time.Second
)

// endpoints remembers how the endpoints did.
type endpoints struct {
	mu       sync.Mutex
	setbacks map[Endpoint]setback
	doubted  map[Endpoint]time.Time // when a server there last refused to write
	last     Endpoint               // where a connection was last opened
}

// setback is what a failure is held against an endpoint for.
type setback struct {
	until time.Time
	pause time.Duration
}

func (n *endpoints) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.setbacks, n.doubted, n.last = nil, nil, Endpoint{}
}

// order is that in which to try all endpoints.
func (n *endpoints) order(all []Endpoint, now time.Time) []Endpoint {
	n.mu.Lock()
	defer n.mu.Unlock()
	behind := func(at Endpoint) int {
		if now.Before(n.setbacks[at].until) {
			return 1
		}
		return 0
	}
	ordered := slices.Clone(all)
	slices.SortStableFunc(ordered, func(a, b Endpoint) int { return behind(a) - behind(b) })
	return ordered
}

// failed notes that no connection could be opened there.
func (n *endpoints) failed(at Endpoint, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.setbacks == nil {
		n.setbacks = make(map[Endpoint]setback)
	}
	pause := min(max(firstSetback, 2*n.setbacks[at].pause), longestSetback)
	n.setbacks[at] = setback{until: now.Add(pause), pause: pause}
}

// due says that nothing is held against the endpoint any more.
func (n *endpoints) due(at Endpoint, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !now.Before(n.setbacks[at].until)
}

// opened notes that a connection was opened there, and reports whether the one before was opened elsewhere.
func (n *endpoints) opened(at Endpoint) (moved bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.setbacks, at)
	delete(n.doubted, at)
	moved = n.last != at && n.last != Endpoint{}
	n.last = at
	return moved
}

// doubt notes that a server there refused to write. It reports true once a second at most: a client that asked for a
// read-only transaction is refused, too.
func (n *endpoints) doubt(at Endpoint, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.doubted[at]) < time.Second {
		return false
	}
	if n.doubted == nil {
		n.doubted = make(map[Endpoint]time.Time)
	}
	n.doubted[at] = now
	return true
}

// dial opens a server connection: it tries the endpoints until one lets it in that is what TargetSession asks for, or
// refuses for good.
func (e *Engine) dial(ctx context.Context, k key) (*conn, error) {
	s := e.settings.Load()
	var failure *dialError
	began := time.Now()
	for i, at := range e.endpoints.order(s.Endpoints, time.Now()) {
		c, err := e.tryEndpoint(ctx, s, k, at, len(s.Endpoints)-i)
		if err == nil {
			e.welcomes.set(k, c.params)
			e.traffic.of(k.pair()).dial.observe(time.Since(began), 1)
			e.settleOn(s, at)
			return c, nil
		}
		failure = failure.and(explain(at, k, err))
		if final(err) || ctx.Err() != nil {
			break
		}
		e.endpoints.failed(at, time.Now())
	}
	return nil, failure
}

// tryEndpoint takes its part of the time that is left: a machine that does not answer leaves enough for the others.
func (e *Engine) tryEndpoint(ctx context.Context, s *settings, k key, at Endpoint, left int) (*conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return e.logIn(ctx, s, k, at)
}

// settleOn retires the connections to endpoints that are less preferred than one that has just let a connection in.
func (e *Engine) settleOn(s *settings, at Endpoint) {
	if e.endpoints.opened(at) {
		e.counters.switches.Add(1)
		e.log.Info("connections are opened to another endpoint", "endpoint", at.address())
	}
	rank := slices.Index(s.Endpoints, at)
	e.retireAt(func(o Endpoint) bool { return slices.Index(s.Endpoints, o) > rank })
}

// retireAt closes the connections to some endpoints, those that are lent when they come back.
func (e *Engine) retireAt(match func(Endpoint) bool) {
	keys := make(map[key]bool)
	e.conns.Range(func(o, _ any) bool {
		if c := o.(*conn); match(c.at) && !c.retired.Swap(true) {
			keys[c.key] = true
		}
		return true
	})
	for k := range keys {
		e.background(func() { e.bury(k) })
	}
}

// scout looks for endpoints that are preferred to those in use.
func (e *Engine) scout() {
	if s := e.settings.Load(); len(s.Endpoints) > 1 {
		e.lookForPreferred(s)
	}
}

// lookForPreferred gives one connection up if a preferred endpoint answers again, to find out within the limit whether it
// will do.
func (e *Engine) lookForPreferred(s *settings) {
	var used *conn
	rank := 0
	e.conns.Range(func(o, _ any) bool {
		c := o.(*conn)
		if i := slices.Index(s.Endpoints, c.at); i > rank && !c.spent() {
			used, rank = c, i
		}
		return true
	})
	for _, at := range s.Endpoints[:rank] {
		if !e.endpoints.due(at, time.Now()) {
			continue
		}
		if !e.answers(at) {
			e.endpoints.failed(at, time.Now())
			continue
		}
		if lease, ok := e.servers.TryAcquire(used.key); ok {
			e.tryInPlaceOf(lease, at)
		} else {
			used.retired.Store(true) // the one that is dialed for it tries
		}
		return
	}
}

// tryInPlaceOf gives a connection up to log in at an endpoint with its place, and acts on what it finds there.
func (e *Engine) tryInPlaceOf(lease pool.Lease[*conn], at Endpoint) {
	old, s := lease.Conn(), e.settings.Load()
	defer lease.Discard(nil)
	old.close()
	ctx, cancel := context.WithTimeout(e.ctx, s.Timeouts.Connect)
	defer cancel()
	c, err := e.logIn(ctx, s, old.key, at)
	if err == nil {
		e.settleOn(s, at)
		c.close()
		return
	}
	e.endpoints.failed(at, time.Now())
	if _, ok := errors.AsType[*wrongRole](err); ok {
		e.retireAt(func(o Endpoint) bool { return o == at })
	}
}

// answers says whether there is a PostgreSQL, whatever it is. It does not log in.
func (e *Engine) answers(at Endpoint) bool {
	ctx, cancel := context.WithTimeout(e.ctx, scoutTimeout)
	defer cancel()
	nc, err := connect(ctx, at)
	if err != nil {
		return false
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(scoutTimeout))
	if _, err := nc.Write(wire.AppendSSLRequest(nil)); err != nil {
		return false
	}
	n, _ := nc.Read(make([]byte, 1))
	return n == 1
}

func (at Endpoint) address() string { return net.JoinHostPort(at.Host, fmt.Sprint(at.Port)) }
