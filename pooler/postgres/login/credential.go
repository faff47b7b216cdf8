package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/xdg-go/scram"
)

// DefaultIterations is PostgreSQL's default SCRAM iteration count.
const DefaultIterations = 4096

// MaxIterations bounds the SCRAM iteration count in a verifier, and the one a
// server may ask for: some tenths of a second of one CPU.
const MaxIterations = 1_000_000

const (
	scramSHA256  = "SCRAM-SHA-256"
	saltSize     = 16
	maxSaltSize  = 256
	nonceSize    = 18 // bytes before base64, as in PostgreSQL
	secretOfSalt = "salt of "
)

// Credential is what a user's password is checked against: a SCRAM-SHA-256
// verifier. It prints as nothing that helps an attacker.
type Credential struct {
	stored scram.StoredCredentials
}

// String hides the credential.
func (Credential) String() string { return "(credential)" }

// GoString hides the credential.
func (Credential) GoString() string { return "login.Credential{}" }

// ParseCredential reads the value stored for a user: a SCRAM-SHA-256 verifier as
// PostgreSQL writes it (pg_authid.rolpassword), or a clear password.
func ParseCredential(user, value string, secret []byte) (Credential, error) {
	switch {
	case strings.HasPrefix(value, scramSHA256+"$"):
		return parseVerifier(value)
	case isMD5Verifier(value):
		return Credential{}, errors.New("the password is stored as an md5 hash, which is not supported: " +
			"set it again with password_encryption = 'scram-sha-256'")
	}
	return PasswordCredential(user, value, secret)
}

func isMD5Verifier(value string) bool {
	return len(value) == 35 && strings.HasPrefix(value, "md5") && strings.Trim(value[3:], "0123456789abcdef") == ""
}

// parseVerifier reads SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>.
// Errors do not repeat any of it.
func parseVerifier(verifier string) (Credential, error) {
	fail := func(what string) (Credential, error) {
		return Credential{}, fmt.Errorf("the SCRAM verifier has a malformed %s", what)
	}
	parts := strings.Split(verifier, "$")
	if len(parts) != 3 {
		return fail("layout")
	}
	iterations, salt64, ok := strings.Cut(parts[1], ":")
	stored64, server64, ok2 := strings.Cut(parts[2], ":")
	if !ok || !ok2 {
		return fail("layout")
	}
	n, err := strconv.Atoi(iterations)
	if err != nil || n < 1 || n > MaxIterations {
		return fail("iteration count")
	}
	salt, err := base64.StdEncoding.DecodeString(salt64)
	if err != nil || len(salt) == 0 || len(salt) > maxSaltSize {
		return fail("salt")
	}
	stored, err := base64.StdEncoding.DecodeString(stored64)
	if err != nil || len(stored) != sha256.Size {
		return fail("StoredKey")
	}
	server, err := base64.StdEncoding.DecodeString(server64)
	if err != nil || len(server) != sha256.Size {
		return fail("ServerKey")
	}
	return newCredential(salt, n, stored, server), nil
}

// PasswordCredential makes the verifier of a clear password, which takes about a
// millisecond: once per user, not per login. The salt comes from the secret and
// the name, so that all pods show the same one. Default secret: one drawn for this
// process.
func PasswordCredential(user, password string, secret []byte) (Credential, error) {
	if password == "" {
		return Credential{}, errors.New("the password is empty")
	}
	salt := stableSalt(secret, user)
	k, err := deriveKeys(prepare(password), string(salt), DefaultIterations)
	if err != nil {
		return Credential{}, fmt.Errorf("derive the SCRAM keys: %w", err)
	}
	return newCredential(salt, DefaultIterations, k.stored, k.server), nil
}

// mockCredential stands in for the credential of a name without an account. No
// proof fits it.
func mockCredential(secret []byte, user string, iterations int) Credential {
	none := make([]byte, sha256.Size)
	return newCredential(stableSalt(secret, user), iterations, none, none)
}

func newCredential(salt []byte, iterations int, stored, server []byte) Credential {
	return Credential{scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(salt), Iters: iterations},
		StoredKey:  stored,
		ServerKey:  server,
	}}
}

func stableSalt(secret []byte, user string) []byte {
	if len(secret) == 0 {
		secret = processSecret()
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(secretOfSalt + user))
	return mac.Sum(nil)[:saltSize]
}

var processSecret = sync.OnceValue(func() []byte {
	secret := make([]byte, sha256.Size)
	rand.Read(secret) // never fails
	return secret
})
