package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/session"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// VanishSeconds bounds how long the server keeps the connections of a process that vanished without closing them (power
// cut, network gone): it finds out after 10 s of silence and 3 probes 5 s apart, and a running statement is looked after
// every 5 s.
const VanishSeconds = 30

// EndSeconds bounds how long the server keeps the connections of a process that was killed, on a machine that goes on: it
// is told at once, but a running statement is looked after every 5 s, and has to be rolled back.
const EndSeconds = 10

const giveUpTimeout = 10 * time.Second // for the server to end a login that failed

// guards make the server notice a vanished pooler within VanishSeconds.
var guards = []wire.Param{
	{Name: "tcp_keepalives_idle", Value: "10"},
	{Name: "tcp_keepalives_interval", Value: "5"},
	{Name: "tcp_keepalives_count", Value: "3"},
	{Name: "tcp_user_timeout", Value: "20000"},
	{Name: "client_connection_check_interval", Value: "5000"},
}

// isGuard says that a client has no say in the parameter.
func isGuard(name string) bool {
	for _, g := range guards {
		if strings.EqualFold(g.Name, name) {
			return true
		}
	}
	return false
}

// quirks remembers which guards the server does not know, being too old or on a system that has no such thing.
type quirks struct {
	mu      sync.Mutex
	unknown map[string]bool
}

func (q *quirks) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unknown = nil
}

// guards are those that the server knows.
func (q *quirks) guards() []wire.Param {
	q.mu.Lock()
	defer q.mu.Unlock()
	known := make([]wire.Param, 0, len(guards))
	for _, g := range guards {
		if !q.unknown[g.Name] {
			known = append(known, g)
		}
	}
	return known
}

// learn reports whether the server refused because of a guard, which is then left out.
func (q *quirks) learn(err error) bool {
	refusal, ok := errors.AsType[*wire.ServerError](err)
	if !ok || refusal.Code != wire.CodeUndefinedObject && refusal.Code != wire.CodeInvalidParameterValue {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range guards {
		if strings.Contains(refusal.Message, g.Name) && !q.unknown[g.Name] {
			if q.unknown == nil {
				q.unknown = make(map[string]bool)
			}
			q.unknown[g.Name] = true
			return true
		}
	}
	return false
}

// logIn logs in at one endpoint. It tries the passwords in turn; most often there is one.
func (e *Engine) logIn(ctx context.Context, s *settings, k key, at Endpoint) (*conn, error) {
	defer loop.Work()()
	known := e.passwords(s, k)
	passwords := known.list()
	if len(passwords) == 0 {
		if !s.certifies() && !s.isProbe(k) {
			return nil, &missingPassword{k.user}
		}
		passwords = []*login.Password{nil} // the server may not ask
	}
	var last error
	for _, password := range passwords {
		c, err := e.dialAt(ctx, s, k, at, password)
		for err != nil && e.quirks.learn(err) {
			c, err = e.dialAt(ctx, s, k, at, password)
		}
		if err == nil && password != nil {
			known.take(password)
		}
		if err == nil || !login.PasswordRefused(err) {
			return c, err
		}
		last = err
	}
	if !k.lookup {
		e.doubt(s, k.user)
	}
	return nil, last
}

func (e *Engine) dialAt(ctx context.Context, s *settings, k key, at Endpoint, password *login.Password) (*conn, error) {
	l := &serverLogin{engine: e, at: at, tls: s.ServerTLS}
	l.machine = login.NewServer(login.ServerConfig{
		User: k.user, Database: k.database, Params: append(k.startup(), e.quirks.guards()...),
		Password: password, TLS: s.ServerTLS.Mode.loginTLS(),
	})
	err := l.run(ctx)
	if err == nil {
		err = checkRole(ctx, s.TargetSession, l.conn, l.machine.Params())
	}
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			e.counters.timeouts[ConnectTimeout].Add(1)
			e.failed(k, explain(at, k, err)) // the pool is told later, when the server has ended the login
		}
		l.giveUp()
		return nil, err
	}
	c := &conn{
		engine: e, id: e.opened.Add(1), opened: time.Now(), key: k, at: at, peer: at, encrypted: l.encrypted(), serverTLS: s.ServerTLS,
		cancel: l.machine.CancelKey(), params: l.machine.Params(), ended: make(chan struct{}),
	}
	c.machine = session.NewServer(e.statements, c.params)
	if tcp, ok := l.plain.RemoteAddr().(*net.TCPAddr); ok { // of the addresses that a name has
		c.peer = Endpoint{Host: tcp.AddrPort().Addr().String(), Port: tcp.Port}
	}
	if k.lookup {
		c.net = l.conn // who asks reads
		return c, nil
	}
	fd, err := c.stream.take(l.conn)
	if err != nil {
		return nil, err
	}
	lane := e.laneFor()
	c.lane.Store(lane)
	e.conns.Store(c, nil)
	e.readers.Add(1)
	opened := make(chan struct{})
	lane.Post(func() {
		c.open(fd)
		close(opened)
	})
	select { // who is lent it writes at once
	case <-opened:
		return c, nil
	case <-lane.Ended(): // with all that was posted
		e.conns.Delete(c)
		e.readers.Done()
		return nil, errors.Join(errClosing, syscall.Close(fd))
	}
}

// serverLogin drives a login.Server.
type serverLogin struct {
	engine  *Engine
	at      Endpoint
	tls     ServerTLS
	machine *login.Server
	conn    net.Conn
	plain   net.Conn // below TLS
}

func (l *serverLogin) encrypted() bool {
	_, ok := l.conn.(*tls.Conn)
	return ok
}

func (l *serverLogin) run(ctx context.Context) error {
	resume := loop.Rest()
	conn, err := connect(ctx, l.at)
	resume()
	if err != nil {
		return err
	}
	l.conn, l.plain = conn, conn
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetDeadline(time.Unix(1, 0))
		close(stopped)
	})
	err = l.talk(ctx)
	if !stop() {
		<-stopped
		if err == nil {
			err = ctx.Err()
		}
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// giveUp ends a login that failed, and returns when the server has ended it, too: until then the server counts it.
func (l *serverLogin) giveUp() {
	if l.plain == nil {
		return
	}
	defer l.plain.Close()
	l.plain.SetDeadline(time.Now().Add(giveUpTimeout))
	closeWrite(l.conn)
	_, _ = io.Copy(io.Discard, l.plain) // it has had its say
}

// closeWrite tells the other side of a connection that blocks that nothing more will come.
func closeWrite(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		_ = secure.CloseWrite()
	}
	if half, ok := plainOf(conn).(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func connect(ctx context.Context, at Endpoint) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(at.Host, strconv.Itoa(at.Port)))
	if sized, ok := conn.(*net.TCPConn); ok {
		_ = sized.SetReadBuffer(serverReceiveBuffer) // a system that does not let us has its own
	}
	return conn, err
}

func (l *serverLogin) talk(ctx context.Context) error {
	out, action := l.machine.Start(nil)
	buf := make([]byte, login.ServerBuffer)
	have := 0
	for {
		if len(out) > 0 {
			if _, err := l.conn.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		switch action {
		case login.Read:
			resume := loop.Rest()
			n, err := l.conn.Read(buf[have:])
			resume()
			have += n
			if n == 0 && err != nil {
				return l.cut(err)
			}
		case login.StartTLS:
			secure := tls.Client(&pipe{Conn: l.conn}, serverTLS(l.tls, l.at.Host))
			if err := secure.HandshakeContext(ctx); err != nil {
				return &handshakeError{err}
			}
			l.conn = secure
			binding := login.EndPointBinding(secure.ConnectionState().PeerCertificates[0])
			out, action = l.machine.TLSEstablished(login.TLS{Binding: binding}, out)
			continue
		case login.Ready:
			if have > 0 {
				return errors.New("the server talks before it is asked")
			}
			return nil
		default:
			return l.refused(l.machine.Err())
		}
		var used int
		if !l.engine.contain(func() { used, out, action = l.machine.Receive(buf[:have], out) }) {
			return errFailed
		}
		have = copy(buf, buf[used:have])
	}
}

// cut says that the server went away during the login.
func (l *serverLogin) cut(err error) error {
	return fmt.Errorf("the connection broke during login: %w", err)
}

// refused tells a failure to agree on TLS from others.
func (l *serverLogin) refused(err error) error {
	if _, ok := errors.AsType[*login.Failure](err); ok && l.tls.Mode > Prefer && !l.encrypted() {
		return &handshakeError{err}
	}
	return err
}
