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
//
// It is one of three: a clear password, an md5 hash, which answers md5 only, or
// the keys that a client's own login has shown, which answer a server that stores
// the very verifier that the client was checked against.
type Password struct {
	clear    string
	prepared string
	hash     string // of md5, in hex; empty: none
	shown    bool   // only the keys are known, and only for this salt and count

	mu         sync.Mutex // guards what is below
	salt       string
	iterations int
	last       keys
}

// keys are what SCRAM derives from a password.
type keys struct {
	client, stored, server []byte
}

// NewPassword returns the password of a stored value: a clear password, or an md5
// hash; nil for a SCRAM verifier, which proves others but cannot log in.
func NewPassword(value string) *Password {
	switch {
	case IsVerifier(value):
		return nil
	case IsMD5(value):
		return &Password{hash: md5Hash("", value)}
	}
	return &Password{clear: value, prepared: prepare(value)}
}

// shownPassword returns the password that a client's proof has shown.
func shownPassword(salt string, iterations int, k keys) *Password {
	return &Password{shown: true, salt: salt, iterations: iterations, last: k}
}

// String hides the password.
func (*Password) String() string { return "(password)" }

// GoString hides the password.
func (*Password) GoString() string { return "login.Password{}" }

// keysFor derives the keys, or remembers them from last time. Logins that start
// together derive them once, one after the other.
func (p *Password) keysFor(salt string, iterations int) (keys, error) {
	if p.hash != "" {
		return keys{}, unfit("the server asks for SCRAM, and only an md5 hash of the password is known")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.client != nil && p.salt == salt && p.iterations == iterations {
		return p.last, nil
	}
	if p.shown {
		return keys{}, unfit("the server does not store the verifier that the client was checked against (the salts differ): " +
			"store the server's own, pg_authid.rolpassword")
	}
	k, err := deriveKeys(p.prepared, salt, iterations)
	if err != nil {
		return keys{}, scramFailure("the keys cannot be derived: " + err.Error())
	}
	p.salt, p.iterations, p.last = salt, iterations, k
	return k, nil
}

// text returns the password itself.
func (p *Password) text() (string, error) {
	if p.clear == "" {
		return "", unfit("the server asks for the password in clear text, and it is not known")
	}
	return p.clear, nil
}

// md5 returns the answer to an md5 challenge.
func (p *Password) md5(user string, salt []byte) (string, error) {
	hash := p.hash
	if p.shown {
		return "", unfit("the server asks for md5, and only the SCRAM keys of the password are known")
	}
	if hash == "" {
		hash = md5Hash(user, p.clear)
	}
	return md5Answer(hash, salt), nil
}

// md5Answer hashes a hash with the salt of a challenge.
func md5Answer(hash string, salt []byte) string {
	sum := md5.Sum(append([]byte(hash), salt...))
	return "md5" + hex.EncodeToString(sum[:])
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
