package postgres_test

import (
	"bytes"
	"fmt"
	"os"
	osexec "os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// cutOff drops every packet from and to a server, as if its machine had lost its power, until the returned function is called.
func cutOff(t *testing.T, db *pgtest.Server) (mend func()) {
	t.Helper()
	rules := []string{"--dport", "--sport"}
	change := func(how, side string) error {
		out, err := osexec.Command("iptables", how, "INPUT", "-i", "lo", "-p", "tcp", side, fmt.Sprint(db.Port), "-j", "DROP").CombinedOutput()
		if err != nil {
			return fmt.Errorf("iptables: %w: %s", err, out)
		}
		return nil
	}
	mended := false
	mend = func() {
		if mended {
			return
		}
		mended = true
		for _, side := range rules {
			_ = change("-D", side) // the first may be all there is
		}
	}
	t.Cleanup(mend)
	for _, side := range rules {
		if err := change("-I", side); err != nil {
			t.Fatal(err)
		}
	}
	return mend
}

func TestAMachineThatVanishesBeforeItAcknowledgesAStatementIsNoticed(t *testing.T) {
	if _, err := osexec.LookPath("iptables"); err != nil || os.Getuid() != 0 {
		t.Skip("packets can be dropped by root with iptables only")
	}
	t.Parallel()
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen = 1
	f := serve(t, db, cfg)
	r := f.raw()
	r.send(query("BEGIN"))
	r.until(1)
	mend := cutOff(t, db)
	began := time.Now()
	r.send(query("SELECT 1"))
	r.conn.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 1024)
	n, err := r.conn.Read(buf)
	if err != nil || !bytes.Contains(buf[:n], []byte("C08006")) {
		t.Fatalf("after %v the client gets %q (%v)", time.Since(began), buf[:n], err)
	}
	t.Logf("after %v the client is told", time.Since(began))
	if s := f.Stats(); s.ServersVanished != 1 || s.Open != 1 || s.Closing != 1 {
		t.Errorf("%d have vanished, %d are open and %d closing: the server may not have noticed", s.ServersVanished, s.Open, s.Closing)
	}
	mend()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for f.Stats().Open > 0 {
		select {
		case <-late.C:
			t.Fatal("the place is not free")
		case <-time.After(grace):
		}
	}
}

func TestAServerThatDoesNotReadForAWhileHasNotVanished(t *testing.T) {
	t.Parallel()
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	r := f.raw()
	much := query("SELECT length('" + strings.Repeat("x", 32<<20) + "')") // more than sockets hold
	go r.conn.Write(append(query("SELECT pg_sleep(40)"), much...))
	r.conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	if n, err := r.conn.Read(make([]byte, 1)); n != 1 {
		t.Fatalf("the client gets no answer: %v", err)
	}
	if n := f.Stats().ServersVanished; n != 0 {
		t.Errorf("%d are taken for gone", n)
	}
}
