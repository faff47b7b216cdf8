package postgres_test

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	gosync "sync"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// detour is a way to a server on which cancel requests are held up.
type detour struct {
	t      *testing.T
	server string
	ln     net.Listener
	held   chan heldCancel
	open   gosync.WaitGroup
}

type heldCancel struct {
	conn    *net.TCPConn
	request []byte
}

func newDetour(t *testing.T, db *pgtest.Server) *detour {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &detour{t: t, server: net.JoinHostPort(db.Host, strconv.Itoa(db.Port)), ln: ln, held: make(chan heldCancel, 1)}
	d.open.Go(d.accept)
	t.Cleanup(func() {
		ln.Close()
		d.open.Wait()
	})
	return d
}

func (d *detour) endpoints() []postgres.Endpoint {
	return []postgres.Endpoint{{Host: "127.0.0.1", Port: d.ln.Addr().(*net.TCPAddr).Port}}
}

func (d *detour) accept() {
	for {
		conn, err := d.ln.Accept()
		if err != nil {
			return
		}
		d.open.Go(func() { d.pass(conn.(*net.TCPConn)) })
	}
}

func (d *detour) pass(conn *net.TCPConn) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(conn, head); err != nil {
		conn.Close()
		return
	}
	if wire.StartupVersion(head) == wire.CancelRequest {
		rest := make([]byte, binary.BigEndian.Uint32(head)-8)
		if _, err := io.ReadFull(conn, rest); err == nil {
			d.held <- heldCancel{conn, append(head, rest...)}
		}
		return
	}
	defer conn.Close()
	server, err := net.Dial("tcp", d.server)
	if err != nil {
		return
	}
	defer server.Close()
	server.Write(head)
	d.open.Go(func() {
		io.Copy(server, conn)
		server.(*net.TCPConn).CloseWrite()
	})
	io.Copy(conn, server)
}

// deliver brings a request to the server at last, and returns when it was served.
func (d *detour) deliver(c heldCancel) {
	d.t.Helper()
	server, err := net.Dial("tcp", d.server)
	if err != nil {
		d.t.Fatal(err)
	}
	defer server.Close()
	server.Write(c.request)
	io.Copy(io.Discard, server)
}

func TestACancelThatIsLostOnItsWayReachesNobodyElseWhenItTurnsUp(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	d := newDetour(t, db)
	cfg := config(db)
	cfg.Endpoints, cfg.Limits.MaxOpen = d.endpoints(), 1
	f := serve(t, db, cfg)
	a, b := f.connect(), f.connect()
	ended := make(chan error, 1)
	go func() {
		_, err := a.Exec(within(t), "SELECT pg_sleep(0.5)")
		ended <- err
	}()
	eventually(t, "the statement runs", func() bool { return db.Connections("state = 'active'") == 1 })
	if err := a.PgConn().CancelRequest(within(t)); err != nil {
		t.Fatal(err)
	}
	lost := <-d.held
	lost.conn.SetLinger(0)
	lost.conn.Close() // reset
	if err := <-ended; err != nil {
		t.Fatalf("the statement whose cancel was lost: %v", err)
	}
	go func() {
		_, err := b.Exec(within(t), "SELECT pg_sleep(0.5)")
		ended <- err
	}()
	eventually(t, "another client's statement runs", func() bool { return db.Connections("state = 'active'") == 1 })
	d.deliver(lost)
	if err := <-ended; err != nil {
		t.Errorf("another client's statement fails: %v", err)
	}
	if n := f.Stats().CancelsFailed; n != 1 {
		t.Errorf("%d cancels are counted as failed, want 1", n)
	}
}

func TestAConnectionThatDiesWhileACancelIsOnItsWayFreesItsPlace(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	d := newDetour(t, db)
	cfg := config(db)
	cfg.Endpoints, cfg.Limits.MaxOpen = d.endpoints(), 1
	f := serve(t, db, cfg)
	a := f.connect()
	ended := make(chan error, 1)
	go func() {
		_, err := a.Exec(within(t), "SELECT pg_sleep(0.5)")
		ended <- err
	}()
	eventually(t, "the statement runs", func() bool { return db.Connections("state = 'active'") == 1 })
	if err := a.PgConn().CancelRequest(within(t)); err != nil {
		t.Fatal(err)
	}
	held := <-d.held
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
	eventually(t, "the connection is dead", func() bool { return db.Connections("usename = 'app'") == 0 })
	held.conn.Close()
	eventually(t, "its place is free", func() bool { return f.Stats().Open == 0 })
}
