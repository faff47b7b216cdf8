package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/secrets"
)

// write makes a Secret in a directory.
func write(t *testing.T, directory, name string, keys map[string]string) {
	t.Helper()
	for key, value := range keys {
		if err := os.MkdirAll(filepath.Join(directory, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, name, key), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func keyPair(t *testing.T) map[string]string {
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
	return map[string]string{
		"tls.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"tls.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}

func authority(t *testing.T) map[string]string {
	return map[string]string{"ca.crt": keyPair(t)["tls.crt"]}
}

var share = podapi.Share{MaxOpen: 10, MaxOpenPerUser: 4, MinIdle: 1, MaxIdle: 5, MaxWaiting: podapi.Unlimited}

func TestADestinationIsRenderedWhole(t *testing.T) {
	directory := t.TempDir()
	write(t, directory, "orders-users", map[string]string{"app": "one"})
	write(t, directory, "server-user", map[string]string{"username": "weir", "password": "two"})
	c := valid()
	c.UID = "uid-of-the-pool"
	d := &c.Destinations[0]
	d.Limits = podapi.Limits{IdleTimeoutSeconds: 60, MaxLifetimeSeconds: 3600, AcquireTimeoutMilliseconds: 1500, MaxClients: 7,
		ConnectTimeoutSeconds: 1, LoginTimeoutSeconds: 2, ClientIdleTimeoutSeconds: 3,
		IdleInTransactionTimeoutSeconds: 4, QueryTimeoutSeconds: 5, TransactionTimeoutSeconds: 6}
	c.Peers = []podapi.Peer{{UID: "other", Address: "10.0.0.2"}}
	d.PostgreSQL.PoolMode, d.PostgreSQL.TargetSession = podapi.PoolModeSession, podapi.TargetSessionReadOnly
	d.PostgreSQL.MaxPreparedStatements = new(int32(50))
	d.PostgreSQL.Databases = []podapi.Database{{Name: "orders", Target: "orders_v2"}, {Name: "plain"}}
	d.PostgreSQL.Auth.ServerUserSecret = "server-user"
	d.PostgreSQL.Console = podapi.Console{AdminUsers: []string{"dba"}, StatsUsers: []string{"exporter"}}

	got, complete, problems := NewRenderer(secrets.NewStore(directory)).Render(c, *d, share)
	want := Destination{Name: "main", Protocol: "PostgreSQL", ListenPort: 5432, PostgreSQL: &postgres.Config{
		Name:      "main",
		Endpoints: []postgres.Endpoint{{Host: "db.shop.svc", Port: 5432}},
		PoolMode:  postgres.Session,

		MaxPreparedStatements: 50,

		TargetSession: postgres.ReadOnly,

		Databases:  map[string]string{"orders": "orders_v2", "plain": "plain"},
		Users:      map[string]postgres.Passwords{"app": {"one"}},
		ServerUser: &postgres.Login{User: "weir", Passwords: postgres.Passwords{"two"}},
		Salt:       []byte("uid-of-the-pool"),
		Console:    postgres.Console{Admins: []string{"dba"}, Stats: []string{"exporter"}},
		Limits: postgres.Limits{
			MaxOpen: 10, MaxOpenPerUser: 4, MinIdle: 1, MaxIdle: 5, MaxWaiting: -1, MaxClients: 7,
			IdleTimeout: time.Minute, MaxLifetime: time.Hour, AcquireTimeout: 1500 * time.Millisecond,
		},
		Timeouts: postgres.Timeouts{
			Connect: 1 * time.Second, Login: 2 * time.Second, ClientIdle: 3 * time.Second,
			IdleInTransaction: 4 * time.Second, Query: 5 * time.Second, Transaction: 6 * time.Second,
		},
		Peers: []postgres.Peer{{Pod: "other", At: postgres.Endpoint{Host: "10.0.0.2", Port: 5432}}},
	}}
	if !complete || len(problems) > 0 || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v\n%+v\nproblems %v", got, got.PostgreSQL, problems)
	}
}

func TestWithoutASecretNothingIsRenderedAndAllThatIsMissingIsTold(t *testing.T) {
	c := valid()
	c.Listener.TLS = podapi.ListenerTLS{Mode: podapi.ListenerTLSMutual, Secret: "listener-tls", ClientCASecret: "client-ca"}
	d := &c.Destinations[0]
	d.TLS = podapi.ServerTLS{Mode: podapi.ServerTLSVerifyFull, CASecret: "server-ca", CertificateSecret: "server-cert"}
	d.PostgreSQL.Auth.ServerUserSecret = "server-user"
	_, complete, problems := NewRenderer(secrets.NewStore(t.TempDir())).Render(c, *d, share)
	var got []string
	for _, p := range problems {
		got = append(got, p.Destination+" "+p.Reason+" "+p.Message)
	}
	want := []string{
		` SecretMissing Secret "listener-tls" is missing or empty: create it with the keys tls.crt and tls.key`,
		` SecretMissing Secret "client-ca" is missing or empty: create it with the key ca.crt`,
		`main SecretMissing Secret "server-ca" is missing or empty: create it with the key ca.crt`,
		`main SecretMissing Secret "server-cert" is missing or empty: create it with the keys tls.crt and tls.key`,
		`main SecretMissing Secret "orders-users" is missing or empty: create it with a key per user (value: a password or SCRAM verifier per line)`,
		`main SecretMissing Secret "server-user" is missing or empty: create it with the keys username and password`,
	}
	if complete || !slices.Equal(got, want) {
		t.Fatalf("complete %v, got %q", complete, got)
	}
}

func TestTLSIsMadeFromSecrets(t *testing.T) {
	directory := t.TempDir()
	write(t, directory, "orders-users", map[string]string{"app": "one"})
	write(t, directory, "pair", keyPair(t))
	write(t, directory, "ca", authority(t))
	r := NewRenderer(secrets.NewStore(directory))
	render := func(listener podapi.ListenerTLS, server podapi.ServerTLS) *postgres.Config {
		t.Helper()
		c := valid()
		c.Listener.TLS, c.Destinations[0].TLS = listener, server
		r.Begin()
		got, complete, problems := r.Render(c, c.Destinations[0], share)
		if !complete || len(problems) > 0 {
			t.Fatal(problems)
		}
		return got.PostgreSQL
	}
	mutual := podapi.ListenerTLS{Mode: podapi.ListenerTLSMutual, Secret: "pair", ClientCASecret: "ca"}
	required := podapi.ListenerTLS{Mode: podapi.ListenerTLSRequired, Secret: "pair"}
	full := podapi.ServerTLS{Mode: podapi.ServerTLSVerifyFull, CASecret: "ca", CertificateSecret: "pair"}

	plain := render(podapi.ListenerTLS{}, podapi.ServerTLS{Mode: podapi.ServerTLSDisable, CASecret: "ca"})
	if plain.ClientTLS != (postgres.ClientTLS{}) || plain.ServerTLS != (postgres.ServerTLS{}) {
		t.Error("without TLS there is nothing to configure")
	}
	both := render(mutual, full)
	client, server := both.ClientTLS, both.ServerTLS
	if client.Policy != postgres.TLSMutual || client.Config.ClientAuth != tls.RequireAndVerifyClientCert ||
		client.Config.ClientCAs == nil || client.Config.MinVersion != tls.VersionTLS12 {
		t.Errorf("towards clients: %+v", client)
	}
	if server.Mode != postgres.VerifyFull || server.Config.RootCAs == nil || server.Config.MinVersion != tls.VersionTLS12 {
		t.Errorf("towards the server: %+v", server)
	}
	if shown, err := server.Config.GetClientCertificate(nil); err != nil || shown == nil {
		t.Errorf("no certificate for the server: %v", err)
	}
	if shown, err := client.Config.GetCertificate(nil); err != nil || shown == nil {
		t.Errorf("no certificate for clients: %v", err)
	}
	again := render(mutual, full)
	if again.ClientTLS.Config != client.Config || again.ServerTLS.Config != server.Config {
		t.Error("the same Secrets must give the same *tls.Config, or every push would look like a change of TLS")
	}
	if other := render(required, full); other.ClientTLS.Config == client.Config || other.ClientTLS.Config.ClientAuth != tls.NoClientCert {
		t.Error("another mode must give another *tls.Config")
	}
	write(t, directory, "ca", authority(t))
	if other := render(mutual, full); other.ServerTLS.Config == server.Config {
		t.Error("another CA must give another *tls.Config")
	}
	renewed := keyPair(t)
	before, _ := client.Config.GetCertificate(nil)
	write(t, directory, "pair", renewed)
	render(required, full)
	if after, _ := client.Config.GetCertificate(nil); slices.Equal(before.Certificate[0], after.Certificate[0]) {
		t.Error("a renewed certificate must be presented by the *tls.Config that is in use")
	}
}

func TestLimitsCanBeReplacedAlone(t *testing.T) {
	before := Destination{Name: "main", PostgreSQL: &postgres.Config{Name: "main", Limits: postgres.Limits{MaxOpen: 10}}}
	after := before.WithLimits(podapi.Destination{Limits: podapi.Limits{MaxClients: 3}, StopPolicy: podapi.StopPolicyHold}, podapi.Share{MaxOpen: 2})
	if after.PostgreSQL.Limits.MaxOpen != 2 || after.PostgreSQL.Limits.MaxClients != 3 || after.PostgreSQL.Name != "main" {
		t.Errorf("after: %+v", after.PostgreSQL)
	}
	if after.PostgreSQL.StopPolicy != postgres.StopHold {
		t.Error("a hold is obeyed whatever else of the Config cannot be")
	}
	if before.PostgreSQL.Limits.MaxOpen != 10 {
		t.Error("the destination before must stay as it was")
	}
}

func TestSecretNamesAreEachNamedOnce(t *testing.T) {
	c := valid()
	c.Listener.TLS = podapi.ListenerTLS{Mode: podapi.ListenerTLSMutual, Secret: "b", ClientCASecret: "a"}
	c.Destinations = many(c.Destinations[0], 2)
	c.Destinations[1].TLS = podapi.ServerTLS{CASecret: "a", CertificateSecret: "z"}
	c.Destinations[1].PostgreSQL = &podapi.PostgreSQL{Auth: podapi.Auth{Lookup: &podapi.Lookup{UserSecret: "finder"}, ServerUserSecret: "b"}}
	if got := SecretNames(c); !slices.Equal(got, []string{"a", "b", "finder", "orders-users", "z"}) {
		t.Fatalf("%v", got)
	}
}
