//go:build drivers

package drivers_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

const password = "app's secret"

// way is a way to the database: PostgreSQL itself, or Weir.
type way struct {
	name string
	port int
}

// env is how programs that use libpq's variables, or their own copies, find the way.
func (w way) env(database string) []string {
	return []string{"PGHOST=127.0.0.1", fmt.Sprintf("PGPORT=%d", w.port), "PGUSER=app", "PGPASSWORD=" + password,
		"PGDATABASE=" + database, "PGSSLMODE=disable"}
}

// modes are Weir in front of a PostgreSQL, once in each mode.
func modes(t *testing.T, db *pgtest.Server, maxOpen int) []way {
	t.Helper()
	return []way{
		{"session mode", serve(t, db, postgres.Session, 60)},
		{"transaction mode", serve(t, db, postgres.Transaction, maxOpen)},
	}
}

// start starts a PostgreSQL with an all-powerful user app and a database of that name.
func start(t *testing.T) *pgtest.Server {
	t.Helper()
	db := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "200"}})
	db.Exec(`CREATE ROLE app LOGIN SUPERUSER PASSWORD 'app''s secret'`, `CREATE DATABASE app OWNER app`)
	return db
}

func serve(t *testing.T, db *pgtest.Server, mode postgres.PoolMode, maxOpen int) int {
	t.Helper()
	engine, err := postgres.New(postgres.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	err = engine.Apply(postgres.Config{
		Name: "main", Endpoints: []postgres.Endpoint{{Host: db.Host, Port: db.Port}}, PoolMode: mode,
		Users:                 map[string]postgres.Passwords{"app": {password}},
		MaxPreparedStatements: 200,
		Limits: postgres.Limits{MaxOpen: maxOpen, MaxIdle: maxOpen, MaxWaiting: -1, MaxClients: 1000,
			IdleTimeout: time.Minute, AcquireTimeout: 30 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	at := pgtest.Front(t, engine)
	t.Cleanup(func() { t.Logf("%+v", engine.Stats()) })
	return at.Port
}
