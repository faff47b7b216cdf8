package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/podapi"
)

// patience is how long a test waits for what must happen. It is long because machines are slow, not because pods are.
const patience = 30 * time.Second

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "pooler")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "pooler")
		if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the pooler: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// pod is a pooler process with its directories, and the operator's way to it.
type pod struct {
	t        *testing.T
	dir      string
	operator *http.Client
	config   podapi.Config

	command *exec.Cmd
	exited  chan struct{}
	control string
	health  string
	mu      sync.Mutex
	logs    bytes.Buffer
}

// newPod makes the directories of a pod for one destination, with the mounted Config, and a CA with the operator's certificate.
func newPod(t *testing.T, endpoint podapi.Endpoint) *pod {
	t.Helper()
	p := &pod{t: t, dir: t.TempDir()}
	authority, operator := certificates(t)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{operator}}}
	t.Cleanup(transport.CloseIdleConnections)
	p.operator = &http.Client{Transport: transport, Timeout: patience}
	p.config = podapi.Config{
		Version: podapi.Version, Pool: "shop/orders", Generation: 1, Ledger: 1, ClientCA: authority, DrainSeconds: 20,
		Destinations: []podapi.Destination{{
			Name: "main", Protocol: podapi.ProtocolPostgreSQL, Endpoints: []podapi.Endpoint{endpoint}, ListenPort: freePort(t),
			Limits:     podapi.Limits{AcquireTimeoutMilliseconds: 30_000, MaxClients: 100},
			PostgreSQL: &podapi.PostgreSQL{PoolMode: podapi.PoolModeTransaction, Auth: podapi.Auth{UsersSecret: "users"}},
		}},
	}
	for _, dir := range []string{"secrets/users", "state"} {
		if err := os.MkdirAll(filepath.Join(p.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.writeConfig("config.json")
	p.write("secrets/users/app", "one")
	return p
}

func (p *pod) write(name, content string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pod) writeConfig(name string) {
	p.t.Helper()
	document, err := json.Marshal(p.config)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(name, string(document))
}

// start runs the process and learns its ports from its first log line.
func (p *pod) start() {
	p.t.Helper()
	p.command = exec.Command(binary, "--pod-uid=uid", "--listen-host=127.0.0.1", "--drain-lag=1s",
		"--control-addr=127.0.0.1:0", "--health-addr=127.0.0.1:0",
		"--config="+filepath.Join(p.dir, "config.json"), "--secrets-dir="+filepath.Join(p.dir, "secrets"), "--state-dir="+filepath.Join(p.dir, "state"))
	stderr, err := p.command.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.exited = make(chan struct{})
	runs := make(chan [2]string, 1)
	go func(command *exec.Cmd, exited chan struct{}) {
		defer close(exited)
		p.read(stderr, runs)
		_ = command.Wait() // the exit code is looked at where it matters
	}(p.command, p.exited)
	p.t.Cleanup(p.kill)
	select {
	case at := <-runs:
		p.control, p.health = "https://"+at[0], "http://"+at[1]
	case <-p.exited:
		p.t.Fatalf("the pooler ended at once:\n%s", p.said())
	}
}

// read keeps the logs and reports the line that says that the pooler runs.
func (p *pod) read(stderr io.Reader, runs chan<- [2]string) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		p.mu.Lock()
		p.logs.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
		var line struct{ Msg, Control, Health string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "pooler runs" {
			runs <- [2]string{line.Control, line.Health}
		}
	}
}

func (p *pod) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs.String()
}

func (p *pod) kill() {
	_ = p.command.Process.Kill() // it may have ended already
	<-p.exited
	p.operator.CloseIdleConnections()
	if p.t.Failed() {
		p.t.Logf("the pooler said:\n%s", p.said())
	}
}

func (p *pod) signal() {
	p.t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

// leave waits until the process has ended, with exit code 0.
func (p *pod) leave() {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatal("the pooler does not leave")
	}
	if code := p.command.ProcessState.ExitCode(); code != 0 {
		p.t.Fatalf("exit code %d", code)
	}
}

// get asks the health port.
func (p *pod) get(path string) (int, string) {
	p.t.Helper()
	response, err := http.Get(p.health + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// push grants the pod a limit with the next ledger and returns the status of the answer.
func (p *pod) push(ledger int64, maxOpen int32) int {
	p.t.Helper()
	p.config.Ledger = ledger
	p.config.Shares = map[string]map[string]podapi.Share{"uid": {"main": {MaxOpen: maxOpen, MaxIdle: maxOpen, MaxWaiting: podapi.Unlimited}}}
	document, err := json.Marshal(p.config)
	if err != nil {
		p.t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPut, p.control+podapi.PathConfig, bytes.NewReader(document))
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := p.operator.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode
}

// state polls the pod as the operator does.
func (p *pod) state() (s podapi.State, err error) {
	response, err := p.operator.Get(p.control + podapi.PathState)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	return s, json.NewDecoder(response.Body).Decode(&s)
}

// connect is a client of the pool.
func (p *pod) connect(password string) (*pgx.Conn, error) { return p.connectOver("disable", password) }

func (p *pod) connectOver(sslmode, password string) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=app password=%s dbname=shop sslmode=%s",
		p.config.Destinations[0].ListenPort, password, sslmode))
	if err != nil {
		return nil, err
	}
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return pgx.ConnectConfig(ctx, c)
}

func (p *pod) mustConnect() *pgx.Conn {
	p.t.Helper()
	conn, err := p.connect("one")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.NewTimer(patience), time.NewTicker(20*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func freePort(t *testing.T) int32 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return int32(l.Addr().(*net.TCPAddr).Port)
}

// certificates makes a CA and a certificate of it for the operator.
func certificates(t *testing.T) (authority string, operator tls.Certificate) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if by == nil {
			by = key
		}
		template.SerialNumber, template.NotAfter = big.NewInt(1), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
		if err != nil {
			t.Fatal(err)
		}
		return der, key
	}
	root := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, rootKey := sign(root, root, nil)
	root, err := x509.ParseCertificate(rootDER)
	if err != nil {
		t.Fatal(err)
	}
	der, key := sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, root, rootKey)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})),
		tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// pair is a self-made certificate with its key, as a TLS Secret holds them.
type pair struct {
	der              []byte
	certificate, key string
}

func keyPair(t *testing.T) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		der:         der,
		certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}

// writePair makes a TLS Secret, or replaces it.
func (p *pod) writePair(name string, pair pair) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Join(p.dir, "secrets", name), 0o755); err != nil {
		p.t.Fatal(err)
	}
	p.write("secrets/"+name+"/tls.crt", pair.certificate)
	p.write("secrets/"+name+"/tls.key", pair.key)
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}
