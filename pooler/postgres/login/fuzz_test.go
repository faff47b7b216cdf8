package login

import (
	"bytes"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// FuzzClient gives any bytes to a login, in two ways of cutting them, and answers
// whatever the machine asks for. Nobody may get in without the password, and the
// cut must not matter.
func FuzzClient(f *testing.F) {
	f.Add(concat(sslRequest, startup(wire.Version30, "user=u", "database=d")), byte(1), byte(TLSOptional))
	f.Add(concat(gssRequest, startup(3<<16|9999, "user=u", "_pq_.x=1")), byte(0), byte(TLSDisabled))
	f.Add(concat(startup(wire.Version30, "user=u"), firstMessage("n,,n=,r=abc"),
		wire.AppendSASLResponse(nil, "c=biws,r=abcAAAA,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")), byte(5), byte(TLSDisabled))
	f.Add(wire.AppendCancelRequest(nil, 1, make([]byte, 32)), byte(3), byte(TLSMutual))
	credential, err := NewCredential("u", []string{rfcVerifier}, Salting{}, false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte, step, policy byte) {
		run := func(step int) (sent []byte, last Action, used int) {
			m := NewClient(ClientConfig{
				TLS: TLSPolicy(policy % 4), Salting: Salting{Secret: []byte("s")}, AllowMD5: policy&4 != 0, Rand: bytes.NewReader(make([]byte, 100))})
			held, rest := []byte(nil), in
			for last == Read && len(rest) > 0 {
				n := min(step, len(rest))
				held, rest = append(held, rest[:n]...), rest[n:]
				var took int
				took, sent, last = m.Receive(held, sent)
				used, held = used+took, held[took:]
				for last == StartTLS || last == LookUpUser {
					if last == StartTLS {
						sent, last = m.TLSEstablished(TLS{VerifiedClient: true, Binding: []byte("certificate")}, sent)
					} else {
						sent, last = m.SetUser(m.Startup().User == "u", credential, sent)
					}
					if last == Read { // what is held may go on
						took, sent, last = m.Receive(held, sent)
						used, held = used+took, held[took:]
					}
				}
				if last == Read && len(held) >= ClientBuffer {
					t.Fatalf("holds %d bytes and reads on", len(held))
				}
			}
			return sent, last, used
		}
		sent, last, used := run(int(step) + 1)
		if last == Admit || last == Ready {
			t.Fatalf("let in, sent %q", sent)
		}
		if bytes.Contains(in, sslRequest[4:]) || bytes.Contains(in, gssRequest[4:]) {
			return // here the cut matters: nothing may come behind these
		}
		if all, lastOfAll, usedOfAll := run(len(in) + 1); !bytes.Equal(sent, all) || last != lastOfAll || last != Close && used != usedOfAll {
			t.Fatalf("in steps %v after %d, sent %q\nat once %v after %d, sent %q", last, used, sent, lastOfAll, usedOfAll, all)
		}
	})
}

// FuzzServer gives any bytes to a login to a server. Where the server has begun
// SCRAM, the login must not succeed, for these bytes know no password.
func FuzzServer(f *testing.F) {
	f.Add(concat([]byte("N"), authOK, parameter("a", "b"), key1, idle), byte(0), byte(ServerTLSPrefer))
	f.Add(concat(authSASL, wire.AppendAuthenticationSASLContinue(nil, []byte("r=AAAAAAAAAAAAAAAAAAAAAAAAx,s="+rfcSalt64+",i=10")),
		wire.AppendAuthenticationSASLFinal(nil, []byte(rfcServerFinal)), authOK, idle), byte(6), byte(ServerTLSDisable))
	f.Add(concat([]byte("S"), wire.AppendAuthenticationCleartextPassword(nil), authOK, idle), byte(0), byte(ServerTLSRequire))
	f.Add(wire.AppendErrorResponse(nil, wire.Fatal("57P03", "the database system is starting up")), byte(2), byte(ServerTLSDisable))
	f.Add(concat([]byte("S"), wire.AppendAuthenticationSASL(nil, scramSHA256Plus, scramSHA256), wire.AppendAuthenticationSASLContinue(nil,
		[]byte("r=AAAAAAAAAAAAAAAAAAAAAAAAx,s="+rfcSalt64+",i=10"))), byte(9), byte(ServerTLSRequire))
	password := NewPassword("pencil")
	f.Fuzz(func(t *testing.T, in []byte, step, tls byte) {
		if bytes.Contains(in, []byte(",i=")) && !bytes.Contains(in, []byte(",i=10")) {
			return // a million iterations are allowed, but not here
		}
		s := NewServer(ServerConfig{User: "u", Database: "d", TLS: ServerTLS(tls % 3), Password: password,
			Rand: bytes.NewReader(make([]byte, 100))})
		sent, last := s.Start(nil)
		held, rest, scram := []byte(nil), in, false
		for last == Read && len(rest) > 0 {
			n := min(int(step)+1, len(rest))
			held, rest = append(held, rest[:n]...), rest[n:]
			var took int
			took, sent, last = s.Receive(held, sent)
			held = held[took:]
			scram = scram || bytes.Contains(sent, []byte("SCRAM-SHA-256"))
			if last == StartTLS {
				sent, last = s.TLSEstablished(TLS{Binding: []byte("certificate")}, sent)
			}
			if last == Read && len(held) >= ServerBuffer {
				t.Fatalf("holds %d bytes and reads on", len(held))
			}
		}
		if scram && last == Ready {
			t.Fatal("logged in to a server that does not know the password")
		}
		if (last == Close) != (s.Err() != nil) {
			t.Fatalf("%v with error %v", last, s.Err())
		}
		if bytes.Contains(sent, []byte("pencil")) && !bytes.Contains(sent, sslRequest) {
			t.Fatal("sent the password in clear text")
		}
	})
}
