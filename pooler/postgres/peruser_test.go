package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// withTwoEach lets each user have two of six connections; the server itself refuses app a third.
func withTwoEach(t *testing.T) *fixture {
	db := startDB(t, pgtest.Options{})
	db.Exec("ALTER ROLE app CONNECTION LIMIT 2")
	cfg := config(db)
	cfg.Limits.MaxOpen, cfg.Limits.MaxIdle, cfg.Limits.MaxOpenPerUser = 6, 6, 2
	return serve(t, db, cfg)
}

func (f *fixture) connectTo(database string) *pgx.Conn {
	f.t.Helper()
	return connect(f.t, f.urlOf("app", "app's secret", database))
}

func TestTheServerNeverSeesMoreOfAUserThanItMayHaveInAllDatabases(t *testing.T) {
	f := withTwoEach(t)
	stop, ended := make(chan struct{}), make(chan error)
	databases := []string{"app", "app", "app", "postgres", "postgres", "template1"}
	for _, database := range databases {
		conn := f.connectTo(database)
		go func() { ended <- keepBusy(conn, stop) }()
	}
	other := connect(t, f.urlOf("other", "other's secret", "app"))
	most := 0
	for range 100 {
		exec(t, other, "SELECT 1") // it is not held up
		most = max(most, f.db.Connections("usename = 'app'"))
	}
	eventually(t, "many are served", func() bool { return f.Stats().Queries > 1000 })
	close(stop)
	for range databases {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if s := f.Stats(); most > 2 || s.DialsFailed > 0 {
		t.Errorf("the server saw %d connections of app, and refused %d more; want at most 2", most, s.DialsFailed)
	}
}

// keepBusy queries until stop, at least once.
func keepBusy(conn *pgx.Conn, stop <-chan struct{}) error {
	for {
		if _, err := conn.Exec(context.Background(), "SELECT pg_sleep(0.002)"); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

func TestWhoWaitsForOthersOfItsUserIsToldSo(t *testing.T) {
	f := withTwoEach(t)
	cfg := config(f.db)
	cfg.Limits.MaxOpen, cfg.Limits.MaxIdle, cfg.Limits.MaxOpenPerUser = 6, 6, 2
	first, second, late := f.connectTo("app"), f.connectTo("postgres"), f.connectTo("app")
	exec(t, first, "BEGIN")
	exec(t, second, "BEGIN")
	cfg.Limits.AcquireTimeout = 100 * time.Millisecond // from now on, when nothing is to be dialed
	f.apply(cfg)
	_, err := late.Exec(within(t), "SELECT 1")
	wantCode(t, err, "53300")
	if want := `user "app" has 2 of 2 open, 2 lent, 0 clients ahead`; !strings.Contains(err.Error(), want) {
		t.Errorf("the client is told %v, want %s", err, want)
	}
}

func TestWhatAUserMayHaveChangesWhileClientsWait(t *testing.T) {
	f := withTwoEach(t)
	cfg := config(f.db)
	cfg.Limits.MaxOpen, cfg.Limits.MaxIdle, cfg.Limits.MaxOpenPerUser = 6, 6, 1
	f.apply(cfg)
	holder, waiter := f.connectTo("app"), f.connectTo("postgres")
	exec(t, holder, "BEGIN")
	done := make(chan error, 1)
	go func() {
		_, err := waiter.Exec(context.Background(), "SELECT 1")
		done <- err
	}()
	eventually(t, "a client waits for its user", func() bool { return f.Stats().UsersAtLimit == 1 })
	cfg.Limits.MaxOpenPerUser = 2
	f.apply(cfg)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := f.Stats().UsersAtLimit; n != 0 {
		t.Errorf("%d users are at their limit, want none: nobody waits", n)
	}
	exec(t, holder, "COMMIT")
}
