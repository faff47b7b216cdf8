package postgres

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
	"unique"

	"github.com/weir-dev/weir/pooler/postgres/console"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

const closePatience = 5 * time.Second

// entry is the login of a client. It drives a login.Client: on the client's lane for as long as nothing else is waited for,
// then in a goroutine, which may block.
type entry struct {
	*client
	settings *settings
	tooMany  bool
	late     time.Time // when the login must be over
	login    *login.Client
	key      key      // of the server connections that the client is to share
	account  *account // of the client's user; nil: none
	begun    bool     // the first byte has been looked at
	direct   bool     // it was of TLS
	failed   bool     // the machine has panicked
	at       int      // which of lane.entries it is, from 1; 0: none

	// In a goroutine:
	net     net.Conn
	in      *input
	console *console.Session // the client is at the console; otherwise nil
	binding []byte           // of the TLS connection, see login.TLS

	mu      sync.Mutex              // guards what is below, and who net is
	aborted bool                    // the engine wants it to end
	over    bool                    // the client has logged in
	inside  bool                    // the client is at the console
	waits   context.CancelCauseFunc // ends the wait for a server connection; nil: none
}

func newEntry(cl *client, s *settings) *entry {
	return &entry{
		client: cl, settings: s, late: cl.came.time().Add(s.Timeouts.Login),
		login: login.NewClient(login.ClientConfig{
			TLS: s.ClientTLS.Policy.loginTLS(), Salting: cl.engine.salting(s), AllowMD5: s.Auth.Method == AuthMD5,
		}),
	}
}

// abort ends the login. It reports false if it is over.
func (en *entry) abort() bool {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.over {
		return false
	}
	en.aborted = true
	if en.waits != nil {
		en.waits(errClosing)
	}
	switch {
	case en.inside:
		en.dismiss()
	case en.net != nil:
		en.net.Close()
	default:
		en.lane.Post(en.end)
	}
	return true
}

// proceed goes on with the login from an action of the machine's, as far as that waits for nobody, and returns what comes next:
// Read, Ready, Close, or what may take long.
func (en *entry) proceed(action login.Action, in, out []byte) (used int, _ []byte, _ login.Action) {
	for {
		before := action
		switch action {
		case login.Read:
			if en.beginsWithTLS(in) {
				return used, out, login.StartTLS
			}
			n := 0
			if !en.engine.contain(func() { n, out, action = en.login.Receive(in[used:], out) }) {
				en.failed = true
				return used, append(out, failedMessage...), login.Close
			}
			used += n
		case login.LookUpUser:
			out, action = en.lookUp(false, out)
		case login.Admit:
			out, action = en.place(false, out)
		}
		if action == before {
			break
		}
	}
	if _, ok := en.refusal(); ok {
		en.engine.counters.loginsFailed.Add(1) // before the client is told
	}
	return used, out, action
}

// beginsWithTLS looks at the first byte: a client may begin with TLS at once.
func (en *entry) beginsWithTLS(in []byte) bool {
	if en.begun || len(in) == 0 {
		return false
	}
	en.begun = true
	en.direct = login.IsDirectTLS(in[0]) && en.settings.clients != nil
	return en.direct
}

func (en *entry) refusal() (*login.Refusal, bool) {
	return errors.AsType[*login.Refusal](en.login.Err())
}

// admitted counts a client that has logged in.
func (en *entry) admitted() {
	en.traffic.logins.Add(1)
	arrivals.saw()
}

// lookUp finds the account of the client's user, after what does not need one. If that takes long and it may not, LookUpUser is
// still to be done.
func (en *entry) lookUp(may bool, out []byte) ([]byte, login.Action) {
	switch {
	case en.tooMany && en.settings.consoleRole(en.login.Startup()) == console.None:
		en.engine.counters.clientsRefused.Add(1)
		return en.login.Fail(wire.Fatal(wire.CodeTooManyConnections, textTooMany), out)
	case en.engine.draining.Load() || en.engine.ctx.Err() != nil:
		return en.login.Fail(wire.Fatal(wire.CodeCannotConnectNow, "the database system is shutting down"), out)
	}
	en.account = en.settings.accounts[en.login.Startup().User]
	switch method := en.settings.Auth.Method; {
	case method == AuthTrust && !en.settings.atConsole(en.login.Startup()): // which shows and stops other people's work
		return en.login.Accept(out)
	case method == AuthCertificate:
		return en.checkCertificate(out)
	}
	return en.checkPassword(may, out)
}

// place finds out what the client shares server connections for, and welcomes it as the server would. If that takes long and
// it may not, Admit is still to be done.
func (en *entry) place(may bool, out []byte) ([]byte, login.Action) {
	e, s, startup := en.engine, en.settings, en.login.Startup()
	if !may && (s.atConsole(startup) || startup.Replication != login.NoReplication) {
		return out, login.Admit
	}
	if s.atConsole(startup) {
		return en.enterConsole(out)
	}
	en.replicates = startup.Replication != login.NoReplication
	database, ok := s.database(startup.Database)
	if startup.Replication == login.PhysicalReplication {
		database, ok = startup.Database, true // of no meaning
	}
	if !ok {
		return en.login.Fail(wire.Fatal(wire.CodeUndefinedDatabase, "database \""+startup.Database+"\" does not exist"), out)
	}
	if e.hold.refuses(database) {
		return en.login.Fail(wire.Fatal(wire.CodeNotInPrerequisiteState,
			"database \""+startup.Database+"\" is not currently accepting connections"), out)
	}
	opened, set := split(startup.Params)
	if startup.Replication != login.NoReplication { // a walsender takes settings at its login only
		opened, set = canonical(append(startup.Params, replication(startup.Replication)...)), nil
	}
	en.key = key{database: database, user: startup.User, params: opened}
	if s.ServerUser != nil {
		en.key.user = s.ServerUser.User
	} else if !en.canLogIn() {
		return en.login.Fail(wire.Fatal(wire.CodeInvalidAuthorization, (&missingPassword{startup.User}).Error()), out)
	}
	told, chosen, err := en.welcome(may, set)
	switch {
	case err == errLong: //nolint:errorlint // it is never wrapped
		return out, login.Admit
	case err != nil:
		return en.login.Fail(e.refusal(en.key, err), out)
	}
	secret := wire.MinCancelKey
	if startup.Version >= wire.Version32 {
		secret = 32
	}
	mode := s.sessionMode()
	if en.replicates {
		mode = session.Once
	}
	en.who, en.traffic = unique.Make(identity{en.key, startup.User, startup.Database}), e.traffic.of(en.key.pair())
	en.machine = session.New(mode, e.statements, chosen)
	return en.login.Welcome(told, e.clients.name(en.client, secret), out)
}

// logRefusal logs one refusal a while: they cost an attacker nothing.
func (e *Engine) logRefusal(client net.Conn, startup login.Startup, refusal *login.Refusal) {
	now := time.Now().Unix()
	if e.refusalLogged.Swap(now) == now {
		return
	}
	e.log.Info("refused a client", "client", client.RemoteAddr(), "user", startup.User, "database", startup.Database,
		"code", refusal.Code, "reason", refusal.Error())
}
