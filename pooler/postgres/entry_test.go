package postgres_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// newcomer is a client in the middle of its login.
type newcomer struct {
	*raw
	machine *login.Server
	unsaid  []byte // what it says next
	ready   bool
}

// newcomer connects and has not said anything yet.
func (f *fixture) newcomer(user, password string) *newcomer {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.addr.String())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	n := &newcomer{
		raw:     &raw{t: f.t, conn: conn, in: wire.Scanner{Rules: rawRules}},
		machine: login.NewServer(login.ServerConfig{User: user, Database: "app", Password: login.NewPassword(password)}),
	}
	n.unsaid, _ = n.machine.Start(nil)
	return n
}

// hear reads until the client has something to say, or is in.
func (n *newcomer) hear() {
	n.t.Helper()
	n.unsaid = nil
	for len(n.unsaid) == 0 && !n.ready {
		n.conn.SetReadDeadline(time.Now().Add(patience))
		chunk := make([]byte, 64<<10)
		count, err := n.conn.Read(chunk)
		if err != nil {
			n.t.Fatalf("receive: %v", err)
		}
		n.buf = append(n.buf, chunk[:count]...)
		used, out, action := n.machine.Receive(n.buf, nil)
		n.buf, n.unsaid, n.ready = n.buf[used:], out, action == login.Ready
		if action != login.Read && !n.ready {
			n.t.Fatalf("the login ends with %v: %v", action, n.machine.Err())
		}
	}
}

// reach goes on until so many messages of the login have been answered.
func (n *newcomer) reach(messages int) {
	n.t.Helper()
	for range messages {
		n.send(n.unsaid)
		n.hear()
	}
}

// ended waits until the pooler has closed the connection, and returns what it has said before.
func (n *newcomer) ended() []byte {
	n.t.Helper()
	n.conn.SetReadDeadline(time.Now().Add(patience))
	said, err := io.ReadAll(n.conn)
	if late, ok := err.(net.Error); ok && late.Timeout() {
		n.t.Fatal("the connection is not closed")
	}
	return said
}

// The messages of a login: startup, SASL choice, proof.
const loginMessages = 3

func TestALoginIsWorthItsBytesWhereverTheyAreSplit(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	f.connect() // so that nothing is left to find out
	for message := range loginMessages {
		for at, more := 1, true; more; at++ {
			n := f.newcomer("app", "app's secret")
			n.reach(message)
			more = at+1 < len(n.unsaid)
			n.send(n.unsaid[:at])
			eventually(t, "the login is on its lane", func() bool { return f.Entries() == 1 })
			n.send(n.unsaid[at:])
			n.hear()
			n.reach(loginMessages - message - 1)
			if !n.ready {
				t.Fatalf("message %d, %d bytes: the client is not in", message, at)
			}
			n.conn.Close()
		}
	}
	if s := f.Stats(); s.LoginsFailed > 0 {
		t.Errorf("%d logins have failed", s.LoginsFailed)
	}
}

func TestWhatIsSentBehindTheLastMessageOfALoginIsServed(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	for _, where := range []string{"in a goroutine, as the server must be asked", "on the lane"} {
		n := f.newcomer("app", "app's secret")
		n.reach(loginMessages - 1)
		n.send(n.unsaid, query("SELECT 1"), query("SELECT 2"))
		n.hear()
		if got := n.until(2); got != "T D C Z:I T D C Z:I" {
			t.Errorf("%s: the answer is %s", where, got)
		}
	}
}

func TestALoginLeavesItsLaneForWhatTakesLong(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Users["fresh"] = postgres.Passwords{"never used"}
	cert := pgtest.NewAuthority(t).Issue("localhost")
	cfg.ClientTLS = postgres.ClientTLS{Policy: postgres.TLSOptional, Config: &tls.Config{Certificates: []tls.Certificate{cert}}}
	cfg.Auth.Lookup = &postgres.Lookup{
		Login: postgres.Login{User: "app", Passwords: postgres.Passwords{"app's secret"}}, Database: "app",
		Query: "SELECT 'any password'", Age: time.Minute,
	}
	f := serve(t, db, cfg)
	f.connect()
	startup := func(user, database string) []byte {
		return wire.AppendStartup(nil, wire.Version30, user, database, nil)
	}
	for name, c := range map[string]struct {
		says   []byte
		hears  int // bytes, at least
		onLane int
	}{
		"a user whose keys have been derived":     {startup("app", "app"), 1, 1},
		"half a message":                          {startup("app", "app")[:5], 0, 1},
		"a refusal of encryption by GSSAPI":       {wire.AppendGSSENCRequest(nil), 1, 1},
		"a user whose keys have not been derived": {startup("fresh", "app"), 1, 0},
		"a user to be looked up":                  {startup("stranger", "app"), 1, 0},
		"TLS":                                     {wire.AppendSSLRequest(nil), 1, 0},
		"TLS without asking":                      {[]byte{0x16, 3, 1}, 0, 0},
	} {
		n := f.newcomer("app", "app's secret")
		n.send(c.says)
		if _, err := io.ReadFull(n.conn, make([]byte, c.hears)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		eventually(t, name+": where the login is", func() bool { return f.Stats().Clients == 2 && f.Entries() == c.onLane })
		n.conn.Close()
		eventually(t, name+": it is forgotten", func() bool { return f.Stats().Clients == 1 })
	}
}

func TestALoginThatStopsHalfWayIsClosedInSilence(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	f := serve(t, db, cfg)
	f.connect().Close(context.Background())
	cfg.Timeouts.Login = short
	f.apply(cfg)
	for messages := range loginMessages {
		n := f.newcomer("app", "app's secret")
		n.reach(messages)
		n.send(n.unsaid[:len(n.unsaid)/2])
		if said := n.ended(); len(said) > 0 {
			t.Errorf("after %d messages the client is told %q", messages, said)
		}
	}
	eventually(t, "they are counted", func() bool { return f.Stats().Timeouts[postgres.LoginTimeout] == loginMessages })
}

func TestAClientThatLeavesInTheMiddleOfItsLoginIsForgotten(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	f.connect().Close(context.Background())
	for messages := range loginMessages {
		n := f.newcomer("app", "app's secret")
		n.reach(messages)
		n.conn.Close()
	}
	eventually(t, "they are forgotten", func() bool { return f.Stats().Clients == 0 && f.Entries() == 0 })
}

func TestLoginsThatAreUnderWayEndWhenTheTimeForADrainIsOver(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	f.connect().Close(context.Background())
	eventually(t, "nobody is there", func() bool { return f.Stats().Clients == 0 })
	var all []*newcomer
	for messages := range loginMessages {
		n := f.newcomer("app", "app's secret")
		n.reach(messages)
		n.send(n.unsaid[:1])
		all = append(all, n)
	}
	eventually(t, "the logins are under way", func() bool { return f.Entries() == loginMessages })
	over, end := context.WithCancel(context.Background())
	end()
	if err := f.Drain(over); err == nil {
		t.Error("the drain is said to be done")
	}
	if s := f.Stats(); s.Clients > 0 {
		t.Errorf("%d clients are left", s.Clients)
	}
	for _, n := range all {
		n.ended()
	}
}

func TestARefusedLoginCanReadWhyWhateverItHasSentBehind(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	f.connect()
	n := f.newcomer("app", "wrong")
	n.reach(loginMessages - 1)
	n.send(n.unsaid, bytes.Repeat(query("SELECT 1"), 5000))
	n.conn.(*net.TCPConn).CloseWrite()
	if said := n.ended(); !bytes.Contains(said, []byte("28P01")) {
		t.Errorf("it is told %q", said)
	}
}

func TestAConnectionThatSaysNothingIsLetInAndForgotten(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	silent := f.newcomer("app", "app's secret")
	eventually(t, "it counts as a client", func() bool { return f.Stats().Clients == 1 })
	silent.conn.Close()
	eventually(t, "it is forgotten", func() bool { return f.Stats().Clients == 0 })
}
