package postgres_test

import (
	"context"
	gosync "sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// A maintenance as people do it: hold and drain, stop the server, do what is to be done, start it, go on.
func TestAServerIsStoppedAndStartedOnHoldWithoutOneError(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.AcquireTimeout = 2 * time.Second // less than the maintenance takes
	f := serve(t, db, cfg)
	stop := load(t, f, 20)
	eventually(t, "the clients get on", func() bool { return f.Stats().Transactions > 200 })

	cfg.StopPolicy = postgres.StopHoldAndDrain
	f.apply(cfg)
	eventually(t, "nothing is open", func() bool { return f.Stats().Open == 0 })
	db.Stop()
	eventually(t, "all clients wait", func() bool { return f.Stats().Waiting == 20 })
	held := f.Stats().Transactions
	late := make(chan error, 1)
	go func() { // who comes meanwhile waits, too
		conn, err := pgx.Connect(context.Background(), f.url())
		if err == nil {
			err = conn.Close(context.Background())
		}
		late <- err
	}()
	tick := time.NewTimer(2 * cfg.Limits.AcquireTimeout)
	<-tick.C
	if s := f.Stats(); s.Transactions != held || s.AcquireTimeouts != 0 || s.StopPolicy != postgres.StopHoldAndDrain {
		t.Errorf("on hold: %d transactions, %d clients lost patience, policy %d", s.Transactions-held, s.AcquireTimeouts, s.StopPolicy)
	}
	if err := f.Probe(within(t)); err != nil || f.Stats().Open != 0 {
		t.Errorf("a probe on hold: %v, %d open", err, f.Stats().Open)
	}
	db.Run()
	cfg.StopPolicy = postgres.StopNone
	f.apply(cfg)
	eventually(t, "the clients get on again", func() bool { return f.Stats().Transactions > held+200 })
	stop()
	if err := <-late; err != nil {
		t.Errorf("the client that came on hold gets %v", err)
	}
}

func TestOnHoldTransactionsThatRunGoOnToTheirEnd(t *testing.T) {
	for name, policy := range map[string]postgres.StopPolicy{"Hold": postgres.StopHold, "HoldAndDrain": postgres.StopHoldAndDrain} {
		t.Run(name, func(t *testing.T) {
			db := startDB(t, pgtest.Options{})
			cfg := config(db)
			f := serve(t, db, cfg)
			running, idle := f.connect(), f.connect()
			exec(t, running, "BEGIN")
			exec(t, idle, "SELECT 1")
			cfg.StopPolicy = policy
			f.apply(cfg)
			answered := make(chan error, 1)
			go func() { _, err := idle.Exec(within(t), "SELECT 1"); answered <- err }()
			eventually(t, "the other client waits", func() bool { return f.Stats().Waiting == 1 })
			if got := one[int](t, running, "SELECT 7"); got != 7 {
				t.Errorf("in its transaction it gets %d", got)
			}
			exec(t, running, "COMMIT")
			eventually(t, "nothing is lent", func() bool { return f.Stats().Lent == 0 })
			open := f.Stats().Open
			switch {
			case policy == postgres.StopHold && open == 0:
				t.Error("Hold closes server connections")
			case policy == postgres.StopHoldAndDrain:
				eventually(t, "nothing is open", func() bool { return f.Stats().Open == 0 })
			}
			cfg.StopPolicy = postgres.StopNone
			f.apply(cfg)
			if err := <-answered; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAfterAHoldClientsHaveTheirWholePatienceAgainAndNoMore(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	holder, waits := f.connect(), f.connect()
	exec(t, holder, "BEGIN")
	cfg.Limits.AcquireTimeout, cfg.StopPolicy = 200*time.Millisecond, postgres.StopHold
	f.apply(cfg)
	var asked gosync.WaitGroup
	var err error
	asked.Go(func() { _, err = waits.Exec(within(t), "SELECT 1") })
	eventually(t, "it waits", func() bool { return f.Stats().Waiting == 1 })
	cfg.StopPolicy = postgres.StopNone
	f.apply(cfg)
	asked.Wait()
	if err == nil || f.Stats().AcquireTimeouts != 1 {
		t.Errorf("with the only connection in use it gets %v; %d lost patience", err, f.Stats().AcquireTimeouts)
	}
}
