package login

import (
	"bytes"
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// login lets a client with one password in, or not, where several may be stored, and returns what it has proved.
func logIn(t *testing.T, password string, allowMD5 bool, stored ...string) (*Client, Action) {
	t.Helper()
	credential, err := NewCredential("u", stored, Salting{}, allowMD5)
	if err != nil {
		t.Fatal(err)
	}
	p := newPair(100_000, TLSDisabled, ServerConfig{Password: NewPassword(password)})
	p.client = NewClient(ClientConfig{AllowMD5: allowMD5})
	p.user = func(string) (Credential, bool) { return credential, true }
	client, _ := p.run(t)
	return p.client, client
}

func TestAnyOfSeveralPasswordsLetsIn(t *testing.T) {
	hash := "md5" + md5Hash("u", "hashed")
	for name, c := range map[string]struct {
		stored   []string
		allowMD5 bool
		right    []string
		wrong    []string
	}{
		"clear ones":                       {[]string{"new", "old"}, false, []string{"new", "old"}, []string{"other", ""}},
		"a clear one and a verifier":       {[]string{"new", pgVerifier}, false, []string{"new", "pencil"}, []string{"other"}},
		"a verifier where md5 is allowed":  {[]string{"new", pgVerifier}, true, []string{"new", "pencil"}, []string{"other"}},
		"a clear one where md5 is allowed": {[]string{"new"}, true, []string{"new"}, []string{"other"}},
		"a clear one and an md5 hash":      {[]string{"new", hash}, true, []string{"new", "hashed", hash}, []string{"other"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, password := range c.right {
				if _, action := logIn(t, password, c.allowMD5, c.stored...); action != Ready {
					t.Errorf("%q: %v", password, action)
				}
			}
			for _, password := range c.wrong {
				m, action := logIn(t, password, c.allowMD5, c.stored...)
				if action != Close || !strings.HasPrefix(m.Err().Error(), "password authentication failed") {
					t.Errorf("%q: %v, %v", password, action, m.Err())
				}
			}
		})
	}
}

// inMD5 returns a machine that has asked for an md5 response.
func inMD5(t *testing.T, found bool) *Client {
	t.Helper()
	m := NewClient(ClientConfig{AllowMD5: true, Rand: bytes.NewReader([]byte{1, 2, 3, 4})})
	m.Receive(startup(wire.Version30, "user=u"), nil)
	credential, _ := NewCredential("u", []string{"pencil"}, Salting{}, true)
	if out, action := m.SetUser(found, credential, nil); action != Read || string(out) != "R\x00\x00\x00\x0c\x00\x00\x00\x05\x01\x02\x03\x04" {
		t.Fatalf("%v, sent %q", action, out)
	}
	return m
}

func TestTheMD5Exchange(t *testing.T) {
	refused := fatal("28P01", `password authentication failed for user "u"`)
	right := wire.AppendPassword(nil, "md54567f87c27458471591fac9bc78f16f4") // as PostgreSQL's for these bytes of salt
	for name, c := range map[string]struct {
		in   []byte
		in0  bool // it is let in, if there is an account
		want []byte
	}{
		"the right response":        {in: right, in0: true},
		"a wrong response":          {in: wire.AppendPassword(nil, "md5"+strings.Repeat("0", 32)), want: refused},
		"the password itself":       {in: wire.AppendPassword(nil, "pencil"), want: refused},
		"an empty response":         {in: wire.AppendPassword(nil, ""), want: refused},
		"a response without an end": {in: []byte("p\x00\x00\x00\x05x"), want: fatal("08P01", "invalid message format")},
		"a query":                   {in: wire.AppendQuery(nil, "select 1"), want: fatal("08P01", "expected password response, got message type 81")},
		"a response of 1,025 bytes": {in: wire.AppendPassword(nil, strings.Repeat("x", 1024)), want: fatal("08P01", "invalid message length")},
		"a length of 2^31-1":        {in: []byte("p\x7f\xff\xff\xff"), want: fatal("08P01", "invalid message length")},
	} {
		t.Run(name, func(t *testing.T) {
			_, out, action := inMD5(t, true).Receive(c.in, nil)
			if c.in0 != (action == Admit) || !c.in0 && !bytes.Equal(out, c.want) {
				t.Errorf("%v, sent %q, want %q", action, out, c.want)
			}
			want := c.want
			if want == nil {
				want = refused
			}
			if _, out, action := inMD5(t, false).Receive(c.in, nil); action != Close || !bytes.Equal(out, want) {
				t.Errorf("no account: %v, sent %q, want %q", action, out, want)
			}
		})
	}
}

func TestWhatAClientHasProvedLogsInWhereTheSameVerifierIsStored(t *testing.T) {
	m, action := logIn(t, "pencil", false, pgVerifier)
	proven := m.Proven()
	if action != Ready || proven == nil {
		t.Fatalf("%v, proven %v", action, proven)
	}
	for name, c := range map[string]struct {
		verifier string
		err      string
	}{
		"the same verifier":                               {pgVerifier, ""},
		"a verifier of the same password anew":            {rfcVerifier, "does not store the verifier"},
		"a verifier with the count of iterations changed": {strings.Replace(pgVerifier, "4096", "4097", 1), "does not store the verifier"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(100_000, TLSDisabled, ServerConfig{Password: proven})
			p.user = func(string) (Credential, bool) { return credentialOf(t, c.verifier), true }
			_, server := p.run(t)
			if (server == Ready) != (c.err == "") || c.err != "" && !strings.Contains(p.server.Err().Error(), c.err) {
				t.Errorf("%v, %v", server, p.server.Err())
			}
			if c.err != "" && (!PasswordRefused(p.server.Err()) || !Final(p.server.Err())) {
				t.Error("another password may do, this one will not")
			}
		})
	}
}

func TestAWrongPasswordProvesNothing(t *testing.T) {
	if m, _ := logIn(t, "wrong", false, pgVerifier); m.Proven() != nil {
		t.Error("it logs in")
	}
}

func TestWhatAPasswordCannotAnswer(t *testing.T) {
	m, _ := logIn(t, "pencil", false, pgVerifier)
	hash := NewPassword("md5" + md5Hash("u", "pencil"))
	md5 := wire.AppendAuthenticationMD5Password(nil, [4]byte{1, 2, 3, 4})
	clear := wire.AppendAuthenticationCleartextPassword(nil)
	for name, c := range map[string]struct {
		password *Password
		secure   bool
		in       []byte
		err      string // empty: it can
	}{
		"md5 with an md5 hash":             {hash, false, md5, ""},
		"clear text with an md5 hash":      {hash, true, clear, "in clear text, and it is not known"},
		"md5 with a client's proof":        {m.Proven(), false, md5, "only the SCRAM keys"},
		"clear text with a client's proof": {m.Proven(), true, clear, "in clear text, and it is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			s := started(t, c.secure, c.password)
			_, out, action := s.Receive(c.in, nil)
			if c.err == "" {
				if action != Read || !bytes.Equal(out, wire.AppendPassword(nil, "md54567f87c27458471591fac9bc78f16f4")) {
					t.Errorf("%v, sent %q", action, out)
				}
				return
			}
			if action != Close || len(out) != 0 || !strings.Contains(s.Err().Error(), c.err) || !PasswordRefused(s.Err()) {
				t.Errorf("%v, sent %q, %v", action, out, s.Err())
			}
		})
	}
	s := started(t, false, hash)
	s.Receive(authSASL, nil)
	challenge := "r=" + strings.Repeat("A", 24) + "x,s=" + rfcSalt64 + ",i=10"
	if _, _, action := s.Receive(wire.AppendAuthenticationSASLContinue(nil, []byte(challenge)), nil); action != Close ||
		!strings.Contains(s.Err().Error(), "only an md5 hash") {
		t.Errorf("SCRAM with an md5 hash: %v, %v", action, s.Err())
	}
}

func TestAVerifierIsNoPassword(t *testing.T) {
	if NewPassword(pgVerifier) != nil {
		t.Error("it logs in")
	}
}
