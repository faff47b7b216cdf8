package login

import (
	"bytes"
	"crypto/rand"
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

// credentialOf is the credential of user u.
func credentialOf(t testing.TB, values ...string) Credential {
	t.Helper()
	credential, err := NewCredential("u", values, Salting{Secret: []byte("s")}, false)
	if err != nil {
		t.Fatal(err)
	}
	return credential
}

func TestTheVerifierOfTheRFCAnswersItsExchange(t *testing.T) {
	s := &scramServer{credential: credentialOf(t, rfcVerifier), found: true}
	if _, refusal := s.challenge([]byte(rfcClientFirst), bytes.NewReader(make([]byte, 100))); refusal != nil {
		t.Fatal(refusal)
	}
	s.nonce = rfcClientNonce + rfcServerNonce // as if it had been drawn
	s.messages = rfcClientFirst[3:] + "," + rfcServerFirst
	if got, refusal := s.decide([]byte(rfcClientFinal), "user"); refusal != nil || string(got) != rfcServerFinal {
		t.Fatalf("outcome %q, %v", got, refusal)
	}
}

func TestAPasswordHasTheKeysOfItsVerifier(t *testing.T) {
	for name, stored := range map[string]string{"the RFC's": rfcVerifier, "PostgreSQL's": pgVerifier} {
		c := credentialOf(t, stored)
		k, err := NewPassword("pencil").keysFor(c.salt, c.iterations)
		if err != nil || !bytes.Equal(k.stored, c.verifiers[0].stored) || !bytes.Equal(k.server, c.verifiers[0].server) {
			t.Errorf("%s: keys differ from the verifier's, %v", name, err)
		}
	}
}

// library is another implementation of the server's side.
func library(t testing.TB, c Credential) *scram.Server {
	t.Helper()
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: c.salt, Iters: c.iterations},
			StoredKey:  c.verifiers[0].stored, ServerKey: c.verifiers[0].server,
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func TestOurClientOfSCRAMAgreesWithAnotherServer(t *testing.T) {
	server := library(t, credentialOf(t, "sëcret"))
	bound := scram.ChannelBinding{Type: endPointType, Data: []byte("certificate")}
	for name, c := range map[string]struct {
		header       string
		binding      []byte
		conversation *scram.ServerConversation
	}{
		"without TLS":                  {plainHeader, nil, server.NewConversation()},
		"where PLUS was not offered":   {ableHeader, nil, server.NewConversation()},
		"bound to the TLS connection ": {bindHeader, bound.Data, server.NewConversationWithChannelBinding(bound)},
	} {
		t.Run(name, func(t *testing.T) {
			client := &scramClient{password: NewPassword("sëcret"), nonce: "abc", header: c.header, binding: c.binding}
			challenge, err := c.conversation.Step(client.first())
			if err != nil {
				t.Fatal(err)
			}
			proof, err := client.final(challenge)
			if err != nil {
				t.Fatal(err)
			}
			outcome, err := c.conversation.Step(proof)
			if err != nil || !c.conversation.Valid() {
				t.Fatalf("the library refused: %v", err)
			}
			if err := client.verify(outcome); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnotherClientOfSCRAMAgreesWithOurServer(t *testing.T) {
	client, err := scram.SHA256.NewClient("", "sëcret", "")
	if err != nil {
		t.Fatal(err)
	}
	bound := scram.ChannelBinding{Type: endPointType, Data: []byte("certificate")}
	for name, c := range map[string]struct {
		plus         bool
		binding      []byte
		conversation *scram.ClientConversation
	}{
		"without TLS":                 {false, nil, client.NewConversation()},
		"where PLUS was not offered":  {false, nil, client.NewConversationAdvertisingChannelBinding()},
		"bound to the TLS connection": {true, bound.Data, client.NewConversationWithChannelBinding(bound)},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scramServer{credential: credentialOf(t, "old", "sëcret"), found: true, binding: c.binding, plus: c.plus}
			first, _ := c.conversation.Step("")
			challenge, refusal := s.challenge([]byte(first), rand.Reader)
			if refusal != nil {
				t.Fatal(refusal)
			}
			proof, err := c.conversation.Step(string(challenge))
			if err != nil {
				t.Fatal(err)
			}
			outcome, refusal := s.decide([]byte(proof), "u")
			if refusal != nil {
				t.Fatal(refusal)
			}
			if _, err := c.conversation.Step(string(outcome)); err != nil || !c.conversation.Valid() {
				t.Errorf("the library does not believe: %v", err)
			}
		})
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
	hash := "md5" + strings.Repeat("0a", 16)
	for name, c := range map[string]struct {
		values []string
		fault  string
	}{
		"a verifier":                         {values: []string{rfcVerifier}},
		"a clear password":                   {values: []string{"pencil"}},
		"a clear password that begins md5":   {values: []string{"md5 is not what this is"}},
		"a verifier and a clear password":    {values: []string{"pen", rfcVerifier}},
		"two verifiers of one salt":          {values: []string{rfcVerifier, "SCRAM-SHA-256$4096:" + rfcSalt64 + "$" + key + ":" + key}},
		"two verifiers of different salts":   {[]string{rfcVerifier, pgVerifier}, "different salts"},
		"two verifiers of different counts":  {[]string{rfcVerifier, strings.Replace(rfcVerifier, "4096", "4097", 1)}, "different salts"},
		"four passwords":                     {values: []string{"a", "b", "c", "d"}},
		"five passwords":                     {[]string{"a", "b", "c", "d", "e"}, "there are 5 passwords"},
		"no password":                        {nil, "the password is empty"},
		"an empty password":                  {[]string{""}, "the password is empty"},
		"an empty password behind another":   {[]string{"a", ""}, "the password is empty"},
		"a zero byte":                        {[]string{"a\x00b"}, "zero byte"},
		"a password of 65,530 bytes":         {values: []string{strings.Repeat("x", 65_530)}},
		"a password of 65,531 bytes":         {[]string{strings.Repeat("x", 65_531)}, "more than 65530 bytes"},
		"an md5 hash":                        {[]string{hash}, "md5 hash, which this destination does not allow"},
		"an md5 hash and a verifier":         {[]string{hash, rfcVerifier}, "an md5 hash and a SCRAM verifier"},
		"a verifier of two parts":            {[]string{"SCRAM-SHA-256$4096:" + rfcSalt64}, "layout"},
		"a verifier without a salt":          {[]string{"SCRAM-SHA-256$4096$" + key + ":" + key}, "layout"},
		"a verifier with an empty salt":      {[]string{"SCRAM-SHA-256$4096:$" + key + ":" + key}, "salt"},
		"a verifier with 0 iterations":       {[]string{"SCRAM-SHA-256$0:" + rfcSalt64 + "$" + key + ":" + key}, "iteration count"},
		"a verifier with 2^31 iterations":    {[]string{"SCRAM-SHA-256$2147483648:" + rfcSalt64 + "$" + key + ":" + key}, "iteration count"},
		"a verifier with a short StoredKey":  {[]string{"SCRAM-SHA-256$4096:" + rfcSalt64 + "$AAAA:" + key}, "StoredKey"},
		"a verifier with a short ServerKey":  {[]string{"SCRAM-SHA-256$4096:" + rfcSalt64 + "$" + key + ":AAAA"}, "ServerKey"},
		"a verifier whose key is not base64": {[]string{"SCRAM-SHA-256$4096:" + rfcSalt64 + "$!!!:" + key}, "StoredKey"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewCredential("u", c.values, Salting{}, false)
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
	one, two := Salting{Secret: []byte("the secret of all pods"), Iterations: 5000}, Salting{Secret: []byte("another secret")}
	salt := one.salt("u")
	account, err := NewCredential("u", []string{"pencil"}, one, false)
	if err != nil {
		t.Fatal(err)
	}
	mock := mockCredential("u", one, false)
	if account.salt != salt || mock.salt != salt || account.iterations != 5000 || mock.iterations != 5000 {
		t.Error("an account and a name without one show different salts, or iteration counts")
	}
	if salt == one.salt("v") || salt == two.salt("u") {
		t.Error("the salt does not depend on the name and the secret")
	}
	if first, again := (Salting{}).salt("u"), (Salting{}).salt("u"); first != again {
		t.Error("the secret of the process changes")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	credential, password := credentialOf(t, rfcVerifier), NewPassword("pencil")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, secret := range []any{credential, &credential, password} {
			text := fmt.Sprintf(format, secret)
			if strings.Contains(text, "pencil") || strings.Contains(text, "WG5d") || strings.Contains(text, "stored") {
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
	credential := credentialOf(t, "pencil")
	m := NewClient(ClientConfig{Salting: Salting{Secret: []byte("s")}, Rand: bytes.NewReader(make([]byte, 1000))})
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
	malformedFor := func(detail string) []byte { return fatalWith("08P01", "malformed SCRAM message", detail, "") }
	nonce, proof := strings.Repeat("A", 24), strings.Repeat("A", 43)+"="
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
		"channel binding":          {firstMessage("p=tls-unique,,n=,r=abc"), malformedFor(bindingData)},
		"an authorization identity": {firstMessage("n,a=x,n=,r=abc"),
			fatal("0A000", "client uses authorization identity, but it is not supported")},
		"something else in its place":   {firstMessage("n,b=x,n=,r=abc"), malformedFor("Unexpected attribute in client-first-message.")},
		"an extension":                  {firstMessage("n,,m=1,n=,r=abc"), fatal("0A000", "client requires an unsupported SCRAM extension")},
		"a tabulator in the nonce":      {firstMessage("n,,n=,r=a\tc"), fatal("08P01", "non-printable characters in SCRAM nonce")},
		"a zero byte":                   {firstMessage("n,,n=\x00,r=abc"), malformedFor("The message has too few fields, or a zero byte.")},
		"a message with too few fields": {firstMessage("n,,x"), malformedFor("The user's name is missing in client-first-message.")},
		"an empty message":              {firstMessage(""), malformedFor("The message has too few fields, or a zero byte.")},
		"no nonce":                      {firstMessage("n,,n=,x=abc"), malformedFor("The nonce is missing in client-first-message.")},
		"an empty nonce":                {firstMessage("n,,n=,r="), malformedFor("The nonce is missing in client-first-message.")},
		"no form behind the nonce":      {firstMessage("n,,n=,r=abc,"), malformedFor("Attribute expected, but found something else.")},
		"an unknown binding flag":       {firstMessage("z,,n=,r=abc"), malformedFor("Unexpected channel-binding flag.")},
		"a proof of the wrong size":     {final("c=biws,r=abc" + nonce + ",p=AAAA"), malformedFor("Malformed proof in client-final-message.")},
		"a proof for another nonce": {final("c=biws,r=abd" + nonce + ",p=" + proof),
			fatalWith("08P01", "invalid SCRAM response", "Nonce does not match.", "")},
		"a proof for another header": {final("c=eSws,r=abc" + nonce + ",p=" + proof),
			fatal("08P01", "unexpected SCRAM channel-binding attribute in client-final-message")},
		"a proof without a header":       {final("r=abc" + nonce + ",p=" + proof), malformedFor("The channel binding is missing in client-final-message.")},
		"a proof without a nonce":        {final("c=biws"), malformedFor("The nonce is missing in client-final-message.")},
		"no proof":                       {final("c=biws,r=abc" + nonce), malformedFor("Malformed proof in client-final-message.")},
		"no form in front of the proof":  {final("c=biws,r=abc" + nonce + ",,p=" + proof), malformedFor("Attribute expected, but found something else.")},
		"something behind the proof":     {final("c=biws,r=abc" + nonce + ",p=" + proof + ",x=1"), malformedFor("Malformed proof in client-final-message.")},
		"a zero byte in the proof":       {final("c=biws,r=abc" + nonce + "\x00,p=" + proof), malformedFor("The message holds a zero byte.")},
		"an empty proof":                 {final(""), malformedFor("The channel binding is missing in client-final-message.")},
		"a proof that fits no password":  {final("c=biws,r=abc" + nonce + ",p=" + proof), fatal("28P01", `password authentication failed for user "u"`)},
		"an extension that nobody knows": {final("c=biws,r=abc" + nonce + ",x=1,p=" + proof), fatal("28P01", `password authentication failed for user "u"`)},
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
	client := &scramClient{password: NewPassword(password), nonce: "abc", header: plainHeader}
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
	m.scram.credential = credentialOf(t, "pencil") // as if the stand-in fitted
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
	m := NewClient(ClientConfig{Salting: Salting{Iterations: 20_000}})
	m.Receive(startup(wire.Version30, "user=u"), nil)
	m.SetUser(false, Credential{}, nil)
	if _, out, _ := m.Receive(firstMessage("n,,n=,r=abc"), nil); !bytes.HasSuffix(out, []byte(",i=20000")) {
		t.Errorf("challenge %q", out)
	}
}
