package login

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// scramServer is the server's side of one SCRAM-SHA-256 exchange, with
// PostgreSQL's rules and texts.
type scramServer struct {
	credential Credential
	found      bool   // false: no proof will do
	binding    []byte // of the TLS connection; nil: there is nothing to bind to
	plus       bool   // the client chose to bind

	header   string // of the client's first message
	nonce    string // the client's and ours
	messages string // first message without its header, and challenge
	proven   *Password
}

// challenge answers the client's first message with nonce, salt and iterations.
func (s *scramServer) challenge(message []byte, random io.Reader) ([]byte, *Refusal) {
	first := string(message)
	bare, refusal := s.readHeader(first)
	if refusal != nil {
		return nil, refusal
	}
	s.header = first[:len(first)-len(bare)]
	nonce, refusal := readClientNonce(bare)
	if refusal != nil {
		return nil, refusal
	}
	own, err := newNonce(random)
	if err != nil {
		return nil, &Refusal{
			Report: wire.Fatal(wire.CodeInternalError, "could not generate random nonce"), Reason: err.Error()}
	}
	s.nonce = nonce + own
	c := s.credential
	answer := "r=" + s.nonce + ",s=" + base64.StdEncoding.EncodeToString([]byte(c.salt)) + ",i=" + strconv.Itoa(c.iterations)
	s.messages = bare + "," + answer
	return []byte(answer), nil
}

// readHeader checks what the client says about binding to the channel, and returns
// what is behind it. A client that could bind and believes that it was not offered
// to was lied to, if it was.
func (s *scramServer) readHeader(first string) (bare string, _ *Refusal) {
	flag, rest, ok := strings.Cut(first, ",")
	if !ok || strings.IndexByte(first, 0) >= 0 {
		return "", malformed("The message has too few fields, or a zero byte.")
	}
	kind, bound := strings.CutPrefix(flag, "p=")
	switch {
	case bound && !s.plus:
		return "", malformed("The client selected SCRAM-SHA-256 without channel binding, " +
			"but the SCRAM message includes channel binding data.")
	case bound && kind != endPointType:
		return "", scramRefusal(wire.CodeProtocolViolation, fmt.Sprintf("unsupported SCRAM channel-binding type \"%s\"", kind), "")
	case !bound && flag != "n" && flag != "y":
		return "", malformed("Unexpected channel-binding flag.")
	case !bound && s.plus:
		return "", malformed("The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.")
	case flag == "y" && s.binding != nil:
		return "", scramRefusal(wire.CodeInvalidAuthorization, "SCRAM channel binding negotiation error",
			"The client supports SCRAM channel binding but thinks the server does not.  "+
				"However, this server does support channel binding.")
	}
	identity, bare, ok := strings.Cut(rest, ",")
	switch {
	case strings.HasPrefix(identity, "a"):
		return "", scramRefusal(wire.CodeFeatureNotSupported, "client uses authorization identity, but it is not supported", "")
	case !ok || identity != "":
		return "", malformed("Unexpected attribute in client-first-message.")
	case strings.HasPrefix(bare, "m"):
		return "", scramRefusal(wire.CodeFeatureNotSupported, "client requires an unsupported SCRAM extension", "")
	}
	return bare, nil
}

// readClientNonce reads n=<name>,r=<nonce>, whose name does not count, and
// extensions behind it, which do not either.
func readClientNonce(bare string) (string, *Refusal) {
	fields := strings.Split(bare, ",")
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "n=") {
		return "", malformed("The user's name is missing in client-first-message.")
	}
	nonce, ok := strings.CutPrefix(fields[1], "r=")
	if !ok || nonce == "" {
		return "", malformed("The nonce is missing in client-first-message.")
	}
	if strings.ContainsFunc(nonce, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		return "", scramRefusal(wire.CodeProtocolViolation, "non-printable characters in SCRAM nonce", "")
	}
	return nonce, extensions(fields[2:])
}

// extensions checks the form of what nobody asked for.
func extensions(fields []string) *Refusal {
	for _, f := range fields {
		if len(f) < 2 || f[1] != '=' {
			return malformed("Attribute expected, but found something else.")
		}
	}
	return nil
}

// decide checks the client's proof and answers with the server's.
func (s *scramServer) decide(message []byte, user string) ([]byte, *Refusal) {
	bare, proof, refusal := s.readFinal(string(message))
	if refusal != nil {
		return nil, refusal
	}
	text := s.messages + "," + bare
	matched := s.match(text, proof)
	switch {
	case !s.found:
		return nil, wrongPassword(user, "no such user")
	case matched == nil:
		return nil, wrongPassword(user, "wrong password")
	}
	signature := sign(matched.server, text)
	return []byte("v=" + base64.StdEncoding.EncodeToString(signature)), nil
}

// readFinal reads c=<channel>,r=<nonce>,[extensions,]p=<proof>, and looks at them
// in PostgreSQL's order.
func (s *scramServer) readFinal(final string) (bare string, proof []byte, _ *Refusal) {
	if strings.IndexByte(final, 0) >= 0 {
		return "", nil, malformed("The message holds a zero byte.")
	}
	fields := strings.Split(final, ",")
	if refusal := s.checkBinding(fields[0]); refusal != nil {
		return "", nil, refusal
	}
	nonce, ok := "", false
	if len(fields) > 1 {
		nonce, ok = strings.CutPrefix(fields[1], "r=")
	}
	if !ok {
		return "", nil, malformed("The nonce is missing in client-final-message.")
	}
	last := len(fields) - 1
	proof64, ok := strings.CutPrefix(fields[last], "p=")
	proof, err := base64.StdEncoding.DecodeString(proof64)
	if !ok || err != nil || len(proof) != sha256.Size {
		return "", nil, malformed("Malformed proof in client-final-message.")
	}
	if refusal := extensions(fields[2:last]); refusal != nil {
		return "", nil, refusal
	}
	if nonce != s.nonce {
		return "", nil, scramRefusal(wire.CodeProtocolViolation, "invalid SCRAM response", "Nonce does not match.")
	}
	return final[:len(final)-len(fields[last])-1], proof, nil
}

// checkBinding compares what the client binds to, and its first header, with what
// they are here.
func (s *scramServer) checkBinding(field string) *Refusal {
	bound, ok := strings.CutPrefix(field, "c=")
	if !ok {
		return malformed("The channel binding is missing in client-final-message.")
	}
	var binding []byte
	if s.plus {
		binding = s.binding
	}
	switch same := subtle.ConstantTimeCompare([]byte(bound), []byte(channel(s.header, binding))) == 1; {
	case !same && s.plus:
		return scramRefusal(wire.CodeInvalidAuthorization, "SCRAM channel binding check failed", "")
	case !same:
		return scramRefusal(wire.CodeProtocolViolation, "unexpected SCRAM channel-binding attribute in client-final-message", "")
	}
	return nil
}

// match finds the verifier that the proof fits, and keeps the client's key that
// the proof has shown. How long it takes does not tell which, or whether.
func (s *scramServer) match(text string, proof []byte) (matched *verifier) {
	for i := range s.credential.verifiers {
		v := &s.credential.verifiers[i]
		client := sign(v.stored, text)
		subtle.XORBytes(client, client, proof)
		stored := sha256.Sum256(client)
		if subtle.ConstantTimeCompare(stored[:], v.stored) == 1 && matched == nil {
			matched = v
			s.proven = shownPassword(s.credential.salt, s.credential.iterations, keys{client, v.stored, v.server})
		}
	}
	return matched
}

func wrongPassword(user, reason string) *Refusal {
	return &Refusal{
		Report: wire.Fatal(wire.CodeInvalidPassword, fmt.Sprintf("password authentication failed for user \"%s\"", user)),
		Reason: reason,
	}
}

func malformed(detail string) *Refusal {
	return scramRefusal(wire.CodeProtocolViolation, "malformed SCRAM message", detail)
}

func scramRefusal(code, message, detail string) *Refusal {
	report := wire.Fatal(code, message)
	report.Detail = detail
	return &Refusal{Report: report}
}

// newNonce draws a nonce as PostgreSQL does.
func newNonce(random io.Reader) (string, error) {
	raw := make([]byte, nonceSize)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fmt.Errorf("draw a nonce: %w", err)
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}
