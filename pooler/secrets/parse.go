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
	users := &Users{ByName: make(map[string]postgres.Credential, len(content))}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		credential, err := parseCredential(text(content[name]))
		if err != nil {
			return nil, fmt.Errorf("user %q: %w", name, err)
		}
		users.ByName[name] = credential
	}
	return users, nil
}

func parseCredential(value string) (postgres.Credential, error) {
	switch {
	case value == "":
		return postgres.Credential{}, errors.New("the password is empty")
	case strings.ContainsRune(value, 0):
		return postgres.Credential{}, errors.New("the password holds a zero byte, which PostgreSQL does not allow")
	case strings.HasPrefix(value, "SCRAM-SHA-256$"):
		_, err := login.ParseCredential("", value, nil)
		return postgres.Credential{Verifier: value}, err
	case len(value) == 35 && strings.HasPrefix(value, "md5"):
		if _, err := login.ParseCredential("", value, nil); err != nil {
			return postgres.Credential{}, err
		}
	}
	return postgres.Credential{Password: value}, nil
}

func parseLogin(content map[string][]byte) (*postgres.Login, error) {
	for _, key := range []string{keyUsername, keyPassword} {
		if _, ok := content[key]; !ok {
			return nil, missingKey(key)
		}
	}
	user := text(content[keyUsername])
	if user == "" {
		return nil, errors.New("the key username is empty")
	}
	credential, err := parseCredential(text(content[keyPassword]))
	if err != nil {
		return nil, fmt.Errorf("key password: %w", err)
	}
	if credential.Verifier != "" {
		return nil, errors.New("the key password holds a SCRAM verifier, which cannot log in: put the password itself there")
	}
	return &postgres.Login{User: user, Password: credential.Password}, nil
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
