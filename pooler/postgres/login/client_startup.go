package login

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// start takes the next startup packet, or request in its place.
func (c *Client) start(in []byte) (used int, _ Action) {
	size, err := wire.StartupSize(in)
	if err != nil {
		return 0, c.drop(err)
	}
	if size == 0 || len(in) < size {
		return 0, Read
	}
	packet := in[:size]
	switch version := wire.StartupVersion(packet); {
	case version == wire.SSLRequest && !c.askedTLS:
		return size, c.answerTLS(len(in) > size)
	case version == wire.GSSENCRequest && !c.askedGSS:
		return size, c.answerGSS(len(in) > size)
	case version == wire.CancelRequest:
		return size, c.takeCancel(packet)
	case version.Major() != 3:
		return size, c.refuse(Refusal{Report: wire.Fatal(wire.CodeFeatureNotSupported, fmt.Sprintf(
			"unsupported frontend protocol %d.%d: server supports 3.0 to 3.2", version.Major(), version.Minor()))})
	default:
		return size, c.takeStartup(packet, version)
	}
}

// answerTLS answers an SSLRequest. Nothing may have come behind it: the client has
// to wait for the answer, so it was somebody else who wrote there, or the client
// would be misunderstood.
func (c *Client) answerTLS(more bool) Action {
	c.askedTLS = true
	if c.config.TLS != TLSDisabled && !more {
		c.out = append(c.out, 'S')
		c.state = clientInHandshake
		return StartTLS
	}
	if c.config.TLS == TLSDisabled {
		c.out = append(c.out, 'N')
	}
	if more {
		return c.injected("SSL request")
	}
	return again
}

// answerGSS answers a GSSENCRequest, always with no.
func (c *Client) answerGSS(more bool) Action {
	c.askedGSS = true
	c.out = append(c.out, 'N')
	if more {
		return c.injected("GSSAPI encryption request")
	}
	return again
}

func (c *Client) injected(behind string) Action {
	report := wire.Fatal(wire.CodeProtocolViolation, "received unencrypted data after "+behind)
	report.Detail = "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack."
	return c.refuse(Refusal{Report: report})
}

func (c *Client) takeCancel(packet []byte) Action {
	pid, key, err := wire.ParseCancelRequest(packet)
	if err != nil {
		return c.drop(err)
	}
	c.cancel = CancelKey{PID: pid, Secret: bytes.Clone(key)}
	c.state = clientCancels
	return ForwardCancel
}

// takeStartup reads a StartupMessage and says what comes of it.
func (c *Client) takeStartup(packet []byte, version wire.Version) Action {
	params, err := wire.ParseStartup(packet)
	if err != nil {
		return c.refuse(Refusal{Report: wire.Fatal(wire.CodeProtocolViolation, err.Error())})
	}
	replication := c.takeParams(params)
	c.negotiate(version, params)
	if report, ok := c.admissible(replication); !ok {
		return c.refuse(Refusal{Report: report})
	}
	if c.startup.Database == "" {
		c.startup.Database = c.startup.User
	}
	c.state = clientInLookUp
	return LookUpUser
}

// takeParams sorts the parameters; of a repeated user or database the last counts,
// as in PostgreSQL.
func (c *Client) takeParams(params []wire.Param) (replication string) {
	for _, p := range params {
		switch {
		case p.Name == "user":
			c.startup.User = p.Value
		case p.Name == "database":
			c.startup.Database = p.Value
		case p.Name == "replication":
			replication = p.Value
		case strings.HasPrefix(p.Name, protocolOption):
		default:
			c.startup.Params = append(c.startup.Params, p)
		}
	}
	return replication
}

// protocolOption begins the names of options of the protocol, of which none is
// known yet.
const protocolOption = "_pq_."

// negotiate settles the version, and says so once if it is not simply what the
// client asked for.
func (c *Client) negotiate(version wire.Version, params []wire.Param) {
	c.startup.Version = min(version, wire.Version32)
	var unknown []string
	for _, p := range params {
		if strings.HasPrefix(p.Name, protocolOption) {
			unknown = append(unknown, p.Name)
		}
	}
	if version > wire.Version32 || unknown != nil {
		c.out = wire.AppendNegotiateProtocolVersion(c.out, c.startup.Version, unknown)
	}
}

// admissible checks what can be checked before the password.
func (c *Client) admissible(replication string) (wire.Report, bool) {
	if c.startup.User == "" {
		return wire.Fatal(wire.CodeInvalidAuthorization, "no PostgreSQL user name specified in startup packet"), false
	}
	if c.config.TLS >= TLSRequired && c.tls == nil {
		report := wire.Fatal(wire.CodeInvalidAuthorization, "this pool accepts encrypted connections only")
		report.Hint = "Connect with sslmode=require or stronger."
		return report, false
	}
	if c.config.TLS == TLSMutual && !c.tls.VerifiedClient {
		report := wire.Fatal(wire.CodeInvalidAuthorization, "connection requires a valid client certificate")
		report.Hint = "Connect with sslcert and sslkey."
		return report, false
	}
	if kind, ok := parseReplication(replication); ok {
		c.startup.Replication = kind
	} else {
		report := wire.Fatal(wire.CodeInvalidParameterValue,
			fmt.Sprintf("invalid value for parameter \"replication\": \"%s\"", replication))
		report.Hint = `Valid values are: "false", 0, "true", 1, "database".`
		return report, false
	}
	return wire.Report{}, true
}

// parseReplication reads a value as PostgreSQL does: a boolean, which may be
// shortened, or "database".
func parseReplication(value string) (_ Replication, ok bool) {
	lower := strings.ToLower(value)
	means := func(word string, least int) bool {
		return len(lower) >= least && strings.HasPrefix(word, lower)
	}
	switch {
	case value == "", means("false", 1), means("no", 1), means("off", 2), lower == "0":
		return NoReplication, true
	case value == "database":
		return LogicalReplication, true
	case means("true", 1), means("yes", 1), lower == "on", lower == "1":
		return PhysicalReplication, true
	}
	return NoReplication, false
}
