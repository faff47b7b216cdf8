package pgtest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Superuser is the administrator's name, with this password over TCP; on the Unix socket it is trusted.
const (
	Superuser = "postgres"
	Password  = "administrator's secret"
)

const patience = 30 * time.Second // with a PostgreSQL that starts or stops

// Options of a Server; the zero value will do.
type Options struct {
	Auth     string            // of clients over TCP, a method of pg_hba.conf; default scram-sha-256
	TLS      bool              // offer TLS with a certificate for 127.0.0.1 and localhost
	ClientCA *Authority        // who signs the certificates of clients, for Auth cert; with TLS
	Settings map[string]string // of postgresql.conf
}

// Server is a PostgreSQL.
type Server struct {
	Host string
	Port int
	CA   *x509.CertPool // that signed its certificate, with Options.TLS

	t    testing.TB
	bin  string
	dir  string
	opts Options
	cred *syscall.Credential // to run as; nil: as the test
	life io.Closer           // closed to stop it; nil: it does not run
	done chan struct{}       // closed when it has stopped
	logs *bytes.Buffer
}

// Start starts a PostgreSQL that runs until the test ends.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	s := &Server{Host: "127.0.0.1", Port: freePort(t), t: t, bin: cmp.Or(os.Getenv("WEIR_POSTGRES"), binaries(t)), opts: opts}
	if s.opts.Auth == "" {
		s.opts.Auth = "scram-sha-256"
	}
	s.makeDir()
	s.initialize()
	t.Cleanup(s.Stop)
	s.Run()
	return s
}

// binaries finds the newest PostgreSQL that Debian has packaged. Servers are of another if WEIR_POSTGRES is the folder with
// its programs.
func binaries(t testing.TB) string {
	t.Helper()
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(dirs) == 0 {
		t.Fatal("PostgreSQL is not installed: apt-get install postgresql")
	}
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		return n
	}
	return slices.MaxFunc(dirs, func(a, b string) int { return version(a) - version(b) })
}

// Version is PostgreSQL's major version.
func (s *Server) Version() int {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.data(), "PG_VERSION"))
	if err != nil {
		s.t.Fatal(err)
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		s.t.Fatal(err)
	}
	return version
}

// Binary is the path of one of PostgreSQL's programs, psql for example.
func Binary(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(binaries(t), name)
}

// Tool is the path of one of the programs that come with this PostgreSQL. The test is skipped if it came without.
func (s *Server) Tool(name string) string {
	s.t.Helper()
	path := filepath.Join(s.bin, name)
	if _, err := os.Stat(path); err != nil {
		s.t.Skipf("%v: this PostgreSQL came without", err)
	}
	return path
}

func freePort(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

func (s *Server) makeDir() {
	dir, cred, err := makeDir()
	if err != nil {
		s.t.Fatal(err)
	}
	s.dir, s.cred = dir, cred
	s.t.Cleanup(func() { os.RemoveAll(dir) })
}

// own gives a file to who PostgreSQL runs as.
func (s *Server) own(path string) {
	if s.cred == nil {
		return
	}
	if err := os.Chown(path, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
		s.t.Fatalf("give %s away: %v", path, err)
	}
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) write(name, text string) {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatalf("write %s: %v", name, err)
	}
	s.own(path)
}

// initialize makes the data directory, a copy of one that is made once in a process.
func (s *Server) initialize() {
	s.t.Helper()
	template, err := makeTemplate(s.bin)
	if err != nil {
		s.t.Fatal(err)
	}
	s.command("cp", "-r", template, s.data())
	s.configure()
	s.writeAuth(s.opts.Auth)
}

// command runs a program as who PostgreSQL runs as.
func (s *Server) command(name string, args ...string) {
	s.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// configure writes the settings, in front of those that a copy of another server brings.
func (s *Server) configure(more ...string) {
	s.t.Helper()
	settings := map[string]string{
		"listen_addresses": s.Host, "port": strconv.Itoa(s.Port), "unix_socket_directories": s.dir,
		"fsync": "off", "max_connections": "100", "shared_buffers": "16MB", "log_min_messages": "warning",
	}
	if s.opts.TLS {
		s.CA = s.certify()
		settings["ssl"] = "on"
		if s.opts.ClientCA != nil {
			s.write("data/clients.crt", string(s.opts.ClientCA.PEM()))
			settings["ssl_ca_file"] = "clients.crt"
		}
	}
	if s.opts.Auth == "md5" {
		settings["password_encryption"] = "md5"
	}
	for name, value := range s.opts.Settings {
		settings[name] = value
	}
	var conf strings.Builder
	for name, value := range settings {
		fmt.Fprintf(&conf, "%s = '%s'\n", name, value)
	}
	for _, line := range more {
		conf.WriteString(line + "\n")
	}
	s.write("data/postgresql.auto.conf", conf.String())
}

func (s *Server) writeAuth(method string) {
	kind := "host"
	if strings.HasPrefix(method, "cert") { // which exists over TLS only
		kind = "hostssl"
	}
	s.write("data/pg_hba.conf", "local all,replication all trust\n"+kind+" all,replication all 127.0.0.0/8 "+method+"\n")
}

// Auth changes the method that clients over TCP are authenticated with.
func (s *Server) Auth(method string) {
	s.t.Helper()
	s.writeAuth(method)
	s.Exec("SELECT pg_reload_conf()")
}

// keeper runs PostgreSQL until its own input ends, as it does when the test's process dies.
const keeper = `"$@" & pid=$!; cat >/dev/null; kill -INT $pid 2>/dev/null; wait $pid`

// Run starts the server after Stop or Kill, and waits until it takes connections.
func (s *Server) Run() {
	s.t.Helper()
	s.start()
	s.awaitReady()
}

func (s *Server) start() {
	s.t.Helper()
	cmd := exec.Command("/bin/sh", "-c", keeper, "keeper", filepath.Join(s.bin, "postgres"), "-D", s.data())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setpgid: true}
	cmd.Dir = s.dir
	s.logs = &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = s.logs, s.logs
	life, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatalf("start PostgreSQL: %v", err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start PostgreSQL: %v", err)
	}
	s.life, s.done = life, make(chan struct{})
	go func() {
		defer close(s.done)
		_ = cmd.Wait() // a server that is stopped or killed says so
	}()
}

func (s *Server) awaitReady() {
	s.t.Helper()
	err := eventually(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		conn, err := pgx.Connect(ctx, s.admin("postgres"))
		if err == nil {
			conn.Close(context.Background())
		}
		return err
	})
	if err != nil {
		s.Stop()
		s.t.Fatalf("PostgreSQL does not start: %v\n%s", err, s.logs)
	}
}

// eventually tries again and again, as there is nothing to wait on, and returns the last error when patience has ended.
func eventually(try func() error) (err error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err = try(); err == nil {
			return nil
		}
	}
	return err
}

// Stop stops the server as a fast shutdown does: its clients are told.
func (s *Server) Stop() {
	if s.life == nil {
		return
	}
	s.life.Close()
	s.life = nil
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Error("PostgreSQL does not stop")
	}
}

// Kill kills the server: its clients are not told.
func (s *Server) Kill() {
	s.t.Helper()
	s.freeze() // else it starts another backend meanwhile, which outlives it and keeps the next server from starting
	for _, pid := range append(s.children(), s.pid()) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	}
	s.Stop()
	os.Remove(filepath.Join(s.data(), "postmaster.pid"))
}

// freeze stops the server's own process, and returns when it stands.
func (s *Server) freeze() {
	s.t.Helper()
	pid := s.pid()
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	err := eventually(func() error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, state, _ := strings.Cut(string(text), ") "); err == nil && !strings.HasPrefix(state, "T") {
			return fmt.Errorf("its state is %.1s", state)
		}
		return nil
	})
	if err != nil {
		s.t.Fatalf("PostgreSQL does not stand still: %v", err)
	}
}

// Restart is Stop and Run.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.Run()
}

func (s *Server) pid() int {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		s.t.Fatalf("find PostgreSQL's process: %v", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil || pid < 2 {
		s.t.Fatalf("find PostgreSQL's process: %q", line)
	}
	return pid
}

// children are the processes of the server's own, backends included.
func (s *Server) children() []int {
	parent := s.pid()
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			pids = append(pids, pid)
		}
	}
	return pids
}
