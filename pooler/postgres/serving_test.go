package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

func asPgError(err error, target **pgconn.PgError) bool { return errors.As(err, target) }

func TestTransactionModeSharesServerConnections(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	a, b := f.connect(), f.connect()

	if x, y := backend(t, a), backend(t, b); x != y {
		t.Errorf("two idle clients use backends %d and %d, want one", x, y)
	}
	tx, err := a.Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		var n int
		answered <- b.QueryRow(within(t), "SELECT 1").Scan(&n)
	}()
	eventually(t, "the second client waits for the first one's transaction", func() bool { return f.Stats().Waiting == 1 })
	if err := tx.Commit(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if n := db.Connections("usename = 'app'"); n != 1 {
		t.Errorf("the server has %d connections, want 1", n)
	}
}

func TestSessionModeKeepsTheServerConnectionAndCleansItAfterwards(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.PoolMode, cfg.Limits.MaxOpen = postgres.Session, 1
	f := serve(t, db, cfg)
	a := f.connect("default_query_exec_mode", "cache_statement")
	pid := backend(t, a)
	exec(t, a, "SET work_mem = '77MB'")
	exec(t, a, "CREATE TEMP TABLE mine (n int)")
	exec(t, a, "INSERT INTO mine VALUES ($1)", 7)
	if got := one[int](t, a, "SELECT n FROM mine"); got != 7 {
		t.Errorf("the temporary table holds %d, want 7", got)
	}
	a.Close(context.Background())

	b := f.connect()
	if got := backend(t, b); got != pid {
		t.Errorf("the next client uses backend %d, want %d again", got, pid)
	}
	if got := one[string](t, b, "SHOW work_mem"); got == "77MB" {
		t.Error("a setting of the client before is still there")
	}
	_, err := b.Exec(within(t), "SELECT * FROM mine")
	wantCode(t, err, "42P01")
}
