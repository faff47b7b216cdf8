package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// startShop starts a PostgreSQL with a user and a database, and makes a pod for it.
func startShop(t *testing.T) (*pgtest.Server, *pod) {
	t.Helper()
	server := pgtest.Start(t, pgtest.Options{})
	server.Exec("CREATE ROLE app LOGIN PASSWORD 'one'", "CREATE DATABASE shop OWNER app")
	return server, newPod(t, podapi.Endpoint{Host: server.Host, Port: int32(server.Port)})
}

func query(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	var n int
	if err := conn.QueryRow(context.Background(), "SELECT 40 + $1::int", 2).Scan(&n); err != nil || n != 42 {
		t.Fatalf("%d, %v", n, err)
	}
}

// letGo tells whether a client was told to go as PostgreSQL tells it when it is shut down.
func letGo(conn *pgx.Conn) bool {
	_, err := conn.Exec(context.Background(), "SELECT 1")
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "57P01"
	}
	return err != nil && conn.IsClosed()
}

func TestAPodServesWhatTheOperatorGrants(t *testing.T) {
	server, p := startShop(t)
	p.start()

	status, why := p.get("/readyz")
	if status != http.StatusServiceUnavailable {
		t.Fatalf("ready without a limit: %s", why)
	}
	contains(t, why, `destination "main" has no limit yet`)
	if status, _ := p.get("/healthz"); status != http.StatusOK {
		t.Fatal("not healthy")
	}
	if status := p.push(2, 3); status != http.StatusOK {
		t.Fatalf("the push is answered with %d", status)
	}
	if status, why := p.get("/readyz"); status != http.StatusOK {
		t.Fatalf("not ready with a limit: %s", why)
	}
	for range 5 {
		query(t, p.mustConnect())
	}
	if n := server.Connections("usename = 'app'"); n < 1 || n > 3 {
		t.Fatalf("the database sees %d connections, allowed are 3", n)
	}
	eventually(t, "the server is known to be reachable", func() bool {
		s, err := p.state()
		return err == nil && s.Ready && s.Clients == 5 && s.Destinations[0].Limit == 3 && s.Destinations[0].Reachable == "True"
	})
	_, metrics := p.get("/metrics")
	contains(t, metrics, `weir_pool_limit{destination="main"} 3`, `weir_pool_clients{destination="main"} 5`, "weir_pool_config_ledger 2",
		`weir_pool_logins_total{destination="main"} 5`, `weir_pool_acquire_wait_seconds_count{destination="main"}`)

	p.push(3, 1)
	eventually(t, "connections fall to a lower limit", func() bool { return server.Connections("usename = 'app'") <= 1 })
	query(t, p.mustConnect())
}

func TestAWrongPasswordOfTheServerIsKnownBeforeAClientComes(t *testing.T) {
	server, p := startShop(t)
	server.Exec("ALTER ROLE app PASSWORD 'another'")
	p.start()
	p.push(2, 3)
	eventually(t, "the fault is in the state", func() bool {
		s, err := p.state()
		return err == nil && s.Ready && s.Destinations[0].Reachable == "False" &&
			s.Destinations[0].Fault.Reason == podapi.ReasonAuthenticationFailed
	})
	if strings.Contains(p.said(), `"one"`) {
		t.Fatal("a password is in the logs")
	}
}

func TestAContainerThatWasKilledGoesOnWithWhatItAccepted(t *testing.T) {
	_, p := startShop(t)
	p.start()
	p.push(7, 3)
	p.kill()
	p.start()
	if status, why := p.get("/readyz"); status != http.StatusOK {
		t.Fatalf("not ready: %s", why)
	}
	query(t, p.mustConnect())
	if status := p.push(6, 50); status != http.StatusConflict {
		t.Fatalf("an older push is answered with %d", status)
	}
	if status := p.push(8, 2); status != http.StatusOK {
		t.Fatalf("a newer push is answered with %d", status)
	}
}

func TestAContainerThatWasKilledWaitsForTheDatabaseToNotice(t *testing.T) {
	server, p := startShop(t)
	p.start()
	p.push(7, 3)
	sleep := func() {
		if conn, err := p.connect("one"); err == nil {
			_, _ = conn.Exec(context.Background(), "SELECT pg_sleep(60)") // until its process is killed
		}
	}
	for range 3 {
		go sleep()
	}
	admin := server.Admin()
	running := func() int {
		n, err := pgtest.Count(admin, "usename = 'app'")
		if err != nil {
			t.Fatal(err)
		}
		if n > 3 {
			t.Fatalf("the database sees %d connections, allowed are 3", n)
		}
		return n
	}
	eventually(t, "all connections are in use", func() bool { return running() == 3 })
	p.kill()
	p.start()
	served := make(chan struct{})
	go func() {
		defer close(served)
		query(t, p.mustConnect())
	}()
	eventually(t, "a client is served again", func() bool {
		running()
		select {
		case <-served:
			return true
		default:
			return false
		}
	})
	for range 3 {
		go sleep()
	}
	eventually(t, "all connections are in use again", func() bool { return running() == 3 })
}

func TestAChangedSecretIsUsedWithoutARestart(t *testing.T) {
	server, p := startShop(t)
	p.start()
	p.push(2, 3)
	query(t, p.mustConnect())
	server.Exec("ALTER ROLE app PASSWORD 'two'")
	p.write("secrets/users/app", "two\n")
	eventually(t, "the new password is taken", func() bool {
		conn, err := p.connect("two")
		if err != nil {
			return false
		}
		defer conn.Close(context.Background())
		return conn.Ping(context.Background()) == nil
	})
	if _, err := p.connect("one"); err == nil {
		t.Fatal("the old password is still taken")
	}
}

func TestARenewedCertificateIsShownWithoutARestart(t *testing.T) {
	_, p := startShop(t)
	p.config.Listener.TLS = podapi.ListenerTLS{Mode: podapi.ListenerTLSRequired, Secret: "tls"}
	p.writeConfig("config.json")
	p.start()
	p.push(2, 3)
	if status, why := p.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(why, `Secret "tls" is missing`) {
		t.Fatalf("ready without a certificate: %s", why)
	}
	shown := func() string {
		conn, err := p.connectOver("require", "one")
		if err != nil {
			return err.Error()
		}
		defer conn.Close(context.Background())
		query(t, conn)
		return string(conn.PgConn().Conn().(*tls.Conn).ConnectionState().PeerCertificates[0].Raw)
	}
	first, second := keyPair(t), keyPair(t)
	for _, pair := range []pair{first, second} {
		p.writePair("tls", pair)
		eventually(t, "the certificate is shown", func() bool { return shown() == string(pair.der) })
	}
	p.writePair("tls", pair{certificate: first.certificate, key: second.key})
	eventually(t, "the problem is told", func() bool {
		s, err := p.state()
		return err == nil && s.Ready && len(s.Problems) == 1 && s.Problems[0].Reason == podapi.ReasonSecretInvalid
	})
	if shown() != string(second.der) {
		t.Fatal("a bad certificate must keep the one before in use")
	}
	if _, err := p.connect("one"); err == nil {
		t.Fatal("a client without TLS is let in")
	}
}

func TestAPodLeavesBetweenTransactions(t *testing.T) {
	server, p := startShop(t)
	p.start()
	p.push(2, 5)
	ctx := context.Background()
	busy, idle := p.mustConnect(), p.mustConnect()
	query(t, idle)
	tx, err := busy.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "SELECT 1"); err != nil {
		t.Fatal(err)
	}

	p.signal()
	eventually(t, "the pod is not ready", func() bool {
		status, why := p.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(why, "the pod leaves")
	})
	query(t, p.mustConnect()) // proxies lag behind: clients still come in
	eventually(t, "new clients do not come in any more", func() bool {
		conn, err := p.connect("one")
		if err == nil {
			conn.Close(ctx)
		}
		return err != nil
	})
	eventually(t, "the idle client is let go", func() bool { return letGo(idle) })
	if _, err := tx.Exec(ctx, "SELECT 2"); err != nil {
		t.Fatalf("a transaction under way must end as it would: %v", err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the busy client is let go after its transaction", func() bool { return letGo(busy) })

	var last podapi.State
	eventually(t, "the operator is told that nothing is open", func() bool {
		s, err := p.state()
		if err == nil {
			last = s
		}
		return err == nil && s.Draining && s.Destinations[0].Bound() == 0
	})
	p.leave()
	if last.Ledger != 2 || last.Ready {
		t.Fatalf("the last state: %+v", last)
	}
	if n := server.Connections("usename = 'app'"); n != 0 {
		t.Fatalf("%d connections are left in the database", n)
	}
}

func TestASecondSignalHastens(t *testing.T) {
	_, p := startShop(t)
	p.config.DrainSeconds = 3600
	p.start()
	p.push(2, 5)
	if _, err := p.mustConnect().Begin(context.Background()); err != nil {
		t.Fatal(err)
	}
	p.signal()
	eventually(t, "the pod waits for its client", func() bool { return strings.Contains(p.said(), `"step":"stop accepting"`) })
	p.signal()
	p.leave()
}
