package login

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/weir-dev/weir/pooler/postgres/wire"
	"github.com/xdg-go/scram"
)

// scramServer is the server's side of one SCRAM-SHA-256 exchange. It turns the
// library's errors into PostgreSQL's, which tell less.
type scramServer struct {
	credential   Credential
	found        bool // false: no proof will do
	conversation *scram.ServerConversation
}

func newScramServer(credential Credential, found bool) *scramServer {
	return &scramServer{credential: credential, found: found}
}

// challenge answers the client's first message with nonce, salt and iterations.
func (s *scramServer) challenge(message []byte, random io.Reader) ([]byte, *Refusal) {
	if refusal := checkClientFirst(message); refusal != nil {
		return nil, refusal
	}
	nonce, err := newNonce(random)
	if err != nil {
		return nil, &Refusal{
			Report: wire.Fatal(wire.CodeInternalError, "could not generate random nonce"), Reason: err.Error()}
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		return s.credential.stored, nil // the user is the one of the startup packet
	})
	if err != nil {
		return nil, malformed(err)
	}
	s.conversation = server.WithNonceGenerator(func() string { return nonce }).NewConversation()
	answer, err := s.conversation.Step(string(message))
	if err != nil {
		return nil, malformed(err)
	}
	return []byte(answer), nil
}

// decide checks the client's proof and answers with the server's.
func (s *scramServer) decide(message []byte, user string) ([]byte, *Refusal) {
	if bytes.IndexByte(message, 0) >= 0 {
		return nil, malformed(errors.New("zero byte in the message"))
	}
	answer, err := s.conversation.Step(string(message))
	switch {
	case err == nil && s.found:
		return []byte(answer), nil
	case !s.found && (err == nil || answer == scram.ErrInvalidProof):
		return nil, wrongPassword(user, "no such user")
	case answer == scram.ErrInvalidProof:
		return nil, wrongPassword(user, "wrong password")
	case answer == scram.ErrChannelBindingsDontMatch:
		return nil, &Refusal{Report: wire.Fatal(wire.CodeProtocolViolation,
			"unexpected SCRAM channel-binding attribute in client-final-message")}
	}
	return nil, malformed(err)
}

func wrongPassword(user, reason string) *Refusal {
	return &Refusal{
		Report: wire.Fatal(wire.CodeInvalidPassword, fmt.Sprintf("password authentication failed for user \"%s\"", user)),
		Reason: reason,
	}
}

func malformed(err error) *Refusal {
	return &Refusal{Report: wire.Fatal(wire.CodeProtocolViolation, "malformed SCRAM message"), Reason: err.Error()}
}

// checkClientFirst refuses what the library would let pass, or would not name:
// channel binding, an authorization identity, an extension, a nonce of bytes that
// do not print.
func checkClientFirst(message []byte) *Refusal {
	fields := strings.Split(string(message), ",")
	if len(fields) < 4 {
		return malformed(errors.New("too few fields in the client's first message"))
	}
	refuse := func(code, text string) *Refusal { return &Refusal{Report: wire.Fatal(code, text)} }
	switch {
	case strings.HasPrefix(fields[0], "p="):
		refusal := refuse(wire.CodeProtocolViolation, "malformed SCRAM message")
		refusal.Detail = "The client selected SCRAM-SHA-256 without channel binding, " +
			"but the SCRAM message includes channel binding data."
		return refusal
	case fields[1] != "":
		return refuse(wire.CodeFeatureNotSupported, "client uses authorization identity, but it is not supported")
	case strings.HasPrefix(fields[2], "m="):
		return refuse(wire.CodeFeatureNotSupported, "client requires an unsupported SCRAM extension")
	}
	nonce := strings.TrimPrefix(fields[3], "r=")
	unprintable := strings.ContainsFunc(nonce, func(r rune) bool { return r < 0x21 || r > 0x7e })
	if unprintable || bytes.IndexByte(message, 0) >= 0 {
		return refuse(wire.CodeProtocolViolation, "non-printable characters in SCRAM nonce")
	}
	return nil
}

// newNonce draws a nonce as PostgreSQL does.
func newNonce(random io.Reader) (string, error) {
	raw := make([]byte, nonceSize)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fmt.Errorf("draw a nonce: %w", err)
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}
