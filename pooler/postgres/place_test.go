package postgres_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// grace is given to what must not happen.
const grace = 100 * time.Millisecond

func TestAFailedLoginKeepsItsPlaceUntilTheServerHasEndedIt(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	heard := make(chan error, 1)
	known, early := make(chan struct{}), make(chan bool, 1)
	go func() { // a server that refuses and takes its time to go
		conn, err := ln.Accept()
		if err != nil {
			heard <- err
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1024))
		conn.Write(wire.AppendErrorResponse(nil, wire.Fatal(wire.CodeUndefinedDatabase, "it is gone")))
		if err == nil {
			_, err = io.Copy(io.Discard, conn) // until the pooler gives up
		}
		heard <- err
		select {
		case <-known:
			early <- true
		case <-time.After(grace):
			early <- false
		}
	}()
	e, err := postgres.New(postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	cfg := config(&pgtest.Server{Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port})
	cfg.Databases = map[string]string{"app": "app"}
	if err := e.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	probed := make(chan error, 1)
	go func() {
		err := e.Probe(within(t))
		close(known)
		probed <- err
	}()
	if err := <-heard; err != nil {
		t.Fatalf("the server: %v", err)
	}
	if <-early {
		t.Error("the place is free while the server still counts the login")
	}
	if err := <-probed; err == nil {
		t.Error("the refused login is no error")
	}
}

func TestAConnectionThatIsWrittenToKeepsItsPlaceUntilTheServerHasEndedIt(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	r := f.raw()
	const sleep = "SELECT pg_sleep(4)"
	much := query("SELECT " + string(bytes.Repeat([]byte(" "), 32<<20)) + strconv.Itoa(1))
	go r.conn.Write(bytes.Join([][]byte{query(sleep), query(sleep), much}, nil)) // more than sockets hold
	eventually(t, "the statement runs", func() bool { return db.Connections("state = 'active'") == 1 })
	eventually(t, "the pooler cannot write more", func() bool { return stuck(f) })
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Drain(over); err == nil {
		t.Fatal("nobody was under way")
	}
	admin := db.Admin()
	eventually(t, "the place is free", func() bool { return f.Stats().Open == 0 })
	if n, err := pgtest.Count(admin, "usename = 'app'"); n != 0 || err != nil {
		t.Errorf("the server still has %d connections (%v)", n, err)
	}
}

// stuck says that the engine passes nothing on any more.
func stuck(f *fixture) bool {
	before := f.Stats().BytesReceived
	time.Sleep(grace)
	return before > 1<<20 && f.Stats().BytesReceived == before
}

func TestALoginThatIsCalledOffSaysNothingAboutTheServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	asked, ended := make(chan struct{}), make(chan struct{})
	go func() { // a server that does not answer
		defer close(ended)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Read(make([]byte, 1024))
		close(asked)
		io.Copy(io.Discard, conn) // until the pooler gives up
	}()
	e, err := postgres.New(postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	cfg := config(&pgtest.Server{Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port})
	cfg.Limits.MaxOpen = 1
	if err := e.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	probed := make(chan error, 1)
	ctx, cancel := context.WithCancel(within(t))
	go func() { probed <- e.Probe(ctx) }()
	<-asked
	cfg.Limits.MaxOpen = 0
	if err := e.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	<-ended
	eventually(t, "the login is over", func() bool { return e.Stats().Open == 0 })
	if s := e.Stats(); s.Reachability != postgres.Unknown {
		t.Errorf("reachable is %v (%+v), want Unknown", s.Reachability, s.Fault)
	}
	cancel()
	<-probed
}
