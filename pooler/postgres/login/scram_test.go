package login

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
	"github.com/xdg-go/scram"
)

// The exchange of RFC 7677, section 3: user "user", password "pencil".
const (
	rfcSalt64      = "W22ZaJ0SNY7soEsUEjb6gQ=="
	rfcClientNonce = "rOprNGfwEbeRWgbNEkqO"
	rfcServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	rfcClientFirst = "n,,n=user,r=" + rfcClientNonce
	rfcServerFirst = "r=" + rfcClientNonce + rfcServerNonce + ",s=" + rfcSalt64 + ",i=4096"
	rfcClientFinal = "c=biws,r=" + rfcClientNonce + rfcServerNonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	rfcServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	rfcVerifier    = "SCRAM-SHA-256$4096:" + rfcSalt64 + "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	pgVerifier     = "SCRAM-SHA-256$4096:xn83pZIy5X/tM/T+iaPWkQ==$DJ0Ab3syFEkkSE+FDhiGxc9mIewL+YGaq/xnfRJYV4w=:eCRNorq9J+1Rq3XfxraGdAB+I25GfjpnXvmUFhmc/Cg="
)

func TestTheVerifierOfTheRFCAnswersItsExchange(t *testing.T) {
	credential, err := ParseCredential("user", rfcVerifier, nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return credential.stored, nil })
	if err != nil {
		t.Fatal(err)
	}
	s := newScramServer(credential, true)
	s.conversation = server.WithNonceGenerator(func() string { return rfcServerNonce }).NewConversation()
	if got, err := s.conversation.Step(rfcClientFirst); err != nil || got != rfcServerFirst {
		t.Fatalf("challenge %q, %v", got, err)
	}
	if got, refusal := s.decide([]byte(rfcClientFinal), "user"); refusal != nil || string(got) != rfcServerFinal {
		t.Fatalf("outcome %q, %v", got, refusal)
	}
}

func TestThePasswordOfTheRFCHasItsKeys(t *testing.T) {
	credential, err := ParseCredential("user", rfcVerifier, nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewPassword("pencil").keysFor(credential.stored.Salt, 4096)
	if err != nil || !bytes.Equal(k.stored, credential.stored.StoredKey) || !bytes.Equal(k.server, credential.stored.ServerKey) {
		t.Errorf("keys differ from the verifier's, %v", err)
	}
}

func TestPostgreSQLsVerifierBelongsToItsPassword(t *testing.T) {
	credential, err := ParseCredential("postgres", pgVerifier, nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewPassword("pencil").keysFor(credential.stored.Salt, credential.stored.Iters)
	if err != nil || !bytes.Equal(k.stored, credential.stored.StoredKey) || !bytes.Equal(k.server, credential.stored.ServerKey) {
		t.Errorf("keys differ from the verifier's, %v", err)
	}
}

func TestOurClientOfSCRAMAgreesWithTheLibrarysServer(t *testing.T) {
	credential, _ := PasswordCredential("u", "sëcret", []byte("secret of the salts"))
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return credential.stored, nil })
	if err != nil {
		t.Fatal(err)
	}
	conversation := server.NewConversation()
	client := &scramClient{password: NewPassword("sëcret"), nonce: "abc"}
	challenge, err := conversation.Step(client.first())
	if err != nil {
		t.Fatal(err)
	}
	proof, err := client.final(challenge)
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := conversation.Step(proof)
	if err != nil || !conversation.Valid() {
		t.Fatalf("the library refused: %v", err)
	}
	if err := client.verify(outcome); err != nil {
		t.Error(err)
	}
}

func TestPasswordsAreNormalizedLikePostgreSQLs(t *testing.T) {
	for name, c := range map[string][2]string{
		"a soft hyphen is nothing":                   {"I\u00adX", "IX"},
		"a Roman numeral is its letters":             {"\u2168", "IX"},
		"a wide space is a space":                    {"a\u3000b", "a b"},
		"a forbidden character leaves all as it is":  {"a\u0007\u00ad", "a\u0007\u00ad"},
		"an emoji leaves all as it is":               {"\U0001F600\u00ad", "\U0001F600\u00ad"},
		"bytes that are not UTF-8 stay as they are":  {"a\xff\u00ad", "a\xff\u00ad"},
		"what would become empty stays as it is":     {"\u00ad", "\u00ad"},
		"two directions of writing stay as they are": {"\u0627a", "\u0627a"},
	} {
		if got := prepare(c[0]); got != c[1] {
			t.Errorf("%s: %q became %q, want %q", name, c[0], got, c[1])
		}
	}
}

func TestWhatIsStoredForAUserIsRead(t *testing.T) {
	key := "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
	for name, c := range map[string]struct{ value, fault string }{
		"a verifier":                         {value: rfcVerifier},
		"a clear password":                   {value: "pencil"},
		"a clear password that begins md5":   {value: "md5 is not what this is"},
		"an empty password":                  {"", "the password is empty"},
		"an md5 hash":                        {"md5" + strings.Repeat("0a", 16), "md5 hash, which is not supported"},
		"a verifier of two parts":            {"SCRAM-SHA-256$4096:" + rfcSalt64, "layout"},
		"a verifier without a salt":          {"SCRAM-SHA-256$4096$" + key + ":" + key, "layout"},
		"a verifier with an empty salt":      {"SCRAM-SHA-256$4096:$" + key + ":" + key, "salt"},
		"a verifier with 0 iterations":       {"SCRAM-SHA-256$0:" + rfcSalt64 + "$" + key + ":" + key, "iteration count"},
		"a verifier with 2^31 iterations":    {"SCRAM-SHA-256$2147483648:" + rfcSalt64 + "$" + key + ":" + key, "iteration count"},
		"a verifier with a short StoredKey":  {"SCRAM-SHA-256$4096:" + rfcSalt64 + "$AAAA:" + key, "StoredKey"},
		"a verifier with a short ServerKey":  {"SCRAM-SHA-256$4096:" + rfcSalt64 + "$" + key + ":AAAA", "ServerKey"},
		"a verifier whose key is not base64": {"SCRAM-SHA-256$4096:" + rfcSalt64 + "$!!!:" + key, "StoredKey"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseCredential("u", c.value, nil)
			if (err != nil) != (c.fault != "") || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Errorf("error %v, want %q", err, c.fault)
			}
			if err != nil && strings.Contains(err.Error(), key) {
				t.Errorf("the error repeats a key: %v", err)
			}
		})
	}
}

func TestSaltsAreStableAndDifferByNameAndSecret(t *testing.T) {
	one, two := []byte("the secret of all pods"), []byte("another secret")
	salt := stableSalt(one, "u")
	account, err := PasswordCredential("u", "pencil", one)
	if err != nil {
		t.Fatal(err)
	}
	if account.stored.Salt != string(salt) || mockCredential(one, "u", 4096).stored.Salt != string(salt) {
		t.Error("an account and a name without one show different salts")
	}
	if bytes.Equal(salt, stableSalt(one, "v")) || bytes.Equal(salt, stableSalt(two, "u")) {
		t.Error("the salt does not depend on the name and the secret")
	}
	if !bytes.Equal(stableSalt(nil, "u"), stableSalt(nil, "u")) {
		t.Error("the secret of the process changes")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	credential, _ := ParseCredential("u", rfcVerifier, nil)
	password := NewPassword("pencil")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, secret := range []any{credential, &credential, password} {
			text := fmt.Sprintf(format, secret)
			if strings.Contains(text, "pencil") || strings.Contains(text, "WG5d") || strings.Contains(text, "Stored") {
				t.Errorf("%s prints %q", format, text)
			}
		}
	}
}

func TestKeysAreDerivedOncePerSalt(t *testing.T) {
	p := NewPassword("pencil")
	first, _ := p.keysFor("salt", 10)
	second, _ := p.keysFor("salt", 10)
	if &first.client[0] != &second.client[0] {
		t.Error("derived twice for the same salt")
	}
	for _, k := range []struct {
		salt       string
		iterations int
	}{{"other", 10}, {"salt", 11}} {
		if other, _ := p.keysFor(k.salt, k.iterations); bytes.Equal(other.client, first.client) {
			t.Errorf("keys of salt %q and %d iterations are those of another", k.salt, k.iterations)
		}
	}
}

// inSASL returns a machine that has asked for a SCRAM exchange.
func inSASL(t *testing.T, user string, found bool) *Client {
	t.Helper()
	credential, err := PasswordCredential(user, "pencil", []byte("s"))
	if err != nil {
		t.Fatal(err)
	}
	m := NewClient(ClientConfig{Secret: []byte("s"), Rand: bytes.NewReader(make([]byte, 1000))})
	if _, _, action := m.Receive(startup(wire.Version30, "user="+user), nil); action != LookUpUser {
		t.Fatal(action)
	}
	out, action := m.SetUser(found, credential, nil)
	if action != Read || string(out) != "R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00" {
		t.Fatalf("%v, sent %q", action, out)
	}
	return m
}

func firstMessage(text string) []byte {
	return wire.AppendSASLInitialResponse(nil, "SCRAM-SHA-256", text)
}

func TestSASLMessagesThatAreRefused(t *testing.T) {
	const bindingData = "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data."
	nonce := strings.Repeat("A", 24)
	final := func(text string) []byte { return wire.AppendSASLResponse(firstMessage("n,,n=,r=abc"), text) }
	for name, c := range map[string]struct{ in, want []byte }{
		"another mechanism": {wire.AppendSASLInitialResponse(nil, "PLAIN", "x"),
			fatal("08P01", "client selected an invalid SASL authentication mechanism")},
		"the mechanism with channel binding, which was not offered": {wire.AppendSASLInitialResponse(nil, "SCRAM-SHA-256-PLUS", "x"),
			fatal("08P01", "client selected an invalid SASL authentication mechanism")},
		"a clear password":         {wire.AppendPassword(nil, "pencil"), fatal("08P01", "invalid message format")},
		"a query":                  {wire.AppendQuery(nil, "select 1"), fatal("08P01", "expected SASL response, got message type 81")},
		"a message of 1,025 bytes": {wire.AppendSASLResponse(nil, strings.Repeat("x", 1025)), fatal("08P01", "invalid message length")},
		"a length of 2^31-1":       {[]byte("p\x7f\xff\xff\xff"), fatal("08P01", "invalid message length")},
		"a length of 3":            {[]byte("p\x00\x00\x00\x03"), fatal("08P01", "invalid message length")},
		"channel binding":          {firstMessage("p=tls-unique,,n=,r=abc"), fatalWith("08P01", "malformed SCRAM message", bindingData, "")},
		"an authorization identity": {firstMessage("n,a=x,n=,r=abc"),
			fatal("0A000", "client uses authorization identity, but it is not supported")},
		"an extension":                  {firstMessage("n,,m=1,n=,r=abc"), fatal("0A000", "client requires an unsupported SCRAM extension")},
		"a tabulator in the nonce":      {firstMessage("n,,n=,r=a\tc"), fatal("08P01", "non-printable characters in SCRAM nonce")},
		"a zero byte":                   {firstMessage("n,,n=\x00,r=abc"), fatal("08P01", "non-printable characters in SCRAM nonce")},
		"a message with too few fields": {firstMessage("n,,x"), fatal("08P01", "malformed SCRAM message")},
		"an empty message":              {firstMessage(""), fatal("08P01", "malformed SCRAM message")},
		"no nonce":                      {firstMessage("n,,n=,x=abc"), fatal("08P01", "malformed SCRAM message")},
		"an unknown binding flag":       {firstMessage("z,,n=,r=abc"), fatal("08P01", "malformed SCRAM message")},
		"a proof of the wrong size":     {final("c=biws,r=abc" + nonce + ",p=AAAA"), fatal("08P01", "malformed SCRAM message")},
		"a proof for another nonce":     {final("c=biws,r=abd" + nonce + ",p=" + rfcSalt64), fatal("08P01", "malformed SCRAM message")},
		"a proof for another header": {final("c=eSws,r=abc" + nonce + ",p=" + rfcSalt64),
			fatal("08P01", "unexpected SCRAM channel-binding attribute in client-final-message")},
		"a zero byte in the proof": {final("c=biws,r=abc" + nonce + "\x00,p=" + rfcSalt64), fatal("08P01", "malformed SCRAM message")},
		"an empty proof":           {final(""), fatal("08P01", "malformed SCRAM message")},
	} {
		t.Run(name, func(t *testing.T) {
			for who, found := range map[string]bool{"an account": true, "no account": false} {
				_, out, action := inSASL(t, "u", found).Receive(c.in, nil)
				if at := bytes.IndexByte(out, 'E'); action != Close || !bytes.HasSuffix(out, c.want) {
					t.Errorf("%s: %v, sent %q (error at %d), want %q", who, action, out, at, c.want)
				}
			}
		})
	}
}

func TestATerminateDuringAuthenticationIsClosedQuietly(t *testing.T) {
	m := inSASL(t, "u", true)
	if _, out, action := m.Receive(wire.AppendTerminate(nil), nil); action != Close || len(out) != 0 {
		t.Errorf("%v, sent %q", action, out)
	}
	if _, told := errors.AsType[*Refusal](m.Err()); told {
		t.Errorf("error %v", m.Err())
	}
}

func TestARandomSourceThatFailsIsAnErrorOfOurs(t *testing.T) {
	m := inSASL(t, "u", true)
	m.config.Rand = bytes.NewReader(nil)
	_, out, action := m.Receive(firstMessage("n,,n=,r=abc"), nil)
	if want := fatal("XX000", "could not generate random nonce"); action != Close || !bytes.Equal(out, want) {
		t.Errorf("%v, sent %q", action, out)
	}
}

// try logs in with a password and returns all that the machine sent.
func try(t *testing.T, m *Client, password string) (sent []byte, _ Action) {
	t.Helper()
	client := &scramClient{password: NewPassword(password), nonce: "abc"}
	_, out, action := m.Receive(firstMessage(client.first()), nil)
	sent = append(sent, out...)
	if action != Read {
		return sent, action
	}
	proof, err := client.final(string(out[9:]))
	if err != nil {
		t.Fatal(err)
	}
	_, out, action = m.Receive(wire.AppendSASLResponse(nil, proof), nil)
	return append(sent, out...), action
}

func TestANameWithoutAnAccountSeesWhatAWrongPasswordSees(t *testing.T) {
	refused := fatal("28P01", `password authentication failed for user "u"`)
	account, noAccount := inSASL(t, "u", true), inSASL(t, "u", false)
	sent, action := try(t, account, "wrong")
	same, sameAction := try(t, noAccount, "wrong")
	if action != Close || !bytes.HasSuffix(sent, refused) {
		t.Fatalf("%v, sent %q", action, sent)
	}
	if !bytes.Equal(sent, same) || action != sameAction {
		t.Errorf("an account sees %q\nno account sees %q", sent, same)
	}
	if a, b := account.Err().Error(), noAccount.Err().Error(); !strings.HasSuffix(a, "wrong password") || !strings.HasSuffix(b, "no such user") {
		t.Errorf("the log says %q and %q", a, b)
	}
}

func TestANameWithoutAnAccountDoesNotGetInWithTheRightProof(t *testing.T) {
	m := inSASL(t, "u", false)
	credential, _ := PasswordCredential("u", "pencil", []byte("s"))
	m.scram.credential = credential // as if the stand-in fitted
	sent, action := try(t, m, "pencil")
	if action != Close || !bytes.HasSuffix(sent, fatal("28P01", `password authentication failed for user "u"`)) {
		t.Errorf("%v, sent %q", action, sent)
	}
}

func TestAnEmptyCredentialLetsNobodyIn(t *testing.T) {
	m := NewClient(ClientConfig{})
	m.Receive(startup(wire.Version30, "user=u"), nil)
	m.SetUser(true, Credential{}, nil)
	_, out, _ := m.Receive(firstMessage("n,,n=,r=abc"), nil)
	nonce, _, _ := strings.Cut(strings.TrimPrefix(string(out[9:]), "r="), ",")
	_, out, action := m.Receive(wire.AppendSASLResponse(nil, "c=biws,r="+nonce+",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), nil)
	if action != Close || !bytes.HasSuffix(out, fatal("28P01", `password authentication failed for user "u"`)) {
		t.Errorf("%v, sent %q", action, out)
	}
}

func TestTheRightPasswordEndsInAuthenticationOk(t *testing.T) {
	sent, action := try(t, inSASL(t, "u", true), "pencil")
	if action != Admit || !bytes.HasSuffix(sent, []byte("R\x00\x00\x00\x08\x00\x00\x00\x00")) {
		t.Errorf("%v, sent %q", action, sent)
	}
}

// Clients that know channel binding say so with 'y' where they were not offered it.
func TestAClientThatCouldHaveBoundTheChannelIsLetIn(t *testing.T) {
	m := inSASL(t, "u", true)
	client, err := scram.SHA256.NewClientUnprepped("", "pencil", "")
	if err != nil {
		t.Fatal(err)
	}
	conversation := client.NewConversationAdvertisingChannelBinding()
	first, _ := conversation.Step("")
	if !strings.HasPrefix(first, "y,,") {
		t.Fatalf("first message %q", first)
	}
	_, out, _ := m.Receive(firstMessage(first), nil)
	proof, err := conversation.Step(string(out[9:]))
	if err != nil {
		t.Fatal(err)
	}
	_, out, action := m.Receive(wire.AppendSASLResponse(nil, proof), nil)
	if action != Admit {
		t.Fatalf("%v, sent %q", action, out)
	}
	final := out[9 : 9+len(rfcServerFinal)]
	if _, err := conversation.Step(string(final)); err != nil || !conversation.Valid() {
		t.Errorf("the client does not believe %q: %v", final, err)
	}
}

func TestAMechanismWithoutAMessageGetsAnEmptyChallenge(t *testing.T) {
	m := inSASL(t, "u", true)
	_, out, action := m.Receive([]byte("p\x00\x00\x00\x16SCRAM-SHA-256\x00\xff\xff\xff\xff"), nil)
	if action != Read || string(out) != "R\x00\x00\x00\x08\x00\x00\x00\x0b" {
		t.Fatalf("%v, sent %q", action, out)
	}
	_, out, action = m.Receive(wire.AppendSASLResponse(nil, "n,,n=,r=abc"), nil)
	if action != Read || !strings.HasPrefix(string(out[9:]), "r=abc") {
		t.Errorf("%v, sent %q", action, out)
	}
}

func TestIterationsOfNamesWithoutAnAccountCanBeSet(t *testing.T) {
	m := NewClient(ClientConfig{Iterations: 20_000})
	m.Receive(startup(wire.Version30, "user=u"), nil)
	m.SetUser(false, Credential{}, nil)
	if _, out, _ := m.Receive(firstMessage("n,,n=,r=abc"), nil); !bytes.HasSuffix(out, []byte(",i=20000")) {
		t.Errorf("challenge %q", out)
	}
}
