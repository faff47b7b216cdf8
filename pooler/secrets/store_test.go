package secrets

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

const verifier = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0$" +
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// mounted is a directory of Secrets as the kubelet lays it out.
type mounted struct {
	t         *testing.T
	directory string
	version   int
}

func mount(t *testing.T) *mounted { return &mounted{t: t, directory: t.TempDir()} }

// write makes a new version of a Secret and swaps the ..data link to it.
func (m *mounted) write(name string, keys map[string]string) {
	m.t.Helper()
	m.version++
	secret := filepath.Join(m.directory, name)
	version := "..version_" + string(rune('a'+m.version))
	must(m.t, os.MkdirAll(filepath.Join(secret, version), 0o755))
	for key, value := range keys {
		must(m.t, os.WriteFile(filepath.Join(secret, version, key), []byte(value), 0o600))
		if _, err := os.Lstat(filepath.Join(secret, key)); err != nil {
			must(m.t, os.Symlink(filepath.Join("..data", key), filepath.Join(secret, key)))
		}
	}
	before, _ := os.Readlink(filepath.Join(secret, "..data"))
	must(m.t, os.Symlink(version, filepath.Join(secret, "..data_tmp")))
	must(m.t, os.Rename(filepath.Join(secret, "..data_tmp"), filepath.Join(secret, "..data")))
	if before != "" {
		must(m.t, os.RemoveAll(filepath.Join(secret, before)))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUsersAreReadFromAKeyEach(t *testing.T) {
	for name, test := range map[string]struct {
		keys map[string]string
		want map[string]string // password, or verifier
	}{
		"a key per user":                                {map[string]string{"app": "one", "report": verifier}, map[string]string{"app": "one", "report": verifier}},
		"username and password are one user":            {map[string]string{"username": "app\n", "password": "one\n"}, map[string]string{"app": "one"}},
		"a newline at the end is cut":                   {map[string]string{"app": "one\r\n"}, map[string]string{"app": "one"}},
		"each line is a password":                       {map[string]string{"app": "new\nold\n"}, map[string]string{"app": "new|old"}},
		"empty lines are none":                          {map[string]string{"app": "\none\r\n\n"}, map[string]string{"app": "one"}},
		"an md5 hash":                                   {map[string]string{"app": "md5" + strings.Repeat("a", 32)}, map[string]string{"app": "md5" + strings.Repeat("a", 32)}},
		"a user may be called username":                 {map[string]string{"username": "one"}, map[string]string{"username": "one"}},
		"a password that is 35 long and begins md5":     {map[string]string{"app": "md5" + strings.Repeat("z", 32)}, map[string]string{"app": "md5" + strings.Repeat("z", 32)}},
		"other keys beside username and password":       {map[string]string{"username": "app", "password": "one", "host": "db"}, map[string]string{"app": "one"}},
		"spaces belong to the password":                 {map[string]string{"app": " one "}, map[string]string{"app": " one "}},
		"a verifier with a newline is still a verifier": {map[string]string{"app": verifier + "\n"}, map[string]string{"app": verifier}},
	} {
		t.Run(name, func(t *testing.T) {
			m := mount(t)
			m.write("app-users", test.keys)
			users, problem := NewStore(m.directory).Users("app-users")
			if problem != nil {
				t.Fatal(problem.Message)
			}
			got := map[string]string{}
			for user, values := range users.ByName {
				got[user] = strings.Join(values, "|")
			}
			if !maps.Equal(got, test.want) {
				t.Fatalf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestASecretThatCannotBeUsedSaysWhatToDo(t *testing.T) {
	users := func(s *Store) *podapi.Problem { _, p := s.Users("it"); return p }
	login := func(s *Store) *podapi.Problem { _, p := s.Login("it"); return p }
	certificate := func(s *Store) *podapi.Problem { _, p := s.Certificate("it"); return p }
	authorities := func(s *Store) *podapi.Problem { _, p := s.Authorities("it"); return p }
	for name, test := range map[string]struct {
		load    func(*Store) *podapi.Problem
		keys    map[string]string // nil: no such Secret
		reason  string
		message string
	}{
		"users missing":              {users, nil, podapi.ReasonSecretMissing, `Secret "it" is missing or empty: create it with a key per user (value: a password or SCRAM verifier per line)`},
		"users empty":                {users, map[string]string{}, podapi.ReasonSecretMissing, `Secret "it" is missing or empty: create it with a key per user (value: a password or SCRAM verifier per line)`},
		"empty password":             {users, map[string]string{"app": "\n"}, podapi.ReasonSecretInvalid, `Secret "it": user "app": the password is empty`},
		"zero byte":                  {users, map[string]string{"app": "hush\x00"}, podapi.ReasonSecretInvalid, `Secret "it": user "app": the password holds a zero byte, which PostgreSQL does not allow`},
		"empty user name":            {users, map[string]string{"username": "\n", "password": "hush"}, podapi.ReasonSecretInvalid, `Secret "it": the key username is empty`},
		"broken verifier":            {users, map[string]string{"app": "SCRAM-SHA-256$hush"}, podapi.ReasonSecretInvalid, `Secret "it": user "app": the SCRAM verifier has a malformed layout`},
		"verifiers of two salts":     {users, map[string]string{"app": verifier + "\n" + strings.Replace(verifier, "c2Fsd", "c2FsZ", 1)}, podapi.ReasonSecretInvalid, `Secret "it": user "app": the verifiers have different salts`},
		"an md5 hash and a verifier": {users, map[string]string{"app": verifier + "\nmd5" + strings.Repeat("a", 32)}, podapi.ReasonSecretInvalid, `Secret "it": user "app": an md5 hash and a SCRAM verifier are stored for one user`},
		"five passwords":             {users, map[string]string{"app": "hush1\n2\n3\n4\n5"}, podapi.ReasonSecretInvalid, `Secret "it": user "app": there are 5 passwords: at most 4 may be valid at a time`},
		"login missing":              {login, nil, podapi.ReasonSecretMissing, `Secret "it" is missing or empty: create it with the keys username and password`},
		"login without user":         {login, map[string]string{"password": "hush"}, podapi.ReasonSecretMissing, `Secret "it" has no key username: create it with the keys username and password`},
		"login with a verifier":      {login, map[string]string{"username": "app", "password": verifier}, podapi.ReasonSecretInvalid, `Secret "it": the key password holds a SCRAM verifier, which cannot log in: put the password itself there`},
		"certificate missing":        {certificate, nil, podapi.ReasonSecretMissing, `Secret "it" is missing or empty: create it with the keys tls.crt and tls.key`},
		"certificate without key":    {certificate, map[string]string{"tls.crt": "x"}, podapi.ReasonSecretMissing, `Secret "it" has no key tls.key: create it with the keys tls.crt and tls.key`},
		"certificate that is not":    {certificate, map[string]string{"tls.crt": "hush", "tls.key": "hush"}, podapi.ReasonSecretInvalid, `Secret "it": tls.crt and tls.key cannot be used: `},
		"authority missing":          {authorities, map[string]string{"tls.crt": "x"}, podapi.ReasonSecretMissing, `Secret "it" has no key ca.crt: create it with the key ca.crt`},
		"authority that is not":      {authorities, map[string]string{"ca.crt": "hush"}, podapi.ReasonSecretInvalid, `Secret "it": ca.crt holds no certificate in PEM form`},
		"larger than Kubernetes has": {users, map[string]string{"app": strings.Repeat("x", MaxBytes+1)}, podapi.ReasonSecretInvalid, `Secret "it" cannot be read: it is larger than 1048576 bytes`},
	} {
		t.Run(name, func(t *testing.T) {
			m := mount(t)
			if test.keys != nil {
				m.write("it", test.keys)
			}
			problem := test.load(NewStore(m.directory))
			if problem == nil {
				t.Fatal("no problem")
			}
			if problem.Reason != test.reason || !strings.HasPrefix(problem.Message, test.message) {
				t.Fatalf("got %s: %s\nwant %s: %s", problem.Reason, problem.Message, test.reason, test.message)
			}
			if strings.Contains(problem.Message, "hush") {
				t.Fatal("the message repeats what is in the Secret")
			}
		})
	}
}

func TestASecretIsReadAgainWhenTheKubeletSwapsIt(t *testing.T) {
	m := mount(t)
	store := NewStore(m.directory)
	names := []string{"app-users"}
	empty := store.Digest(names)

	m.write("app-users", map[string]string{"app": "one", "old": "gone"})
	first := store.Digest(names)
	before, problem := store.Users("app-users")
	if problem != nil || first == empty {
		t.Fatalf("a Secret that appears later is seen: %v", problem)
	}
	if same, _ := store.Users("app-users"); same != before || store.Digest(names) != first {
		t.Fatal("what does not change keeps its pointer and its digest")
	}

	m.write("app-users", map[string]string{"app": "two"})
	after, problem := store.Users("app-users")
	if problem != nil || store.Digest(names) == first {
		t.Fatalf("a swap is seen: %v", problem)
	}
	if len(after.ByName) != 1 || after.ByName["app"][0] != "two" {
		t.Fatalf("after the swap: %d users", len(after.ByName))
	}
}

func TestABadVersionKeepsTheOneBefore(t *testing.T) {
	m := mount(t)
	store := NewStore(m.directory)
	m.write("app-users", map[string]string{"app": "one"})
	if _, problem := store.Users("app-users"); problem != nil {
		t.Fatal(problem.Message)
	}
	for name, keys := range map[string]map[string]string{"half bad": {"app": "two", "other": ""}, "empty": {}} {
		m.write("app-users", keys)
		users, problem := store.Users("app-users")
		if problem == nil || !strings.HasSuffix(problem.Message, "what it held before stays in use") {
			t.Fatalf("%s: %v", name, problem)
		}
		if len(users.ByName) != 1 || users.ByName["app"][0] != "one" {
			t.Fatalf("%s was applied in part", name)
		}
	}
	m.write("app-users", map[string]string{"app": "three"})
	if users, problem := store.Users("app-users"); problem != nil || users.ByName["app"][0] != "three" {
		t.Fatalf("mended: %v", problem)
	}
}

func TestARenewedCertificateIsPresentedByWhoHoldsTheOldOne(t *testing.T) {
	m := mount(t)
	store := NewStore(m.directory)
	first, second := keyPair(t), keyPair(t)
	m.write("server-tls", first)
	held, problem := store.Certificate("server-tls")
	if problem != nil {
		t.Fatal(problem.Message)
	}
	presents := func(keys map[string]string) bool {
		pair, err := held.ForServer(nil)
		must(t, err)
		client, err := held.ForClient(nil)
		must(t, err)
		block, _ := pem.Decode([]byte(keys["tls.crt"]))
		return bytes.Equal(pair.Certificate[0], block.Bytes) && pair == client
	}
	if !presents(first) {
		t.Fatal("the first certificate is not presented")
	}
	m.write("server-tls", map[string]string{"tls.crt": second["tls.crt"], "tls.key": first["tls.key"]})
	if _, problem := store.Certificate("server-tls"); problem == nil || !presents(first) {
		t.Fatalf("a key of another certificate keeps the old pair: %v", problem)
	}
	m.write("server-tls", second)
	again, problem := store.Certificate("server-tls")
	if problem != nil || again != held || !presents(second) {
		t.Fatalf("a good renewal is presented through what was held: %v", problem)
	}
}

// keyPair is a self-made certificate as a TLS Secret holds it.
func keyPair(t *testing.T) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "weir"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return map[string]string{
		"tls.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"tls.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}
