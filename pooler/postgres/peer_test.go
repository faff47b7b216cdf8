package postgres_test

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// pods runs engines at one port of several loopback addresses, as the pods of a pool have one port.
func pods(t *testing.T, db *pgtest.Server, cfg postgres.Config, n int) []*fixture {
	t.Helper()
	var all []*fixture
	port := 0
	for i := range n {
		host := "127.0.0." + strconv.Itoa(i+1)
		ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		port = ln.Addr().(*net.TCPAddr).Port
		e, err := postgres.New(postgres.Options{
			Pod: "pod-" + strconv.Itoa(i), Logger: slog.New(slog.NewTextHandler(logWriter{t}, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Peers = append(cfg.Peers, postgres.Peer{Pod: "pod-" + strconv.Itoa(i), At: postgres.Endpoint{Host: host, Port: port}})
		f := &fixture{Engine: e, t: t, db: db, addr: ln.Addr().(*net.TCPAddr)}
		all = append(all, f)
		go e.Serve(ln)
		t.Cleanup(func() {
			ln.Close()
			e.Close()
		})
	}
	for _, f := range all {
		f.apply(cfg)
	}
	return all
}

// cancelAt sends a cancel request to a pod, and returns when it is closed.
func cancelAt(t *testing.T, f *fixture, pid uint32, secret []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", f.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(wire.AppendCancelRequest(nil, pid, secret))
	if n, err := io.Copy(io.Discard, conn); n > 0 || err != nil {
		t.Errorf("the request is answered with %d bytes (%v)", n, err)
	}
}

func TestACancelThatReachesAnotherPodIsPassedOn(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cert := pgtest.NewAuthority(t).Issue("localhost")
	offered := postgres.ClientTLS{Policy: postgres.TLSOptional, Config: &tls.Config{Certificates: []tls.Certificate{cert}}}
	for name, clientTLS := range map[string]postgres.ClientTLS{"without TLS": {}, "with TLS": offered} {
		t.Run(name, func(t *testing.T) {
			cfg := config(db)
			cfg.ClientTLS = clientTLS
			all := pods(t, db, cfg, 3)
			a, other := all[0].connect(), all[2]
			failed := make(chan error, 1)
			go func() {
				_, err := a.Exec(within(t), "SELECT pg_sleep(60)")
				failed <- err
			}()
			eventually(t, "the statement runs", func() bool { return db.Connections("state = 'active'") == 1 })
			cancelAt(t, other, a.PgConn().PID(), a.PgConn().SecretKey())
			wantCode(t, <-failed, "57014")
			exec(t, a, "SELECT 1")
			if s := other.Stats(); s.CancelsForwarded != 1 || s.CancelsUnknown != 0 || s.CancelsFailed != 0 {
				t.Errorf("the pod that was asked counts %+v", s.Counters)
			}
			if s := all[0].Stats(); s.Cancels != 1 {
				t.Errorf("the pod of the session counts %d", s.Cancels)
			}
			if s := all[1].Stats(); s.Cancels+s.CancelsUnknown+s.CancelsForwarded != 0 {
				t.Errorf("the third pod counts %+v", s.Counters)
			}
		})
	}
}

func TestACancelIsPassedOnOnce(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	all := pods(t, db, config(db), 2)
	a := all[0].connect()
	cfg := config(db)
	wrong := []postgres.Peer{ // each takes the other for the pod of the session
		{Pod: "pod-0", At: postgres.Endpoint{Host: "127.0.0.2", Port: all[1].addr.Port}},
		{Pod: "pod-2", At: postgres.Endpoint{Host: "127.0.0.1", Port: all[1].addr.Port}},
	}
	cfg.Peers = wrong
	for _, f := range all {
		f.apply(cfg)
	}
	cancelAt(t, all[1], a.PgConn().PID(), []byte{1, 2, 3, 4})
	cancelAt(t, all[1], 1, a.PgConn().SecretKey()) // comes back to itself, marked
	if s := all[1].Stats(); s.CancelsForwarded != 1 || s.CancelsUnknown != 2 {
		t.Errorf("it counts %d passed on and %d unknown, want 1 and 2", s.CancelsForwarded, s.CancelsUnknown)
	}
}

func TestACancelForAPodThatDoesNotAnswerIsGivenUp(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	all := pods(t, db, config(db), 2)
	a := all[0].connect()
	cfg := config(db)
	cfg.Peers = []postgres.Peer{{Pod: "pod-0", At: postgres.Endpoint{Host: "127.0.0.1", Port: 1}}}
	all[1].apply(cfg)
	cancelAt(t, all[1], a.PgConn().PID(), a.PgConn().SecretKey())
	if s := all[1].Stats(); s.CancelsForwarded != 1 || s.CancelsFailed != 1 {
		t.Errorf("it counts %d passed on and %d failed, want 1 and 1", s.CancelsForwarded, s.CancelsFailed)
	}
}

func TestWhenACancelRequestIsClosedItHasBeenServed(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.PoolMode, cfg.Limits.MaxOpen = postgres.Session, 1
	f := serve(t, db, cfg)
	a := f.connect()
	for range 20 {
		failed := make(chan error, 1)
		go func() {
			_, err := a.Exec(within(t), "SELECT pg_sleep(60)")
			failed <- err
		}()
		eventually(t, "the statement runs", func() bool { return db.Connections("state = 'active'") == 1 })
		cancelAt(t, f, a.PgConn().PID(), a.PgConn().SecretKey())
		wantCode(t, <-failed, "57014")
		exec(t, a, "SELECT pg_sleep(0.01)") // which a late request would cancel
	}
}
