package postgres_test

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/pooler/listen"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

const patience = 10 * time.Second

// loops are more than one, so that server connections move between them.
const loops = 2

// fixture is an Engine in front of a PostgreSQL.
type fixture struct {
	*postgres.Engine
	t    testing.TB
	db   *pgtest.Server
	addr *net.TCPAddr
}

// config is what tests start from: users app and other with their passwords, four server connections.
func config(db *pgtest.Server) postgres.Config {
	return postgres.Config{
		Name:      "main",
		Endpoints: []postgres.Endpoint{{Host: db.Host, Port: db.Port}},
		Users: map[string]postgres.Passwords{
			"app":   {"app's secret"},
			"other": {"other's secret"},
		},
		MaxPreparedStatements: 200,
		Limits: postgres.Limits{
			MaxOpen: 4, MaxIdle: 4, MaxWaiting: -1, MaxClients: 1000,
			IdleTimeout: time.Minute, MaxLifetime: time.Hour, AcquireTimeout: patience,
		},
	}
}

// users creates the users of config.
func users(db *pgtest.Server) {
	db.Exec(`CREATE ROLE app LOGIN PASSWORD 'app''s secret'`, `CREATE ROLE other LOGIN PASSWORD 'other''s secret'`,
		`CREATE DATABASE app OWNER app`)
}

func startDB(t testing.TB, opts pgtest.Options) *pgtest.Server {
	t.Helper()
	db := pgtest.Start(t, opts)
	users(db)
	return db
}

// serve runs an Engine with this Config on a loopback port.
func serve(t testing.TB, db *pgtest.Server, cfg postgres.Config) *fixture {
	t.Helper()
	ln, err := listen.TCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveFrom(t, ln, db, cfg)
}

// serveBesideLanes is serve with a listener of package net: clients come in, and log in, whatever the lanes do.
func serveBesideLanes(t testing.TB, db *pgtest.Server, cfg postgres.Config) *fixture {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveFrom(t, ln, db, cfg)
}

func serveFrom(t testing.TB, ln net.Listener, db *pgtest.Server, cfg postgres.Config) *fixture {
	t.Helper()
	e, err := postgres.New(postgres.Options{Logger: slog.New(slog.NewTextHandler(logWriter{t}, nil)), Loops: loops})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Engine: e, t: t, db: db, addr: ln.Addr().(*net.TCPAddr)}
	f.apply(cfg)
	served := make(chan error, 1)
	go func() { served <- e.Serve(ln) }()
	t.Cleanup(func() {
		ln.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

// with is the fixture for a subtest.
func (f *fixture) with(t testing.TB) *fixture {
	sub := *f
	sub.t = t
	return &sub
}

// logWriter shows the engine's log with the test.
type logWriter struct{ t testing.TB }

func (w logWriter) Write(b []byte) (int, error) {
	return w.t.Output().Write(b)
}

func (f *fixture) apply(cfg postgres.Config) {
	f.t.Helper()
	if err := f.Apply(cfg); err != nil {
		f.t.Fatalf("Apply: %v", err)
	}
}

// url is how user app connects; params are pairs.
func (f *fixture) url(params ...string) string {
	return f.urlOf("app", "app's secret", "app", params...)
}

func (f *fixture) urlOf(user, password, database string, params ...string) string {
	query := url.Values{"sslmode": {"disable"}, "default_query_exec_mode": {"exec"}}
	for i := 0; i < len(params); i += 2 {
		query.Set(params[i], params[i+1])
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: f.addr.String(), Path: database,
		RawQuery: query.Encode(),
	}
	return u.String()
}

func (f *fixture) connect(params ...string) *pgx.Conn {
	f.t.Helper()
	return connect(f.t, f.url(params...))
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(within(t), url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// tryConnect is connect for who may be refused, in any goroutine.
func tryConnect(url string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return pgx.Connect(ctx, url)
}

// within is a context for what must not hang.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// one returns the single value that a query yields.
func one[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	if err := conn.QueryRow(within(t), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func exec(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(within(t), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// wantCode checks that err is PostgreSQL's error with this SQLSTATE.
func wantCode(t testing.TB, err error, code string) *pgconn.PgError {
	t.Helper()
	pgErr := new(pgconn.PgError)
	if !asPgError(err, &pgErr) || pgErr.Code != code {
		t.Fatalf("error is %v, want SQLSTATE %s", err, code)
	}
	return pgErr
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("this has not come true within %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond) // between two looks at what cannot be waited on
	}
}

func backend(t testing.TB, conn *pgx.Conn) int {
	t.Helper()
	return one[int](t, conn, "SELECT pg_backend_pid()")
}
