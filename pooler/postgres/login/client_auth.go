package login

import (
	"errors"
	"fmt"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// maxSASLBody is PostgreSQL's limit for a SASL message, in bytes.
const maxSASLBody = 1024

var errLeft = errors.New("the client left during authentication")

// authenticate takes the next message of the SASL exchange.
func (c *Client) authenticate(in []byte) (used int, _ Action) {
	if len(in) > 0 && in[0] != wire.TypePassword {
		if in[0] == wire.TypeTerminate {
			return 0, c.drop(errLeft)
		}
		return 0, c.violation(fmt.Sprintf("expected SASL response, got message type %d", in[0]))
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
	case string(mechanism) != scramSHA256:
		return c.violation("client selected an invalid SASL authentication mechanism")
	case message == nil:
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
	return c.authenticated()
}

func (c *Client) authenticated() Action {
	c.out = wire.AppendAuthenticationOK(c.out)
	c.state, c.scram = clientInAdmission, nil
	return Admit
}

func (c *Client) violation(message string) Action {
	return c.refuse(Refusal{Report: wire.Fatal(wire.CodeProtocolViolation, message)})
}
