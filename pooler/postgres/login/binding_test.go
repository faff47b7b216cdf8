package login

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// secured returns a machine that has offered SCRAM over TLS, bound to a certificate or not.
func secured(t *testing.T, binding []byte) *Client {
	t.Helper()
	m := NewClient(ClientConfig{TLS: TLSRequired})
	m.Receive(sslRequest, nil)
	m.TLSEstablished(TLS{Binding: binding}, nil)
	m.Receive(startup(wire.Version30, "user=u"), nil)
	out, action := m.SetUser(true, credentialOf(t, "pencil"), nil)
	want := wire.AppendAuthenticationSASL(nil, scramSHA256)
	if binding != nil {
		want = wire.AppendAuthenticationSASL(nil, scramSHA256Plus, scramSHA256)
	}
	if action != Read || !bytes.Equal(out, want) {
		t.Fatalf("%v, sent %q, want %q", action, out, want)
	}
	return m
}

func TestAClientThatWasLiedToAboutChannelBindingIsRefused(t *testing.T) {
	plain := func(text string) []byte { return wire.AppendSASLInitialResponse(nil, scramSHA256, text) }
	plus := func(text string) []byte { return wire.AppendSASLInitialResponse(nil, scramSHA256Plus, text) }
	malformedFor := func(detail string) []byte { return fatalWith("08P01", "malformed SCRAM message", detail, "") }
	certificate := []byte("certificate")
	for name, c := range map[string]struct {
		binding []byte
		in      []byte
		refused []byte // nil: it goes on
	}{
		"a client that cannot bind is let on": {certificate, plain("n,,n=,r=abc"), nil},
		"a client that binds is let on":       {certificate, plus("p=tls-server-end-point,,n=,r=abc"), nil},
		"one that believes that binding is not offered is refused where it is": {certificate, plain("y,,n=,r=abc"),
			fatalWith("28000", "SCRAM channel binding negotiation error", "The client supports SCRAM channel binding but thinks "+
				"the server does not.  However, this server does support channel binding.", "")},
		"one that believes so is let on where it is not": {nil, plain("y,,n=,r=abc"), nil},
		"one that binds where it is not offered is refused": {nil, plus("p=tls-server-end-point,,n=,r=abc"),
			fatal("08P01", "client selected an invalid SASL authentication mechanism")},
		"one that chose to bind and does not is refused": {certificate, plus("n,,n=,r=abc"),
			malformedFor("The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.")},
		"one that chose to bind and says it cannot is refused": {certificate, plus("y,,n=,r=abc"),
			malformedFor("The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.")},
		"one that chose not to bind and does is refused": {certificate, plain("p=tls-server-end-point,,n=,r=abc"),
			malformedFor("The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.")},
		"one that binds to something else is refused": {certificate, plus("p=tls-unique,,n=,r=abc"),
			fatal("08P01", `unsupported SCRAM channel-binding type "tls-unique"`)},
	} {
		t.Run(name, func(t *testing.T) {
			_, out, action := secured(t, c.binding).Receive(c.in, nil)
			if c.refused == nil && (action != Read || !bytes.Contains(out, []byte("r=abc"))) ||
				c.refused != nil && (action != Close || !bytes.Equal(out, c.refused)) {
				t.Errorf("%v, sent %q, want %q", action, out, c.refused)
			}
		})
	}
}

// Somebody in the middle shows the client another certificate and passes the exchange on.
func TestSomebodyInTheMiddleCannotPassABoundExchangeOn(t *testing.T) {
	p := newPair(100_000, TLSRequired, ServerConfig{Password: NewPassword("pencil"), TLS: ServerTLSRequire})
	p.shown, p.seen = []byte("the pooler's"), []byte("the other's")
	client, server := p.run(t)
	if client != Close || server != Close {
		t.Fatalf("client %v, server %v", client, server)
	}
	if err := p.client.Err(); !strings.HasPrefix(err.Error(), "SCRAM channel binding check failed") {
		t.Error(err)
	}
}

func TestTheTwoMachinesBindIfBothCan(t *testing.T) {
	certificate := []byte("certificate")
	for name, c := range map[string]struct {
		shown, seen []byte
		header      string
	}{
		"both":                               {certificate, certificate, bindHeader},
		"the pooler alone":                   {certificate, nil, plainHeader},
		"its client alone, which says so":    {nil, certificate, ableHeader},
		"neither, for instance with Ed25519": {nil, nil, plainHeader},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(7, TLSRequired, ServerConfig{Password: NewPassword("pencil"), TLS: ServerTLSRequire})
			p.shown, p.seen = c.shown, c.seen
			header := ""
			p.user = func(string) (Credential, bool) { return credentialOf(t, "pencil"), true }
			p.heard = func(toClient []byte) {
				for _, h := range []string{bindHeader, plainHeader, ableHeader} {
					if header == "" && bytes.Contains(toClient, []byte(h+"n=,r=")) {
						header = h
					}
				}
			}
			client, server := p.run(t)
			if client != Ready || server != Ready || header != c.header {
				t.Errorf("client %v (%v), server %v (%v), header %q, want %q", client, p.client.Err(), server, p.server.Err(), header, c.header)
			}
		})
	}
}

func TestWhatAServerOffersIsChosenFromAsLibpqDoes(t *testing.T) {
	offer := func(mechanisms ...string) []byte { return wire.AppendAuthenticationSASL(nil, mechanisms...) }
	nonce := strings.Repeat("A", 24)
	for name, c := range map[string]struct {
		secure  bool
		binding []byte
		in, out []byte
		err     string
	}{
		"PLUS over TLS is bound to": {true, []byte("x"), offer(scramSHA256Plus, scramSHA256),
			wire.AppendSASLInitialResponse(nil, scramSHA256Plus, bindHeader+"n=,r="+nonce), ""},
		"without PLUS over TLS the server is told that we could": {true, []byte("x"), offer(scramSHA256),
			wire.AppendSASLInitialResponse(nil, scramSHA256, ableHeader+"n=,r="+nonce), ""},
		"with a certificate that cannot be bound to we cannot": {true, nil, offer(scramSHA256Plus, scramSHA256),
			wire.AppendSASLInitialResponse(nil, scramSHA256, plainHeader+"n=,r="+nonce), ""},
		"PLUS without TLS is a sign that somebody took TLS away": {false, nil, offer(scramSHA256Plus, scramSHA256), nil,
			"somebody may have taken TLS away"},
		"PLUS alone with a certificate that cannot be bound to fails": {true, nil, offer(scramSHA256Plus), nil, "does not offer SCRAM-SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			s := started(t, c.secure, NewPassword("pencil"))
			s.binding = c.binding
			_, out, action := s.Receive(c.in, nil)
			if !bytes.Equal(out, c.out) || (action == Close) != (c.err != "") {
				t.Errorf("%v, sent %q, want %q", action, out, c.out)
			}
			if c.err != "" && (!strings.Contains(s.Err().Error(), c.err) || !Final(s.Err())) {
				t.Errorf("error %v", s.Err())
			}
		})
	}
}

func TestABindingIsTheHashOfTheCertificateByTheHashOfItsSignature(t *testing.T) {
	small, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	large, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	for name, c := range map[string]struct {
		public, private any
		hash            func([]byte) []byte
	}{
		"SHA-256": {small.Public(), small, func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }},
		"SHA-384": {large.Public(), large, func(b []byte) []byte { h := sha512.Sum384(b); return h[:] }},
		"none":    {public, private, func([]byte) []byte { return nil }},
	} {
		der, err := x509.CreateCertificate(rand.Reader, template, template, c.public, c.private)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if got := EndPointBinding(cert); !bytes.Equal(got, c.hash(der)) {
			t.Errorf("%s: %x", name, got)
		}
	}
}
