package pool_test

import (
	"context"
	"errors"
	"flag"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-dev/weir/pooler/pool"
)

func TestMain(m *testing.M) {
	flag.Set("rapid.checks", "10000") // unless the command line says otherwise
	goleak.VerifyTestMain(m)
}

// conn is a connection of the tests.
type conn struct {
	id     int
	closed bool
}

// world is the server that the tests' hooks talk to, and its books. It is used inside and outside of bubbles.
type world struct {
	mu                     sync.Mutex
	live                   int // dials begun, less connections and dials that ended: what a server would count
	peak                   int // of live
	dials                  int
	parallel, mostParallel int // dials under way, and their peak
	opened                 []*conn
	manual                 bool          // dials wait for the test, see pending
	pending                []*dial       // oldest first
	dialFor                time.Duration // how long a dial takes
	refuse                 error         // what dials fail with
	tag                    int           // of new pending dials
}

// dial is one that waits for the test to say how it ends.
type dial struct {
	end chan error
	tag int // for the test's own use
}

func (w *world) hooks() pool.Hooks[*conn] {
	return pool.Hooks[*conn]{Dial: w.dial, Close: w.close}
}

func (w *world) dial(ctx context.Context) (*conn, error) {
	w.mu.Lock()
	w.dials++
	w.live++
	w.parallel++
	w.peak, w.mostParallel = max(w.peak, w.live), max(w.mostParallel, w.parallel)
	d := &dial{end: make(chan error, 1), tag: w.tag}
	manual, takes := w.manual, w.dialFor
	if manual {
		w.pending = append(w.pending, d)
	}
	w.mu.Unlock()

	err := w.outcome(ctx, d, manual, takes)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.parallel--
	w.pending = slices.DeleteFunc(w.pending, func(o *dial) bool { return o == d })
	if err == nil {
		err = w.refuse
	}
	if err != nil {
		w.live--
		return nil, err
	}
	c := &conn{id: len(w.opened)}
	w.opened = append(w.opened, c)
	return c, nil
}

func (w *world) outcome(ctx context.Context, d *dial, manual bool, takes time.Duration) error {
	if manual {
		select {
		case err := <-d.end:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (w *world) close(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.closed {
		panic("closed twice")
	}
	c.closed = true
	w.live--
}

// set changes the world under its lock.
func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// books is what a server would know at one moment.
type books struct {
	live    int
	pending []*dial
	opened  []conn
}

// books are the world's, copied under its lock: what a goroutine did that has ended is not known to who waits for the bubble.
func (w *world) books() books {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := books{live: w.live, pending: slices.Clone(w.pending)}
	for _, c := range w.opened {
		b.opened = append(b.opened, *c)
	}
	return b
}

// dialed is how many dials have begun.
func (w *world) dialed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials
}

// endDial ends the oldest pending dial.
func (w *world) endDial(err error) {
	w.mu.Lock()
	d := w.pending[0]
	w.mu.Unlock()
	d.end <- err
	synctest.Wait()
}

// client is one Acquire that runs in a goroutine of its own. Its fields may be read after synctest.Wait.
type client struct {
	cancel context.CancelFunc
	lease  pool.Lease[*conn]
	err    error
	done   atomic.Bool // err and lease may be read after it
}

// acquirer is a Pool, or a Set with a key.
type acquirer func(context.Context, ...pool.Option) (pool.Lease[*conn], error)

// ask starts a client with a patience (0: without end) and waits until it is queued or served.
func ask(acquire acquirer, patience time.Duration, opts ...pool.Option) *client {
	ctx, cancel := context.WithCancel(context.Background())
	if patience > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), patience)
	}
	c := &client{cancel: cancel}
	go func() {
		c.lease, c.err = acquire(ctx, opts...)
		c.done.Store(true)
	}()
	synctest.Wait()
	return c
}

func (c *client) served() bool { return c.done.Load() && c.err == nil }

// failed is the error of a client that was answered, else nil.
func (c *client) failed() error {
	if c.done.Load() {
		return c.err
	}
	return nil
}

// mustServe fails the test unless all these clients hold a connection.
func mustServe(t *testing.T, clients ...*client) {
	t.Helper()
	for i, c := range clients {
		if !c.served() {
			t.Fatalf("client %d: answered %t, error %v; want a lease", i, c.done.Load(), c.failed())
		}
	}
}

func mustWait(t *testing.T, clients ...*client) {
	t.Helper()
	for i, c := range clients {
		if c.done.Load() {
			t.Fatalf("client %d was answered (error %v); want it to wait", i, c.err)
		}
	}
}

// eternal is a Config without time: nothing is closed for its age or dialed for later.
func eternal(most int) pool.Config {
	cfg := pool.DefaultConfig()
	cfg.Max, cfg.IdleTime, cfg.Lifetime, cfg.Ready, cfg.DialTimeout = most, 0, 0, 0, time.Hour
	return cfg
}

// bubble runs a test of one pool in fake time and closes the pool after it.
func bubble(t *testing.T, cfg pool.Config, test func(t *testing.T, w *world, p *pool.Pool[*conn])) {
	t.Helper()
	bubbleWith(t, cfg, func(*pool.Hooks[*conn]) {}, test)
}

func bubbleWith(t *testing.T, cfg pool.Config, with func(*pool.Hooks[*conn]), test func(t *testing.T, w *world, p *pool.Pool[*conn])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := new(world)
		hooks := w.hooks()
		with(&hooks)
		p, err := pool.New(cfg, hooks)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			closeNow(p.Close)
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.live != 0 {
				t.Errorf("%d connections are left open after Close", w.live)
			}
		}()
		test(t, w, p)
	})
}

// closeNow closes a Pool or Set without waiting for leases, but for its hooks.
func closeNow(closer func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	closer(ctx)
	closer(context.Background())
	synctest.Wait()
}

var errRefused = errors.New("connection refused")
