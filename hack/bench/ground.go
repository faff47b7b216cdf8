package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// What everybody logs in with.
const (
	userName = "postgres"
	database = "postgres"
	password = "bench"
)

const serverConnections = 20

// ground is what all loads share: a PostgreSQL with pgbench's tables, files, and the account that runs what must not be root.
type ground struct {
	dir      string
	bin      string // of PostgreSQL
	cred     *syscall.Credential
	port     int    // of PostgreSQL
	verifier string // the user's, as the server keeps it
	server   *exec.Cmd
}

func newGround() (g *ground, err error) {
	g = &ground{port: freePort()}
	if g.bin, err = newestPostgreSQL(); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		if g.cred, err = account("postgres"); err != nil {
			return nil, err
		}
	}
	if g.dir, err = os.MkdirTemp("/tmp", "bench"); err != nil { // short: PostgreSQL's socket is in it
		return nil, err
	}
	if err := g.prepare(); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func newestPostgreSQL() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL is not installed: apt-get install postgresql")
	}
	return found[len(found)-1], nil
}

func account(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (g *ground) prepare() error {
	if g.cred != nil {
		if err := os.Chown(g.dir, int(g.cred.Uid), int(g.cred.Gid)); err != nil {
			return err
		}
	}
	if err := g.writeCertificate(); err != nil {
		return err
	}
	if err := g.startPostgreSQL(); err != nil {
		return err
	}
	verifier, err := g.output("psql", "-XAtc", "SELECT rolpassword FROM pg_authid WHERE rolname = '"+userName+"'")
	if err != nil {
		return err
	}
	g.verifier = string(bytes.TrimSpace(verifier))
	_, err = g.output("pgbench", "-i", "-q", "-s", "10")
	return err
}

func (g *ground) startPostgreSQL() error {
	if err := g.write("password", password); err != nil {
		return err
	}
	data := filepath.Join(g.dir, "data")
	initdb := g.command(filepath.Join(g.bin, "initdb"), "-D", data, "-U", userName, "-A", "scram-sha-256",
		"--pwfile", filepath.Join(g.dir, "password"), "--no-sync")
	if said, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, said)
	}
	g.server = g.command(filepath.Join(g.bin, "postgres"), "-D", data, "-p", strconv.Itoa(g.port), "-k", g.dir, "-h", "127.0.0.1",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=320",
		"-c", "autovacuum=off", "-c", "jit=off", "-c", "shared_buffers=256MB", "-c", "log_min_messages=fatal")
	if err := g.server.Start(); err != nil {
		return err
	}
	return eventually("PostgreSQL answers", func() bool {
		_, err := g.output("psql", "-XAtc", "SELECT 1")
		return err == nil
	})
}

// output runs one of PostgreSQL's programs against the server and returns what it prints.
func (g *ground) output(program string, args ...string) ([]byte, error) {
	cmd := exec.Command(filepath.Join(g.bin, program), args...)
	cmd.Env = g.environment(g.port, "disable")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", program, err, complaint.Bytes())
	}
	return out, nil
}

func (g *ground) environment(port int, sslmode string) []string {
	return []string{"PGHOST=127.0.0.1", "PGPORT=" + strconv.Itoa(port), "PGUSER=" + userName, "PGPASSWORD=" + password,
		"PGDATABASE=" + database, "PGSSLMODE=" + sslmode, "PGGSSENCMODE=disable", "LC_ALL=C"}
}

// command runs a program as an account that is not root.
func (g *ground) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = g.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: g.cred, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// write makes a file that the programs can read.
func (g *ground) write(name, content string) error {
	path := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}

// writeCertificate makes the one that clients are shown: an ECDSA key, for both poolers the same.
func (g *ground) writeCertificate() error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"localhost"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	if err := g.write("secrets/tls/tls.crt", encode("CERTIFICATE", certificate)); err != nil {
		return err
	}
	return g.write("secrets/tls/tls.key", encode("PRIVATE KEY", key))
}

func (g *ground) close() {
	if g.server != nil && g.server.Process != nil {
		_ = g.server.Process.Signal(syscall.SIGINT)
		_ = g.server.Wait()
	}
	_ = os.RemoveAll(g.dir)
}

func freePort() int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// eventually waits half a minute at most for what should come true soon.
func eventually(what string, ok func() bool) error {
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("in vain it was waited for this: %s", what)
		}
	}
	return nil
}
