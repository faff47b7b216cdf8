package login

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzSCRAM has somebody who does not know the password say anything, as client and as server. It must not be believed.
func FuzzSCRAM(f *testing.F) {
	f.Add(rfcClientFirst, rfcClientFinal, rfcServerFirst, rfcServerFinal, false)
	f.Add("p=tls-server-end-point,,n=,r=abc", "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsY2VydGlmaWNhdGU=,r=abc,p=", "r=abcd,s=AA==,i=1,x=", "v=", true)
	f.Add("y,,n=,r=~", "c=eSws,r=~,x=,p="+strings.Repeat("A", 43)+"=", "r=abc,s=,i=-1", "e=other-error", false)
	credential, err := NewCredential("u", []string{rfcVerifier}, Salting{}, false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, final, challenge, outcome string, plus bool) {
		server := &scramServer{credential: credential, found: true, plus: plus}
		if plus {
			server.binding = []byte("certificate")
		}
		answer, refusal := server.challenge([]byte(first), bytes.NewReader(make([]byte, 100)))
		if refusal == nil {
			nonce, _, _, err := parseChallenge(string(answer))
			if err != nil || !strings.HasSuffix(first, nonce[:len(nonce)-24]) && !strings.Contains(first, nonce[:len(nonce)-24]+",") {
				t.Fatalf("%q is answered with %q, %v", first, answer, err)
			}
			if outcome, refusal := server.decide([]byte(final), "u"); refusal == nil || server.proven != nil {
				t.Fatalf("%q and %q are believed: %q", first, final, outcome)
			}
		}
		if _, _, iterations, err := parseChallenge(challenge); err != nil || iterations > 10 {
			return // more take long
		}
		client := &scramClient{password: NewPassword("pencil"), nonce: "abc", header: plainHeader}
		proof, err := client.final(challenge)
		if err == nil && strings.Contains(proof, "pencil") {
			t.Fatalf("the proof for %q shows the password", challenge)
		}
		if err == nil && client.verify(outcome) == nil {
			t.Fatalf("a server that says %q and %q is believed", challenge, outcome)
		}
	})
}

// FuzzCredential stores anything as a password. What is taken lets in who knows it, if it is no verifier; an error does not
// repeat it.
func FuzzCredential(f *testing.F) {
	for _, value := range []string{rfcVerifier, pgVerifier, "md5" + strings.Repeat("0", 32), "sëcret", "a\u00a0b\u00ad", "\xff", "", "SCRAM-SHA-256$1:$:"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		credential, err := NewCredential("u", []string{value}, Salting{Secret: []byte("s"), Iterations: 2}, false)
		if err != nil {
			if len(value) > 20 && strings.Contains(err.Error(), value) {
				t.Fatalf("an error repeats the secret: %v", err)
			}
			return
		}
		if IsVerifier(value) {
			return
		}
		server, client := &scramServer{credential: credential, found: true}, &scramClient{password: NewPassword(value), nonce: "abc", header: plainHeader}
		challenge, refusal := server.challenge([]byte(client.first()), bytes.NewReader(make([]byte, 100)))
		if refusal != nil {
			t.Fatal(refusal)
		}
		proof, err := client.final(string(challenge))
		if err != nil {
			t.Fatal(err)
		}
		outcome, refusal := server.decide([]byte(proof), "u")
		if refusal != nil {
			t.Fatalf("%q does not let in who says it: %v", value, refusal)
		}
		if err := client.verify(string(outcome)); err != nil {
			t.Fatal(err)
		}
	})
}
