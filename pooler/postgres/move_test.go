package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// apart returns two clients on different lanes, of which the first had the only server connection last.
func apart(t *testing.T) (f *fixture, a, b *pgx.Conn) {
	t.Helper()
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f = serveBesideLanes(t, db, cfg)
	a = f.connect()
	for b = f.connect(); f.ShareLane(a.PgConn().PID(), b.PgConn().PID()); {
		b = f.connect()
	}
	exec(t, a, "SELECT 1")
	eventually(t, "the connection is free", func() bool { return f.Stats().Lent == 0 })
	return f, a, b
}

// asks has a client run a statement that only a cancel request ends.
func asks(t *testing.T, c *pgx.Conn) (failed <-chan error) {
	t.Helper()
	ctx, answer := within(t), make(chan error, 1)
	go func() {
		_, err := c.Exec(ctx, "SELECT pg_sleep(600)")
		answer <- err
	}()
	return answer
}

func TestACancelReachesAClientWhoseServerConnectionIsOnItsWayFromAnotherLane(t *testing.T) {
	f, a, b := apart(t)
	release := f.HoldLaneOf(a.PgConn().PID())
	failed := asks(t, b)
	eventually(t, "the connection is lent", func() bool { return f.Stats().Lent == 1 })
	if err := b.PgConn().CancelRequest(within(t)); err != nil {
		t.Error(err)
	}
	release()
	wantCode(t, <-failed, "57014")
	exec(t, b, "SELECT 1")
	exec(t, a, "SELECT 1")
	if s := f.Stats(); s.Dialed != 1 {
		t.Errorf("%d server connections were opened, want 1", s.Dialed)
	}
}

func TestACancelReachesAClientWhoseWaitHasJustEnded(t *testing.T) {
	f, a, b := apart(t)
	tx, err := a.Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	failed := asks(t, b)
	eventually(t, "the client waits", func() bool { return f.Stats().Waiting == 1 })
	release := f.HoldLaneOf(b.PgConn().PID())
	canceled := make(chan error, 1)
	go func() { canceled <- b.PgConn().CancelRequest(within(t)) }()
	eventually(t, "the request has come", func() bool { return f.Stats().Cancels == 1 })
	if err := tx.Commit(within(t)); err != nil {
		t.Error(err)
	}
	eventually(t, "nobody waits", func() bool { return f.Stats().Waiting == 0 })
	release()
	wantCode(t, <-failed, "57014")
	if err := <-canceled; err != nil {
		t.Error(err)
	}
	exec(t, b, "SELECT 1")
	exec(t, a, "SELECT 1")
}
