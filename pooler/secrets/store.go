package secrets

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres"
)

// DefaultDirectory is where a pod's Secrets are mounted.
const DefaultDirectory = "/etc/weir/secrets"

// Source returns the keys of a Secret. A Secret that is not there is one without keys. It may be called at any time from any
// goroutine.
type Source func(name string) (map[string][]byte, error)

// Store reads Secrets. It is safe for concurrent use.
type Store struct {
	read Source

	mu           sync.Mutex
	users        map[string]kept[*Users]
	logins       map[string]kept[*postgres.Login]
	certificates map[string]kept[*Certificate]
	authorities  map[string]kept[*x509.CertPool]
}

// Users are who may come in, by name.
type Users struct {
	ByName map[string]postgres.Passwords
}

// kept is the last good value of a Secret, and of which content.
type kept[T any] struct {
	of    digest
	value T
}

// NewStore makes a Store of a directory with one for each Secret, which need not exist yet.
func NewStore(directory string) *Store {
	return NewStoreOf(func(name string) (map[string][]byte, error) { return read(directory, name) })
}

// NewStoreOf makes a Store of what a Source returns.
func NewStoreOf(source Source) *Store {
	return &Store{
		read:         source,
		users:        map[string]kept[*Users]{},
		logins:       map[string]kept[*postgres.Login]{},
		certificates: map[string]kept[*Certificate]{},
		authorities:  map[string]kept[*x509.CertPool]{},
	}
}

// Digest changes when the content of one of the Secrets changes.
func (s *Store) Digest(names []string) [sha256.Size]byte {
	all := map[string][]byte{}
	for _, name := range names {
		d := digestOf(s.read(name))
		all[name] = d[:]
	}
	return digestOf(all, nil)
}

// Users reads a Secret of users: either one user in the keys username and password, or a key per user. Each line of a value
// is a password that is valid: clear, or a SCRAM-SHA-256 verifier, or an md5 hash.
// The value is nil when the Secret was never good; with a Problem, it is the last good one.
func (s *Store) Users(name string) (*Users, *podapi.Problem) {
	const mend = "create it with a key per user (value: a password or SCRAM verifier per line)"
	return load(s, s.users, name, mend, parseUsers)
}

// Login reads a Secret with the keys username and password, which server connections log in with; the password may be
// missing. See Users for the results.
func (s *Store) Login(name string) (*postgres.Login, *podapi.Problem) {
	const mend = "create it with the keys username and password"
	return load(s, s.logins, name, mend, parseLogin)
}

// Certificate reads a Secret with the keys tls.crt and tls.key. See Users for the results. The same Certificate is
// returned as long as the Store lives; what it presents changes with the Secret.
func (s *Store) Certificate(name string) (*Certificate, *podapi.Problem) {
	const mend = "create it with the keys tls.crt and tls.key"
	return load(s, s.certificates, name, mend, func(content map[string][]byte) (*Certificate, error) {
		pair, err := parseKeyPair(content)
		if err != nil {
			return nil, err
		}
		present := s.certificates[name].value
		if present == nil {
			present = &Certificate{}
		}
		present.pair.Store(pair)
		return present, nil
	})
}

// Authorities reads a Secret with the key ca.crt. See Users for the results.
func (s *Store) Authorities(name string) (*x509.CertPool, *podapi.Problem) {
	const mend = "create it with the key ca.crt"
	return load(s, s.authorities, name, mend, parseAuthorities)
}

// load returns the value of a Secret: parsed, or the last good one together with why the present one is not good.
// It calls parse with the Store locked.
func load[T any](s *Store, all map[string]kept[T], name, mend string, parse func(map[string][]byte) (T, error)) (T, *podapi.Problem) {
	content, err := s.read(name)
	now := digestOf(content, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	before, have := all[name]
	if have && before.of == now {
		return before.value, nil
	}
	problem := &podapi.Problem{Reason: podapi.ReasonSecretInvalid}
	switch {
	case err != nil:
		problem.Message = fmt.Sprintf("Secret %q cannot be read: %v", name, err)
	case len(content) == 0:
		problem.Reason = podapi.ReasonSecretMissing
		problem.Message = fmt.Sprintf("Secret %q is missing or empty: %s", name, mend)
	default:
		var value T
		if value, err = parse(content); err == nil {
			all[name] = kept[T]{now, value}
			return value, nil
		}
		if missing, ok := errors.AsType[missingKey](err); ok {
			problem.Reason = podapi.ReasonSecretMissing
			problem.Message = fmt.Sprintf("Secret %q has no key %s: %s", name, string(missing), mend)
		} else {
			problem.Message = fmt.Sprintf("Secret %q: %v", name, err)
		}
	}
	if have {
		problem.Message += "; what it held before stays in use"
	}
	return before.value, problem
}

// Certificate is a certificate with its key that may be renewed while it is in use.
type Certificate struct {
	pair atomic.Pointer[tls.Certificate]
}

// ForServer is a tls.Config's GetCertificate.
func (c *Certificate) ForServer(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.pair.Load(), nil
}

// ForClient is a tls.Config's GetClientCertificate.
func (c *Certificate) ForClient(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return c.pair.Load(), nil
}
