package postgres

import (
	"bytes"
	"crypto/tls"
	"net"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// block goes on with the login in a goroutine of its own, until the client is given to its lane or is gone.
func (en *entry) block(conn net.Conn, action login.Action, out []byte) {
	en.mu.Lock()
	en.net = conn
	aborted := en.aborted
	en.mu.Unlock()
	if aborted || !en.admit(action, out) {
		en.net.Close()
		en.engine.gone(en.client)
	}
}

// admit logs a client in and gives it to its lane, and reports whether it did.
func (en *entry) admit(action login.Action, out []byte) bool {
	e := en.engine
	en.net.SetDeadline(en.late)
	done := loop.Work()
	in := en.talk(action, out)
	done()
	if in {
		en.admitted()
		if en.console != nil {
			en.command()
			return false
		}
		return en.handOver()
	}
	if en.login.Err() == nil && !en.failed && !time.Now().Before(en.late) {
		e.counters.timeouts[LoginTimeout].Add(1)
	}
	if refusal, ok := en.refusal(); ok {
		if refusal.Code == wire.CodeInvalidPassword {
			e.doubt(en.settings, en.login.Startup().User)
		}
		e.logRefusal(en.net, en.login.Startup(), refusal)
		en.lastWord()
	} else if en.failed {
		en.lastWord()
	}
	return false
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

// talk goes on until the client is in, or is not to be; it reports which.
func (en *entry) talk(action login.Action, out []byte) bool {
	for en.tell(&out) { // the answer to SSLRequest must be out before the handshake begins
		switch action {
		case login.Read:
			if !en.receive() {
				return false
			}
		case login.StartTLS:
			if !en.encrypt() {
				return false
			}
			out, action = en.login.TLSEstablished(en.tlsFacts(), out)
		case login.LookUpUser:
			out, action = en.lookUp(true, out)
		case login.Admit:
			out, action = en.place(true, out)
		case login.ForwardCancel:
			en.engine.cancelFor(en.login.CancelKey())
			return false
		default:
			return action == login.Ready
		}
		var used int
		used, out, action = en.proceed(action, en.in.bytes(), out)
		en.in.use(used)
	}
	return false
}

// receive waits for more of the client's.
func (en *entry) receive() bool {
	defer loop.Rest()()
	return en.in.read(en.net, len(en.in.bytes())+1) == nil
}

func (en *entry) tell(out *[]byte) bool {
	if len(*out) == 0 {
		return true
	}
	_, err := en.net.Write(*out)
	*out = (*out)[:0]
	return err == nil
}

// encrypt puts TLS on the client's connection.
func (en *entry) encrypt() bool {
	over, first := en.net, en.in.bytes()
	switch {
	case en.direct:
		over = &prefixed{Conn: en.net, prefix: bytes.Clone(first)}
		en.in.use(len(first))
	case len(first) > 0:
		return false
	}
	secure := tls.Server(&pipe{Conn: over}, en.settings.clients)
	shown, ctx := watchCertificate(en.engine.ctx)
	if err := secure.HandshakeContext(ctx); err != nil {
		en.engine.log.Debug("TLS handshake with a client failed", "client", en.net.RemoteAddr(), "direct", en.direct, "error", err)
		return false
	}
	en.mu.Lock()
	en.net = secure
	en.mu.Unlock()
	en.binding = shown.binding()
	return true
}

func (en *entry) tlsFacts() login.TLS {
	state := en.net.(*tls.Conn).ConnectionState()
	return login.TLS{
		Direct: en.direct, ALPN: state.NegotiatedProtocol, VerifiedClient: len(state.VerifiedChains) > 0, Binding: en.binding,
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
