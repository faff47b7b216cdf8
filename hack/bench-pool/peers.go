package main

import (
	"context"
	"database/sql"

	"github.com/jackc/puddle/v2"
	"github.com/weir-dev/weir/pooler/pool"
	"vitess.io/vitess/go/pools/smartconnpool"
)

// peer is a pool under test.
type peer interface {
	acquire(ctx context.Context) (lease, error)
	release(l lease)
	discard(l lease) // the connection is broken
	close()
}

// lease is what a peer lends; each uses its own field. One struct for all, rather than an interface, so that holding
// Weir's lease, which is a value, costs no allocation that its users would not see.
type lease struct {
	weir   pool.Lease[*conn]
	puddle *puddle.Resource[*conn]
	sql    *sql.Conn
	vitess *smartconnpool.Pooled[*conn]
}

// entrant is a peer by name. open makes an empty pool of at most so many connections.
type entrant struct {
	name   string
	module string // whose version is printed
	open   func(s *server, most int) peer
}

// entrants are the pools compared, ours first.
var entrants = []entrant{
	{"weir", "github.com/weir-dev/weir", openWeir},
	{"puddle", "github.com/jackc/puddle/v2", openPuddle},
	{"database/sql", "", openSQL},
	{"smartconnpool", "vitess.io/vitess", openVitess},
}

// conn is a connection of every peer but database/sql. The methods are those that smartconnpool asks for.
type conn struct{ closed bool }

func (c *conn) ApplySetting(context.Context, *smartconnpool.Setting) error { return nil }
func (c *conn) ResetSetting(context.Context) error                         { return nil }
func (c *conn) Setting() *smartconnpool.Setting                            { return nil }
func (c *conn) IsClosed() bool                                             { return c.closed }
func (c *conn) Close()                                                     { c.closed = true }

func (s *server) connect(ctx context.Context) (*conn, error) {
	if err := s.dial(ctx); err != nil {
		return nil, err
	}
	return new(conn), nil
}

type weirPeer struct{ *pool.Pool[*conn] }

func openWeir(s *server, most int) peer {
	return openWeirWith(pool.Queue{}, s, most)
}

// openShedding is Weir with the setting for overload, which no peer has.
func openShedding(s *server, most int) peer {
	return openWeirWith(pool.Queue{Adaptive: true}, s, most)
}

func openWeirWith(queue pool.Queue, s *server, most int) peer {
	cfg := pool.DefaultConfig()
	cfg.Max, cfg.Queue = most, queue
	p, err := pool.New(cfg, pool.Hooks[*conn]{Dial: s.connect, Close: (*conn).Close})
	if err != nil {
		panic(err)
	}
	return weirPeer{p}
}

func (p weirPeer) acquire(ctx context.Context) (lease, error) {
	l, err := p.Acquire(ctx)
	return lease{weir: l}, err
}
func (p weirPeer) release(l lease) { l.weir.Release() }
func (p weirPeer) discard(l lease) { l.weir.Discard(nil) }
func (p weirPeer) close()          { _ = p.Close(context.Background()) }

type puddlePeer struct{ *puddle.Pool[*conn] }

func openPuddle(s *server, most int) peer {
	p, err := puddle.NewPool(&puddle.Config[*conn]{
		Constructor: s.connect,
		Destructor:  (*conn).Close,
		MaxSize:     int32(most),
	})
	if err != nil {
		panic(err)
	}
	return puddlePeer{p}
}

func (p puddlePeer) acquire(ctx context.Context) (lease, error) {
	r, err := p.Acquire(ctx)
	return lease{puddle: r}, err
}
func (p puddlePeer) release(l lease) { l.puddle.Release() }
func (p puddlePeer) discard(l lease) { l.puddle.Destroy() }
func (p puddlePeer) close()          { p.Close() }

type vitessPeer struct {
	*smartconnpool.ConnPool[*conn]
}

func openVitess(s *server, most int) peer {
	p := smartconnpool.NewPool(&smartconnpool.Config[*conn]{Capacity: int64(most)})
	return vitessPeer{p.Open(s.connect, nil)}
}

func (p vitessPeer) acquire(ctx context.Context) (lease, error) {
	c, err := p.Get(ctx, nil)
	return lease{vitess: c}, err
}
func (p vitessPeer) release(l lease) { l.vitess.Recycle() }

// discard closes and recycles, as vttablet does; smartconnpool then dials another before it returns.
func (p vitessPeer) discard(l lease) {
	l.vitess.Close()
	l.vitess.Recycle()
}
func (p vitessPeer) close() { p.Close() }
