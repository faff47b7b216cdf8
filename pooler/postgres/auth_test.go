package postgres_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/pgtest"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

func TestAUserOfWhomOnlyTheServersVerifierIsKnownLogsInAsItself(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Users = map[string]postgres.Passwords{"app": {verifierOf(db, "app")}, "other": {verifierOf(db, "other")}}
	f := serve(t, db, cfg)

	if err := f.Probe(within(t)); err != nil {
		t.Errorf("before anybody has logged in, the probe fails: %v", err)
	}
	if s := f.Stats(); s.Reachability != postgres.Reachable {
		t.Errorf("reachable: %v, %+v", s.Reachability, s.Fault)
	}
	refused(t, f.urlOf("app", "wrong", "app"), "28P01")
	if got := one[string](t, f.connect(), "SELECT current_user::text"); got != "app" {
		t.Errorf("the server knows the client as %s", got)
	}
	other := connect(t, f.urlOf("other", "other's secret", "app"))
	if got := one[string](t, other, "SELECT current_user::text"); got != "other" {
		t.Errorf("the server knows the other client as %s", got)
	}

	// What was proved outlives the server connections, and changes that are not about this user.
	cfg.Users = map[string]postgres.Passwords{"app": cfg.Users["app"]}
	cfg.ServerTLS.Mode = postgres.Prefer // retires what is open
	f.apply(cfg)
	db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
	eventually(t, "the old connections are gone", func() bool { return f.Stats().Open == 0 })
	f.connect()

	// A password that is set anew on the server has another salt.
	db.Exec(`ALTER ROLE app PASSWORD 'app''s secret'`)
	cfg.ServerTLS.Mode = postgres.Disable
	f.apply(cfg)
	if got := refused(t, f.url(), "08001"); !strings.Contains(got, "pg_authid.rolpassword") {
		t.Errorf("a client with a stale verifier is told %q", got)
	}
	cfg.Users = map[string]postgres.Passwords{"app": {verifierOf(db, "app")}}
	f.apply(cfg)
	f.connect()
}

func TestWhatWasProvedIsForgottenWithTheVerifier(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Users = map[string]postgres.Passwords{"app": {verifierOf(db, "app")}}
	f := serve(t, db, cfg)
	f.connect().Close(context.Background())
	stale := cfg.Users["app"]
	db.Exec(`ALTER ROLE app PASSWORD 'another secret'`)
	cfg.Users = map[string]postgres.Passwords{"app": {verifierOf(db, "app")}}
	f.apply(cfg)
	cfg.Users = map[string]postgres.Passwords{"app": stale}
	f.apply(cfg)
	db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
	eventually(t, "the server connection is gone", func() bool { return f.Stats().Open == 0 })
	if err := f.Probe(within(t)); err != nil {
		t.Fatal(err)
	}
	if s := f.Stats(); s.Open != 0 {
		t.Error("the probe logs in with what was proved before")
	}
}

func TestSeveralPasswordsAreValidWhileOneIsRotated(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Users = map[string]postgres.Passwords{"app": {"new secret", "app's secret"}}
	f := serve(t, db, cfg)
	for _, when := range []string{"before the server knows the new one", "afterwards"} {
		for _, password := range []string{"new secret", "app's secret"} {
			conn := connect(t, f.urlOf("app", password, "app"))
			if got := one[string](t, conn, "SELECT current_user::text"); got != "app" {
				t.Errorf("%s, %q: the server knows the client as %s", when, password, got)
			}
			conn.Close(context.Background())
		}
		refused(t, f.urlOf("app", "third secret", "app"), "28P01")
		db.Exec(`ALTER ROLE app PASSWORD 'new secret'`, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
		eventually(t, "the server connection is gone", func() bool { return f.Stats().Open == 0 })
	}
	if s := f.Stats(); s.Fault != nil {
		t.Errorf("the fault is %+v", s.Fault)
	}
}

func TestTheServerUserMayHaveSeveralPasswords(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.ServerUser = &postgres.Login{User: "other", Passwords: postgres.Passwords{"new secret", "other's secret"}}
	f := serve(t, db, cfg)
	if got := one[string](t, f.connect(), "SELECT current_user::text"); got != "other" {
		t.Errorf("the server knows the client as %s", got)
	}
	cfg.ServerUser = &postgres.Login{User: "other", Passwords: postgres.Passwords{"no secret", "none either"}}
	cfg.Limits.AcquireTimeout = time.Second
	f.apply(cfg)
	db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'other'")
	eventually(t, "the server connection is gone", func() bool { return f.Stats().Open == 0 })
	if f.Probe(within(t)) == nil {
		t.Error("the probe succeeds without the right password")
	}
}

func TestMD5IsSpokenWithClientsOnlyWhereItIsAllowed(t *testing.T) {
	db := startDB(t, pgtest.Options{Auth: "md5"})
	cfg := config(db)
	hash := verifierOf(db, "app")
	if !strings.HasPrefix(hash, "md5") {
		t.Fatalf("the server stores %.14q...", hash)
	}
	cfg.Users = map[string]postgres.Passwords{"app": {hash}, "other": {"other's secret"}}
	f := serve(t, db, cfg)
	refused(t, f.url(), "28P01")

	cfg.Auth.Method = postgres.AuthMD5
	f.apply(cfg)
	if got := one[string](t, f.connect(), "SELECT current_user::text"); got != "app" {
		t.Errorf("the server knows the client as %s", got)
	}
	if got := strings.TrimSpace(f.run("psql", "-Atc", "SELECT current_user")); got != "app" {
		t.Errorf("psql is known as %s", got)
	}
	connect(t, f.urlOf("other", "other's secret", "app"))
	wrong := refused(t, f.urlOf("app", "wrong", "app"), "28P01")
	if unknown := refused(t, f.urlOf("nobody", "wrong", "app"), "28P01"); strings.ReplaceAll(unknown, "nobody", "app") != wrong {
		t.Errorf("an unknown user is told %q, one with a wrong password %q", unknown, wrong)
	}
}

func TestACertificateIsEnoughOnBothSides(t *testing.T) {
	authority := pgtest.NewAuthority(t)
	db := startDB(t, pgtest.Options{Auth: "cert", TLS: true, ClientCA: authority})
	cfg := config(db)
	cfg.Users, cfg.Auth.Method = nil, postgres.AuthCertificate
	server := authority.Issue("localhost")
	cfg.ClientTLS = postgres.ClientTLS{
		Policy: postgres.TLSMutual,
		Config: &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: authority.Pool},
	}
	cfg.ServerTLS = postgres.ServerTLS{
		Mode:   postgres.VerifyFull,
		Config: &tls.Config{RootCAs: db.CA, Certificates: []tls.Certificate{authority.Issue("app")}},
	}
	f := serve(t, db, cfg)
	with := func(commonName, user string) (*pgx.Conn, error) {
		pc, err := pgx.ParseConfig(f.urlOf(user, "", "app"))
		if err != nil {
			t.Fatal(err)
		}
		pc.TLSConfig = &tls.Config{
			RootCAs: authority.Pool, ServerName: "localhost", Certificates: []tls.Certificate{authority.Issue(commonName)},
		}
		conn, err := pgx.ConnectConfig(within(t), pc)
		if err == nil {
			t.Cleanup(func() { conn.Close(context.Background()) })
		}
		return conn, err
	}
	if err := f.Probe(within(t)); err != nil {
		t.Errorf("where nobody is known, it is enough that the server answers: %v", err)
	}
	conn, err := with("app", "app")
	if err != nil {
		t.Fatal(err)
	}
	if got := one[string](t, conn, "SELECT current_user::text"); got != "app" {
		t.Errorf("the server knows the client as %s", got)
	}
	_, err = with("app", "other")
	if got := wantCode(t, err, "28000").Message; got != `certificate authentication failed for user "other"` {
		t.Errorf("the holder of another's certificate is told %q", got)
	}

	cfg.Auth.CertificateUsers = []postgres.CertificateUser{{CommonName: "billing.shop", User: "app"}}
	f.apply(cfg)
	if _, err := with("billing.shop", "app"); err != nil {
		t.Errorf("the holder of a certificate that is listed: %v", err)
	}
	_, err = with("app", "app")
	wantCode(t, err, "28000")

	cfg.ClientTLS.Policy = postgres.TLSRequired
	if err := f.Apply(cfg); err == nil || !strings.HasPrefix(err.Error(), "auth.method: ") {
		t.Errorf("certificates that nobody has to show are accepted: %v", err)
	}
}

func TestAServerUserWithoutAPasswordShowsItsCertificate(t *testing.T) {
	authority := pgtest.NewAuthority(t)
	db := startDB(t, pgtest.Options{Auth: "cert", TLS: true, ClientCA: authority})
	cfg := config(db)
	cfg.ServerUser = &postgres.Login{User: "other"}
	cfg.ServerTLS = postgres.ServerTLS{Mode: postgres.Require, Config: &tls.Config{Certificates: []tls.Certificate{authority.Issue("other")}}}
	f := serve(t, db, cfg)
	if got := one[string](t, f.connect(), "SELECT current_user::text"); got != "other" {
		t.Errorf("the server knows the client as %s", got)
	}
	db.Auth("scram-sha-256")
	db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'other'")
	eventually(t, "the server connection is gone", func() bool { return f.Stats().Open == 0 })
	if err := f.Probe(within(t)); err == nil || !strings.Contains(err.Error(), `asks for a password of user "other" and none is known`) {
		t.Errorf("the probe says %v", err)
	}
}

func TestTrustLetsEverybodyInIfItIsAskedFor(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Auth.Method = postgres.AuthTrust
	cfg.Limits.MaxClients = 2
	f := serve(t, db, cfg)
	if got := one[string](t, connect(t, f.urlOf("app", "", "app")), "SELECT current_user::text"); got != "app" {
		t.Errorf("the server knows the client as %s", got)
	}
	if got := refused(t, f.urlOf("nobody", "", "app"), "28000"); !strings.Contains(got, "serverUserSecretRef") {
		t.Errorf("somebody without a password for the server is told %q", got)
	}
	eventually(t, "the refused one is gone", func() bool { return f.Stats().Clients == 1 })
	connect(t, f.urlOf("other", "", "app"))
	refused(t, f.urlOf("app", "", "app"), "53300")
}

// bound is how a client connects over TLS that insists on channel binding.
func (f *fixture) bound(t testing.TB, roots *tls.Config) *pgx.Conn {
	t.Helper()
	pc, err := pgx.ParseConfig(f.url("channel_binding", "require"))
	if err != nil {
		t.Fatal(err)
	}
	pc.TLSConfig, pc.Fallbacks = roots, nil
	conn, err := pgx.ConnectConfig(within(t), pc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestChannelBindingOnBothSides(t *testing.T) {
	db := startDB(t, pgtest.Options{TLS: true})
	cfg := config(db)
	authority := pgtest.NewAuthority(t)
	cert := authority.Issue("localhost")
	cfg.ServerTLS = postgres.ServerTLS{Mode: postgres.VerifyFull, Config: &tls.Config{RootCAs: db.CA}}
	cfg.ClientTLS = postgres.ClientTLS{Policy: postgres.TLSRequired, Config: &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil },
	}}
	f := serve(t, db, cfg)
	roots := &tls.Config{RootCAs: authority.Pool, ServerName: "localhost"}
	if got := one[string](t, f.bound(t, roots), "SELECT current_user::text"); got != "app" {
		t.Errorf("the server knows the client as %s", got)
	}

	root := filepath.Join(t.TempDir(), "root.crt")
	if err := os.WriteFile(root, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	psql := osexec.CommandContext(within(t), pgtest.Binary(t, "psql"), fmt.Sprintf(
		"host=localhost hostaddr=127.0.0.1 port=%d user=app dbname=app sslmode=verify-full sslrootcert=%s channel_binding=require", f.addr.Port, root),
		"-Atc", "SELECT current_user")
	psql.Env = []string{"PGPASSWORD=app's secret", "HOME=" + t.TempDir()}
	if out, err := psql.CombinedOutput(); err != nil || string(out) != "app\n" {
		t.Errorf("psql: %v, %q", err, out)
	}
}

func TestCertificatesAreRenewedWhileClientsStay(t *testing.T) {
	authority := pgtest.NewAuthority(t)
	db := startDB(t, pgtest.Options{Auth: "cert", TLS: true, ClientCA: authority})
	cfg := config(db)
	var server, client atomic.Pointer[tls.Certificate]
	issue := func(to *atomic.Pointer[tls.Certificate], name string) {
		cert := authority.Issue(name)
		to.Store(&cert)
	}
	issue(&server, "localhost")
	issue(&client, "nobody")
	cfg.ServerUser = &postgres.Login{User: "app"}
	cfg.ServerTLS = postgres.ServerTLS{Mode: postgres.VerifyFull, Config: &tls.Config{
		RootCAs:              db.CA,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return client.Load(), nil },
	}}
	cfg.ClientTLS = postgres.ClientTLS{Policy: postgres.TLSRequired, Config: &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return server.Load(), nil },
	}}
	cfg.Limits.AcquireTimeout = time.Second
	f := serve(t, db, cfg)
	if f.Probe(within(t)) == nil {
		t.Fatal("the server takes a certificate of somebody else")
	}
	issue(&client, "app")
	roots := &tls.Config{RootCAs: authority.Pool, ServerName: "localhost"}
	first := f.bound(t, roots)
	issue(&server, "localhost")
	second := f.bound(t, roots) // bound to the new certificate
	for _, conn := range []*pgx.Conn{first, second} {
		if got := one[string](t, conn, "SELECT current_user::text"); got != "app" {
			t.Errorf("the server knows the client as %s", got)
		}
	}
}

// challenge is the salt and iteration count that a name is shown.
func (f *fixture) challenge(user string) string {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.addr.String())
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(wire.AppendSASLInitialResponse(wire.AppendStartup(nil, wire.Version30, user, "app", nil), "SCRAM-SHA-256", "n,,n=,r=abc"))
	r := raw{t: f.t, conn: conn, in: wire.Scanner{Rules: wire.ServerLoginRules()}}
	for {
		m, ok := r.receive()
		if !ok {
			f.t.Fatalf("%s is shown nothing", user)
		}
		if m.typ == wire.TypeAuthentication && bytes.HasPrefix(m.body[4:], []byte("r=abc")) {
			_, shown, _ := strings.Cut(string(m.body), ",s=")
			return shown
		}
	}
}

func TestAllPodsShowTheSameSalt(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	verifier := strings.Replace(verifierOf(db, "other"), "SCRAM-SHA-256$4096:", "SCRAM-SHA-256$5000:", 1)
	cfg.Users["other"], cfg.Salt = postgres.Passwords{verifier}, []byte("the pool")
	one, two := serve(t, db, cfg), serve(t, db, cfg)
	cfg.Salt = []byte("another pool")
	three := serve(t, db, cfg)
	for _, user := range []string{"app", "other", "nobody"} {
		shown := one.challenge(user)
		if again, other := one.challenge(user), two.challenge(user); again != shown || other != shown {
			t.Errorf("%s is shown %s, then %s, and by another pod %s", user, shown, again, other)
		}
		if !strings.HasSuffix(shown, ",i=5000") {
			t.Errorf("%s is shown %s: its iteration count stands out", user, shown)
		}
		if other := three.challenge(user); (other == shown) != (user == "other") {
			t.Errorf("%s is shown %s by another pool, and %s", user, shown, other)
		}
	}
}
