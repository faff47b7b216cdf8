package login

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// DefaultIterations is PostgreSQL's default SCRAM iteration count.
const DefaultIterations = 4096

// MaxIterations bounds the SCRAM iteration count in a verifier, and the one a
// server may ask for: some tenths of a second of one CPU.
const MaxIterations = 1_000_000

// MaxPasswords is how many passwords of one user may be valid at a time.
const MaxPasswords = 4

// MaxPasswordBytes is the longest password that PostgreSQL takes, in bytes.
const MaxPasswordBytes = 65_530

const (
	scramSHA256     = "SCRAM-SHA-256"
	scramSHA256Plus = "SCRAM-SHA-256-PLUS"
	saltSize        = 16
	maxSaltSize     = 256
	nonceSize       = 18 // bytes before base64, as in PostgreSQL
	secretOfSalt    = "salt of "
)

// Credential is what the passwords of one user are checked against: verifiers, of
// which any will do. It prints as nothing that helps an attacker.
type Credential struct {
	salt       string // a client is shown one salt, so all verifiers have the same
	iterations int
	verifiers  []verifier
	md5        []string // hashes in hex; if there are any, the exchange is md5
}

// verifier is what SCRAM stores of a password.
type verifier struct{ stored, server []byte }

// String hides the credential.
func (Credential) String() string { return "(credential)" }

// GoString hides the credential.
func (Credential) GoString() string { return "login.Credential{}" }

// Salting says which salts clear passwords and names without an account get.
type Salting struct {
	// Secret makes them stable: the salt of a name is always the same. It should be
	// the same in all pods. Default: one drawn for this process.
	Secret []byte
	// Iterations is the SCRAM iteration count. Default: DefaultIterations.
	Iterations int
}

func (s Salting) count() int {
	if s.Iterations == 0 {
		return DefaultIterations
	}
	return s.Iterations
}

func (s Salting) salt(user string) string {
	secret := s.Secret
	if len(secret) == 0 {
		secret = processSecret()
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(secretOfSalt + user))
	return string(mac.Sum(nil)[:saltSize])
}

var processSecret = sync.OnceValue(func() []byte {
	secret := make([]byte, sha256.Size)
	rand.Read(secret) // never fails
	return secret
})

// IsMD5 says that a stored value is an md5 hash as PostgreSQL writes it.
func IsMD5(value string) bool {
	return len(value) == 35 && strings.HasPrefix(value, "md5") && strings.Trim(value[3:], "0123456789abcdef") == ""
}

// IsVerifier says that a stored value is meant as a SCRAM-SHA-256 verifier.
func IsVerifier(value string) bool { return strings.HasPrefix(value, scramSHA256+"$") }

// IterationsOf returns the iteration count of a SCRAM verifier; 0 if it is none.
func IterationsOf(value string) int {
	if !IsVerifier(value) {
		return 0
	}
	_, iterations, _, err := parseVerifier(value)
	if err != nil {
		return 0
	}
	return iterations
}

// CheckPasswords tells whether the values can be stored for one user: each a clear
// password, a SCRAM-SHA-256 verifier or an md5 hash as PostgreSQL writes them
// (pg_authid.rolpassword). Errors do not repeat any of them.
func CheckPasswords(values []string) error {
	if len(values) == 0 {
		return errors.New("the password is empty")
	}
	if len(values) > MaxPasswords {
		return fmt.Errorf("there are %d passwords: at most %d may be valid at a time", len(values), MaxPasswords)
	}
	_, err := newScramCredential("", values, func(string, string, int) (verifier, error) { return verifier{}, nil }, Salting{})
	return err
}

// NewCredential makes the credential of a user's values, see CheckPasswords. For
// each clear password that takes about a millisecond: once per user, not per login.
// An md5 hash is an error unless allowMD5; then users without a SCRAM verifier get
// the md5 exchange.
func NewCredential(user string, values []string, salting Salting, allowMD5 bool) (Credential, error) {
	if err := CheckPasswords(values); err != nil {
		return Credential{}, err
	}
	switch {
	case allowMD5 && !slices.ContainsFunc(values, IsVerifier):
		return md5Credential(user, values), nil
	case slices.ContainsFunc(values, IsMD5):
		return Credential{}, errors.New("the password is stored as an md5 hash, which this destination does not allow: " +
			"set it again with password_encryption = 'scram-sha-256', or set auth.method to MD5")
	}
	return newScramCredential(user, values, derive, salting)
}

func derive(password, salt string, iterations int) (verifier, error) {
	k, err := deriveKeys(prepare(password), salt, iterations)
	if err != nil {
		return verifier{}, fmt.Errorf("derive the SCRAM keys: %w", err)
	}
	return verifier{k.stored, k.server}, nil
}

// newScramCredential takes the salt of the verifiers among the values, or else one
// of its own, and derives the verifiers of the clear passwords with it.
func newScramCredential(
	user string, values []string, derive func(password, salt string, iterations int) (verifier, error), salting Salting,
) (Credential, error) {
	c := Credential{iterations: salting.count()}
	for _, value := range values {
		if !IsVerifier(value) {
			continue
		}
		salt, iterations, v, err := parseVerifier(value)
		if err != nil {
			return Credential{}, err
		}
		if len(c.verifiers) > 0 && (salt != c.salt || iterations != c.iterations) {
			return Credential{}, errors.New("the verifiers have different salts, and a client can be shown only one: " +
				"store the newer password in clear text until the old one is gone")
		}
		c.salt, c.iterations, c.verifiers = salt, iterations, append(c.verifiers, v)
	}
	if c.salt == "" {
		c.salt = salting.salt(user)
	}
	verifiers := len(c.verifiers)
	for _, value := range values {
		if IsVerifier(value) {
			continue
		}
		if err := checkClear(value, verifiers); err != nil {
			return Credential{}, err
		}
		v, err := derive(value, c.salt, c.iterations)
		if err != nil {
			return Credential{}, err
		}
		c.verifiers = append(c.verifiers, v)
	}
	return c, nil
}

func checkClear(value string, verifiers int) error {
	switch {
	case value == "":
		return errors.New("the password is empty")
	case len(value) > MaxPasswordBytes:
		return fmt.Errorf("the password has more than %d bytes, which PostgreSQL does not take", MaxPasswordBytes)
	case strings.ContainsRune(value, 0):
		return errors.New("the password holds a zero byte, which PostgreSQL does not allow")
	case verifiers > 0 && IsMD5(value):
		return errors.New("an md5 hash and a SCRAM verifier are stored for one user, and a client can be asked for only one of them")
	}
	return nil
}

func md5Credential(user string, values []string) Credential {
	c := Credential{}
	for _, value := range values {
		c.md5 = append(c.md5, md5Hash(user, value))
	}
	return c
}

// md5Hash is what PostgreSQL stores for md5, without "md5" in front, of a clear
// password or of what was stored so.
func md5Hash(user, value string) string {
	if IsMD5(value) {
		return value[3:]
	}
	sum := md5.Sum([]byte(value + user))
	return hex.EncodeToString(sum[:])
}

// mockCredential stands in for the credential of a name without an account. No
// proof fits it.
func mockCredential(user string, salting Salting, allowMD5 bool) Credential {
	if allowMD5 {
		return Credential{md5: []string{""}}
	}
	none := make([]byte, sha256.Size)
	return Credential{salt: salting.salt(user), iterations: salting.count(), verifiers: []verifier{{none, none}}}
}

// parseVerifier reads SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>.
// Errors do not repeat any of it.
func parseVerifier(value string) (salt string, iterations int, _ verifier, _ error) {
	fail := func(what string) (string, int, verifier, error) {
		return "", 0, verifier{}, fmt.Errorf("the SCRAM verifier has a malformed %s", what)
	}
	parts := strings.Split(value, "$")
	if len(parts) != 3 {
		return fail("layout")
	}
	count, salt64, ok := strings.Cut(parts[1], ":")
	stored64, server64, ok2 := strings.Cut(parts[2], ":")
	if !ok || !ok2 {
		return fail("layout")
	}
	iterations, err := strconv.Atoi(count)
	if err != nil || iterations < 1 || iterations > MaxIterations {
		return fail("iteration count")
	}
	raw, err := base64.StdEncoding.DecodeString(salt64)
	if err != nil || len(raw) == 0 || len(raw) > maxSaltSize {
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
	return string(raw), iterations, verifier{stored, server}, nil
}
