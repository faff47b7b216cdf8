package login

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

var (
	authOK   = wire.AppendAuthenticationOK(nil)
	authSASL = wire.AppendAuthenticationSASL(nil, "OAUTHBEARER", "SCRAM-SHA-256")
	key1     = wire.AppendBackendKeyData(nil, 1, []byte("abcd"))
	idle     = wire.AppendReadyForQuery(nil, wire.StatusIdle)
)

func parameter(name, value string) []byte { return wire.AppendParameterStatus(nil, name, value) }

// started returns a machine that has sent its StartupMessage, over TLS if secure.
func started(t *testing.T, secure bool, password *Password) *Server {
	t.Helper()
	config := ServerConfig{User: "u", Database: "d", Password: password, Rand: bytes.NewReader(make([]byte, 100))}
	if !secure {
		s := NewServer(config)
		if out, action := s.Start(nil); action != Read || string(out) != "\x00\x00\x00\x1b\x00\x03\x00\x00user\x00u\x00database\x00d\x00\x00" {
			t.Fatalf("%v, sent %q", action, out)
		}
		return s
	}
	config.TLS = ServerTLSRequire
	s := NewServer(config)
	if out, action := s.Start(nil); action != Read || !bytes.Equal(out, sslRequest) {
		t.Fatalf("%v, sent %q", action, out)
	}
	if used, out, action := s.Receive([]byte("S"), nil); used != 1 || len(out) != 0 || action != StartTLS {
		t.Fatalf("%v, used %d, sent %q", action, used, out)
	}
	if out, action := s.TLSEstablished(TLS{}, nil); action != Read || !bytes.Contains(out, []byte("database\x00d")) {
		t.Fatalf("%v, sent %q", action, out)
	}
	return s
}

func TestTheAnswerToSSLRequest(t *testing.T) {
	for name, c := range map[string]struct {
		tls    ServerTLS
		in     string
		action Action
		out    string
		err    string
		final  bool
	}{
		"S begins the handshake":                          {tls: ServerTLSRequire, in: "S", action: StartTLS},
		"S begins the handshake where TLS is preferred":   {tls: ServerTLSPrefer, in: "S", action: StartTLS},
		"bytes behind S are refused":                      {tls: ServerTLSRequire, in: "SR", action: Close, err: "unencrypted data", final: true},
		"bytes behind S are refused where it's preferred": {tls: ServerTLSPrefer, in: "SR", action: Close, err: "unencrypted data", final: true},
		"N under Require says what to do":                 {tls: ServerTLSRequire, in: "N", action: Close, err: "enable ssl on it", final: true},
		"N under Prefer goes on in plain text": {tls: ServerTLSPrefer, in: "N", action: Read,
			out: "\x00\x00\x00\x1b\x00\x03\x00\x00user\x00u\x00database\x00d\x00\x00"},
		"an error of before TLS is not believed":      {tls: ServerTLSRequire, in: "EFATAL: sorry", action: Close, err: "byte 69"},
		"an answer of something else is not believed": {tls: ServerTLSRequire, in: "HTTP/1.1 400", action: Close, err: "is this a PostgreSQL server?"},
		"no answer yet is waited for":                 {tls: ServerTLSRequire, in: "", action: Read},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewServer(ServerConfig{User: "u", Database: "d", TLS: c.tls})
			s.Start(nil)
			_, out, action := s.Receive([]byte(c.in), nil)
			if action != c.action || string(out) != c.out {
				t.Errorf("%v, sent %q, want %v, %q", action, out, c.action, c.out)
			}
			if (s.Err() != nil) != (c.err != "") || s.Err() != nil && !strings.Contains(s.Err().Error(), c.err) {
				t.Errorf("error %v, want %q", s.Err(), c.err)
			}
			if Final(s.Err()) != c.final {
				t.Errorf("final %v, want %v", !c.final, c.final)
			}
		})
	}
}

func TestTheStartupMessageCarriesTheParametersInOrder(t *testing.T) {
	s := NewServer(ServerConfig{User: "u", Database: "d", Params: []wire.Param{{Name: "options", Value: "-c a=b"}, {Name: "b", Value: "1"}}})
	out, _ := s.Start(nil)
	if !bytes.HasSuffix(out, []byte("database\x00d\x00options\x00-c a=b\x00b\x001\x00\x00")) {
		t.Errorf("sent %q", out)
	}
}

func TestHowAServerMayAskForThePassword(t *testing.T) {
	md5 := wire.AppendAuthenticationMD5Password(nil, [4]byte{1, 2, 3, 4})
	clear := wire.AppendAuthenticationCleartextPassword(nil)
	for name, c := range map[string]struct {
		secure, none bool
		in           []byte
		out          []byte
		action       Action
		err          string
	}{
		"not at all":                            {in: authOK, action: Read},
		"not at all, and none is configured":    {none: true, in: authOK, action: Read},
		"in clear text over TLS":                {secure: true, in: clear, out: wire.AppendPassword(nil, "pencil"), action: Read},
		"in clear text without TLS is refused":  {in: clear, action: Close, err: "clear text on an unencrypted connection"},
		"md5":                                   {in: md5, out: wire.AppendPassword(nil, "md54567f87c27458471591fac9bc78f16f4"), action: Read},
		"SCRAM among others":                    {in: authSASL, out: wire.AppendSASLInitialResponse(nil, "SCRAM-SHA-256", "n,,n=,r="+strings.Repeat("A", 24)), action: Read},
		"SASL without SCRAM-SHA-256 is refused": {in: wire.AppendAuthenticationSASL(nil, "OAUTHBEARER"), action: Close, err: "does not offer SCRAM-SHA-256"},
		"GSSAPI is refused":                     {in: []byte("R\x00\x00\x00\x08\x00\x00\x00\x07"), action: Close, err: "method 7, which is not supported"},
		"md5 with a short salt is refused":      {in: []byte("R\x00\x00\x00\x0a\x00\x00\x00\x05xx"), action: Close, err: "method 5"},
		"for one that is not configured":        {none: true, in: md5, action: Close, err: `asks for a password of user "u" and none is known`},
	} {
		t.Run(name, func(t *testing.T) {
			password := NewPassword("pencil")
			if c.none {
				password = nil
			}
			s := started(t, c.secure, password)
			used, out, action := s.Receive(c.in, nil)
			if used != len(c.in) || action != c.action || !bytes.Equal(out, c.out) {
				t.Errorf("%v, used %d, sent %q, want %v, %q", action, used, out, c.action, c.out)
			}
			if (s.Err() != nil) != (c.err != "") || s.Err() != nil && !strings.Contains(s.Err().Error(), c.err) {
				t.Errorf("error %v, want %q", s.Err(), c.err)
			}
			if s.Err() != nil && !Final(s.Err()) {
				t.Error("trying again will not help, but the error is not final")
			}
		})
	}
}

func TestWhatAServerReportsIsKept(t *testing.T) {
	s := started(t, false, nil)
	in := concat(authOK,
		parameter("server_version", "15.3"), parameter("TimeZone", "UTC"),
		wire.AppendNoticeResponse(nil, wire.Report{Severity: "NOTICE", Code: "00000", Message: "hello"}),
		parameter("TimeZone", "CET"), parameter("application_name", ""), key1, idle, []byte("behind"))
	var used int
	action := Read
	for have := 1; action == Read; have++ { // one byte at a time
		var n int
		n, _, action = s.Receive(in[used:have], nil)
		used += n
	}
	if action != Ready || string(in[used:]) != "behind" {
		t.Fatalf("%v, left %q, %v", action, in[used:], s.Err())
	}
	clear(in)
	want := []wire.Param{{Name: "server_version", Value: "15.3"}, {Name: "TimeZone", Value: "CET"}, {Name: "application_name"}}
	if !reflect.DeepEqual(s.Params(), want) {
		t.Errorf("parameters %v", s.Params())
	}
	if key := s.CancelKey(); key.PID != 1 || string(key.Secret) != "abcd" {
		t.Errorf("key %+v", key)
	}
}

func TestAServerWithoutACancelKeyIsAccepted(t *testing.T) {
	s := started(t, false, nil)
	if _, _, action := s.Receive(concat(authOK, idle), nil); action != Ready || s.CancelKey().Secret != nil {
		t.Errorf("%v, key %+v", action, s.CancelKey())
	}
}

func TestAServersErrorIsPassedOn(t *testing.T) {
	for code, final := range map[string]bool{
		"28P01": true, "28000": true, "3D000": true, "42704": true, "53300": false, "57P03": false, "57P01": false, "": false,
	} {
		for where, before := range map[string][]byte{"before the authentication": nil, "behind AuthenticationOk": authOK} {
			t.Run(code+" "+where, func(t *testing.T) {
				s := started(t, false, nil)
				report := wire.Report{Severity: "FATAL", Code: code, Message: "m", Detail: "d", Hint: "h"}
				_, _, action := s.Receive(concat(before, wire.AppendErrorResponse(nil, report)), nil)
				e, ok := errors.AsType[*wire.ServerError](s.Err())
				if action != Close || !ok || e.Report != report {
					t.Fatalf("%v, %v", action, s.Err())
				}
				if Final(s.Err()) != final || Final(fmt.Errorf("log in: %w", s.Err())) != final {
					t.Errorf("final %v, want %v", !final, final)
				}
			})
		}
	}
}

func TestErrorsNothingIsKnownAboutAreNotFinal(t *testing.T) {
	if Final(nil) || Final(io.ErrUnexpectedEOF) {
		t.Error("an error of the network is final")
	}
}

func TestWhatAServerMustNotSend(t *testing.T) {
	many := []byte{}
	for i := range 9 {
		many = append(many, parameter(fmt.Sprint("p", i), strings.Repeat("x", 9_000))...)
	}
	for name, c := range map[string]struct {
		in  []byte
		err string
	}{
		"parameters before AuthenticationOk":         {parameter("a", "b"), "unexpected message 'S'"},
		"ReadyForQuery before AuthenticationOk":      {idle, "unexpected message 'Z'"},
		"a row during the login":                     {[]byte("D\x00\x00\x00\x06\x00\x00"), "invalid backend message type 68"},
		"AuthenticationOk twice":                     {concat(authOK, authOK), "unexpected message 'R'"},
		"a SASL challenge nobody asked for":          {wire.AppendAuthenticationSASLContinue(nil, []byte("r=x")), "method 11"},
		"a first ReadyForQuery inside a transaction": {concat(authOK, wire.AppendReadyForQuery(nil, wire.StatusInTransaction)), "not idle"},
		"a version we did not ask for":               {wire.AppendNegotiateProtocolVersion(nil, wire.Version32, nil), "unexpected message 'v'"},
		"a cancel key of 3 bytes":                    {concat(authOK, []byte("K\x00\x00\x00\x0b\x00\x00\x00\x01abc")), "BackendKeyData"},
		"more parameters than can be kept":           {concat(authOK, many), "more than 65536 bytes of parameters"},
		"a parameter of 10,001 bytes":                {concat(authOK, []byte("S\x00\x00\x27\x15")), "invalid message length"},
		"an error of 30,001 bytes":                   {[]byte("E\x00\x00\x75\x35"), "invalid message length"},
		"a length of 2^31-1":                         {[]byte("R\x7f\xff\xff\xff"), "invalid message length"},
		"an error that is none":                      {[]byte("E\x00\x00\x00\x06xx"), "read the server's ErrorResponse"},
	} {
		t.Run(name, func(t *testing.T) {
			s := started(t, false, NewPassword("pencil"))
			_, out, action := s.Receive(c.in, nil)
			if action != Close || s.Err() == nil || !strings.Contains(s.Err().Error(), c.err) || len(out) != 0 {
				t.Errorf("%v, %v, sent %q, want %q", action, s.Err(), out, c.err)
			}
		})
	}
}

func TestAServerMustProveThatItKnowsThePassword(t *testing.T) {
	nonce := strings.Repeat("A", 24)
	next := func(text string) []byte { return wire.AppendAuthenticationSASLContinue(nil, []byte(text)) }
	last := func(text string) []byte { return wire.AppendAuthenticationSASLFinal(nil, []byte(text)) }
	challenge := next("r=" + nonce + "x,s=" + rfcSalt64 + ",i=10")
	for name, c := range map[string]struct {
		in  []byte
		err string
	}{
		"AuthenticationOk instead of a challenge": {authOK, "out of turn"},
		"AuthenticationOk instead of a signature": {concat(challenge, authOK), "without proving that it knows the password"},
		"a wrong signature":                       {concat(challenge, last(rfcServerFinal)), "signature is wrong"},
		"a signature that is not base64":          {concat(challenge, last("v=!")), "signature is wrong"},
		"an empty signature":                      {concat(challenge, last("v=")), "signature is wrong"},
		"an error instead of a signature":         {concat(challenge, last("e=invalid-proof")), "holds no signature"},
		"a second challenge":                      {concat(challenge, challenge), "out of turn"},
		"clear text after SCRAM has begun":        {wire.AppendAuthenticationCleartextPassword(nil), "out of turn"},
		"a nonce that is not ours":                {next("r=Bx,s=" + rfcSalt64 + ",i=10"), "nonce"},
		"a nonce without a part of the server's":  {next("r=" + nonce + ",s=" + rfcSalt64 + ",i=10"), "nonce"},
		"no iterations":                           {next("r=" + nonce + "x,s=" + rfcSalt64 + ",i=0"), "iteration count"},
		"iterations that would keep us busy":      {next("r=" + nonce + "x,s=" + rfcSalt64 + ",i=2147483647"), "more than 1000000 iterations"},
		"an empty salt":                           {next("r=" + nonce + "x,s=,i=10"), "malformed challenge"},
		"a salt that is not base64":               {next("r=" + nonce + "x,s=!,i=10"), "malformed challenge"},
		"too few fields":                          {next("r=" + nonce + "x"), "malformed challenge"},
		"a mandatory extension":                   {next("m=x,r=" + nonce + "x,s=" + rfcSalt64 + ",i=10"), "malformed challenge"},
		"nothing":                                 {next(""), "malformed challenge"},
	} {
		t.Run(name, func(t *testing.T) {
			s := started(t, false, NewPassword("pencil"))
			s.Receive(authSASL, nil)
			_, _, action := s.Receive(c.in, nil)
			if action != Close || s.Err() == nil || !strings.Contains(s.Err().Error(), c.err) {
				t.Errorf("%v, %v, want %q", action, s.Err(), c.err)
			}
			if strings.Contains(fmt.Sprint(s.Err()), "pencil") {
				t.Error("the error shows the password")
			}
		})
	}
}

func TestADriverOutOfTurnFails(t *testing.T) {
	for name, call := range map[string]func(*Server) Action{
		"Receive before Start":               func(s *Server) Action { _, _, a := s.Receive(nil, nil); return a },
		"TLSEstablished without a handshake": func(s *Server) Action { s.Start(nil); _, a := s.TLSEstablished(TLS{}, nil); return a },
		"Start twice":                        func(s *Server) Action { s.Start(nil); _, a := s.Start(nil); return a },
	} {
		t.Run(name, func(t *testing.T) {
			s := NewServer(ServerConfig{User: "u", Database: "d"})
			if action := call(s); action != Close || s.Err() == nil {
				t.Errorf("%v, %v", action, s.Err())
			}
		})
	}
}
