package postgres

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
	"unique"

	"github.com/weir-dev/weir/pooler/loop"
	"github.com/weir-dev/weir/pooler/postgres/console"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

const (
	spareLogins   = 100                    // connections above MaxClients: to cancel, or to be told that there are too many
	acceptPause   = 100 * time.Millisecond // after accept failed, for lack of file descriptors for example
	closePatience = 5 * time.Second
)

// Serve lets in the clients that ln accepts, until ln is closed, which is no error. It may run for several listeners.
func (e *Engine) Serve(ln net.Listener) error {
	for {
		nc, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			e.log.Warn("cannot accept a client", "error", err)
			select {
			case <-time.After(acceptPause):
			case <-e.ctx.Done():
				return nil
			}
			continue
		}
		cl := &client{engine: e, stream: stream{lane: e.laneFor()}, came: now(), traffic: &e.traffic.other}
		en := &entry{client: cl, net: nc}
		cl.entry.Store(en)
		n := e.clients.add(cl)
		most := e.settings.Load().Limits.MaxClients
		if n > most+spareLogins || e.ctx.Err() != nil {
			e.counters.clientsRefused.Add(1)
			nc.Close()
			e.gone(cl)
			continue
		}
		go func() {
			if !en.admit(n > most) {
				en.net.Close()
				e.gone(cl)
			}
		}()
	}
}

// gone forgets a client.
func (e *Engine) gone(cl *client) {
	if cl.forget != nil {
		cl.forget()
	}
	e.clients.remove(cl)
	if e.draining.Load() {
		go func() { // a lane must not wait for an Apply
			e.apply.Lock()
			defer e.apply.Unlock()
			e.holdBudget()
		}()
	}
}

// entry is the login of a client, in a goroutine that may block. It drives a login.Client.
type entry struct {
	*client
	net      net.Conn
	in       input
	settings *settings
	tooMany  bool
	login    *login.Client
	key      key              // of the server connections that the client is to share
	console  *console.Session // the client is at the console; otherwise nil
	account  *account         // of the client's user; nil: none
	binding  []byte           // of the TLS connection, see login.TLS
	direct   bool             // the first byte has been looked at

	mu      sync.Mutex              // guards what is below, and who net is
	aborted bool                    // the engine wants it to end
	over    bool                    // the client is given to its lane
	inside  bool                    // the client is at the console
	waits   context.CancelCauseFunc // ends the wait for a server connection; nil: none
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
	if en.inside {
		en.dismiss()
	} else {
		en.net.Close()
	}
	return true
}

// admit logs a client in and gives it to its lane, and reports whether it did.
func (en *entry) admit(tooMany bool) bool {
	e := en.engine
	s := e.settings.Load()
	en.settings, en.tooMany = s, tooMany
	en.login = login.NewClient(login.ClientConfig{
		TLS: s.ClientTLS.Policy.loginTLS(), Salting: e.salting(s), AllowMD5: s.Auth.Method == AuthMD5,
	})
	late := time.Now().Add(s.Timeouts.Login)
	en.net.SetDeadline(late)
	done := loop.Work()
	in := en.talk()
	done()
	if in {
		en.traffic.logins.Add(1)
		arrivals.saw()
		if en.console != nil {
			en.command()
			return false
		}
		return en.handOver()
	}
	if en.login.Err() == nil && !time.Now().Before(late) {
		e.counters.timeouts[LoginTimeout].Add(1)
	}
	if refusal, ok := en.refusal(); ok {
		if refusal.Code == wire.CodeInvalidPassword {
			e.doubt(s, en.login.Startup().User)
		}
		e.logRefusal(en.net, en.login.Startup(), refusal)
		en.lastWord()
	}
	return false
}

func (en *entry) refusal() (*login.Refusal, bool) {
	return errors.AsType[*login.Refusal](en.login.Err())
}

// handOver gives the client to its lane, with what it has sent behind its login.
func (en *entry) handOver() bool {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.aborted {
		return false
	}
	cl := en.client
	fd, err := cl.stream.take(en.net)
	if err != nil {
		en.engine.log.Warn("cannot take a client over from its login", "error", err)
		return false
	}
	rest := bytes.Clone(en.in.bytes())
	en.in.drop()
	en.over = true
	cl.entry.Store(nil)
	cl.lane.Post(func() { cl.start(fd, rest) })
	return true
}

// lastWord lets the client read why it was refused: closing with unread input would lose it.
func (en *entry) lastWord() {
	closeWrite(en.net)
	en.net.SetReadDeadline(time.Now().Add(linger))
	for en.in.read(en.net, 0) == nil {
		en.in.use(len(en.in.bytes()))
	}
	en.in.drop()
}

// talk runs the machine to its end, and reports whether the client is in.
func (en *entry) talk() bool {
	action := login.Read
	ahead := false // the client has sent what it was not asked for yet
	var out []byte
	for {
		switch action {
		case login.Read:
			if !ahead && !en.receive() {
				return false
			}
			ahead = false
			if done, ok := en.directTLS(); done {
				if !ok {
					return false
				}
				continue
			}
			var used int
			if !en.engine.contain(func() { used, out, action = en.login.Receive(en.in.bytes(), out) }) {
				en.goodbye(failedMessage)
				return false
			}
			en.in.use(used)
		case login.StartTLS:
			if len(en.in.bytes()) > 0 || !en.handshake(en.net, false) {
				return false
			}
			out, action = en.login.TLSEstablished(en.tlsFacts(false), out)
		case login.LookUpUser:
			out, action = en.lookUp(out)
			ahead = len(en.in.bytes()) > 0
		case login.Admit:
			out, action = en.place(out)
		case login.ForwardCancel:
			en.engine.cancelFor(en.login.CancelKey())
			return false
		case login.Ready:
			return en.flush(&out)
		default:
			return false
		}
		if _, ok := en.refusal(); ok {
			en.engine.counters.loginsFailed.Add(1) // before the client is told
		}
		// The answer to SSLRequest must be out before the handshake begins.
		if !en.flush(&out) {
			return false
		}
	}
}

// receive waits for more of the client's.
func (en *entry) receive() bool {
	defer loop.Rest()()
	return en.in.read(en.net, len(en.in.bytes())+1) == nil
}

func (en *entry) flush(out *[]byte) bool {
	if len(*out) == 0 {
		return true
	}
	_, err := en.net.Write(*out)
	*out = (*out)[:0]
	return err == nil
}

// directTLS looks at the first byte: a client may begin with TLS at once. done says that it did.
func (en *entry) directTLS() (done, ok bool) {
	if en.direct {
		return false, false
	}
	en.direct = true
	first := en.in.bytes()
	if !login.IsDirectTLS(first[0]) || en.settings.clients == nil {
		return false, false
	}
	behind := &prefixed{Conn: en.net, prefix: append([]byte(nil), first...)}
	en.in.use(len(first))
	if !en.handshake(behind, true) {
		return true, false
	}
	out, action := en.login.TLSEstablished(en.tlsFacts(true), nil)
	return true, action == login.Read && en.flush(&out)
}

// handshake puts TLS on the client's connection.
func (en *entry) handshake(over net.Conn, direct bool) bool {
	secure := tls.Server(&pipe{Conn: over}, en.settings.clients)
	shown, ctx := watchCertificate(en.engine.ctx)
	if err := secure.HandshakeContext(ctx); err != nil {
		en.engine.log.Debug("TLS handshake with a client failed", "client", en.net.RemoteAddr(), "direct", direct, "error", err)
		return false
	}
	en.mu.Lock()
	en.net = secure
	en.mu.Unlock()
	en.binding = shown.binding()
	return true
}

func (en *entry) tlsFacts(direct bool) login.TLS {
	state := en.net.(*tls.Conn).ConnectionState()
	return login.TLS{
		Direct: direct, ALPN: state.NegotiatedProtocol, VerifiedClient: len(state.VerifiedChains) > 0, Binding: en.binding,
	}
}

// prefixed is a connection of which some bytes have been read already.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.prefix)
	p.prefix = p.prefix[n:]
	return n, nil
}

// lookUp finds the account of the client's user, after what does not need one.
func (en *entry) lookUp(out []byte) ([]byte, login.Action) {
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
	return en.checkPassword(out)
}

// place finds out what the client shares server connections for, and welcomes it as the server would.
func (en *entry) place(out []byte) ([]byte, login.Action) {
	e, s, startup := en.engine, en.settings, en.login.Startup()
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
	en.net.SetDeadline(time.Time{})
	resume := loop.Rest()
	told, chosen, err := en.welcome(set)
	resume()
	if err != nil {
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
	en.net.SetWriteDeadline(time.Now().Add(s.Timeouts.Login))
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
