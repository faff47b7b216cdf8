package oracle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/xdg-go/scram"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

const patience = 90 * time.Second // with anything: longer than all timeouts of the engine

// mark is what every text of a client holds: the client's number, its life and the statement.
var mark = regexp.MustCompile(`mark-[0-9]+-[0-9]+-`)

var errEnded = errors.New("the session has been ended")

// life is one connection of a client, from its login to its end.
type life struct {
	world  *world
	rng    *rand.Rand
	mark   string // the beginning of its marks
	count  int    // statements marked
	conn   net.Conn
	pid    uint32
	secret []byte
	in     wire.Scanner
	buf    []byte

	status  byte           // of the transaction
	names   map[string]int // prepared statements: the number that each returns
	app     string         // application_name; "" is not known
	appThen string         // at the beginning of the transaction
	pins    bool           // it does what pins it to a server connection
	listens bool
	written []string // marks in the journal, of the transaction that is open
	said    []string // the last actions, for whom it has to be explained
}

// batch is what is sent at once, and what must come back.
type batch struct {
	send []byte
	want []want
}

// want is one message that must come.
type want struct {
	typ  byte
	text string // that it holds
}

func (b *batch) add(message []byte, wants ...want) {
	b.send = append(b.send, message...)
	b.want = append(b.want, wants...)
}

// begin logs in.
func begin(w *world, client, number int, rng *rand.Rand) (*life, error) {
	l := &life{
		world: w, rng: rng, mark: fmt.Sprintf("mark-%d-%d-", client, number), status: wire.StatusIdle,
		names: map[string]int{},
	}
	l.app = l.next()
	l.pins = rng.IntN(12) == 0
	conn, err := net.Dial("tcp", w.addr.String())
	if err != nil {
		return nil, err
	}
	l.conn = conn
	if err := l.logIn(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("log in: %w", err)
	}
	return l, nil
}

// logIn logs in. No driver does it: what a driver has begun to read in the background would be missing here.
func (l *life) logIn() error {
	talk, err := scram.SHA256.NewClient("app", password, "")
	if err != nil {
		return err
	}
	exchange := talk.NewConversation()
	l.conn.SetDeadline(time.Now().Add(patience))
	hello := wire.AppendStartup(nil, wire.Version30, "app", "postgres", []wire.Param{{Name: "application_name", Value: l.app}})
	l.in.Rules = wire.ServerLoginRules()
	for typ := byte(0); typ != wire.TypeReadyForQuery; {
		if _, err := l.conn.Write(hello); err != nil {
			return err
		}
		var body []byte
		if typ, body, err = l.receive(); err != nil {
			return err
		}
		hello = nil
		switch typ {
		case wire.TypeAuthentication:
			if hello, err = answer(exchange, body); err != nil {
				return err
			}
		case wire.TypeBackendKeyData:
			l.pid, l.secret = binary.BigEndian.Uint32(body), body[4:]
		}
	}
	l.in.Rules = replies
	return nil
}

var replies = wire.BackendRules(nil)

// answer answers a request for authentication.
func answer(exchange *scram.ClientConversation, body []byte) ([]byte, error) {
	switch binary.BigEndian.Uint32(body) {
	case wire.AuthSASL:
		first, err := exchange.Step("")
		return wire.AppendSASLInitialResponse(nil, "SCRAM-SHA-256", first), err
	case wire.AuthSASLContinue:
		next, err := exchange.Step(string(body[4:]))
		return wire.AppendSASLResponse(nil, next), err
	}
	return nil, nil
}

// next returns a new mark.
func (l *life) next() string {
	l.count++
	return fmt.Sprintf("%s%d.", l.mark, l.count)
}

// run sends a batch and checks what comes back.
func (l *life) run(b *batch) error {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		l.conn.SetWriteDeadline(time.Now().Add(patience))
		_, _ = l.conn.Write(b.send) // a connection that is closed is read to its end
	}()
	err := l.check(b.want)
	if err != nil {
		l.conn.Close() // whoever still writes
	}
	<-sent
	if err != nil && !errors.Is(err, errEnded) {
		return fmt.Errorf("%w, to %.2000q", err, b.send)
	}
	return err
}

func (l *life) check(wants []want) error {
	for i, w := range wants {
		typ, body, err := l.receive()
		if err != nil {
			return err
		}
		if typ != w.typ || !strings.Contains(string(body), w.text) {
			return fmt.Errorf("reply %d of %d is %c %.200q, want %c with %q", i+1, len(wants), typ, body, w.typ, w.text)
		}
	}
	return nil
}

// receive returns the next message that is an answer. Notices and settings are not; but nothing may be another's.
func (l *life) receive() (typ byte, body []byte, err error) {
	for {
		if typ, body, err = l.message(); err != nil {
			return 0, nil, err
		}
		if err := l.mine(typ, body); err != nil {
			return 0, nil, err
		}
		switch typ {
		case wire.TypeParameterStatus, wire.TypeNoticeResponse:
			continue
		case wire.TypeErrorResponse:
			if strings.Contains(string(body), "VFATAL") {
				return 0, nil, fmt.Errorf("%w: %.200q", errEnded, body)
			}
		case wire.TypeReadyForQuery:
			l.status = body[0]
		}
		return typ, body, nil
	}
}

// mine checks that no mark in a message is another's.
func (l *life) mine(typ byte, body []byte) error {
	for _, m := range mark.FindAllString(string(body), -1) {
		if m != l.mark {
			return fmt.Errorf("STRAY: %s gets what is %s's: %c %.300q", l.mark, m, typ, body)
		}
	}
	return nil
}

// message reads a whole message.
func (l *life) message() (typ byte, body []byte, err error) {
	for {
		p, err := l.in.Next(l.buf)
		if err != nil {
			return 0, nil, fmt.Errorf("not a message: %w", err)
		}
		if p.Raw != nil {
			if p.First {
				typ = p.Type
			}
			body = append(body, p.Body()...)
			l.buf = l.buf[len(p.Raw):]
			if p.Last {
				return typ, body, nil
			}
			continue
		}
		var chunk [32 << 10]byte
		l.conn.SetReadDeadline(time.Now().Add(patience))
		n, err := l.conn.Read(chunk[:])
		l.buf = append(l.buf, chunk[:n]...)
		if n > 0 || err == nil {
			continue
		}
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			return 0, nil, fmt.Errorf("nothing comes: %+v", l.world.engine.Stats())
		}
		return 0, nil, fmt.Errorf("%w: %w", errEnded, err)
	}
}

// cancel asks to cancel what runs. It returns when the request has been taken.
func (l *life) cancel() error {
	conn, err := net.Dial("tcp", l.world.addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(wire.AppendCancelRequest(nil, l.pid, l.secret)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	if err != nil && strings.Contains(err.Error(), "reset") {
		return nil
	}
	return err
}
