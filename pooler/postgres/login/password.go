package login

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

// Password logs in to a server. It remembers the keys derived for the server's
// salt, so it should live as long as the password is valid; it is safe for
// concurrent use and does not print.
type Password struct {
	clear    string
	prepared string

	mu         sync.Mutex // guards what is below
	salt       string
	iterations int
	last       keys
}

// keys are what SCRAM derives from a password.
type keys struct {
	client, stored, server []byte
}

// NewPassword returns a password given in clear text.
func NewPassword(clear string) *Password {
	return &Password{clear: clear, prepared: prepare(clear)}
}

// String hides the password.
func (*Password) String() string { return "(password)" }

// GoString hides the password.
func (*Password) GoString() string { return "login.Password{}" }

// keysFor derives the keys, or remembers them from last time. Logins that start
// together derive them once, one after the other.
func (p *Password) keysFor(salt string, iterations int) (keys, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.client != nil && p.salt == salt && p.iterations == iterations {
		return p.last, nil
	}
	k, err := deriveKeys(p.prepared, salt, iterations)
	if err != nil {
		return keys{}, err
	}
	p.salt, p.iterations, p.last = salt, iterations, k
	return k, nil
}

// md5 returns the answer to an md5 challenge.
func (p *Password) md5(user string, salt []byte) string {
	inner := md5.Sum([]byte(p.clear + user))
	outer := md5.Sum(append([]byte(hex.EncodeToString(inner[:])), salt...))
	return "md5" + hex.EncodeToString(outer[:])
}

// prepare normalizes a password; one that is not UTF-8 or holds what SASLprep
// forbids is used as it is, as PostgreSQL and its clients do.
func prepare(password string) string {
	if !utf8.ValidString(password) {
		return password
	}
	prepared, err := stringprep.SASLprep.Prepare(password)
	if err != nil || prepared == "" {
		return password
	}
	return prepared
}

func deriveKeys(password, salt string, iterations int) (keys, error) {
	salted, err := pbkdf2.Key(sha256.New, password, []byte(salt), iterations, sha256.Size)
	if err != nil {
		return keys{}, err
	}
	client := sign(salted, "Client Key")
	stored := sha256.Sum256(client)
	return keys{client: client, stored: stored[:], server: sign(salted, "Server Key")}, nil
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
