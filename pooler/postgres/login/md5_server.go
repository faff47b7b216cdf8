package login

import (
	"crypto/subtle"
	"io"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// md5Server is the server's side of one md5 exchange.
type md5Server struct {
	credential Credential
	found      bool // false: no response will do
	salt       [4]byte
}

func newMD5Server(credential Credential, found bool, random io.Reader) (*md5Server, *Refusal) {
	s := &md5Server{credential: credential, found: found}
	if _, err := io.ReadFull(random, s.salt[:]); err != nil {
		return nil, &Refusal{Report: wire.Fatal(wire.CodeInternalError, "could not generate random MD5 salt"), Reason: err.Error()}
	}
	return s, nil
}

// decide checks the response against every hash.
func (s *md5Server) decide(response []byte, user string) *Refusal {
	right := 0
	for _, hash := range s.credential.md5 {
		right |= subtle.ConstantTimeCompare(response, []byte(md5Answer(hash, s.salt[:])))
	}
	switch {
	case !s.found:
		return wrongPassword(user, "no such user")
	case right != 1:
		return wrongPassword(user, "wrong password")
	}
	return nil
}
