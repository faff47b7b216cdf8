package login

import (
	"crypto/rand"
	"errors"
	"io"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// TLSPolicy says whether clients encrypt.
type TLSPolicy int

const (
	// TLSDisabled answers requests for TLS with no.
	TLSDisabled TLSPolicy = iota
	// TLSOptional leaves it to the client.
	TLSOptional
	// TLSRequired refuses clients without TLS.
	TLSRequired
	// TLSMutual refuses clients without TLS and a certificate that was verified.
	TLSMutual
)

// TLS is what the driver knows after a handshake.
type TLS struct {
	Direct         bool   // it began without an SSLRequest
	ALPN           string // the protocol agreed on, if any
	VerifiedClient bool   // the client showed a certificate that was verified
	Binding        []byte // EndPointBinding of the server's certificate; nil: SCRAM-SHA-256-PLUS cannot be had
}

// ALPN is the protocol name that direct TLS must agree on.
const ALPN = "postgresql"

// IsDirectTLS says that a connection whose first byte is b begins with a TLS
// handshake. The driver does it, if the policy is not TLSDisabled, and calls
// TLSEstablished with Direct set.
func IsDirectTLS(b byte) bool { return b == 0x16 }

// ClientConfig is what all clients of a listener share.
type ClientConfig struct {
	TLS TLSPolicy
	// Salting is what names without an account are shown; the one that NewCredential
	// had.
	Salting Salting
	// AllowMD5 asks names without an account for an md5 response, as it does those
	// with a clear password or an md5 hash, see NewCredential.
	AllowMD5 bool
	// Rand is where nonces come from. Default: crypto/rand.
	Rand io.Reader
}

// Startup is what a client asked for.
type Startup struct {
	User     string
	Database string // the user's name, if the client gave none
	// Params are the other parameters in their order, "options" included, without
	// "replication" and the protocol's own (_pq_.).
	Params []wire.Param
	// Replication says whether the client asks for a walsender.
	Replication Replication
	// Version is the version agreed on: what the client asked for, at most 3.2.
	Version wire.Version
}

// Replication is the kind of walsender that a client asks for.
type Replication uint8

const (
	// NoReplication is an ordinary connection.
	NoReplication Replication = iota
	// PhysicalReplication runs no SQL; the database is of no meaning.
	PhysicalReplication
	// LogicalReplication is about one database.
	LogicalReplication
)

// Client logs a client in. It is not safe for concurrent use.
type Client struct {
	config  ClientConfig
	state   clientState
	out     []byte // during a call: what the driver is to send
	scanner wire.Scanner

	askedTLS bool // each request comes once, before anything else
	askedGSS bool
	tls      *TLS // nil: plain text

	startup Startup
	cancel  CancelKey
	scram   *scramServer
	md5     *md5Server
	proven  *Password
	err     error
}

type clientState int

const (
	clientStarting clientState = iota
	clientInHandshake
	clientInLookUp
	clientInSASLChoice // a SASLInitialResponse is next
	clientInSASLFirst  // the choice came without a message, which is next
	clientInSASLFinal
	clientInMD5
	clientInAdmission
	clientReady
	clientCancels
	clientClosed
)

// again is the Action inside a machine that has more to do with what it has read.
const again Action = -1

var clientLoginRules = wire.ClientLoginRules(maxSASLBody)

// NewClient returns a machine for one new connection.
func NewClient(config ClientConfig) *Client {
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
	return &Client{config: config, scanner: wire.Scanner{Rules: clientLoginRules}}
}

// Startup returns what the client asked for, from LookUpUser on.
func (c *Client) Startup() Startup { return c.startup }

// CancelKey returns the key of a client that asks for a cancel.
func (c *Client) CancelKey() CancelKey { return c.cancel }

// Err returns why the machine asked for Close: a *Refusal if the client was told.
func (c *Client) Err() error { return c.err }

// Proven returns, once the client has logged in with SCRAM, what logs in the same
// user to a server that stores the verifier that the client was checked against;
// otherwise nil.
func (c *Client) Proven() *Password { return c.proven }

// Receive is given all bytes that have come and were not used yet, and appends to
// out what to send. It returns how many bytes of in it has used and does not keep
// the others.
func (c *Client) Receive(in, out []byte) (used int, _ []byte, _ Action) {
	c.out = out
	for {
		n, action := c.step(in[used:])
		used += n
		if action != again {
			return used, c.flush(), action
		}
	}
}

// flush hands the output over; the machine keeps nothing of the driver's buffer.
func (c *Client) flush() []byte {
	out := c.out
	c.out = nil
	return out
}

func (c *Client) step(in []byte) (used int, _ Action) {
	switch c.state {
	case clientStarting:
		return c.start(in)
	case clientInSASLChoice, clientInSASLFirst, clientInSASLFinal, clientInMD5:
		return c.authenticate(in)
	case clientInHandshake:
		return 0, StartTLS
	case clientInLookUp:
		return 0, LookUpUser
	case clientInAdmission:
		return 0, Admit
	case clientReady:
		return 0, Ready
	case clientCancels:
		return 0, ForwardCancel
	default:
		return 0, Close
	}
}

var errOutOfTurn = errors.New("the driver called out of turn")

// TLSEstablished says that the handshake is done; what is received from now on is
// decrypted.
func (c *Client) TLSEstablished(t TLS, out []byte) ([]byte, Action) {
	c.out = out
	action := c.encrypted(t)
	return c.flush(), action
}

func (c *Client) encrypted(t TLS) Action {
	direct := c.state == clientStarting && !c.askedTLS && !c.askedGSS
	switch {
	case c.state != clientInHandshake && !(t.Direct && direct):
		return c.drop(errOutOfTurn)
	case t.Direct && c.config.TLS == TLSDisabled:
		return c.drop(errors.New("direct TLS connection, but TLS is disabled"))
	case t.Direct && t.ALPN != ALPN:
		return c.drop(errors.New("received direct SSL connection request without ALPN protocol negotiation extension"))
	}
	c.tls, c.askedTLS, c.state = &t, true, clientStarting
	return Read
}

// SetUser answers LookUpUser. If found is false, the credential is not looked at.
func (c *Client) SetUser(found bool, credential Credential, out []byte) ([]byte, Action) {
	c.out = out
	if c.state != clientInLookUp {
		return c.flush(), c.drop(errOutOfTurn)
	}
	if !found {
		credential = mockCredential(c.startup.User, c.config.Salting, c.config.AllowMD5)
	}
	action := c.ask(found, credential)
	return c.flush(), action
}

// Accept answers LookUpUser: the client needs no password.
func (c *Client) Accept(out []byte) ([]byte, Action) {
	c.out = out
	if c.state != clientInLookUp {
		return c.flush(), c.drop(errOutOfTurn)
	}
	action := c.authenticated()
	return c.flush(), action
}

// Welcome answers Admit: the client gets the parameters in this order, the key and
// ReadyForQuery.
func (c *Client) Welcome(params []wire.Param, key CancelKey, out []byte) ([]byte, Action) {
	most := wire.MinCancelKey
	if c.startup.Version >= wire.Version32 {
		most = wire.MaxCancelKey
	}
	if c.state != clientInAdmission || len(key.Secret) < wire.MinCancelKey || len(key.Secret) > most {
		return out, c.drop(errOutOfTurn)
	}
	for _, p := range params {
		out = wire.AppendParameterStatus(out, p.Name, p.Value)
	}
	out = wire.AppendBackendKeyData(out, key.PID, key.Secret)
	c.state = clientReady
	return wire.AppendReadyForQuery(out, wire.StatusIdle), Ready
}

// Fail answers LookUpUser or Admit, or ends the login at any other time: the
// client gets the report as FATAL.
func (c *Client) Fail(report wire.Report, out []byte) ([]byte, Action) {
	return c.Refuse(Refusal{Report: report}, out)
}

// Refuse is Fail with a reason for the log.
func (c *Client) Refuse(refusal Refusal, out []byte) ([]byte, Action) {
	c.out = out
	action := c.refuse(refusal)
	return c.flush(), action
}

// refuse tells the client why and closes.
func (c *Client) refuse(r Refusal) Action {
	if c.state == clientClosed {
		return Close
	}
	r.Severity = wire.SeverityFatal
	c.out = wire.AppendErrorResponse(c.out, r.Report)
	return c.drop(&r)
}

// drop closes without a word.
func (c *Client) drop(err error) Action {
	if c.state == clientClosed {
		return Close // the first reason counts
	}
	c.state, c.err, c.scram, c.md5, c.proven = clientClosed, err, nil, nil, nil
	return Close
}
