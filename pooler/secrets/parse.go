package secrets

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/postgres/login"
)

// Keys that have a meaning.
const (
	keyUsername    = "username"
	keyPassword    = "password"
	keyCertificate = "tls.crt"
	keyPrivate     = "tls.key"
	keyAuthorities = "ca.crt"
)

// missingKey is the error of a Secret without a key that it needs.
type missingKey string

func (k missingKey) Error() string { return "no key " + string(k) }

func parseUsers(content map[string][]byte) (*Users, error) {
	_, hasName := content[keyUsername]
	_, hasPassword := content[keyPassword]
	if hasName && hasPassword {
		name := text(content[keyUsername])
		if name == "" {
			return nil, errors.New("the key username is empty")
		}
		content = map[string][]byte{name: content[keyPassword]}
	}
	users := &Users{ByName: make(map[string]postgres.Passwords, len(content))}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		values := passwords(content[name])
		if err := login.CheckPasswords(values); err != nil {
			return nil, fmt.Errorf("user %q: %w", name, err)
		}
		users.ByName[name] = values
	}
	return users, nil
}

func parseLogin(content map[string][]byte) (*postgres.Login, error) {
	if _, ok := content[keyUsername]; !ok {
		return nil, missingKey(keyUsername)
	}
	l := &postgres.Login{User: text(content[keyUsername])}
	if l.User == "" {
		return nil, errors.New("the key username is empty")
	}
	if _, ok := content[keyPassword]; !ok {
		return l, nil
	}
	l.Passwords = passwords(content[keyPassword])
	if err := login.CheckPasswords(l.Passwords); err != nil {
		return nil, fmt.Errorf("key password: %w", err)
	}
	if slices.ContainsFunc(l.Passwords, login.IsVerifier) {
		return nil, errors.New("the key password holds a SCRAM verifier, which cannot log in: put the password itself there")
	}
	return l, nil
}

// passwords are the lines of a value, the newest password first. Empty lines do not count.
func passwords(value []byte) postgres.Passwords {
	var all postgres.Passwords
	for line := range strings.SplitSeq(string(value), "\n") {
		if line = strings.TrimSuffix(line, "\r"); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func parseKeyPair(content map[string][]byte) (*tls.Certificate, error) {
	for _, key := range []string{keyCertificate, keyPrivate} {
		if len(content[key]) == 0 {
			return nil, missingKey(key)
		}
	}
	pair, err := tls.X509KeyPair(content[keyCertificate], content[keyPrivate])
	if err != nil {
		return nil, fmt.Errorf("tls.crt and tls.key cannot be used: %w", err)
	}
	return &pair, nil
}

func parseAuthorities(content map[string][]byte) (*x509.CertPool, error) {
	if len(content[keyAuthorities]) == 0 {
		return nil, missingKey(keyAuthorities)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(content[keyAuthorities]) {
		return nil, errors.New("ca.crt holds no certificate in PEM form")
	}
	return authorities, nil
}

// text is a value without the newline that editors and echo put at its end.
func text(value []byte) string {
	s := strings.TrimSuffix(string(value), "\n")
	return strings.TrimSuffix(s, "\r")
}
