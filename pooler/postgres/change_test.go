package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	gosync "sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

func TestWithALimitOfZeroClientsWaitUntilItIsRaised(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 0
	f := serve(t, db, cfg)
	if err := f.Probe(within(t)); err != nil {
		t.Errorf("the probe fails: %v", err)
	}
	if s := f.Stats(); s.Reachability != postgres.Unknown {
		t.Errorf("reachable is %v, want Unknown", s.Reachability)
	}
	in := make(chan error, 1)
	go func() {
		conn, err := pgx.Connect(within(t), f.url())
		if err == nil {
			err = conn.Close(context.Background())
		}
		in <- err
	}()
	eventually(t, "the client waits", func() bool { return f.Stats().Waiting == 1 })
	if s := f.Stats(); s.Open != 0 {
		t.Fatalf("%d connections are open", s.Open)
	}
	cfg.Limits.MaxOpen = 1
	f.apply(cfg)
	if err := <-in; err != nil {
		t.Fatal(err)
	}
}

// load runs clients that each select their own number, in random ways, until stop is called, which returns how many answers
// there were. A wrong answer or an error fails the test.
func load(t *testing.T, f *fixture, clients int) (stop func() int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg gosync.WaitGroup
	var answers atomic.Int64
	for id := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			conn, err := pgx.Connect(context.Background(), f.url())
			if err != nil {
				t.Errorf("client %d cannot connect: %v", id, err)
				return
			}
			defer conn.Close(context.Background())
			for n := 0; ctx.Err() == nil; n++ {
				if err := ask(conn, id*1_000_000+n, n); err != nil {
					t.Errorf("client %d: %v", id, err)
					return
				}
				answers.Add(1)
			}
		}()
	}
	return func() int64 {
		cancel()
		wg.Wait()
		return answers.Load()
	}
}

// ask has the server repeat a number in one of several ways.
func ask(conn *pgx.Conn, number, way int) error {
	ctx := context.Background()
	var got int
	var err error
	switch way % 5 {
	case 0:
		err = conn.QueryRow(ctx, fmt.Sprintf("SELECT %d", number), pgx.QueryExecModeSimpleProtocol).Scan(&got)
	case 1:
		err = conn.QueryRow(ctx, "SELECT $1::int", number).Scan(&got)
	case 2:
		err = inTransaction(conn, number, &got)
	case 3:
		batch := &pgx.Batch{}
		for range 1 + rand.IntN(5) {
			batch.Queue("SELECT $1::int", number)
		}
		results := conn.SendBatch(ctx, batch)
		for range batch.Len() {
			if err = results.QueryRow().Scan(&got); err != nil || got != number {
				break
			}
		}
		if closed := results.Close(); err == nil {
			err = closed
		}
	case 4:
		_, err = conn.Exec(ctx, fmt.Sprintf("SELECT %d/0", number), pgx.QueryExecModeSimpleProtocol)
		if err == nil {
			return fmt.Errorf("a division by zero has succeeded")
		}
		return nil
	}
	if err == nil && got != number {
		err = fmt.Errorf("asked for %d, got %d", number, got)
	}
	return err
}

func inTransaction(conn *pgx.Conn, number int, got *int) error {
	ctx := context.Background()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL application_name = 'c%d'", number)); err != nil {
		return err
	}
	var name string
	if err := tx.QueryRow(ctx, "SELECT $1::int, current_setting('application_name')", number).Scan(got, &name); err != nil {
		return err
	}
	if name != fmt.Sprintf("c%d", number) {
		return fmt.Errorf("the transaction of %d is on the connection of %s", number, name)
	}
	return tx.Commit(ctx)
}

func TestNoReplyEverReachesAnotherClientAndTheLimitHolds(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	f := serve(t, db, cfg)
	admin := db.Admin()
	count := func() int {
		n, err := pgtest.Count(admin, "usename = 'app'")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	stop := load(t, f, 50)
	rng := rand.New(rand.NewPCG(1, 2))
	limit := cfg.Limits.MaxOpen
	for round := range 30 {
		answered := f.Stats().Transactions
		eventually(t, "the clients get on", func() bool {
			if n := count(); n > limit {
				t.Errorf("round %d: the server has %d connections, the limit is %d", round, n, limit)
			}
			return f.Stats().Transactions > answered+50
		})
		limit = max(limit, 1+rng.IntN(8))
		cfg.Limits.MaxOpen = limit
		if lower := 1 + rng.IntN(8); lower < limit {
			cfg.Limits.MaxOpen = lower
		}
		f.apply(cfg)
		eventually(t, "the server has no more connections than the new limit", func() bool { return count() <= cfg.Limits.MaxOpen })
		limit = cfg.Limits.MaxOpen
	}
	answers := stop()
	t.Logf("%d answers; %+v", answers, f.Stats().Counters)
}

func TestAPlaceIsFreeOnlyWhenTheServerHasEndedTheConnection(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	f := serve(t, db, cfg)
	admin := db.Admin()
	for range 10 {
		var together gosync.WaitGroup
		for range cfg.Limits.MaxOpen {
			conn := f.connect()
			together.Go(func() {
				if _, err := conn.Exec(context.Background(), "select pg_sleep(0.1)"); err != nil {
					t.Error(err)
				}
			})
		}
		together.Wait()
		none := cfg
		none.Limits.MaxOpen, none.Limits.MaxIdle = 0, 0
		f.apply(none)
		eventually(t, "every place is free", func() bool { return f.Stats().Open == 0 })
		if n, err := pgtest.Count(admin, "usename = 'app'"); n != 0 || err != nil {
			t.Fatalf("every place is free, and the server still has %d connections (%v)", n, err)
		}
		f.apply(cfg)
	}
}

func TestClientsWaitWhileTheServerIsKilledAndRestarted(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	idle, inTx := f.connect(), f.connect()
	exec(t, idle, "SELECT 1")
	exec(t, inTx, "BEGIN")
	db.Kill()
	eventually(t, "the dead connections are gone", func() bool { return f.Stats().Open == 0 })
	_, err := inTx.Exec(within(t), "SELECT 1")
	if err == nil {
		t.Error("the transaction survives its server")
	}
	answered := make(chan error, 1)
	go func() {
		_, err := idle.Exec(within(t), "SELECT 1")
		answered <- err
	}()
	eventually(t, "the client waits, and the fault is known", func() bool {
		s := f.Stats()
		return s.Waiting == 1 && s.Reachability == postgres.Unreachable
	})
	db.Run()
	if err := <-answered; err != nil {
		t.Errorf("the client that waited gets %v", err)
	}
	if s := f.Stats(); s.Reachability != postgres.Reachable || s.Fault != nil {
		t.Errorf("reachable is %v, the fault %v", s.Reachability, s.Fault)
	}
}

func TestAServerConnectionThatDiesWhileIdleIsNotLent(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	c := f.connect()
	for range 20 {
		pid := backend(t, c)
		db.Exec(fmt.Sprintf("SELECT pg_terminate_backend(%d)", pid))
		eventually(t, "the server has closed it", func() bool { return db.Connections("usename = 'app'") == 0 })
		eventually(t, "the pooler knows", func() bool { return f.Stats().Open == 0 })
		exec(t, c, "SELECT 1")
	}
}

func TestAServerThatTerminatesAConnectionIsQuoted(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	r := f.raw()
	r.send(query("BEGIN"), query("SELECT 1"))
	r.until(2)
	db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
	if got := r.until(1); got != "E:57P01 EOF" {
		t.Errorf("the client gets %s", got)
	}
}

func TestOtherUsersEndpointsAndModesHoldForNewClients(t *testing.T) {
	one1, two := startDB(t, pgtest.Options{}), startDB(t, pgtest.Options{})
	cfg := config(one1)
	f := serve(t, one1, cfg)
	old := f.connect()
	if got := one[int](t, old, "SELECT inet_server_port()"); got != one1.Port {
		t.Fatalf("the server's port is %d", got)
	}
	cfg.Endpoints = []postgres.Endpoint{{Host: two.Host, Port: two.Port}}
	cfg.Users = map[string]postgres.Passwords{"app": cfg.Users["app"]}
	f.apply(cfg)
	if got := one[int](t, old, "SELECT inet_server_port()"); got != two.Port {
		t.Errorf("after the change the server's port is %d, want %d", got, two.Port)
	}
	refused(t, f.urlOf("other", "other's secret", "app"), "28P01")
	eventually(t, "the old server is left", func() bool { return one1.Connections("") == 0 })

	cfg.Endpoints = []postgres.Endpoint{{Host: "127.0.0.1", Port: 1}, {Host: two.Host, Port: two.Port}}
	f.apply(cfg)
	exec(t, old, "SELECT 1")
}

func TestDrainLetsClientsGoBetweenTransactions(t *testing.T) {
	for _, mode := range []postgres.PoolMode{postgres.Transaction, postgres.Session} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			db := startDB(t, pgtest.Options{})
			cfg := config(db)
			cfg.PoolMode = mode
			f := serve(t, db, cfg)
			idle, busy := f.raw(), f.raw()
			idle.send(query("SELECT 1"))
			idle.until(1)
			busy.send(query("BEGIN"))
			busy.until(1)
			drained := make(chan error, 1)
			go func() { drained <- f.Drain(within(t)) }()
			if got := idle.until(1); got != "E:57P01 EOF" {
				t.Errorf("the idle client gets %s", got)
			}
			eventually(t, "the limit falls with the clients", func() bool { s := f.Stats(); return s.Clients == 1 && s.Limit == 1 && s.Open == 1 })
			busy.send(query("SELECT 1"))
			if got := busy.until(1); got != "T D C Z:T" {
				t.Errorf("the client in a transaction gets %s", got)
			}
			busy.send(query("COMMIT"))
			if got := busy.until(2); got != "C Z:I E:57P01 EOF" {
				t.Errorf("its COMMIT is answered with %s", got)
			}
			if err := <-drained; err != nil {
				t.Errorf("Drain: %v", err)
			}
			eventually(t, "nothing is open", func() bool { return f.Stats().Open == 0 })
			refused(t, f.url(), "57P03")
		})
	}
}

func TestDrainEndsWithItsDeadline(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	r := f.raw()
	r.send(query("BEGIN"))
	r.until(1)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := f.Drain(ctx); err != context.DeadlineExceeded {
		t.Errorf("Drain returns %v", err)
	}
	if got := r.until(1); got != "E:57P01 EOF" {
		t.Errorf("the client gets %s", got)
	}
}

func TestDrainUnderLoadLosesNoAnswer(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	var wg gosync.WaitGroup
	for range 20 {
		conn := f.connect()
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; ; n++ {
				err := ask(conn, n, 2)
				if err != nil {
					if conn.IsClosed() {
						return // let go, perhaps as it asked
					}
					t.Errorf("an answer is lost: %v", err)
					return
				}
			}
		}()
	}
	if err := f.Drain(within(t)); err != nil {
		t.Errorf("Drain: %v", err)
	}
	wg.Wait()
}
