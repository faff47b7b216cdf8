package postgres_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

// withConsole lets app command the console and other read it.
func withConsole(cfg postgres.Config) postgres.Config {
	cfg.Console = postgres.Console{Admins: []string{"app"}, Stats: []string{"other"}}
	return cfg
}

// console is a session of app at the console.
func (f *fixture) console() *pgconn.PgConn {
	f.t.Helper()
	return connect(f.t, f.urlOf("app", "app's secret", "pgbouncer")).PgConn()
}

// command sends a statement to the console, which must succeed, and returns its rows by column name.
func command(t testing.TB, c *pgconn.PgConn, text string) []map[string]string {
	t.Helper()
	rows, err := try(t, c, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return rows
}

func try(t testing.TB, c *pgconn.PgConn, text string) (rows []map[string]string, err error) {
	t.Helper()
	results, err := c.Exec(within(t), text).ReadAll()
	for _, result := range results {
		for _, values := range result.Rows {
			row := make(map[string]string)
			for i, field := range result.FieldDescriptions {
				row[field.Name] = string(values[i])
			}
			rows = append(rows, row)
		}
	}
	return rows, err
}

// find is the only row with these values.
func find(t testing.TB, rows []map[string]string, pairs ...string) map[string]string {
	t.Helper()
	var found []map[string]string
	for _, row := range rows {
		matches := true
		for i := 0; i < len(pairs); i += 2 {
			matches = matches && row[pairs[i]] == pairs[i+1]
		}
		if matches {
			found = append(found, row)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d rows have %v: %v", len(found), pairs, rows)
	}
	return found[0]
}

// want checks values of a row.
func want(t testing.TB, row map[string]string, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got, known := row[pairs[i]]; !known || got != pairs[i+1] {
			t.Errorf("%s is %q, want %q: %v", pairs[i], got, pairs[i+1], row)
		}
	}
}

func TestTheConsoleTellsWhatGoesOn(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := withConsole(config(db))
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	holder, waiter := f.connect("application_name", "holder"), f.connect("application_name", "holder")
	exec(t, holder, "BEGIN")
	pid := backend(t, holder)
	done := make(chan error, 1)
	go func() {
		_, err := waiter.Exec(context.Background(), "SELECT 1")
		done <- err
	}()
	eventually(t, "the other client waits", func() bool { return f.Stats().Waiting == 1 })

	c := f.console()
	want(t, find(t, command(t, c, "SHOW POOLS;"), "database", "app"), "user", "app", "cl_active", "1", "cl_waiting", "1",
		"sv_active", "1", "sv_idle", "0", "sv_login", "0", "pool_mode", "transaction")
	server := find(t, command(t, c, "show servers"), "type", "S")
	client := find(t, command(t, c, "show clients"), "link", server["ptr"])
	want(t, server, "database", "app", "user", "app", "state", "active", "link", client["ptr"], "application_name", "holder",
		"remote_pid", itoa(pid), "addr", db.Host, "port", itoa(db.Port), "close_needed", "0", "tls", "")
	want(t, client, "database", "app", "user", "app", "state", "active", "wait", "0", "wait_us", "0")
	want(t, find(t, command(t, c, "show clients"), "state", "waiting"), "link", "", "addr", "127.0.0.1")
	want(t, find(t, command(t, c, "SHOW DATABASES"), "name", "app"), "host", db.Host, "port", itoa(db.Port), "database", "app",
		"max_connections", "1", "current_connections", "1", "current_client_connections", "2", "paused", "0", "disabled", "0")
	want(t, find(t, command(t, c, "SHOW LISTS"), "list", "used_clients"), "items", "3")
	want(t, find(t, command(t, c, "SHOW LISTS"), "list", "used_servers"), "items", "1")
	want(t, find(t, command(t, c, "SHOW USERS"), "name", "app"), "current_connections", "1", "current_client_connections", "2")
	want(t, find(t, command(t, c, "SHOW STATE"), "key", "active"), "value", "yes")
	want(t, find(t, command(t, c, "SHOW CONFIG"), "key", "max_client_conn"), "value", "1000")
	want(t, find(t, command(t, c, "SHOW VERSION")), "version", "PgBouncer 1.25.2")

	exec(t, holder, "COMMIT")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody waits any more", func() bool { return f.Stats().Lent == 0 })
	want(t, find(t, command(t, c, "SHOW POOLS"), "database", "app"), "cl_active", "2", "cl_waiting", "0", "sv_active", "0", "sv_idle", "1")
}

func TestTheConsoleCountsByDatabase(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, withConsole(config(db)))
	a, b := f.connect(), connect(t, f.urlOf("other", "other's secret", "postgres"))
	for range 20 {
		exec(t, a, "SELECT pg_sleep(0.001)")
		exec(t, b, "SELECT 1")
		exec(t, b, "SELECT $1::int", 7)
	}
	stats := command(t, f.console(), "SHOW STATS")
	mine, others := find(t, stats, "database", "app"), find(t, stats, "database", "postgres")
	want(t, mine, "total_xact_count", "20", "total_query_count", "20", "total_server_assignment_count", "20", "avg_xact_count", "0")
	want(t, others, "total_xact_count", "40", "total_client_parse_count", "20", "total_server_parse_count", "20", "total_bind_count", "20")
	if mine["total_received"] == "0" || mine["total_sent"] == "0" {
		t.Errorf("no bytes are counted: %v", mine)
	}
	for _, name := range []string{"total_xact_time", "total_query_time"} {
		if got := atoi(t, mine[name]); got < 17_000 { // the first transaction, and the 17th for 16
			t.Errorf("%s is %d µs after 20 queries of 1 ms", name, got)
		}
	}
	counters := f.Stats().Counters
	if counters.Transactions != 60 || counters.Queries != 60 || counters.Binds != 20 {
		t.Errorf("all together: %+v", counters)
	}
}

func TestOnlyWhoIsNamedComesToTheConsole(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	_, err := pgx.Connect(within(t), f.urlOf("app", "app's secret", "weir"))
	wantCode(t, err, "3D000") // nobody is named: it is a database like others

	cfg := config(db)
	cfg.Console.Stats = []string{"other"}
	f.apply(cfg)
	_, err = pgx.Connect(within(t), f.urlOf("app", "app's secret", "weir"))
	wantCode(t, err, "42501")
	_, err = pgx.Connect(within(t), f.urlOf("other", "wrong", "weir"))
	wantCode(t, err, "28P01")
	reader := connect(t, f.urlOf("other", "other's secret", "weir")).PgConn()
	command(t, reader, "SHOW POOLS")
	for _, text := range []string{
		"PAUSE", "RESUME", "RELOAD", "RECONNECT", "KILL", "KILL_CLIENT 1", "WAIT_CLOSE", "SUSPEND", "SHUTDOWN", "DISABLE app", "ENABLE app",
	} {
		_, err := try(t, reader, text)
		wantCode(t, err, "42501")
	}
}

func TestTheConsoleIsThereWhenThereAreTooManyClients(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := withConsole(config(db))
	cfg.Limits.MaxClients = 1
	f := serve(t, db, cfg)
	f.connect()
	_, err := pgx.Connect(within(t), f.url())
	wantCode(t, err, "53300")
	command(t, f.console(), "SHOW CLIENTS")
}

func TestPauseWaitsForTransactionsAndHoldsClientsBack(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, withConsole(config(db)))
	inside, outside := f.connect(), f.connect()
	for _, name := range []string{"", " app"} {
		exec(t, inside, "BEGIN")
		c := f.console()
		paused := make(chan error, 1)
		go func() {
			_, err := c.Exec(context.Background(), "PAUSE"+name).ReadAll()
			paused <- err
		}()
		eventually(t, "the pool is held back", func() bool {
			return slices.ContainsFunc(command(t, f.console(), "SHOW "+map[string]string{"": "STATE", " app": "DATABASES"}[name]),
				func(row map[string]string) bool {
					return row["key"] == "paused" && row["value"] == "yes" || row["paused"] == "1"
				})
		})
		exec(t, inside, "SELECT 1") // a transaction goes on
		select {
		case err := <-paused:
			t.Fatalf("PAUSE%s returns in the middle of a transaction: %v", name, err)
		default:
		}
		exec(t, inside, "COMMIT")
		if err := <-paused; err != nil {
			t.Fatal(err)
		}
		if n := db.Connections("usename = 'app'"); n != 0 {
			t.Fatalf("%d connections are open while paused", n)
		}
		done := make(chan error, 1)
		go func() {
			_, err := outside.Exec(context.Background(), "SELECT 1")
			done <- err
		}()
		eventually(t, "a client waits", func() bool { return f.Stats().Waiting == 1 })
		f.apply(withConsole(config(db))) // a new configuration does not end it
		if s := f.Stats(); s.Waiting != 1 || s.Open != 0 {
			t.Fatalf("%d wait and %d are open after Apply", s.Waiting, s.Open)
		}
		command(t, c, "RESUME"+name)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	_, err := try(t, f.console(), "RESUME")
	wantCode(t, err, "55000")
	_, err = try(t, f.console(), "PAUSE weir")
	wantCode(t, err, "3D000")
}

func TestACancelledPauseIsTakenBack(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, withConsole(config(db)))
	inside, outside := f.connect(), f.connect()
	exec(t, inside, "BEGIN")
	c := f.console()
	paused := make(chan error, 1)
	go func() {
		_, err := c.Exec(context.Background(), "PAUSE").ReadAll()
		paused <- err
	}()
	admin := f.console()
	eventually(t, "the pool is paused", func() bool {
		return find(t, command(t, admin, "SHOW STATE"), "key", "paused")["value"] == "yes"
	})
	if err := c.CancelRequest(within(t)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, <-paused, "57014")
	exec(t, outside, "SELECT 1")
	exec(t, inside, "COMMIT")
	command(t, c, "SHOW STATE")
}

func TestSuspendLendsNothingAndClosesNothing(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, withConsole(config(db)))
	client := f.connect()
	before := backend(t, client)
	c := f.console()
	command(t, c, "SUSPEND")
	want(t, find(t, command(t, c, "SHOW STATE"), "key", "suspended"), "value", "yes")
	_, err := try(t, c, "PAUSE")
	wantCode(t, err, "55000")
	command(t, c, "RESUME")
	if after := backend(t, client); after != before {
		t.Errorf("the connection was %d and is %d", before, after)
	}
}

func TestReconnectReplacesConnectionsWhenTheyAreFree(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, withConsole(config(db)))
	client, c := f.connect(), f.console()
	exec(t, client, "BEGIN")
	before := backend(t, client)
	command(t, c, "RECONNECT app")
	want(t, find(t, command(t, c, "SHOW SERVERS"), "type", "S"), "close_needed", "1")
	closed := make(chan error, 1)
	go func() {
		_, err := c.Exec(context.Background(), "WAIT_CLOSE").ReadAll()
		closed <- err
	}()
	if now := backend(t, client); now != before {
		t.Errorf("a transaction moved from %d to %d", before, now)
	}
	exec(t, client, "COMMIT")
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if after := backend(t, client); after == before {
		t.Error("the connection is still the same")
	}
}

func TestKillClosesAndHoldsBack(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, withConsole(config(db)))
	client, c := f.connect(), f.console()
	exec(t, client, "BEGIN")
	command(t, c, "KILL app")
	_, err := client.Exec(within(t), "SELECT 1")
	wantCode(t, err, "57P01")
	eventually(t, "nothing is open", func() bool { return f.Stats().Open == 0 })
	want(t, find(t, command(t, c, "SHOW DATABASES"), "name", "app"), "paused", "1")
	command(t, c, "RESUME app")
	exec(t, f.connect(), "SELECT 1")

	victim := f.connect("application_name", "victim")
	exec(t, victim, "SELECT 1")
	command(t, c, "KILL_CLIENT "+find(t, command(t, c, "SHOW CLIENTS"), "application_name", "victim")["id"])
	_, err = victim.Exec(within(t), "SELECT 1")
	wantCode(t, err, "57P01")
	_, err = try(t, c, "KILL_CLIENT 999999")
	wantCode(t, err, "42704")
}

func TestADisabledDatabaseRefusesWhoComes(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, withConsole(config(db)))
	inside, c := f.connect(), f.console()
	command(t, c, "DISABLE app")
	_, err := pgx.Connect(within(t), f.url())
	wantCode(t, err, "55000")
	exec(t, inside, "SELECT 1")
	connect(t, f.urlOf("app", "app's secret", "postgres"))
	command(t, c, "ENABLE app")
	f.connect()
}

func TestReloadAndShutdownAreTheProcesss(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, withConsole(config(db)))
	for _, text := range []string{"RELOAD", "SHUTDOWN", "SHUTDOWN WAIT_FOR_CLIENTS"} {
		_, err := try(t, f.console(), text)
		wantCode(t, err, "55000")
	}
}

func TestClientsAtTheConsoleAreLetGo(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, withConsole(config(db)))
	c := f.console()
	command(t, c, "SHOW POOLS")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(ctx, "SHOW POOLS").ReadAll(); err == nil {
		t.Error("the session goes on")
	}
}

func TestPsqlWorksAtTheConsole(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, withConsole(config(db)))
	got := f.run("psql", "-XAt", "-d", "weir", "-c", "SHOW VERSION", "-c", `\conninfo`, "-c", "SET extra_float_digits = 3", "-c", "SHOW HELP",
		"-c", "BEGIN", "-c", "SHOW CLIENT_ENCODING")
	for _, part := range []string{"PgBouncer 1.25.2", `connected to database "weir"`, "SET ignored", "KILL_CLIENT <client_id>", "BEGIN", "UTF-8"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in %s", part, got)
		}
	}
}

func TestDatabasesAreShownAsClientsCallThem(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := withConsole(config(db))
	cfg.Databases = map[string]string{"shop": "app", "alias": "app", "admin": "postgres"}
	f := serve(t, db, cfg)
	exec(t, connect(t, f.urlOf("app", "app's secret", "shop")), "SELECT 1")
	c := f.console()
	databases := command(t, c, "SHOW DATABASES")
	want(t, find(t, databases, "name", "shop"), "database", "app", "current_client_connections", "1")
	want(t, find(t, databases, "name", "alias"), "database", "app")
	want(t, find(t, command(t, c, "SHOW POOLS"), "user", "app"), "database", "alias")
	want(t, find(t, command(t, c, "SHOW STATS"), "database", "alias"), "total_xact_count", "1")
	command(t, c, "PAUSE shop")
	want(t, find(t, command(t, c, "SHOW DATABASES"), "name", "alias"), "paused", "1")
	command(t, c, "RESUME alias")
}

// Readers scan by position: nothing of the engine may change columns.
func TestEveryShowAnswers(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, withConsole(config(db)))
	exec(t, f.connect(), "SELECT 1")
	c := f.console()
	for name, columns := range map[string]int{
		"VERSION": 1, "LISTS": 2, "CONFIG": 4, "STATE": 2, "DATABASES": 17, "POOLS": 17, "USERS": 8, "STATS": 23, "STATS_TOTALS": 12,
		"STATS_AVERAGES": 12, "TOTALS": 2, "CLIENTS": 21, "SERVERS": 21, "SOCKETS": 28, "ACTIVE_SOCKETS": 28, "MEM": 5,
	} {
		rows := command(t, c, "SHOW "+name)
		if len(rows) == 0 || len(rows[0]) != columns {
			t.Errorf("SHOW %s: %d rows, want some of %d columns: %v", name, len(rows), columns, slices.Sorted(maps.Keys(rows[0])))
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTimesAndPinsAreMeasuredByDatabaseAndUser(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	a, b := f.connect(), f.connect()
	exec(t, a, "BEGIN")
	exec(t, a, "SELECT pg_sleep(0.02)")
	done := make(chan error, 1)
	go func() {
		_, err := b.Exec(context.Background(), "SELECT 1")
		done <- err
	}()
	eventually(t, "the other client waits", func() bool { return f.Stats().Waiting == 1 })
	exec(t, a, "COMMIT")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	exec(t, a, "LISTEN news")
	d := f.Detail()
	if len(d.Pairs) != 1 || d.Pairs[0].Pair != (postgres.Pair{Database: "app", User: "app"}) {
		t.Fatalf("pairs are %+v", d.Pairs)
	}
	p := d.Pairs[0]
	for name, h := range map[string]struct {
		postgres.Histogram
		count uint64
		least time.Duration
	}{
		"dials":        {p.Dial, 1, time.Microsecond},
		"waits":        {p.Wait, 3, time.Microsecond}, // two were served at once
		"queries":      {p.Query, 3, 20 * time.Millisecond},
		"transactions": {p.Transaction, 1, 20 * time.Millisecond},
	} {
		count := uint64(0)
		for _, n := range h.Counts {
			count += n
		}
		if count != h.count || h.Sum < h.least {
			t.Errorf("%s: %d, %v in all", name, count, h.Sum)
		}
	}
	if pins := d.Pins[session.Listen]; pins.Clients != 1 || pins.Oldest <= 0 || len(d.Pins) != 1 {
		t.Errorf("pins are %+v", d.Pins)
	}
}
