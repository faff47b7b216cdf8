package login

import (
	"errors"
	"fmt"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// maxSASLBody is PostgreSQL's limit for a SASL message, in bytes.
const maxSASLBody = 1024

var errLeft = errors.New("the client left during authentication")

// ask begins the exchange that the credential is made for.
func (c *Client) ask(found bool, credential Credential) Action {
	if len(credential.md5) > 0 {
		md5, refusal := newMD5Server(credential, found, c.config.Rand)
		if refusal != nil {
			return c.refuse(*refusal)
		}
		c.md5, c.state = md5, clientInMD5
		c.out = wire.AppendAuthenticationMD5Password(c.out, md5.salt)
		return Read
	}
	c.scram = &scramServer{credential: credential, found: found}
	mechanisms := []string{scramSHA256}
	if c.tls != nil && c.tls.Binding != nil {
		c.scram.binding = c.tls.Binding
		mechanisms = []string{scramSHA256Plus, scramSHA256}
	}
	c.out = wire.AppendAuthenticationSASL(c.out, mechanisms...)
	c.state = clientInSASLChoice
	return Read
}

// authenticate takes the next message of the exchange.
func (c *Client) authenticate(in []byte) (used int, _ Action) {
	if len(in) > 0 && in[0] != wire.TypePassword {
		if in[0] == wire.TypeTerminate {
			return 0, c.drop(errLeft)
		}
		what := "SASL"
		if c.state == clientInMD5 {
			what = "password"
		}
		return 0, c.violation(fmt.Sprintf("expected %s response, got message type %d", what, in[0]))
	}
	piece, err := c.scanner.Next(in)
	if err != nil {
		return 0, c.violation(err.Error())
	}
	if piece.Raw == nil {
		return 0, Read
	}
	switch c.state {
	case clientInSASLChoice:
		return len(piece.Raw), c.chosen(piece.Body())
	case clientInSASLFirst:
		return len(piece.Raw), c.challenge(piece.Body())
	case clientInMD5:
		return len(piece.Raw), c.decideMD5(piece.Body())
	default:
		return len(piece.Raw), c.decide(piece.Body())
	}
}

// chosen takes the client's mechanism and, as a rule, its first message.
func (c *Client) chosen(body []byte) Action {
	mechanism, message, err := wire.ParseSASLInitialResponse(body)
	switch {
	case err != nil:
		return c.violation(err.Error())
	case string(mechanism) == scramSHA256Plus && c.scram.binding != nil:
		c.scram.plus = true
	case string(mechanism) != scramSHA256:
		return c.violation("client selected an invalid SASL authentication mechanism")
	}
	if message == nil {
		c.out = wire.AppendAuthenticationSASLContinue(c.out, nil)
		c.state = clientInSASLFirst
		return again
	}
	return c.challenge(message)
}

// challenge answers the client's first message.
func (c *Client) challenge(message []byte) Action {
	answer, refusal := c.scram.challenge(message, c.config.Rand)
	if refusal != nil {
		return c.refuse(*refusal)
	}
	c.out = wire.AppendAuthenticationSASLContinue(c.out, answer)
	c.state = clientInSASLFinal
	return again
}

// decide takes the client's proof.
func (c *Client) decide(message []byte) Action {
	answer, refusal := c.scram.decide(message, c.startup.User)
	if refusal != nil {
		return c.refuse(*refusal)
	}
	c.out = wire.AppendAuthenticationSASLFinal(c.out, answer)
	c.proven = c.scram.proven
	return c.authenticated()
}

// decideMD5 takes the client's md5 response.
func (c *Client) decideMD5(body []byte) Action {
	response, err := wire.ParsePassword(body)
	if err != nil {
		return c.violation(err.Error())
	}
	if refusal := c.md5.decide(response, c.startup.User); refusal != nil {
		return c.refuse(*refusal)
	}
	return c.authenticated()
}

func (c *Client) authenticated() Action {
	c.out = wire.AppendAuthenticationOK(c.out)
	c.state, c.scram, c.md5 = clientInAdmission, nil, nil
	return Admit
}

func (c *Client) violation(message string) Action {
	return c.refuse(Refusal{Report: wire.Fatal(wire.CodeProtocolViolation, message)})
}
