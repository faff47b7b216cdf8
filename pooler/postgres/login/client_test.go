package login

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// startup returns a StartupMessage of any version with "name=value" parameters.
func startup(version wire.Version, params ...string) []byte {
	body := binary.BigEndian.AppendUint32(nil, uint32(version))
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		body = append(append(append(append(body, name...), 0), value...), 0)
	}
	body = append(body, 0)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// fatal returns the ErrorResponse with which the machine refuses.
func fatal(code, message string) []byte {
	return wire.AppendErrorResponse(nil, wire.Fatal(code, message))
}

const injection = "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack."

func fatalWith(code, message, detail, hint string) []byte {
	return wire.AppendErrorResponse(nil, wire.Report{
		Severity: "FATAL", Code: code, Message: message, Detail: detail, Hint: hint})
}

var sslRequest, gssRequest = wire.AppendSSLRequest(nil), wire.AppendGSSENCRequest(nil)

// feed gives in to the machine one byte at a time, as long as it reads, and checks
// that it uses exactly what it has used when it got all at once.
func feed(t *testing.T, c *Client, in []byte) (used int, out []byte, action Action) {
	t.Helper()
	for have := 1; have <= len(in) && action == Read; have++ {
		var n int
		n, out, action = c.Receive(in[used:have], out)
		used += n
	}
	return used, out, action
}

func TestStartup(t *testing.T) {
	plain := startup(wire.Version30, "user=u")
	for name, c := range map[string]struct {
		config ClientConfig
		in     []byte
		out    []byte
		action Action
		left   int // bytes that stay unused
	}{
		"a client that has sent nothing is read on": {action: Read},
		"SSLRequest is answered S where TLS is optional": {
			config: ClientConfig{TLS: TLSOptional}, in: sslRequest, out: []byte("S"), action: StartTLS},
		"SSLRequest is answered S where TLS is required": {
			config: ClientConfig{TLS: TLSRequired}, in: sslRequest, out: []byte("S"), action: StartTLS},
		"SSLRequest is answered N where TLS is disabled": {
			in: sslRequest, out: []byte("N"), action: Read},
		"GSSENCRequest is answered N": {
			config: ClientConfig{TLS: TLSRequired}, in: gssRequest, out: []byte("N"), action: Read},
		"bytes behind SSLRequest are refused, not taken into the encrypted stream": {
			config: ClientConfig{TLS: TLSOptional}, in: concat(sslRequest, plain),
			out:    fatalWith("08P01", "received unencrypted data after SSL request", injection, ""),
			action: Close, left: len(plain)},
		"one byte behind SSLRequest is refused": {
			config: ClientConfig{TLS: TLSRequired}, in: concat(sslRequest, []byte{0x16}),
			out:    fatalWith("08P01", "received unencrypted data after SSL request", injection, ""),
			action: Close, left: 1},
		"bytes behind SSLRequest are refused where TLS is disabled, too": {
			in:     concat(sslRequest, plain),
			out:    concat([]byte("N"), fatalWith("08P01", "received unencrypted data after SSL request", injection, "")),
			action: Close, left: len(plain)},
		"bytes behind GSSENCRequest are refused": {
			in:     concat(gssRequest, sslRequest),
			out:    concat([]byte("N"), fatalWith("08P01", "received unencrypted data after GSSAPI encryption request", injection, "")),
			action: Close, left: len(sslRequest)},
		"7 bytes are closed without an answer": {
			in: []byte{0, 0, 0, 7, 0, 3, 0}, action: Close, left: 7},
		"10,005 bytes are closed without an answer before they came": {
			in: []byte{0, 0, 0x27, 0x15}, action: Close, left: 4},
		"a TLS handshake that was not expected is closed without an answer": {
			in: []byte{0x16, 3, 1, 2, 0}, action: Close, left: 5},
		"10,004 bytes are accepted": {
			in: startup(wire.Version30, "user=u", "options="+strings.Repeat("a", 9978)), action: LookUpUser},
		"a major version other than 3 is refused": {
			in: startup(4<<16, "user=u"), out: fatal("0A000", "unsupported frontend protocol 4.0: server supports 3.0 to 3.2"), action: Close},
		"version 2 is refused": {
			in: startup(2<<16, "user=u"), out: fatal("0A000", "unsupported frontend protocol 2.0: server supports 3.0 to 3.2"), action: Close},
		"a packet without a terminator is refused": {
			in:  plain[:copy(plain[:4], "\x00\x00\x00\x0f")+11],
			out: fatal("08P01", "invalid startup packet layout: expected terminator as last byte"), action: Close},
		"a missing user is refused": {
			in: startup(wire.Version30, "database=d"), out: fatal("28000", "no PostgreSQL user name specified in startup packet"), action: Close},
		"an empty user is refused": {
			in: startup(wire.Version30, "user="), out: fatal("28000", "no PostgreSQL user name specified in startup packet"), action: Close},
		"plain text is refused where TLS is required": {
			config: ClientConfig{TLS: TLSRequired}, in: startup(wire.Version30, "user=u"),
			out: fatalWith("28000", "this pool accepts encrypted connections only", "", "Connect with sslmode=require or stronger."), action: Close},
		"plain text is refused where TLS is mutual": {
			config: ClientConfig{TLS: TLSMutual}, in: startup(wire.Version30, "user=u"),
			out: fatalWith("28000", "this pool accepts encrypted connections only", "", "Connect with sslmode=require or stronger."), action: Close},
		"plain text is accepted where TLS is optional": {
			config: ClientConfig{TLS: TLSOptional}, in: startup(wire.Version30, "user=u"), action: LookUpUser},
		"replication=off is an ordinary connection": {
			in: startup(wire.Version30, "user=u", "replication=off"), action: LookUpUser},
		"a replication value of no meaning is refused": {
			in: startup(wire.Version30, "user=u", "replication=maybe"),
			out: fatalWith("22023", `invalid value for parameter "replication": "maybe"`, "",
				`Valid values are: "false", 0, "true", 1, "database".`), action: Close},
		"protocol 3.2 is accepted as it is": {
			in: startup(wire.Version32, "user=u"), action: LookUpUser},
		"grease is answered once with 3.2 and the unknown option": {
			in:     startup(3<<16|9999, "user=u", "_pq_.test_protocol_negotiation="),
			out:    []byte("v\x00\x00\x00\x2b\x00\x03\x00\x02\x00\x00\x00\x01_pq_.test_protocol_negotiation\x00"),
			action: LookUpUser},
		"an unknown option of protocol 3.0 is answered with 3.0": {
			in:     startup(wire.Version30, "user=u", "_pq_.x=1"),
			out:    []byte("v\x00\x00\x00\x13\x00\x03\x00\x00\x00\x00\x00\x01_pq_.x\x00"),
			action: LookUpUser},
		"a newer minor version alone is answered without options": {
			in:  startup(3<<16|3, "user=u"),
			out: []byte("v\x00\x00\x00\x0c\x00\x03\x00\x02\x00\x00\x00\x00"), action: LookUpUser},
		"the negotiation comes before the refusal": {
			in: startup(3<<16 | 3),
			out: concat([]byte("v\x00\x00\x00\x0c\x00\x03\x00\x02\x00\x00\x00\x00"),
				fatal("28000", "no PostgreSQL user name specified in startup packet")), action: Close},
		"a cancel request is taken": {
			in: wire.AppendCancelRequest(nil, 7, []byte("1234")), action: ForwardCancel},
		"a cancel request in plain text is taken where TLS is required": {
			config: ClientConfig{TLS: TLSRequired}, in: wire.AppendCancelRequest(nil, 7, []byte("1234")), action: ForwardCancel},
		"a cancel request without a key is closed without an answer": {
			in: wire.AppendCancelRequest(nil, 7, nil), action: Close},
		"a cancel request with a key of 257 bytes is closed without an answer": {
			in: wire.AppendCancelRequest(nil, 7, make([]byte, 257)), action: Close},
		"bytes behind the startup message stay for what comes next": {
			in: concat(startup(wire.Version30, "user=u"), []byte("p\x00")), action: LookUpUser, left: 2},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewClient(c.config)
			used, out, action := m.Receive(c.in, nil)
			if !bytes.Equal(out, c.out) || action != c.action || len(c.in)-used != c.left {
				t.Errorf("%v, %d bytes left, sent %q\nwant %v, %d bytes left, sent %q",
					action, len(c.in)-used, out, c.action, c.left, c.out)
			}
			if (m.Err() != nil) != (action == Close) {
				t.Errorf("%v with error %v", action, m.Err())
			}
			if _, told := errors.AsType[*Refusal](m.Err()); told != bytes.Contains(out, []byte("SFATAL")) {
				t.Errorf("error %v, but sent %q", m.Err(), out)
			}
		})
	}
}

func TestStartupOneByteAtATime(t *testing.T) {
	for name, c := range map[string]struct {
		in, out []byte
		action  Action
	}{
		"GSSENCRequest, SSLRequest, StartupMessage": {
			concat(gssRequest, sslRequest, startup(wire.Version30, "user=u")), []byte("NN"), LookUpUser},
		"SSLRequest, GSSENCRequest, StartupMessage": {
			concat(sslRequest, gssRequest, startup(wire.Version32, "user=u")), []byte("NN"), LookUpUser},
		"grease": {
			startup(3<<16|9999, "user=u"), []byte("v\x00\x00\x00\x0c\x00\x03\x00\x02\x00\x00\x00\x00"), LookUpUser},
		"a cancel request behind SSLRequest": {
			concat(sslRequest, wire.AppendCancelRequest(nil, 7, []byte("1234"))), []byte("N"), ForwardCancel},
		"SSLRequest twice is a version that nobody speaks": {
			concat(sslRequest, sslRequest),
			concat([]byte("N"), fatal("0A000", "unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2")), Close},
		"GSSENCRequest twice is a version that nobody speaks": {
			concat(gssRequest, gssRequest),
			concat([]byte("N"), fatal("0A000", "unsupported frontend protocol 1234.5680: server supports 3.0 to 3.2")), Close},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewClient(ClientConfig{})
			used, out, action := feed(t, m, c.in)
			if used != len(c.in) || !bytes.Equal(out, c.out) || action != c.action {
				t.Errorf("%v, used %d of %d, sent %q, want %v, %q", action, used, len(c.in), out, c.action, c.out)
			}
		})
	}
}

func TestWhatAClientAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want Startup
	}{
		"the database defaults to the user": {
			startup(wire.Version30, "user=u"), Startup{User: "u", Database: "u", Version: wire.Version30}},
		"an empty database defaults to the user": {
			startup(wire.Version30, "database=", "user=u"), Startup{User: "u", Database: "u", Version: wire.Version30}},
		"of a repeated user and database the last counts": {
			startup(wire.Version30, "user=a", "database=b", "user=c", "database=d"),
			Startup{User: "c", Database: "d", Version: wire.Version30}},
		"the other parameters keep their order, duplicates and options": {
			startup(wire.Version30, "b=1", "user=u", `options=-c a=b\ c --x-y=z`, "database=d", "a=", "b=2"),
			Startup{User: "u", Database: "d", Version: wire.Version30,
				Params: []wire.Param{{Name: "b", Value: "1"}, {Name: "options", Value: `-c a=b\ c --x-y=z`}, {Name: "a"}, {Name: "b", Value: "2"}}}},
		"options of the protocol and replication are not settings": {
			startup(3<<16|9999, "user=u", "_pq_.x=1", "replication=no", "application_name=psql"),
			Startup{User: "u", Database: "u", Version: wire.Version32, Params: []wire.Param{{Name: "application_name", Value: "psql"}}}},
		"protocol 3.1 stays 3.1": {
			startup(3<<16|1, "user=u"), Startup{User: "u", Database: "u", Version: 3<<16 | 1}},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewClient(ClientConfig{})
			_, _, action := m.Receive(c.in, nil)
			if got := m.Startup(); action != LookUpUser || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v, got %+v, want %+v", action, got, c.want)
			}
		})
	}
}

func TestTheCancelKeyOutlivesTheBufferItCameIn(t *testing.T) {
	in := wire.AppendCancelRequest(nil, 7, []byte("0123456789abcdef"))
	m := NewClient(ClientConfig{})
	m.Receive(in, nil)
	clear(in)
	if key := m.CancelKey(); key.PID != 7 || string(key.Secret) != "0123456789abcdef" {
		t.Errorf("key %+v", key)
	}
}

func TestTLS(t *testing.T) {
	asked := func(m *Client) { m.Receive(sslRequest, nil) }
	for name, c := range map[string]struct {
		policy TLSPolicy
		before func(*Client)
		tls    TLS
		action Action // of TLSEstablished
		login  Action // of the StartupMessage behind it
		out    []byte
	}{
		"a StartupMessage follows the handshake": {
			policy: TLSRequired, before: asked, action: Read, login: LookUpUser},
		"a client without a certificate is refused where TLS is mutual": {
			policy: TLSMutual, before: asked, action: Read, login: Close,
			out: fatalWith("28000", "connection requires a valid client certificate", "", "Connect with sslcert and sslkey.")},
		"a client with a verified certificate is accepted where TLS is mutual": {
			policy: TLSMutual, before: asked, tls: TLS{VerifiedClient: true}, action: Read, login: LookUpUser},
		"direct TLS with ALPN needs no SSLRequest": {
			policy: TLSRequired, tls: TLS{Direct: true, ALPN: "postgresql"}, action: Read, login: LookUpUser},
		"direct TLS without ALPN is closed": {
			policy: TLSRequired, tls: TLS{Direct: true}, action: Close, login: Close},
		"direct TLS with another ALPN is closed": {
			policy: TLSOptional, tls: TLS{Direct: true, ALPN: "h2"}, action: Close, login: Close},
		"direct TLS is closed where TLS is disabled": {
			policy: TLSDisabled, tls: TLS{Direct: true, ALPN: "postgresql"}, action: Close, login: Close},
		"a handshake nobody asked for is a mistake of the driver": {
			policy: TLSOptional, action: Close, login: Close},
		"direct TLS behind an SSLRequest is a mistake of the driver": {
			policy: TLSOptional, before: func(m *Client) { m.Receive(gssRequest, nil) },
			tls: TLS{Direct: true, ALPN: "postgresql"}, action: Close, login: Close},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewClient(ClientConfig{TLS: c.policy})
			if c.before != nil {
				c.before(m)
			}
			out, action := m.TLSEstablished(c.tls, nil)
			if action != c.action || len(out) != 0 {
				t.Fatalf("TLSEstablished: %v, sent %q, want %v", action, out, c.action)
			}
			if _, out, action = m.Receive(startup(wire.Version30, "user=u"), nil); action != c.login || !bytes.Equal(out, c.out) {
				t.Errorf("startup: %v, sent %q, want %v, %q", action, out, c.login, c.out)
			}
		})
	}
}

func TestSSLRequestInsideTLSIsAVersionThatNobodySpeaks(t *testing.T) {
	for name, direct := range map[string]bool{"behind a first SSLRequest": false, "in direct TLS": true} {
		t.Run(name, func(t *testing.T) {
			m := NewClient(ClientConfig{TLS: TLSOptional})
			if !direct {
				m.Receive(sslRequest, nil)
			}
			m.TLSEstablished(TLS{Direct: direct, ALPN: ALPN}, nil)
			_, out, action := m.Receive(sslRequest, nil)
			want := fatal("0A000", "unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2")
			if action != Close || !bytes.Equal(out, want) {
				t.Errorf("%v, sent %q", action, out)
			}
		})
	}
}

func TestATLSHandshakeIsKnownByItsFirstByte(t *testing.T) {
	for b := range 256 {
		if IsDirectTLS(byte(b)) != (b == 22) {
			t.Errorf("byte %d: %v", b, IsDirectTLS(byte(b)))
		}
	}
}

// admitted returns a machine in Admit.
func admitted(t *testing.T, version wire.Version) *Client {
	t.Helper()
	m := NewClient(ClientConfig{})
	if _, _, action := m.Receive(startup(version, "user=u"), nil); action != LookUpUser {
		t.Fatal(action)
	}
	out, action := m.Accept(nil)
	if action != Admit || string(out) != "R\x00\x00\x00\x08\x00\x00\x00\x00" {
		t.Fatalf("%v, sent %q", action, out)
	}
	return m
}

func TestTheWelcomeIsParametersKeyAndReadyForQuery(t *testing.T) {
	m := admitted(t, wire.Version30)
	params := []wire.Param{{Name: "server_version", Value: "15.3"}, {Name: "TimeZone", Value: ""}}
	out, action := m.Welcome(params, CancelKey{PID: 1, Secret: []byte("abcd")}, []byte("sent before "))
	want := "sent before S\x00\x00\x00\x18server_version\x0015.3\x00S\x00\x00\x00\x0eTimeZone\x00\x00" +
		"K\x00\x00\x00\x0c\x00\x00\x00\x01abcdZ\x00\x00\x00\x05I"
	if action != Ready || string(out) != want {
		t.Fatalf("%v, sent %q\nwant %q", action, out, want)
	}
	used, out, action := m.Receive([]byte("Q\x00\x00\x00\x05\x00"), nil)
	if used != 0 || len(out) != 0 || action != Ready {
		t.Errorf("behind the login: used %d, sent %q, %v", used, out, action)
	}
}

func TestTheKeyMustFitTheVersion(t *testing.T) {
	for _, c := range []struct {
		version wire.Version
		size    int
		ok      bool
	}{
		{wire.Version30, 3, false}, {wire.Version30, 4, true}, {wire.Version30, 5, false}, {3<<16 | 1, 32, false},
		{wire.Version32, 3, false}, {wire.Version32, 4, true}, {wire.Version32, 256, true}, {wire.Version32, 257, false},
	} {
		t.Run(fmt.Sprintf("%d bytes in 3.%d", c.size, c.version.Minor()), func(t *testing.T) {
			out, action := admitted(t, c.version).Welcome(nil, CancelKey{Secret: make([]byte, c.size)}, nil)
			if c.ok != (action == Ready) || c.ok != (len(out) > 0) {
				t.Errorf("%v, sent %q", action, out)
			}
		})
	}
}

func TestAFailedDialIsToldAsFatal(t *testing.T) {
	m := admitted(t, wire.Version30)
	report := wire.Report{Severity: wire.SeverityError, Code: wire.CodeUndefinedDatabase, Message: `database "x" does not exist`}
	out, action := m.Fail(report, nil)
	if want := fatal("3D000", `database "x" does not exist`); action != Close || !bytes.Equal(out, want) {
		t.Fatalf("%v, sent %q", action, out)
	}
	refusal, ok := errors.AsType[*Refusal](m.Err())
	if !ok || refusal.Code != "3D000" {
		t.Errorf("error %v", m.Err())
	}
	if out, action = m.Fail(report, nil); action != Close || len(out) != 0 {
		t.Errorf("a second time: %v, sent %q", action, out)
	}
}

func TestADriverOutOfTurnClosesTheConnection(t *testing.T) {
	for name, call := range map[string]func(*Client) ([]byte, Action){
		"Accept before a user is known":     func(m *Client) ([]byte, Action) { return m.Accept(nil) },
		"SetUser before a user is known":    func(m *Client) ([]byte, Action) { return m.SetUser(true, Credential{}, nil) },
		"Welcome before the authentication": func(m *Client) ([]byte, Action) { return m.Welcome(nil, CancelKey{Secret: make([]byte, 4)}, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			m := NewClient(ClientConfig{})
			if out, action := call(m); action != Close || len(out) != 0 || m.Err() == nil {
				t.Errorf("%v, sent %q, %v", action, out, m.Err())
			}
		})
	}
}

func TestAWaitingMachineRepeatsItsActionAndTakesNothing(t *testing.T) {
	more := []byte("more")
	for want, m := range map[Action]*Client{
		StartTLS:      NewClient(ClientConfig{TLS: TLSOptional}),
		LookUpUser:    NewClient(ClientConfig{}),
		Admit:         admitted(t, wire.Version30),
		ForwardCancel: NewClient(ClientConfig{}),
		Close:         NewClient(ClientConfig{}),
	} {
		in := map[Action][]byte{
			StartTLS: sslRequest, LookUpUser: startup(wire.Version30, "user=u"), Admit: nil,
			ForwardCancel: wire.AppendCancelRequest(nil, 1, []byte("1234")), Close: []byte("GET /"),
		}[want]
		if _, _, action := m.Receive(in, nil); action != want {
			t.Fatalf("%v, want %v", action, want)
		}
		if used, out, action := m.Receive(more, nil); used != 0 || len(out) != 0 || action != want {
			t.Errorf("%v: used %d, sent %q, %v", want, used, out, action)
		}
	}
}

func TestWhatReplicationMeans(t *testing.T) {
	for value, want := range map[string]Replication{
		"": NoReplication, "false": NoReplication, "off": NoReplication, "0": NoReplication,
		"true": PhysicalReplication, "TR": PhysicalReplication, "yes": PhysicalReplication, "on": PhysicalReplication, "1": PhysicalReplication,
		"database": LogicalReplication,
	} {
		if got, ok := parseReplication(value); got != want || !ok {
			t.Errorf("replication=%s is %d (%v), want %d", value, got, ok, want)
		}
	}
	for _, value := range []string{"maybe", "DATABASE", "o", "2"} {
		if _, ok := parseReplication(value); ok {
			t.Errorf("replication=%s means something", value)
		}
	}
}
