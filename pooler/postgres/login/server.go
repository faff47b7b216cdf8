package login

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// ServerTLS says whether to encrypt towards a server. Whom to believe (VerifyCA,
// VerifyFull) is for the driver's handshake to decide; both are ServerTLSRequire
// here.
type ServerTLS int

const (
	// ServerTLSDisable does not ask for TLS.
	ServerTLSDisable ServerTLS = iota
	// ServerTLSPrefer goes on in plain text if the server has no TLS.
	ServerTLSPrefer
	// ServerTLSRequire fails if the server has no TLS.
	ServerTLSRequire
)

// ServerConfig is what a server connection logs in with.
type ServerConfig struct {
	User     string
	Database string
	Params   []wire.Param // more parameters of the StartupMessage, in order
	Password *Password    // nil: none
	TLS      ServerTLS
	// Rand is where nonces come from. Default: crypto/rand.
	Rand io.Reader
}

// Server logs in to a server. It is not safe for concurrent use.
type Server struct {
	config  ServerConfig
	state   serverState
	out     []byte // during a call: what the driver is to send
	scanner wire.Scanner
	secure  bool
	binding []byte // of the TLS connection, see TLS

	scram      *scramClient
	params     []wire.Param
	paramBytes int
	key        CancelKey
	err        error
}

type serverState int

const (
	serverNew serverState = iota
	serverAskedTLS
	serverInHandshake
	serverAsksAuth    // nothing was asked for yet
	serverChecks      // a password was sent
	serverInSASL      // our first SASL message was sent
	serverInSASLFinal // our proof was sent
	serverProved      // so was the server's
	serverAccepted    // AuthenticationOk
	serverReady
	serverClosed
)

// maxParamBytes bounds what a server may report before its first ReadyForQuery:
// PostgreSQL reports 15 parameters in some 300 bytes.
const maxParamBytes = 64 << 10

var serverLoginRules = wire.ServerLoginRules()

// NewServer returns a machine for one new connection.
func NewServer(config ServerConfig) *Server {
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
	return &Server{config: config, scanner: wire.Scanner{Rules: serverLoginRules}}
}

// Params returns what the server reported, in its order, each name once. The slice
// is the caller's once the login is Ready.
func (s *Server) Params() []wire.Param { return s.params }

// CancelKey returns the server's key; its Secret is nil if the server gave none.
func (s *Server) CancelKey() CancelKey { return s.key }

// Err returns why the machine asked for Close: a *wire.ServerError if the server
// said so, otherwise a *Failure or a *wire.ProtocolError.
func (s *Server) Err() error { return s.err }

// Start appends the first message.
func (s *Server) Start(out []byte) ([]byte, Action) {
	if s.state != serverNew {
		return out, s.fail(errOutOfTurn)
	}
	if s.config.TLS == ServerTLSDisable {
		return s.startup(out), Read
	}
	s.state = serverAskedTLS
	return wire.AppendSSLRequest(out), Read
}

// TLSEstablished says that the handshake is done; what is received from now on is
// decrypted.
func (s *Server) TLSEstablished(t TLS, out []byte) ([]byte, Action) {
	if s.state != serverInHandshake {
		return out, s.fail(errOutOfTurn)
	}
	s.secure, s.binding = true, t.Binding
	return s.startup(out), Read
}

func (s *Server) startup(out []byte) []byte {
	s.state = serverAsksAuth
	return wire.AppendStartup(out, wire.Version30, s.config.User, s.config.Database, s.config.Params)
}

// Receive is given all bytes that have come and were not used yet, and appends to
// out what to send. It returns how many bytes of in it has used and does not keep
// the others.
func (s *Server) Receive(in, out []byte) (used int, _ []byte, _ Action) {
	s.out = out
	for {
		n, action := s.step(in[used:])
		used += n
		if action != again {
			out, s.out = s.out, nil
			return used, out, action
		}
	}
}

func (s *Server) step(in []byte) (used int, _ Action) {
	switch s.state {
	case serverNew:
		return 0, s.fail(errOutOfTurn)
	case serverAskedTLS:
		return s.answered(in)
	case serverInHandshake:
		return 0, StartTLS
	case serverReady:
		return 0, Ready
	case serverClosed:
		return 0, Close
	}
	piece, err := s.scanner.Next(in)
	if err != nil {
		return 0, s.fail(fmt.Errorf("during login to the server: %w", err))
	}
	if piece.Raw == nil {
		return 0, Read
	}
	return len(piece.Raw), s.message(piece.Type, piece.Body())
}

// answered takes the one byte that answers an SSLRequest.
func (s *Server) answered(in []byte) (used int, _ Action) {
	if len(in) == 0 {
		return 0, Read
	}
	switch {
	case in[0] == 'S' && len(in) > 1:
		return 1, s.final("received unencrypted data behind the server's answer to SSLRequest: " +
			"somebody may be tampering with the connection")
	case in[0] == 'S':
		s.state = serverInHandshake
		return 1, StartTLS
	case in[0] == 'N' && s.config.TLS == ServerTLSPrefer:
		s.out = s.startup(s.out)
		return 1, again
	case in[0] == 'N':
		return 1, s.final("the server does not offer TLS: enable ssl on it, or set the destination's tls.mode to Disable")
	}
	return 0, s.fail(&Failure{Message: fmt.Sprintf(
		"the server answered SSLRequest with byte %d: is this a PostgreSQL server?", in[0])})
}

// message takes one whole message.
func (s *Server) message(typ byte, body []byte) Action {
	switch {
	case typ == wire.TypeErrorResponse:
		report, err := wire.ParseReport(body)
		if err != nil {
			return s.fail(fmt.Errorf("read the server's ErrorResponse: %w", err))
		}
		return s.fail(&wire.ServerError{Report: report})
	case typ == wire.TypeNoticeResponse:
		return again
	case typ == wire.TypeAuthentication && s.state != serverAccepted:
		return s.authenticate(body)
	case s.state != serverAccepted:
		return s.unexpected(typ)
	case typ == wire.TypeParameterStatus:
		return s.takeParam(body)
	case typ == wire.TypeBackendKeyData:
		return s.takeKey(body)
	case typ == wire.TypeReadyForQuery:
		return s.takeReady(body)
	}
	return s.unexpected(typ)
}

func (s *Server) takeParam(body []byte) Action {
	name, value, err := wire.ParseParameterStatus(body)
	if err != nil {
		return s.fail(fmt.Errorf("read ParameterStatus: %w", err))
	}
	if s.paramBytes += len(body); s.paramBytes > maxParamBytes {
		return s.fail(&Failure{Message: fmt.Sprintf("the server reports more than %d bytes of parameters", maxParamBytes)})
	}
	for i := range s.params {
		if s.params[i].Name == string(name) {
			s.params[i].Value = string(value)
			return again
		}
	}
	s.params = append(s.params, wire.Param{Name: string(name), Value: string(value)})
	return again
}

func (s *Server) takeKey(body []byte) Action {
	pid, secret, err := wire.ParseBackendKeyData(body)
	if err != nil {
		return s.fail(fmt.Errorf("read BackendKeyData: %w", err))
	}
	s.key = CancelKey{PID: pid, Secret: bytes.Clone(secret)}
	return again
}

func (s *Server) takeReady(body []byte) Action {
	status, err := wire.ParseReadyForQuery(body)
	if err != nil || status != wire.StatusIdle {
		return s.fail(&Failure{Message: "the server's first ReadyForQuery is not idle"})
	}
	s.state = serverReady
	return Ready
}

func (s *Server) unexpected(typ byte) Action {
	return s.fail(&Failure{Message: fmt.Sprintf("unexpected message '%c' during login to the server", typ)})
}

// final fails for a reason that trying again does not cure.
func (s *Server) final(message string) Action {
	return s.fail(&Failure{Message: message, final: true})
}

func (s *Server) fail(err error) Action {
	if s.state == serverClosed {
		return Close // the first reason counts
	}
	s.state, s.err, s.scram = serverClosed, err, nil
	return Close
}
