package postgres_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

func refused(t testing.TB, url, code string) string {
	t.Helper()
	conn, err := pgx.Connect(within(t), url)
	if err == nil {
		conn.Close(context.Background())
		t.Fatalf("the client was let in, want SQLSTATE %s", code)
	}
	return wantCode(t, err, code).Message
}

func TestWhoMayComeIn(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))

	if got := one[string](t, f.connect(), "SELECT current_user::text"); got != "app" {
		t.Errorf("the server knows the client as %s", got)
	}
	wrong := refused(t, f.urlOf("app", "wrong", "app"), "28P01")
	unknown := refused(t, f.urlOf("nobody", "wrong", "app"), "28P01")
	if strings.ReplaceAll(unknown, "nobody", "app") != wrong {
		t.Errorf("an unknown user is told %q, one with a wrong password %q", unknown, wrong)
	}
	refused(t, f.urlOf("app", "app's secret", "nowhere"), "3D000")
	refused(t, f.url("no_such_setting", "1"), "42704")
	refused(t, f.url("datestyle", "nonsense"), "22023")
	refused(t, f.url("replication", "database"), "42501") // as the server says
	if s := f.Stats(); s.LoginsFailed != 6 || s.Reachability != postgres.Reachable {
		t.Errorf("%d failed logins, reachable %v; want 6 and True: %v", s.LoginsFailed, s.Reachability, s.Fault)
	}
}

// verifierOf is what the server stores for a role's password.
func verifierOf(db *pgtest.Server, role string) (verifier string) {
	admin := db.Admin()
	err := admin.QueryRow(context.Background(), "SELECT rolpassword FROM pg_authid WHERE rolname = $1", role).Scan(&verifier)
	if err != nil {
		panic(err)
	}
	return verifier
}

func TestAVerifierIsEnoughWithAServerUser(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Users = map[string]postgres.Passwords{"someone": {verifierOf(db, "app")}}
	cfg.ServerUser = &postgres.Login{User: "other", Passwords: postgres.Passwords{"other's secret"}}
	cfg.Databases = map[string]string{"shown": "app"}
	f := serve(t, db, cfg)
	conn := connect(t, f.urlOf("someone", "app's secret", "shown"))
	if got := one[string](t, conn, "SELECT current_user || ' ' || current_database()"); got != "other app" {
		t.Errorf("the server is used as %s, want other in app", got)
	}
	refused(t, f.urlOf("someone", "app's secret", "app"), "3D000")
}

func TestEveryWayOfTheServerToAskForThePassword(t *testing.T) {
	for _, method := range []string{"scram-sha-256", "md5", "trust", "password"} {
		t.Run(method, func(t *testing.T) {
			opts := pgtest.Options{Auth: method, TLS: method == "password"}
			db := startDB(t, opts)
			cfg := config(db)
			if opts.TLS {
				cfg.ServerTLS = postgres.ServerTLS{Mode: postgres.Require}
			}
			f := serve(t, db, cfg)
			if got := one[string](t, f.connect(), "SELECT current_user::text"); got != "app" {
				t.Errorf("the server knows the client as %s", got)
			}
		})
	}
}

func TestAFaultOfTheServerLoginIsNamed(t *testing.T) {
	db := startDB(t, pgtest.Options{TLS: true})
	for _, c := range []struct {
		name   string
		change func(*postgres.Config)
		reason string
		says   string
		code   string
	}{
		{"a wrong password", func(c *postgres.Config) { c.Users["app"] = postgres.Passwords{"old"} },
			podapi.ReasonAuthenticationFailed, `user "app"`, "08001"},
		{"a missing database", func(c *postgres.Config) { c.Databases = map[string]string{"app": "gone"} },
			podapi.ReasonDatabaseMissing, `database "gone"`, "3D000"},
		{"nobody listens", func(c *postgres.Config) { c.Endpoints[0].Port = 1 }, podapi.ReasonUnreachable, "refused", "08001"},
		{"a name that does not exist", func(c *postgres.Config) { c.Endpoints[0].Host = "nowhere.invalid" },
			podapi.ReasonUnreachable, "nowhere.invalid", "08001"},
		{"a certificate of somebody else", func(c *postgres.Config) {
			c.ServerTLS = postgres.ServerTLS{Mode: postgres.VerifyCA, Config: &tls.Config{RootCAs: pgtest.NewAuthority(t).Pool}}
		}, podapi.ReasonTLSFailed, "certificate", "08001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(db)
			delete(cfg.Users, "other")
			cfg.Limits.AcquireTimeout = 500 * time.Millisecond
			c.change(&cfg)
			f := serve(t, db, cfg)
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if f.Probe(ctx) == nil {
				t.Error("the probe succeeds")
			}
			s := f.Stats()
			if s.Fault == nil || s.Fault.Reason != c.reason || !strings.Contains(s.Fault.Message, c.says) {
				t.Fatalf("the fault is %+v, want %s with %q", s.Fault, c.reason, c.says)
			}
			password := cfg.Users["app"][0]
			got := refused(t, f.urlOf("app", password, "app"), c.code)
			t.Logf("the client is told: %s", got)
			if strings.Contains(s.Fault.Message+got, "secret") {
				t.Error("a secret is told")
			}
		})
	}
}

func TestALoginThatFailsOnAServerWithoutTLSIsNotBlamedOnTLS(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Users = map[string]postgres.Passwords{"app": {"md5" + strings.Repeat("0", 32)}} // the server asks for SCRAM
	cfg.ServerTLS = postgres.ServerTLS{Mode: postgres.Prefer}
	f := serve(t, db, cfg)
	err := f.Probe(within(t))
	if s := f.Stats(); err == nil || s.Fault == nil || s.Fault.Reason != podapi.ReasonAuthenticationFailed ||
		!strings.Contains(s.Fault.Message, "cannot be logged in to: the server asks for SCRAM") {
		t.Errorf("the probe says %v and the fault is %+v", err, s.Fault)
	}
}

func TestAProbeKnowsAMissingUndeclaredDatabaseForAnAnswer(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	db.ExecIn("template1", "DROP DATABASE postgres WITH (FORCE)")
	f := serve(t, db, config(db))
	if err := f.Probe(within(t)); err != nil {
		t.Errorf("the probe fails: %v", err)
	}
	if s := f.Stats(); s.Reachability != postgres.Reachable {
		t.Errorf("the server is reachable: %v (%v)", s.Reachability, s.Fault)
	}
}

func TestTLSTowardsTheServer(t *testing.T) {
	plain := startDB(t, pgtest.Options{})
	secure := startDB(t, pgtest.Options{TLS: true, Settings: map[string]string{"listen_addresses": "127.0.0.1, 127.0.0.2"}})
	roots := &tls.Config{RootCAs: secure.CA}
	for _, c := range []struct {
		mode      postgres.TLSMode
		cfg       *tls.Config
		db        *pgtest.Server
		host      string
		encrypted bool
		fails     bool
	}{
		{postgres.Disable, nil, secure, "127.0.0.1", false, false},
		{postgres.Prefer, nil, secure, "127.0.0.1", true, false},
		{postgres.Prefer, nil, plain, "127.0.0.1", false, false},
		{postgres.Require, nil, secure, "127.0.0.1", true, false},
		{postgres.Require, nil, plain, "127.0.0.1", false, true},
		{postgres.VerifyCA, roots, secure, "127.0.0.1", true, false},
		{postgres.VerifyCA, nil, secure, "127.0.0.1", false, true},
		{postgres.VerifyFull, roots, secure, "127.0.0.1", true, false},
		{postgres.VerifyFull, roots, secure, "127.0.0.2", false, true},
		{postgres.VerifyCA, roots, secure, "127.0.0.2", true, false},
	} {
		t.Run(fmt.Sprint(c.mode, c.host, c.encrypted, c.fails), func(t *testing.T) {
			cfg := config(c.db)
			cfg.Endpoints[0].Host = c.host
			cfg.ServerTLS = postgres.ServerTLS{Mode: c.mode, Config: c.cfg}
			f := serve(t, c.db, cfg)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			err := f.Probe(ctx)
			if c.fails {
				if s := f.Stats(); err == nil || s.Fault == nil || s.Fault.Reason != podapi.ReasonTLSFailed {
					t.Errorf("the probe says %v and the fault is %+v", err, s.Fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := one[bool](t, f.connect(), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"); got != c.encrypted {
				t.Errorf("the connection is encrypted: %v", got)
			}
		})
	}
}

func TestTLSTowardsClients(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	authority := pgtest.NewAuthority(t)
	server := authority.Issue("localhost")
	clientTLS := &tls.Config{RootCAs: authority.Pool, ServerName: "localhost"}
	withCertificate := clientTLS.Clone()
	withCertificate.Certificates = []tls.Certificate{authority.Issue("app")}
	withStrange := clientTLS.Clone()
	withStrange.Certificates = []tls.Certificate{pgtest.NewAuthority(t).Issue("app")}
	for _, c := range []struct {
		name   string
		policy postgres.ClientTLSPolicy
		client *tls.Config // nil: plain text
		direct bool
		in     bool
	}{
		{"disabled lets plain text in", postgres.TLSDisabled, nil, false, true},
		{"disabled has no TLS", postgres.TLSDisabled, clientTLS, false, false},
		{"optional lets plain text in", postgres.TLSOptional, nil, false, true},
		{"optional lets TLS in", postgres.TLSOptional, clientTLS, false, true},
		{"optional lets direct TLS in", postgres.TLSOptional, clientTLS, true, true},
		{"required refuses plain text", postgres.TLSRequired, nil, false, false},
		{"required lets TLS in", postgres.TLSRequired, clientTLS, false, true},
		{"mutual refuses a client without a certificate", postgres.TLSMutual, clientTLS, false, false},
		{"mutual refuses a stranger's certificate", postgres.TLSMutual, withStrange, false, false},
		{"mutual lets a client with a certificate in", postgres.TLSMutual, withCertificate, false, true},
		{"mutual lets it in with direct TLS", postgres.TLSMutual, withCertificate, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(db)
			cfg.ClientTLS = postgres.ClientTLS{Policy: c.policy}
			if c.policy != postgres.TLSDisabled {
				cfg.ClientTLS.Config = &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: authority.Pool}
			}
			f := serve(t, db, cfg)
			pc, err := pgx.ParseConfig(f.url())
			if err != nil {
				t.Fatal(err)
			}
			pc.TLSConfig = c.client
			if c.direct {
				pc.TLSConfig = nil
				pc.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
					direct := c.client.Clone()
					direct.NextProtos = []string{"postgresql"}
					return (&tls.Dialer{Config: direct}).DialContext(ctx, network, addr)
				}
			}
			conn, err := pgx.ConnectConfig(within(t), pc)
			if (err == nil) != c.in {
				t.Fatalf("the client is let in: %v (%v)", err == nil, err)
			}
			if err != nil {
				return
			}
			defer conn.Close(context.Background())
			text := strings.Repeat("x", 1<<20)
			if got := one[string](t, conn, "SELECT $1::text", text); got != text {
				t.Errorf("%d bytes come back as %d", len(text), len(got))
			}
		})
	}
}

func TestDirectTLSWithoutTheProtocolsNameIsClosed(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cert := pgtest.NewAuthority(t).Issue("localhost")
	cfg.ClientTLS = postgres.ClientTLS{Policy: postgres.TLSOptional, Config: &tls.Config{Certificates: []tls.Certificate{cert}}}
	f := serve(t, db, cfg)
	conn, err := tls.Dial("tcp", f.addr.String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return // refused in the handshake: as good
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(wire.AppendStartup(nil, wire.Version30, "app", "app", nil))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the client gets an answer")
	}
}

func TestBytesBehindSSLRequestAreRefused(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cert := pgtest.NewAuthority(t).Issue("localhost")
	cfg.ClientTLS = postgres.ClientTLS{Policy: postgres.TLSOptional, Config: &tls.Config{Certificates: []tls.Certificate{cert}}}
	f := serve(t, db, cfg)
	conn, err := net.Dial("tcp", f.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(wire.AppendStartup(wire.AppendSSLRequest(nil), wire.Version30, "app", "app", nil))
	answer := make([]byte, 1)
	if n, _ := conn.Read(answer); n == 1 && answer[0] == 'S' {
		t.Error("TLS is begun with bytes in plain text behind the request")
	}
}

func TestStartupParametersReachTheServerAndKeepClientsApart(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	plain := f.connect()
	named := f.connect("application_name", "named", "search_path", "elsewhere", "options", "-cwork_mem=5MB")
	for sql, want := range map[string]string{
		"SHOW application_name": "named", "SHOW search_path": "elsewhere", "SHOW work_mem": "5MB",
		"SHOW tcp_keepalives_idle": "10", "SHOW client_connection_check_interval": "5s", "SHOW tcp_user_timeout": "20000ms",
	} {
		if got := one[string](t, named, sql); got != want && got+"ms" != want && got != "20s" {
			t.Errorf("%s is %s, want %s", sql, got, want)
		}
	}
	if a, b := backend(t, plain), backend(t, named); a == b {
		t.Error("clients with different settings share a server connection")
	}
	if got := named.PgConn().ParameterStatus("application_name"); got != "named" {
		t.Errorf("the client is told application_name %q", got)
	}
	again := f.connect("search_path", "elsewhere", "options", "-cwork_mem=5MB", "application_name", "named")
	if a, b := backend(t, again), backend(t, named); a != b {
		t.Error("clients with the same settings do not share a server connection")
	}
	renamed := f.connect("search_path", "elsewhere", "options", "-cwork_mem=5MB", "application_name", "renamed", "datestyle", "german")
	if a, b := backend(t, renamed), backend(t, named); a != b {
		t.Error("clients with different settings that PostgreSQL reports do not share a server connection")
	}
	refused(t, f.url("tcp_keepalives_idle", "1000", "no_such_setting", "1"), "42704")
	mine := f.connect("tcp_keepalives_idle", "1000")
	if got := one[string](t, mine, "SHOW tcp_keepalives_idle"); got != "10" {
		t.Errorf("a client has set tcp_keepalives_idle to %s", got)
	}
}

func TestTooManyClientsAreToldSo(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxClients = 2
	f := serve(t, db, cfg)
	a, _ := f.connect(), f.connect()
	refused(t, f.url(), "53300")
	if s := f.Stats(); s.ClientsRefused != 1 {
		t.Errorf("%d clients were refused, want 1", s.ClientsRefused)
	}
	a.Close(context.Background())
	eventually(t, "one client has left", func() bool { return f.Stats().Clients == 1 })
	f.connect()
}

func TestNoiseBeforeTheLoginCostsNothing(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	f := serve(t, db, config(db))
	for _, noise := range [][]byte{nil, {0}, []byte("GET / HTTP/1.1\r\n\r\n"), {0, 0, 0, 7, 0, 0, 0, 0}, {0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0}} {
		conn, err := net.Dial("tcp", f.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(noise)
		conn.Close()
	}
	eventually(t, "they are forgotten", func() bool { return f.Stats().Clients == 0 })
	if s := f.Stats(); s.Dialed != 0 || s.LoginsFailed != 0 {
		t.Errorf("%d server connections were opened and %d failed logins counted", s.Dialed, s.LoginsFailed)
	}
}
