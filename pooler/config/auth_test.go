package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/secrets"
)

const hash = "md5" + "0123456789abcdef0123456789abcdef"

func TestWhoMayComeInIsMadeFromSecrets(t *testing.T) {
	directory := t.TempDir()
	write(t, directory, "users", map[string]string{"app": "new\nold\n"})
	write(t, directory, "hashes", map[string]string{"app": "one", "old": hash})
	write(t, directory, "server-user", map[string]string{"username": "weir", "password": "new\nold"})
	write(t, directory, "certified", map[string]string{"username": "weir"})
	write(t, directory, "pair", keyPair(t))
	rotated := map[string]postgres.Passwords{"app": {"new", "old"}}
	for name, c := range map[string]struct {
		auth        podapi.Auth
		certificate string
		want        postgres.Config // the fields that matter here
		problem     string
		incomplete  bool
	}{
		"several passwords": {auth: podapi.Auth{UsersSecret: "users"}, want: postgres.Config{Users: rotated}},
		"several passwords of the server's user": {auth: podapi.Auth{UsersSecret: "users", ServerUserSecret: "server-user"},
			want: postgres.Config{Users: rotated, ServerUser: &postgres.Login{User: "weir", Passwords: postgres.Passwords{"new", "old"}}}},
		"a lookup, as it is when nothing is said": {auth: podapi.Auth{Lookup: &podapi.Lookup{UserSecret: "server-user"}},
			want: postgres.Config{Auth: postgres.Auth{Lookup: &postgres.Lookup{
				Login:    postgres.Login{User: "weir", Passwords: postgres.Passwords{"new", "old"}},
				Database: "postgres", Query: podapi.DefaultLookupQuery, Age: 30 * time.Second,
			}}}},
		"a lookup by a user without a password": {
			auth: podapi.Auth{UsersSecret: "users", Lookup: &podapi.Lookup{UserSecret: "certified", Database: "app", Query: "SELECT f($1)", CacheSeconds: 5}},
			want: postgres.Config{Users: rotated, Auth: postgres.Auth{Lookup: &postgres.Lookup{
				Login: postgres.Login{User: "weir"}, Database: "app", Query: "SELECT f($1)", Age: 5 * time.Second,
			}}},
			problem: `Secret "certified" has no key password: add it, or let the destination show a certificate`, incomplete: true},
		"md5 where it is allowed": {auth: podapi.Auth{Method: podapi.AuthMD5, UsersSecret: "hashes"},
			want: postgres.Config{Auth: postgres.Auth{Method: postgres.AuthMD5}, Users: map[string]postgres.Passwords{"app": {"one"}, "old": {hash}}}},
		"md5 where it is not": {auth: podapi.Auth{Method: podapi.AuthSCRAM, UsersSecret: "hashes"},
			want:    postgres.Config{Users: map[string]postgres.Passwords{"app": {"one"}}},
			problem: `Secret "hashes" stores an md5 hash for 1 users, "old" for example, who cannot log in: `},
		"certificates, without users": {auth: podapi.Auth{Method: podapi.AuthCertificate, ServerUserSecret: "server-user",
			CertificateUsers: []podapi.CertificateUser{{CommonName: "a", User: "x"}}},
			want: postgres.Config{Auth: postgres.Auth{Method: postgres.AuthCertificate, CertificateUsers: []postgres.CertificateUser{{CommonName: "a", User: "x"}}},
				ServerUser: &postgres.Login{User: "weir", Passwords: postgres.Passwords{"new", "old"}}}},
		"trust": {auth: podapi.Auth{Method: podapi.AuthTrust, UsersSecret: "users"},
			want: postgres.Config{Auth: postgres.Auth{Method: postgres.AuthTrust}, Users: rotated}},
		"a server's user without a password, but with a certificate": {
			auth: podapi.Auth{UsersSecret: "users", ServerUserSecret: "certified"}, certificate: "pair",
			want: postgres.Config{Users: rotated, ServerUser: &postgres.Login{User: "weir"}}},
		"a server's user without a password": {auth: podapi.Auth{UsersSecret: "users", ServerUserSecret: "certified"},
			want:    postgres.Config{Users: rotated, ServerUser: &postgres.Login{User: "weir"}},
			problem: `Secret "certified" has no key password: add it, or let the destination show a certificate`, incomplete: true},
	} {
		t.Run(name, func(t *testing.T) {
			config := valid()
			d := &config.Destinations[0]
			d.PostgreSQL.Auth = c.auth
			d.TLS = podapi.ServerTLS{Mode: podapi.ServerTLSRequire, CertificateSecret: c.certificate}
			got, complete, problems := NewRenderer(secrets.NewStore(directory)).Render(config, *d, share)
			p := got.PostgreSQL
			if rendered := (postgres.Config{Auth: p.Auth, Users: p.Users, ServerUser: p.ServerUser}); !reflect.DeepEqual(rendered, c.want) {
				t.Errorf("rendered %+v", rendered)
			}
			if complete == c.incomplete {
				t.Errorf("complete: %v", complete)
			}
			if len(problems) > 1 || (len(problems) == 1) != (c.problem != "") || c.problem != "" && !strings.HasPrefix(problems[0].Message, c.problem) {
				t.Errorf("problems %v", problems)
			}
		})
	}
}
