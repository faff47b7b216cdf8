package postgres_test

import (
	"bytes"
	"os"
	osexec "os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// inOwnNetwork runs the test in a network namespace of its own, and reports whether this is it: what is done to a network that
// others use would outlive a test that is killed.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	const there = "WEIR_TEST_OWN_NETWORK"
	if os.Getenv(there) != "" {
		up, err := unix.NewIfreq("lo")
		if err != nil {
			t.Fatal(err)
		}
		up.SetUint16(unix.IFF_UP)
		control, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(control)
		if err := unix.IoctlIfreq(control, unix.SIOCSIFFLAGS, up); err != nil {
			t.Fatal(err)
		}
		return true
	}
	again := osexec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), there+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := again.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in a network of its own: %v\n%s", err, out)
	}
	return false
}

// cutOff drops every packet from and to a server, as if its machine had lost its power, until the returned function is called.
func cutOff(t *testing.T, db *pgtest.Server) (mend func()) {
	t.Helper()
	change := func(how string) {
		for _, side := range []string{"--dport", "--sport"} {
			out, err := osexec.Command("iptables", how, "INPUT", "-p", "tcp", side, strconv.Itoa(db.Port), "-j", "DROP").CombinedOutput()
			if err != nil {
				t.Fatalf("iptables: %v: %s", err, out)
			}
		}
	}
	change("-I")
	return func() { change("-D") }
}

func TestAMachineThatVanishesBeforeItAcknowledgesAStatementIsNoticed(t *testing.T) {
	if _, err := osexec.LookPath("iptables"); err != nil || os.Getuid() != 0 {
		t.Skip("packets can be dropped by root with iptables only")
	}
	t.Parallel()
	if !inOwnNetwork(t) {
		return
	}
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
