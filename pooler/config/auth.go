package config

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/login"
)

// maxCertificateUsers bounds the users that certificates are mapped to, of one destination.
const maxCertificateUsers = 1024

// maxQuery bounds the query of a lookup, in bytes.
const maxQuery = 4096

var authMethods = map[string]postgres.AuthMethod{
	"":                     postgres.AuthSCRAM,
	podapi.AuthSCRAM:       postgres.AuthSCRAM,
	podapi.AuthMD5:         postgres.AuthMD5,
	podapi.AuthCertificate: postgres.AuthCertificate,
	podapi.AuthTrust:       postgres.AuthTrust,
}

// auth checks how clients prove who they are.
func (k *checker) auth(field string, a podapi.Auth) {
	method, known := authMethods[a.Method]
	if !known {
		k.unknown(field+".method", a.Method, podapi.AuthSCRAM, podapi.AuthMD5, podapi.AuthCertificate, podapi.AuthTrust)
	}
	k.optionalSecret(field+".serverUserSecret", a.ServerUserSecret)
	if known && (method == postgres.AuthSCRAM || method == postgres.AuthMD5) && a.Lookup == nil {
		k.secret(field+".usersSecret", a.UsersSecret)
	} else {
		k.optionalSecret(field+".usersSecret", a.UsersSecret)
	}
	if l := a.Lookup; l != nil {
		k.secret(field+".lookup.userSecret", l.UserSecret)
		k.check(l.Database == "" || identifier(l.Database), field+".lookup.database", "must be at most %d bytes without a zero byte", maxIdentifier)
		k.check(l.Query == "" || len(l.Query) <= maxQuery && strings.Contains(l.Query, "$1") && !strings.ContainsRune(l.Query, 0), field+".lookup.query",
			"must have the user's name as its parameter $1, and be at most %d bytes without a zero byte", maxQuery)
		k.between(field+".lookup.cacheSeconds", l.CacheSeconds, 0, maxSeconds)
	}
	k.check(len(a.CertificateUsers) <= maxCertificateUsers, field+".certificateUsers", "must be at most %d, are %d",
		maxCertificateUsers, len(a.CertificateUsers))
	for i, u := range a.CertificateUsers[:min(len(a.CertificateUsers), maxCertificateUsers)] {
		at := fmt.Sprintf("%s.certificateUsers[%d]", field, i)
		k.check(identifier(u.CommonName), at+".commonName", "must be 1 to %d bytes without a zero byte", maxIdentifier)
		k.check(identifier(u.User), at+".user", "must be 1 to %d bytes without a zero byte", maxIdentifier)
	}
}

// auth renders who may come in, and what server connections log in with.
func (r *Renderer) auth(g *gatherer, d podapi.Destination, out *postgres.Config) {
	a := d.PostgreSQL.Auth
	out.Auth.Method = authMethods[a.Method]
	for _, u := range a.CertificateUsers {
		out.Auth.CertificateUsers = append(out.Auth.CertificateUsers, postgres.CertificateUser{CommonName: u.CommonName, User: u.User})
	}
	if a.UsersSecret != "" {
		if users := need(g, r.secrets.Users, a.UsersSecret); users != nil {
			out.Users = usable(g, a.UsersSecret, users.ByName, out.Auth.Method)
		}
	}
	if l := a.Lookup; l != nil {
		out.Auth.Lookup = &postgres.Lookup{
			Database: cmp.Or(l.Database, podapi.DefaultLookupDatabase), Query: cmp.Or(l.Query, podapi.DefaultLookupQuery),
			Age: time.Duration(cmp.Or(l.CacheSeconds, podapi.DefaultLookupCacheSeconds)) * time.Second,
		}
		if who := r.login(g, d, l.UserSecret); who != nil {
			out.Auth.Lookup.Login = *who
		}
	}
	if a.ServerUserSecret != "" {
		out.ServerUser = r.login(g, d, a.ServerUserSecret)
	}
}

// login is a user of the server, who needs a password unless a certificate is shown.
func (r *Renderer) login(g *gatherer, d podapi.Destination, secret string) *postgres.Login {
	l := need(g, r.secrets.Login, secret)
	if l != nil && len(l.Passwords) == 0 && d.TLS.CertificateSecret == "" {
		g.incomplete = true
		g.problem(podapi.ReasonSecretMissing, "Secret %q has no key password: add it, or let the destination show a certificate "+
			"(tls.certificateSecretRef) that is enough for the server", secret)
	}
	return l
}

// usable leaves out the users that the method has no use for, and says so.
func usable(g *gatherer, secret string, users map[string]postgres.Passwords, method postgres.AuthMethod) map[string]postgres.Passwords {
	if method != postgres.AuthSCRAM {
		return users
	}
	left := make(map[string]postgres.Passwords, len(users))
	hashed := 0
	example := ""
	for name, values := range users {
		if !hasMD5(values) {
			left[name] = values
			continue
		}
		if hashed++; example == "" || name < example {
			example = name
		}
	}
	if hashed == 0 {
		return users
	}
	g.problem(podapi.ReasonSecretInvalid, "Secret %q stores an md5 hash for %d users, %q for example, who cannot log in: set their "+
		"passwords again with password_encryption = 'scram-sha-256', or set auth.method to MD5", secret, hashed, example)
	return left
}

func hasMD5(values postgres.Passwords) bool {
	for _, v := range values {
		if login.IsMD5(v) {
			return true
		}
	}
	return false
}
