package postgres_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// pair starts a primary with its standby, which has the users of config.
func pair(t *testing.T) (primary, standby *pgtest.Server) {
	t.Helper()
	primary = startDB(t, pgtest.Options{})
	standby = primary.Standby()
	primary.Follows(standby)
	return primary, standby
}

func endpoints(servers ...*pgtest.Server) (all []postgres.Endpoint) {
	for _, s := range servers {
		all = append(all, postgres.Endpoint{Host: s.Host, Port: s.Port})
	}
	return all
}

func port(t testing.TB, conn *pgx.Conn) int {
	t.Helper()
	return one[int](t, conn, "SELECT inet_server_port()")
}

func TestTheTargetSessionChoosesAmongEndpoints(t *testing.T) {
	primary, standby := pair(t)
	for _, c := range []struct {
		target    postgres.TargetSession
		endpoints []*pgtest.Server
		want      *pgtest.Server
	}{
		{postgres.AnySession, []*pgtest.Server{standby, primary}, standby},
		{postgres.AnySession, []*pgtest.Server{primary, standby}, primary},
		{postgres.ReadWrite, []*pgtest.Server{standby, primary}, primary},
		{postgres.ReadOnly, []*pgtest.Server{primary, standby}, standby},
	} {
		cfg := config(primary)
		cfg.Endpoints, cfg.TargetSession = endpoints(c.endpoints...), c.target
		f := serve(t, primary, cfg)
		if got := port(t, f.connect()); got != c.want.Port {
			t.Errorf("target %v: the server has port %d, want %d", c.target, got, c.want.Port)
		}
		if s := f.Stats(); s.Reachability != postgres.Reachable || s.DialsFailed > 0 {
			t.Errorf("target %v: reachable is %v, and %d dials failed", c.target, s.Reachability, s.DialsFailed)
		}
	}
}

func TestWhenNoEndpointIsWhatIsAskedForTheFaultSaysSo(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.TargetSession, cfg.Limits.AcquireTimeout = postgres.ReadOnly, 2*time.Second // enough for a dial
	f := serve(t, db, cfg)
	if err := f.Probe(within(t)); err == nil {
		t.Fatal("a primary is taken for a standby")
	}
	fault := f.Stats().Fault
	want := fmt.Sprintf("the server at %s:%d will not do: it is a primary, but targetSession is ReadOnly", db.Host, db.Port)
	if fault == nil || fault.Reason != podapi.ReasonWrongRole || fault.Message != want {
		t.Errorf("the fault is %+v", fault)
	}
	refused(t, f.url(), "08001")
	eventually(t, "the server keeps no connection that will not do", func() bool { return db.Connections("usename = 'app'") == 0 })
}

func TestASwitchoverIsWaitedOut(t *testing.T) {
	primary, standby := pair(t)
	cfg := config(primary)
	cfg.Endpoints, cfg.TargetSession, cfg.Limits.AcquireTimeout = endpoints(primary, standby), postgres.ReadWrite, 30*time.Second
	f := serve(t, primary, cfg)
	c := f.connect()
	exec(t, c, "CREATE TABLE numbers (n int)")
	primary.Follows(standby)
	primary.Stop()
	eventually(t, "the dead connections are gone", func() bool { return f.Stats().Open == 0 })
	written := make(chan error, 1)
	go func() {
		_, err := c.Exec(t.Context(), "INSERT INTO numbers VALUES (1)")
		written <- err
	}()
	eventually(t, "the client waits", func() bool { return f.Stats().Waiting == 1 })
	standby.Promote()
	if err := <-written; err != nil {
		t.Fatalf("the client that waited gets %v", err)
	}
	if got := port(t, c); got != standby.Port {
		t.Errorf("the server has port %d, want that of the new primary, %d", got, standby.Port)
	}
	if s := f.Stats(); s.Switches != 1 {
		t.Errorf("%d switches are counted, want 1", s.Switches)
	}

	primary.Rejoin(standby) // preferred, and a standby: it will not do
	standby.Follows(primary)
	for range 20 {
		exec(t, c, "INSERT INTO numbers VALUES (2)")
	}
	if got := port(t, c); got != standby.Port {
		t.Errorf("writes go to the standby at port %d", got)
	}
}

func TestConnectionsGoBackToThePreferredEndpointWhenItIsBack(t *testing.T) {
	primary, standby := pair(t)
	cfg := config(primary)
	cfg.Endpoints, cfg.Limits.MaxOpen = endpoints(primary, standby), 2
	f := serve(t, primary, cfg)
	one, two := f.connect(), f.connect()
	if got := port(t, one); got != primary.Port {
		t.Fatalf("the server has port %d, want that of the preferred one", got)
	}
	primary.Kill()
	eventually(t, "the dead connections are gone", func() bool { return f.Stats().Open == 0 })
	if got := port(t, one); got != standby.Port {
		t.Fatalf("the server has port %d, want that of the other", got)
	}
	tx, err := two.Begin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(within(t), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	primary.Run()
	eventually(t, "who is between two transactions is back", func() bool { return port(t, one) == primary.Port })
	if _, err := tx.Exec(within(t), "SELECT 1"); err != nil {
		t.Errorf("the transaction does not survive: %v", err)
	}
	if err := tx.Commit(within(t)); err != nil {
		t.Error(err)
	}
	eventually(t, "the other endpoint is left", func() bool { return standby.Connections("usename = 'app'") == 0 })
	if got := port(t, two); got != primary.Port {
		t.Errorf("after its transaction the other client is at port %d", got)
	}
}

func TestAConnectionToAStandbyThatWasPromotedIsNotLentAgain(t *testing.T) {
	primary, standby := pair(t)
	cfg := config(primary)
	cfg.Endpoints, cfg.TargetSession = endpoints(standby), postgres.ReadOnly
	f := serve(t, standby, cfg)
	c := f.connect()
	exec(t, c, "SELECT 1")
	standby.Promote()
	exec(t, c, "SELECT 1") // the server reports its new role with the answer
	eventually(t, "the connection is closed", func() bool { return f.Stats().Open == 0 })
	if n := f.Stats().Dialed; n != 1 {
		t.Errorf("%d connections were opened", n)
	}
}

func TestANewClientIsToldTheRoleThatTheServerHasNow(t *testing.T) {
	primary, standby := pair(t)
	cfg := config(primary)
	cfg.Endpoints = endpoints(standby)
	f := serve(t, standby, cfg)
	c := f.connect()
	if got := c.PgConn().ParameterStatus("in_hot_standby"); got != "on" {
		t.Fatalf("a client of a standby is told in_hot_standby=%q", got)
	}
	standby.Promote()
	exec(t, c, "SELECT 1") // the server reports its new role with the answer
	eventually(t, "the connection is closed", func() bool { return f.Stats().Open == 0 })
	if got := f.connect().PgConn().ParameterStatus("in_hot_standby"); got != "off" {
		t.Errorf("a client of a new primary is told in_hot_standby=%q", got)
	}
}

func TestAServerThatRefusesToWriteIsLeft(t *testing.T) {
	one, two := startDB(t, pgtest.Options{}), startDB(t, pgtest.Options{})
	cfg := config(one)
	cfg.Endpoints, cfg.TargetSession, cfg.Limits.MaxOpen = endpoints(one, two), postgres.ReadWrite, 3
	f := serve(t, one, cfg)
	var clients []*pgx.Conn
	for range 3 {
		clients = append(clients, f.connect())
	}
	var open []pgx.Tx
	for _, c := range clients {
		tx, err := c.Begin(within(t))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, tx)
	}
	for _, tx := range open {
		if err := tx.Commit(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	// As a managed database does it: the role changes, and the connections stay.
	one.Exec("ALTER ROLE app SET default_transaction_read_only = on")
	_, err := clients[0].Exec(within(t), "DO $$BEGIN RAISE 'cannot execute INSERT in a read-only transaction' USING ERRCODE = '25006'; END$$")
	wantCode(t, err, "25006")
	eventually(t, "then the other server is written to", func() bool {
		_, err := clients[0].Exec(within(t), "CREATE TABLE IF NOT EXISTS numbers (n int)")
		return err == nil && port(t, clients[0]) == two.Port
	})
	eventually(t, "nobody is at the old one", func() bool { return one.Connections("usename = 'app'") == 0 })
	for _, c := range clients {
		if got := port(t, c); got != two.Port {
			t.Errorf("a client is at port %d", got)
		}
	}
}

func TestAMachineThatDoesNotAnswerLeavesTimeForTheOthers(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	dead := silent(t)
	cfg := config(db)
	cfg.Endpoints = append([]postgres.Endpoint{dead}, cfg.Endpoints...)
	cfg.Timeouts.Connect = 2 * time.Second
	f := serve(t, db, cfg)
	if got := port(t, f.connect()); got != db.Port {
		t.Errorf("the server has port %d", got)
	}
	if s := f.Stats(); s.DialsFailed != 0 {
		t.Errorf("%d dials failed", s.DialsFailed)
	}
}

func TestWhatTimeCanHealNeverReachesAClientThatWaits(t *testing.T) {
	db := startDB(t, pgtest.Options{Settings: map[string]string{"max_connections": "8", "superuser_reserved_connections": "3"}})
	cfg := config(db)
	cfg.Limits.AcquireTimeout = 30 * time.Second
	f := serve(t, db, cfg)
	var others []*pgx.Conn
	for range 5 { // all places of the server
		c := connect(t, fmt.Sprintf("postgres://app:app%%27s%%20secret@%s:%d/app", db.Host, db.Port))
		others = append(others, c)
	}
	in := make(chan error, 1)
	go func() {
		conn, err := pgx.Connect(t.Context(), f.url())
		if err == nil {
			err = conn.Close(t.Context())
		}
		in <- err
	}()
	eventually(t, "the client waits, and the server has refused", func() bool {
		s := f.Stats()
		return s.Waiting == 1 && s.DialsFailed > 0
	})
	for _, c := range others {
		c.Close(t.Context())
	}
	if err := <-in; err != nil {
		t.Errorf("the client gets %v", err)
	}
}

func TestClientsWaitForAServerThatIsStartingUp(t *testing.T) {
	for name, mode := range map[string]postgres.PoolMode{"session": postgres.Session, "transaction": postgres.Transaction} {
		t.Run(name, func(t *testing.T) {
			db := startDB(t, pgtest.Options{})
			cfg := config(db)
			cfg.PoolMode, cfg.Limits.AcquireTimeout = mode, 30*time.Second
			f := serve(t, db, cfg)
			served := make(chan error, 2)
			f.connect().Close(within(t)) // what a login is told is known from now on
			inside := f.connect()
			db.Recover()
			if _, err := tryConnect(fmt.Sprintf("postgres://app:app%%27s%%20secret@%s:%d/app", db.Host, db.Port)); err == nil || !strings.Contains(err.Error(), "57P03") {
				t.Fatalf("who comes to the server itself gets %v", err)
			}
			go func() {
				_, err := inside.Exec(t.Context(), "SELECT 1")
				served <- err
			}()
			go func() {
				conn, err := pgx.Connect(t.Context(), f.url())
				if err == nil {
					_, err = conn.Exec(t.Context(), "SELECT 1")
					conn.Close(t.Context())
				}
				served <- err
			}()
			eventually(t, "both wait, and the server has refused", func() bool {
				s := f.Stats()
				return s.Waiting == 2 && s.DialsFailed > 0 && s.Fault != nil && strings.Contains(s.Fault.Message, "not accepting connections")
			})
			db.Recovered()
			for range 2 {
				if err := <-served; err != nil {
					t.Errorf("a client that waited gets %v", err)
				}
			}
		})
	}
}

// silent is an endpoint whose connections are made and never answered.
func silent(t *testing.T) postgres.Endpoint {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(io.Discard, conn) // until the pooler gives up
			}()
		}
	}()
	return postgres.Endpoint{Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port}
}
