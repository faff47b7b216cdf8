package postgres

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/console"
	"github.com/weir-dev/weir/pooler/postgres/lookup"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

const (
	forgetEvery = console.Period   // how often unused keys are looked for
	forgetAfter = 10 * time.Minute // how long a key must have been unused; longer if connections may idle for longer
)

// Options are what does not change while an Engine runs.
type Options struct {
	Logger *slog.Logger   // nil: slog.Default()
	Pod    string         // UID of this pod: other pods send it the cancel requests of its clients
	Reload func() error   // what the console's RELOAD does; nil: it is refused
	Quit   func(now bool) // what the console's SHUTDOWN does; nil: it is refused
	Loops  int            // event loops that serve clients; 0: half as many as processors, but one at least
}

// Engine serves the clients of one PostgreSQL destination. Its methods may be called at any time from any goroutine.
type Engine struct {
	log        *slog.Logger
	pod        string
	servers    *pool.Set[key, *conn]
	statements *session.Statements
	opened     atomic.Uint64 // server connections, so far
	conns      sync.Map      // of *conn: every server connection that has not ended
	clients    registry
	lanes      []*lane
	nextLane   atomic.Uint64
	console    *console.Console
	opts       Options
	traffic    traffics
	found      *lookup.Cache[*account] // users that are not in the Config
	iterations atomic.Int64            // of the last verifier that was looked up
	settings   atomic.Pointer[settings]
	apply      sync.Mutex // one Apply at a time, and one change of the limit
	limit      atomic.Int64
	hold       hold

	counters  counters
	fault     faults
	endpoints endpoints
	welcomes  welcomes
	quirks    quirks
	cancels   chan struct{} // a place for each cancel request under way
	forwards  chan struct{} // a place for each on its way to another pod
	applied   chan struct{} // settings are new; has room for one

	forwarding bucket

	lookupFault atomic.Pointer[lookupFault] // nil: the last lookup succeeded

	draining      atomic.Bool
	refusalLogged atomic.Int64    // second of the last one
	panicLogged   atomic.Int64    // the same
	ctx           context.Context // ends with Close
	stop          context.CancelFunc
	running       sync.WaitGroup // sweeper, relief, cancels, cleanups, burials: everything but clients and server connections
	readers       sync.WaitGroup
}

// New returns an Engine that has no limit yet: clients wait until Apply gives it one. It fails if the system gives it no
// event loop.
func New(opts Options) (*Engine, error) {
	e := &Engine{
		log: opts.Logger, opts: opts, pod: opts.Pod,
		found:      lookup.NewCache[*account](),
		statements: session.NewStatements(0),
		cancels:    make(chan struct{}, maxCancels), forwards: make(chan struct{}, maxForwards), applied: make(chan struct{}, 1),
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	if opts.Loops <= 0 {
		opts.Loops = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if err := e.openLanes(opts.Loops); err != nil {
		return nil, err
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.servers = pool.NewSet(0, e.open)
	e.clients.init(idOf(e.pod))
	e.traffic.init()
	e.console = console.New(source{e})
	e.settings.Store(&settings{})
	e.every(scoutEvery, e.scout)
	e.every(vanishCheck, e.findVanished)
	e.every(forgetEvery, e.sweep)
	e.every(stallCheck, e.relieveStalled)
	e.background(e.enforceTimeouts)
	return e, nil
}

// Apply replaces the Config without waiting for anything: limits hold at once; users, databases and TLS for new logins;
// the pool mode for new clients. When endpoints, TLS or the user towards the server differ, the server connections that
// exist are retired. If cfg makes no sense nothing changes, and the error names the field.
func (e *Engine) Apply(cfg Config) error {
	e.apply.Lock()
	defer e.apply.Unlock()
	old := e.settings.Load()
	now, err := newSettings(cfg, old)
	if err != nil {
		return err
	}
	now.peers = e.peersOf(cfg)
	e.settings.Store(now)
	if !now.sameLookup(old) {
		e.found.Age()
		e.lookupFault.Store(nil)
	}
	if err := e.servers.Configure(func(k key, _ pool.Config) (pool.Config, error) { return now.pool(k), nil }); err != nil {
		e.settings.Store(old)
		return err
	}
	e.statements.SetLimit(cfg.MaxPreparedStatements)
	if old.Name != "" && !now.sameServer(old) {
		e.quirks.forget()
		e.endpoints.forget()
		e.welcomes.forget()
		e.fault.forget()
		for _, p := range e.servers.All() {
			p.Retire()
		}
	}
	e.holdBudget()
	select {
	case e.applied <- struct{}{}:
	default: // told already
	}
	e.holdClients(cfg.StopPolicy)
	return nil
}

// holdBudget holds the server connections to what is allowed now: while draining no more than there are clients, and never
// more than before. Apply is locked.
func (e *Engine) holdBudget() {
	limit := int64(e.settings.Load().Limits.MaxOpen)
	if e.draining.Load() {
		limit = min(limit, int64(e.clients.len()), e.limit.Load())
	}
	e.limit.Store(limit)
	e.servers.SetBudget(int(limit))
}

// open says what the pool of a key is made of.
func (e *Engine) open(k key) (pool.Config, pool.Hooks[*conn], error) {
	return e.settings.Load().pool(k), pool.Hooks[*conn]{
		Dial:  func(ctx context.Context) (*conn, error) { return e.dial(ctx, k) },
		Close: (*conn).close,
		Final: final, Refused: tooMany,
		Event: func(event pool.Event) { e.heard(k, event) },
	}, nil
}

// heard notes how dialing goes.
func (e *Engine) heard(k key, event pool.Event) {
	switch event.Kind {
	case pool.Dialed:
		if e.fault.succeeded(e.settings.Load().isProbe(k)) {
			e.log.Info("the server takes connections again")
		}
	case pool.DialFailed:
		e.failed(k, event.Err)
	}
}

// failed notes why a dial failed. What only one client's login or settings are to blame for says nothing about the server,
// nor does a dial that was called off.
func (e *Engine) failed(k key, err error) {
	f, ok := errors.AsType[*dialError](err)
	if !ok || errors.Is(err, context.Canceled) {
		return
	}
	s := e.settings.Load()
	probe := s.isProbe(k)
	if probe && s.answers(f) {
		e.fault.succeeded(true)
		return
	}
	if (probe || f.ofServer()) && e.fault.failed(f) {
		e.log.Warn("cannot open a server connection", "reason", f.reason, "error", f.Error())
	}
}

// sweep forgets what was not used for long.
func (e *Engine) sweep() {
	e.servers.Forget(max(forgetAfter, e.settings.Load().Limits.IdleTimeout))
	e.welcomes.keep(e.servers)
	e.console.Tick(time.Now())
}

// every calls f again and again, after so much time each, until the Engine is closed.
func (e *Engine) every(interval time.Duration, f func()) {
	e.background(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-e.ctx.Done():
				return
			case <-tick.C:
				f()
			}
		}
	})
}

// background runs f in a goroutine that Close waits for.
func (e *Engine) background(f func()) {
	e.running.Add(1)
	go func() {
		defer e.running.Done()
		f()
	}()
}

// Close closes all clients and server connections, and returns when they are closed.
func (e *Engine) Close() error {
	e.stop()
	e.clients.closeAll(shutdownMessage)
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	_ = e.clients.wait(ctx) // closing the servers does not wait for them
	err := e.servers.Close(ctx)
	e.readers.Wait()
	e.running.Wait()
	e.closeLanes()
	return err
}
