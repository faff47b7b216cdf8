package difftest

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/xdg-go/scram"
)

// patience is how long a reply may take; maxReply is how long it may be.
const (
	patience = 15 * time.Second
	maxReply = 64 << 20
)

// client is one client of a script.
type client struct {
	target   Target
	conn     net.Conn
	in       *bufio.Reader
	unsent   []byte
	began    bool // it has sent a startup packet, or something in its place
	key      []byte
	over     bool   // the connection has ended
	why      string // it has
	lines    []string
	loggedIn bool
}

func dial(target Target) (*client, error) {
	conn, err := net.DialTimeout("tcp", target.Addr, patience)
	if err != nil {
		return nil, err
	}
	return &client{target: target, conn: conn, in: bufio.NewReader(conn)}, nil
}

// say does what a script says that the client does. What has to be sent is kept until flush.
func (c *client) say(verb string, args []string) error {
	switch verb {
	case "startup":
		return c.startup(args)
	case "tls":
		return c.startTLS()
	case "byte":
		return c.answer()
	case "handshake":
		return c.handshake()
	case "send":
		return c.flush()
	case "skip":
		return c.skip(args)
	case "cancel":
		return c.cancel(args)
	case "hangup":
		c.hangUp(len(args) > 0 && args[0] == "reset")
		return nil
	}
	if !c.began && verb != "bytes" && verb != "text" {
		if err := c.startup(nil); err != nil {
			return err
		}
	}
	c.began = true
	m, err := message(verb, args)
	c.unsent = append(c.unsent, m...)
	return err
}

// flush sends what is kept. A connection that cannot be written to any more has something to read.
func (c *client) flush() error {
	out := c.unsent
	c.unsent = nil
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	for len(out) > 0 {
		n := len(out)
		if c.target.Bytewise {
			n = 1
		}
		if _, err := c.conn.Write(out[:n]); err != nil {
			return nil //nolint:nilerr // see above
		}
		out = out[n:]
	}
	return nil
}

// startup logs in, and notes what the server has to say, up to ReadyForQuery.
func (c *client) startup(args []string) error {
	p, err := startup(args, c.target.User, c.target.Database)
	if err != nil {
		return err
	}
	c.began = true
	c.unsent = append(c.unsent, p...)
	if err := c.flush(); err != nil {
		return err
	}
	talk, err := scram.SHA256.NewClient(c.target.User, c.target.Password, "")
	if err != nil {
		return err
	}
	exchange := talk.NewConversation()
	for {
		r, ok := c.receive()
		if !ok || r.typ == 'Z' {
			return nil
		}
		if r.typ == 'R' {
			if err := c.authenticate(exchange, r.body); err != nil {
				return err
			}
		}
		if r.typ == 'K' {
			c.key = r.body
		}
	}
}

func (c *client) authenticate(exchange *scram.ClientConversation, body []byte) error {
	request, data := binary.BigEndian.Uint32(body), body[4:]
	switch request {
	case 10: // SASL
		first, err := exchange.Step("")
		if err != nil {
			return err
		}
		answer := append(text("SCRAM-SHA-256"), binary.BigEndian.AppendUint32(nil, uint32(len(first)))...)
		c.unsent = append(c.unsent, frame('p', append(answer, first...))...)
	case 11: // SASLContinue
		next, err := exchange.Step(string(data))
		if err != nil {
			return err
		}
		c.unsent = append(c.unsent, frame('p', []byte(next))...)
	case 12: // SASLFinal
		if _, err := exchange.Step(string(data)); err != nil {
			return fmt.Errorf("the server does not prove that it knows the password: %w", err)
		}
	}
	return c.flush()
}

// startTLS asks for TLS, notes the answer, and goes on with TLS if there is.
func (c *client) startTLS() error {
	c.unsent = append(c.unsent, packet([]byte{0x04, 0xd2, 0x16, 0x2f})...)
	if err := c.answer(); err != nil {
		return err
	}
	if !strings.Contains(c.lines[len(c.lines)-1], "'S'") {
		return nil
	}
	return c.handshake()
}

// answer notes a single byte, as requests for encryption are answered with.
func (c *client) answer() error {
	if err := c.flush(); err != nil {
		return err
	}
	c.conn.SetReadDeadline(time.Now().Add(patience))
	b, err := c.in.ReadByte()
	if err != nil {
		return fmt.Errorf("wait for a single byte: %w", err)
	}
	c.lines = append(c.lines, fmt.Sprintf("byte %q", b))
	return nil
}

// handshake puts TLS on the connection, or notes that it cannot.
func (c *client) handshake() error {
	c.conn.SetDeadline(time.Now().Add(patience))
	secure := tls.Client(c.conn, c.target.TLS)
	if err := secure.Handshake(); err != nil {
		c.lines = append(c.lines, "no TLS")
		c.over, c.why = true, "end"
		return nil //nolint:nilerr // it is noted
	}
	c.conn.SetDeadline(time.Time{})
	c.conn, c.in = secure, bufio.NewReader(secure)
	c.lines = append(c.lines, "TLS")
	return nil
}

// receive returns and notes the next message. ok is false at the end, and when nothing comes.
func (c *client) receive() (r reply, ok bool) {
	if c.over {
		return r, false
	}
	c.conn.SetReadDeadline(time.Now().Add(patience))
	r, err := c.read()
	if err != nil {
		c.over, c.why = true, ending(err)
		c.lines = append(c.lines, c.why)
		return r, false
	}
	if r.typ == 'Z' {
		c.loggedIn = true
	}
	c.lines = append(c.lines, r.String())
	return r, true
}

// ending is how a connection's end is noted. A connection that the other side closes with something unread is reset: that is a
// matter of what has reached it in time.
func ending(err error) string {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "silence"
	}
	if errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset") {
		return "end"
	}
	return err.Error()
}

func (c *client) read() (r reply, err error) {
	var header [5]byte
	if _, err := io.ReadFull(c.in, header[:]); err != nil {
		return r, err
	}
	n := binary.BigEndian.Uint32(header[1:])
	if n < 4 || n > maxReply {
		return r, fmt.Errorf("a message %q claims a length of %d", header[0], n)
	}
	r = reply{typ: header[0], body: make([]byte, n-4)}
	_, err = io.ReadFull(c.in, r.body)
	return r, err
}

// hear reads what a script waits for: until as many ReadyForQuery as wanted has; or as many messages, if it does not end with
// one; "end" is the end of the connection. It returns the short names of what came.
func (c *client) hear(wanted []string) (heard []string) {
	want := expand(wanted)
	last := want[len(want)-1]
	ready := 0
	for _, w := range want {
		if isReady(w) {
			ready++
		}
	}
	for {
		r, ok := c.receive()
		if !ok {
			return append(heard, c.why)
		}
		heard = append(heard, r.short())
		if isReady(heard[len(heard)-1]) {
			ready--
		}
		if isReady(last) && ready == 0 || !isReady(last) && last != "end" && len(heard) == len(want) {
			return heard
		}
	}
}

func isReady(short string) bool { return short == "Z" || strings.HasPrefix(short, "Z:") }

// skip reads on for so many ReadyForQuery; for what is too long to list.
func (c *client) skip(args []string) error {
	n := 0
	if _, err := fmt.Sscan(strings.Join(args, ""), &n); err != nil {
		return fmt.Errorf("skip wants a number: %w", err)
	}
	done := c.flushing()
	for n > 0 {
		r, ok := c.receive()
		if !ok {
			break
		}
		if r.typ == 'Z' {
			n--
		}
	}
	<-done
	return nil
}

// flushing flushes while the caller reads. It is over when the channel is closed.
func (c *client) flushing() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.flush()
	}()
	return done
}

// cancel asks to cancel what the client runs, and returns when the server has taken the request.
func (c *client) cancel(args []string) error {
	if len(args) > 0 && args[0] == "until-answered" {
		return c.cancelUntilAnswered()
	}
	if len(c.key) < 8 {
		return errors.New("the client has no key to cancel with")
	}
	key := append([]byte(nil), c.key...)
	if len(args) > 0 && args[0] == "wrong" {
		key[len(key)-1] ^= 1
	}
	other, err := dial(c.target)
	if err != nil {
		return err
	}
	defer other.conn.Close()
	if len(args) > 0 && args[0] == "tls" {
		if err := other.startTLS(); err != nil {
			return err
		}
	}
	other.unsent = packet(append([]byte{0x04, 0xd2, 0x16, 0x2e}, key...))
	if err := other.flush(); err != nil {
		return err
	}
	other.conn.SetReadDeadline(time.Now().Add(patience))
	if b, err := io.ReadAll(other.in); len(b) > 0 {
		return fmt.Errorf("a cancel request is answered with %q, %w", b, err)
	}
	return nil
}

// cancelUntilAnswered is for a statement of which it cannot be known when it begins to wait.
func (c *client) cancelUntilAnswered() error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err := c.cancel(nil); err != nil {
			return err
		}
		c.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := c.in.Peek(1); err == nil {
			return nil
		}
	}
	return fmt.Errorf("a cancelled statement is not answered within %v", patience)
}

// hangUp ends the connection without a word.
func (c *client) hangUp(abrupt bool) {
	_ = c.flush()
	if tcp, ok := c.conn.(*net.TCPConn); ok && abrupt {
		_ = tcp.SetLinger(0)
	}
	c.conn.Close()
	c.over = true
}

// finish says goodbye and notes what is left over.
func (c *client) finish() {
	defer c.conn.Close()
	if !c.over && c.loggedIn {
		c.unsent = append(c.unsent, frame('X', nil)...)
		_ = c.flush()
		for ok := true; ok; {
			_, ok = c.receive()
		}
	}
}

// expand writes D*3 as D D D; collapse is the reverse.
func expand(short []string) (long []string) {
	for _, s := range short {
		n := 1
		if word, times, ok := strings.Cut(s, "*"); ok {
			if _, err := fmt.Sscan(times, &n); err == nil {
				s = word
			}
		}
		for range n {
			long = append(long, s)
		}
	}
	return long
}

func collapse(long []string) (short []string) {
	for i := 0; i < len(long); {
		n := 1
		for i+n < len(long) && long[i+n] == long[i] {
			n++
		}
		if n == 1 || isReady(long[i]) {
			short = append(short, long[i])
			i++
			continue
		}
		short = append(short, fmt.Sprintf("%s*%d", long[i], n))
		i += n
	}
	return short
}
