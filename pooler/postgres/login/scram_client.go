package login

import (
	"crypto/hmac"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
)

// scramClient is the client's side of one SCRAM-SHA-256 exchange. The user's name
// stays empty: the server takes that of the startup packet.
type scramClient struct {
	password  *Password
	nonce     string
	header    string // gs2: no binding, a binding the server did not offer, or one
	binding   []byte // behind the header, for bindHeader
	signature []byte // the server's, expected
}

// The headers of a client's first message.
const (
	plainHeader  = "n,,"                      // without TLS
	ableHeader   = "y,,"                      // could bind to TLS, but was not offered to
	bindHeader   = "p=" + endPointType + ",," // binds to TLS
	endPointType = "tls-server-end-point"
)

func (s *scramClient) bare() string { return "n=,r=" + s.nonce }

// first returns the client's first message.
func (s *scramClient) first() string { return s.header + s.bare() }

// final returns the client's proof.
func (s *scramClient) final(challenge string) (string, error) {
	nonce, salt, iterations, err := parseChallenge(challenge)
	if err != nil {
		return "", err
	}
	if len(nonce) <= len(s.nonce) || !strings.HasPrefix(nonce, s.nonce) {
		return "", scramFailure("the nonce is not an extension of the client's")
	}
	k, err := s.password.keysFor(salt, iterations)
	if err != nil {
		return "", err
	}
	bare := "c=" + channel(s.header, s.binding) + ",r=" + nonce
	message := s.bare() + "," + challenge + "," + bare
	proof := sign(k.stored, message)
	subtle.XORBytes(proof, proof, k.client)
	s.signature = sign(k.server, message)
	return bare + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// channel is what the last message of a client repeats of its first: the header,
// and what it binds to.
func channel(header string, binding []byte) string {
	return base64.StdEncoding.EncodeToString(append([]byte(header), binding...))
}

// verify checks that the server knows the verifier, too.
func (s *scramClient) verify(outcome string) error {
	value, ok := strings.CutPrefix(outcome, "v=")
	if !ok {
		return scramFailure("the server's last message holds no signature")
	}
	value, _, _ = strings.Cut(value, ",")
	signature, err := base64.StdEncoding.DecodeString(value)
	if err != nil || !hmac.Equal(signature, s.signature) {
		return scramFailure("the server's signature is wrong; it may not be the server it claims to be")
	}
	return nil
}

// parseChallenge reads r=<nonce>,s=<salt>,i=<iterations> and ignores extensions
// behind it.
func parseChallenge(challenge string) (nonce, salt string, iterations int, err error) {
	fields := strings.SplitN(challenge, ",", 4)
	if len(fields) < 3 {
		return "", "", 0, scramFailure("malformed challenge")
	}
	nonce, ok := strings.CutPrefix(fields[0], "r=")
	salt64, ok2 := strings.CutPrefix(fields[1], "s=")
	count, ok3 := strings.CutPrefix(fields[2], "i=")
	raw, err := base64.StdEncoding.DecodeString(salt64)
	if !ok || !ok2 || !ok3 || err != nil || len(raw) == 0 {
		return "", "", 0, scramFailure("malformed challenge")
	}
	iterations, err = strconv.Atoi(count)
	if err != nil || iterations < 1 {
		return "", "", 0, scramFailure("malformed iteration count")
	}
	if iterations > MaxIterations {
		return "", "", 0, scramFailure("the server asks for more than " + strconv.Itoa(MaxIterations) + " iterations")
	}
	return nonce, string(raw), iterations, nil
}

func scramFailure(what string) error {
	return &Failure{Message: "SCRAM login to the server: " + what, final: true}
}
