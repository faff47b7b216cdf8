//go:build soak

package soak

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

var lasts = flag.Duration("lasts", 30*time.Minute, "how long the soak goes on")

const (
	most     = 8
	clients  = 40
	patience = 30 * time.Second // for the pool to recover
	between  = 2000             // queries between two blows
)

// soak is a pool of a real PostgreSQL under traffic.
type soak struct {
	*testing.T
	server *pgtest.Server
	pool   *pool.Pool[*pgx.Conn]

	served, failed, gaveUp atomic.Int64
}

func start(t *testing.T) *soak {
	s := &soak{T: t, server: pgtest.Start(t, pgtest.Options{})}
	target, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", s.server.Host, s.server.Port, pgtest.Superuser))
	if err != nil {
		t.Fatal(err)
	}
	target.Password = pgtest.Password
	cfg := pool.DefaultConfig()
	cfg.Max, cfg.MinIdle, cfg.Lifetime, cfg.Keepalive = most, 1, 20*time.Second, 5*time.Second
	s.pool, err = pool.New(cfg, pool.Hooks[*pgx.Conn]{
		Dial:    func(ctx context.Context) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, target) },
		Check:   func(ctx context.Context, c *pgx.Conn) error { return c.Ping(ctx) },
		Close:   hangUp,
		Refused: tooMany,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// hangUp closes a connection and returns when the server has, too: its backend counts until then.
func hangUp(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc := c.PgConn().Conn()
	_, _ = nc.Write([]byte{'X', 0, 0, 0, 4})
	if deadline, ok := ctx.Deadline(); ok {
		_ = nc.SetReadDeadline(deadline)
	}
	for buf := make([]byte, 1024); ; {
		if _, err := nc.Read(buf); err != nil {
			break
		}
	}
	_ = c.Close(ctx)
}

func tooMany(err error) bool {
	var report *pgconn.PgError
	return errors.As(err, &report) && report.Code == "53300"
}

// client runs queries until ctx is done, each with its own patience.
func (s *soak) client(ctx context.Context) {
	for ctx.Err() == nil {
		wait, cancel := context.WithTimeout(ctx, time.Duration(1+rand.IntN(2000))*time.Millisecond)
		lease, err := s.pool.Acquire(wait)
		cancel()
		if err != nil {
			s.gaveUp.Add(1)
			continue
		}
		if err := work(lease.Conn()); err != nil {
			s.failed.Add(1)
			lease.Discard(err)
			continue
		}
		s.served.Add(1)
		lease.Release()
	}
}

func work(c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := c.Exec(ctx, "SELECT pg_sleep($1)", rand.Float64()/100)
	return err
}

// watch counts the pool's connections in the server, again and again; while it is down there is nothing to count.
func (s *soak) watch(ctx context.Context) (counts int) {
	for ctx.Err() == nil {
		n, err := s.count(ctx)
		if err != nil {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		counts++
		if n > most {
			s.Errorf("%d connections in the server, Max is %d: %+v", n, most, s.pool.Stats())
		}
	}
	return counts
}

func (s *soak) count(ctx context.Context) (n int, err error) {
	admin, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=%s password='%s' dbname=postgres application_name=watch",
		s.server.Host, s.server.Port, pgtest.Superuser, `administrator\'s secret`))
	if err != nil {
		return 0, err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	for range 20 {
		var now int
		if err := admin.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name = ''").Scan(&now); err != nil {
			return 0, err
		}
		n = max(n, now)
	}
	return n, nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// blows are what happens to the server.
var blows = []struct {
	name   string
	strike func(s *soak)
}{
	{"its backends are terminated", func(s *soak) {
		s.server.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '' AND backend_type = 'client backend'")
	}},
	{"it is killed and started again", func(s *soak) {
		s.server.Kill()
		s.until("the pool notices that the server is dead", func() bool { return s.pool.Stats().DialFails > 1 })
		s.server.Run()
	}},
	{"it is restarted", func(s *soak) { s.server.Restart() }},
}

// until waits for what must come within the pool's patience, and tells how long that took.
func (s *soak) until(what string, is func() bool) time.Duration {
	begin := time.Now()
	for ; !is(); pause(s.Context(), 5*time.Millisecond) {
		if time.Since(begin) > patience {
			s.Fatalf("not in %v: %s: %+v", patience, what, s.pool.Stats())
		}
	}
	return time.Since(begin)
}

// serves waits until so many more queries were served and tells how long that took. The next one must come within the
// pool's patience: how fast many are served is up to the machine.
func (s *soak) serves(more int64, when string) time.Duration {
	begin := time.Now()
	for enough := s.served.Load() + more; s.served.Load() < enough; {
		last := s.served.Load()
		s.until("a query is served "+when, func() bool { return s.served.Load() > last })
	}
	return time.Since(begin)
}

func TestARealServerNeverSeesMoreThanMaxAndThePoolRecoversFromEachBlow(t *testing.T) {
	s := start(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var traffic sync.WaitGroup
	var counts int
	for range clients {
		traffic.Go(func() { s.client(ctx) })
	}
	traffic.Go(func() { counts = s.watch(ctx) })
	worst := make([]time.Duration, len(blows))
	struck := 0
	for begin := time.Now(); time.Since(begin) < *lasts; struck++ {
		i := struck % len(blows)
		s.serves(between, "in peace")
		blows[i].strike(s)
		worst[i] = max(worst[i], s.serves(clients, "after: "+blows[i].name))
	}
	stop()
	traffic.Wait()
	s.end()
	if counts == 0 || struck < len(blows) {
		t.Fatalf("counted %d times, struck %d: the soak was too short to prove anything", counts, struck)
	}
	for i, b := range blows {
		t.Logf("served again at most %v after %s", worst[i].Round(time.Millisecond), b.name)
	}
	t.Logf("%d blows, %d counts in the server, %d queries, %d broken, %d clients gave up", struck, counts, s.served.Load(), s.failed.Load(), s.gaveUp.Load())
}

// end closes the pool and demands that nothing is left over.
func (s *soak) end() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.pool.Close(ctx); err != nil {
		s.Errorf("close: %v", err)
	}
	if st := s.pool.Stats(); st.Open != 0 || st.Waiting != 0 || st.Misuses != 0 {
		s.Errorf("in the end %d open, %d waiting, %d misuses", st.Open, st.Waiting, st.Misuses)
	}
	if n := s.server.Connections("application_name = ''"); n != 0 {
		s.Errorf("in the end the server still has %d connections", n)
	}
}
