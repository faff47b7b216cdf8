package login

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// pair is a Server that logs in to a Client, over wires that deliver step bytes at
// a time.
type pair struct {
	client           *Client
	server           *Server
	step             int
	user             func(name string) (Credential, bool)
	welcome          []wire.Param
	key              CancelKey
	heard            func(toClient []byte) // hears what the machine Server sends; nil: nobody listens
	handshakes       int
	shown, seen      []byte // what the pooler's certificate and the one that its client sees bind to
	toClient, before []byte // on the wire; behind it, what a machine has not used
	toServer, behind []byte
}

// run returns the last action of both machines.
func (p *pair) run(t testing.TB) (client, server Action) {
	t.Helper()
	p.toClient, server = p.server.Start(nil)
	for range 100_000 {
		var moved bool
		moved, client = p.stepClient(client)
		movedToo, next := p.stepServer(server)
		server = next
		if client == StartTLS && server == StartTLS {
			client, server = p.handshake()
			continue
		}
		if !moved && !movedToo {
			return client, server
		}
	}
	t.Fatal("the two talk without end")
	return client, server
}

func (p *pair) stepClient(action Action) (moved bool, _ Action) {
	if action != Read || len(p.toClient) == 0 {
		return false, action
	}
	if p.heard != nil {
		p.heard(p.toClient)
	}
	n := min(p.step, len(p.toClient))
	p.before, p.toClient = append(p.before, p.toClient[:n]...), p.toClient[n:]
	used, out, action := p.client.Receive(p.before, p.toServer)
	p.before, p.toServer = p.before[used:], out
	for action == LookUpUser || action == Admit {
		if action == Admit {
			p.toServer, action = p.client.Welcome(p.welcome, p.key, p.toServer)
			continue
		}
		credential, found := p.user(p.client.Startup().User)
		p.toServer, action = p.client.SetUser(found, credential, p.toServer)
	}
	return true, action
}

func (p *pair) stepServer(action Action) (moved bool, _ Action) {
	if action != Read || len(p.toServer) == 0 {
		return false, action
	}
	n := min(p.step, len(p.toServer))
	p.behind, p.toServer = append(p.behind, p.toServer[:n]...), p.toServer[n:]
	used, out, action := p.server.Receive(p.behind, p.toClient)
	p.behind, p.toClient = p.behind[used:], out
	return true, action
}

func (p *pair) handshake() (client, server Action) {
	p.handshakes++
	p.toServer, client = p.client.TLSEstablished(TLS{Binding: p.shown}, p.toServer)
	p.toClient, server = p.server.TLSEstablished(TLS{Binding: p.seen}, p.toClient)
	return client, server
}

func newPair(step int, policy TLSPolicy, config ServerConfig) *pair {
	config.User, config.Database = "u", "d"
	return &pair{
		client: NewClient(ClientConfig{TLS: policy}),
		server: NewServer(config),
		step:   step,
		user: func(name string) (Credential, bool) {
			credential, err := NewCredential(name, []string{"pencil"}, Salting{}, false)
			return credential, err == nil && name == "u"
		},
		welcome: []wire.Param{{Name: "server_version", Value: "15.3"}, {Name: "TimeZone", Value: "UTC"}},
		key:     CancelKey{PID: 7, Secret: []byte("abcd")},
	}
}

func TestTheTwoMachinesLogInToEachOther(t *testing.T) {
	for _, step := range []int{1, 2, 7, 100_000} {
		for name, c := range map[string]struct {
			policy     TLSPolicy
			tls        ServerTLS
			handshakes int
		}{
			"in plain text": {TLSDisabled, ServerTLSDisable, 0},
			"in plain text, for the client has no TLS": {TLSOptional, ServerTLSDisable, 0},
			"in plain text, for the server has no TLS": {TLSDisabled, ServerTLSPrefer, 0},
			"over TLS because both like to":            {TLSOptional, ServerTLSPrefer, 1},
			"over TLS because both have to":            {TLSRequired, ServerTLSRequire, 1},
		} {
			t.Run(fmt.Sprintf("%s, %d bytes at a time", name, step), func(t *testing.T) {
				params := []wire.Param{{Name: "application_name", Value: "test"}}
				p := newPair(step, c.policy, ServerConfig{Password: NewPassword("pencil"), TLS: c.tls, Params: params})
				client, server := p.run(t)
				if client != Ready || server != Ready {
					t.Fatalf("client %v %v, server %v %v", client, p.client.Err(), server, p.server.Err())
				}
				if p.handshakes != c.handshakes {
					t.Errorf("%d handshakes, want %d", p.handshakes, c.handshakes)
				}
				if got := p.client.Startup(); got.User != "u" || got.Database != "d" || len(got.Params) != 1 || got.Params[0] != params[0] {
					t.Errorf("startup %+v", got)
				}
				if got := p.server.Params(); len(got) != 2 || got[0] != p.welcome[0] || got[1] != p.welcome[1] {
					t.Errorf("parameters %v", got)
				}
				if key := p.server.CancelKey(); key.PID != 7 || !bytes.Equal(key.Secret, p.key.Secret) {
					t.Errorf("key %+v", key)
				}
				if len(p.before)+len(p.behind)+len(p.toClient)+len(p.toServer) != 0 {
					t.Errorf("left over: %q %q", p.before, p.behind)
				}
			})
		}
	}
}

func TestTheTwoMachinesRefuseEachOther(t *testing.T) {
	for name, c := range map[string]struct {
		policy TLSPolicy
		config ServerConfig
		nobody bool
		code   string // of the server's error; empty: it was our own
	}{
		"a wrong password":                 {config: ServerConfig{Password: NewPassword("wrong")}, code: "28P01"},
		"a user that does not exist":       {config: ServerConfig{Password: NewPassword("pencil")}, nobody: true, code: "28P01"},
		"plain text where TLS is required": {policy: TLSRequired, config: ServerConfig{Password: NewPassword("pencil")}, code: "28000"},
		"TLS where there is none":          {config: ServerConfig{TLS: ServerTLSRequire}},
		"no password where one is needed":  {config: ServerConfig{}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(3, c.policy, c.config)
			if c.nobody {
				p.user = func(string) (Credential, bool) { return Credential{}, false }
			}
			_, action := p.run(t)
			if action != Close || !Final(p.server.Err()) {
				t.Fatalf("%v, %v", action, p.server.Err())
			}
			e, ok := errors.AsType[*wire.ServerError](p.server.Err())
			if ok != (c.code != "") || ok && e.Code != c.code {
				t.Errorf("error %v, want code %q", p.server.Err(), c.code)
			}
		})
	}
}
