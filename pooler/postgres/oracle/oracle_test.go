package oracle

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

var (
	duration = flag.Duration("oracle.duration", time.Minute, "how long clients are let loose; -short: 5 s")
	seed     = flag.Uint64("oracle.seed", 0, "of what the clients do; 0: another each time")
	crowd    = flag.Int("oracle.clients", 16, "how many clients there are")
)

const (
	password = "app's secret"
	mostOpen = 6 // server connections, at any time
)

// world is what the clients live in.
type world struct {
	t       *testing.T
	db      *pgtest.Server
	admin   *pgx.Conn
	engine  *postgres.Engine
	addr    *net.TCPAddr
	config  postgres.Config
	over    chan struct{}
	journal journal

	lives, done atomic.Int64
	killed      atomic.Int64 // server processes
	ended       atomic.Int64 // sessions that were ended without their client's doing
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: pgtest.Start(t, pgtest.Options{}), over: make(chan struct{})}
	w.db.Exec(`CREATE ROLE app LOGIN PASSWORD 'app''s secret'`, `CREATE TABLE journal (mark text)`,
		`CREATE UNLOGGED TABLE scratch (mark text)`, `GRANT ALL ON journal, scratch TO app`)
	w.admin = w.db.Admin()
	w.journal.marks = map[string]bool{}
	w.config = postgres.Config{
		Name: "main", Endpoints: []postgres.Endpoint{{Host: w.db.Host, Port: w.db.Port}},
		Users:                 map[string]postgres.Passwords{"app": {password}},
		MaxPreparedStatements: 5,
		Limits: postgres.Limits{MaxOpen: 3, MaxIdle: 3, MaxWaiting: -1, MaxClients: 1000, IdleTimeout: time.Minute,
			AcquireTimeout: patience / 2},
	}
	var err error
	if w.engine, err = postgres.New(postgres.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Loops: 2}); err != nil {
		t.Fatal(err)
	}
	w.apply()
	w.addr = pgtest.Front(t, w.engine)
	return w
}

func (w *world) apply() {
	if err := w.engine.Apply(w.config); err != nil {
		w.t.Errorf("Apply: %v", err)
	}
}

func TestNoReplyReachesAnotherClient(t *testing.T) {
	length, first := *duration, *seed
	if testing.Short() {
		length = 5 * time.Second
	}
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	t.Logf("-oracle.seed=%d", first)
	w := newWorld(t)
	var together sync.WaitGroup
	for client := range *crowd {
		together.Go(func() { w.live(client, rand.New(rand.NewPCG(first, uint64(client)))) })
	}
	together.Go(func() { w.trouble(rand.New(rand.NewPCG(first, 1<<32))) })
	timer := time.NewTimer(length)
	<-timer.C
	close(w.over)
	together.Wait()
	w.settled()
	t.Logf("%d lives with %d actions, %d rows in the journal; %d server processes killed, %d sessions ended by that; pins %v",
		w.lives.Load(), w.done.Load(), len(w.journal.marks), w.killed.Load(), w.ended.Load(), w.engine.Stats().Pins)
}

func (w *world) isOver() bool {
	select {
	case <-w.over:
		return true
	default:
		return w.t.Failed()
	}
}

// live is one client: one life after the other.
func (w *world) live(client int, rng *rand.Rand) {
	for number := 1; !w.isOver(); number++ {
		l, err := begin(w, client, number, rng)
		if err != nil {
			if w.killed.Load() > 0 && strings.Contains(err.Error(), "57P01") {
				w.ended.Add(1) // the first server connection of its kind, which tells what to welcome with
				continue
			}
			w.t.Errorf("client %d: %v", client, err)
			return
		}
		w.lives.Add(1)
		err = l.lead()
		l.conn.Close()
		switch {
		case errors.Is(err, errEnded):
			w.ended.Add(1)
		case err != nil:
			w.t.Errorf("%s after %s: %v", l.mark, strings.Join(l.said[max(0, len(l.said)-8):], ", "), err)
		}
	}
}

// lead does some actions and leaves.
func (l *life) lead() error {
	for range 1 + l.rng.IntN(40) {
		if l.world.isOver() {
			break
		}
		if err := l.act(); err != nil {
			return err
		}
		l.world.done.Add(1)
	}
	l.leave()
	return nil
}

// leave leaves in one of many ways, none of which may concern anybody else.
func (l *life) leave() {
	m := l.next()
	var last []byte
	switch l.rng.IntN(8) {
	case 0, 1, 2:
		last = wire.AppendTerminate(nil)
	case 3:
		last = wire.AppendQuery(nil, "SELECT '"+m+"' FROM pg_sleep(0.05)")
	case 4:
		last = append(wire.AppendParse(nil, "q", "SELECT 'unfinished "+m+"'", nil), bind("q", m)...)
	case 5:
		last = wire.AppendQuery(nil, "COPY scratch FROM stdin")
		last = append(last, frame('d', []byte(m+"\n"))...)
	case 6:
		if l.status == wire.StatusIdle {
			l.world.journal.perhaps([]string{m})
		}
		last = wire.AppendQuery(nil, "INSERT INTO journal VALUES ('"+m+"')")
	}
	if len(last) > 0 && l.rng.IntN(3) == 0 {
		last = last[:l.rng.IntN(len(last))]
	}
	_, _ = l.conn.Write(last) // it may have been ended already
	if tcp, ok := l.conn.(*net.TCPConn); ok && l.rng.IntN(2) == 0 {
		_ = tcp.SetLinger(0)
	}
}

// trouble kills server processes and changes limits and modes, at random moments.
func (w *world) trouble(rng *rand.Rand) {
	for !w.isOver() {
		select {
		case <-w.over:
			return
		case <-time.After(time.Duration(20+rng.IntN(300)) * time.Millisecond):
		}
		switch rng.IntN(4) {
		case 0:
			w.kill(1 + rng.IntN(3))
		case 1:
			w.config.Limits.MaxOpen = 1 + rng.IntN(mostOpen)
			w.config.Limits.MaxIdle = rng.IntN(mostOpen)
			w.apply()
		case 2:
			w.config.MaxPreparedStatements = 1 + rng.IntN(20)
			w.config.PoolMode = postgres.Transaction
			if rng.IntN(5) == 0 {
				w.config.PoolMode = postgres.Session // for clients that come now
			}
			w.apply()
		}
		if n, err := pgtest.Count(w.admin, "usename = 'app'"); err != nil || n > mostOpen {
			w.t.Errorf("the server has %d connections, %d are allowed (%v)", n, mostOpen, err)
		}
	}
}

// kill ends some server processes.
func (w *world) kill(n int) {
	w.killed.Add(int64(n)) // before they die: who is told comes afterwards
	var killed int64
	err := w.admin.QueryRow(context.Background(), fmt.Sprintf("SELECT count(pg_terminate_backend(pid)) FROM "+
		"(SELECT pid FROM pg_stat_activity WHERE usename = 'app' ORDER BY random() LIMIT %d) a", n)).Scan(&killed)
	if err != nil {
		w.t.Errorf("kill: %v", err)
	}
	w.killed.Add(killed - int64(n))
}

// settled checks what must be true when everybody has gone.
func (w *world) settled() {
	deadline := time.Now().Add(20 * time.Second)
	for s := w.engine.Stats(); s.Lent > 0 || s.Waiting > 0 || s.Pinned > 0 || s.Clients > 0; s = w.engine.Stats() {
		if time.Now().After(deadline) {
			w.t.Fatalf("everybody has gone, and this is left: %+v", s)
		}
		time.Sleep(10 * time.Millisecond) // between two looks at what cannot be waited on
	}
	if ended, killed := w.ended.Load(), w.killed.Load(); ended > killed {
		w.t.Errorf("%d sessions were ended, and only %d server processes killed", ended, killed)
	}
	w.journal.check(w.t, w.admin)
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}
