package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// target is the pooler that the generator is told to load.
type target struct {
	Address string
	PIDs    []int
}

// generator is one thread that is a server and its clients: what it sends through the pooler comes back to it.
type generator struct {
	clients  int
	seconds  float64
	each     int64  // transactions of each client, on average; 0: seconds tell the end
	message  []byte // that clients send
	poll     int
	listener int
	peers    []*peer // by descriptor

	now    time.Time
	target target
	ready  bool // all clients are in
	done   int64
	begun  measure
	taken  []float64 // ms, of each transaction since then
}

// measure is a moment.
type measure struct {
	at   time.Time
	done int64
	used usage
}

// peer is a connection of the generator's: a client's, or one that the pooler has opened to the server.
type peer struct {
	fd     int
	client bool
	in     wire.Scanner
	part   []byte // of a message whose rest is still to come
	login  bool   // the server is still in the login
	sent   time.Time
	served int64
}

func loadMain(args []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	g := &generator{peers: make([]*peer, 1<<16)}
	listen := flags.String("listen", "", "address of the made-up server")
	protocol := flags.String("protocol", "simple", "simple or extended")
	flags.IntVar(&g.clients, "clients", 64, "")
	flags.Float64Var(&g.seconds, "seconds", 5, "how long is measured")
	flags.Int64Var(&g.each, "each", 0, "how often each client is served, on average; 0: -seconds counts")
	_ = flags.Parse(args)
	g.message = clientMessage(*protocol)
	if err := g.open(*listen); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(true); err != nil {
		return err
	}
	if err := json.NewDecoder(os.Stdin).Decode(&g.target); err != nil {
		return err
	}
	in := make(chan error, 1)
	go func() { in <- g.connectAll() }()
	runtime.LockOSThread()
	v, err := g.run(in)
	if err != nil {
		return err
	}
	return out.Encode(v)
}

func clientMessage(protocol string) []byte {
	const sql = "SELECT abalance FROM pgbench_accounts WHERE aid = 123456;"
	if protocol == "simple" {
		return wire.AppendQuery(nil, sql)
	}
	m := wire.AppendParse(nil, "", sql, nil)
	m = append(m, "B\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00"...)
	m = wire.AppendDescribe(m, 'P', "")
	m = append(m, "E\x00\x00\x00\x09\x00\x00\x00\x00\x00"...)
	return wire.AppendSync(m)
}

func (g *generator) open(address string) error {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer file.Close()
	if g.listener, err = syscall.Dup(int(file.Fd())); err != nil {
		return err
	}
	if g.poll, err = syscall.EpollCreate1(0); err != nil {
		return err
	}
	g.watch(g.listener)
	return nil
}

// watch makes the loop see what comes at fd.
func (g *generator) watch(fd int) {
	_ = syscall.SetNonblock(fd, true)
	_ = syscall.EpollCtl(g.poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

// connectAll logs the clients in; their first messages wait until all are in.
func (g *generator) connectAll() error {
	return parallel(g.clients, 4, func(int) error {
		c, err := dial(g.target.Address, false)
		if err != nil {
			return err
		}
		file, err := c.Conn.(*net.TCPConn).File()
		if err != nil {
			return err
		}
		fd, err := syscall.Dup(int(file.Fd()))
		file.Close()
		c.Close()
		if err == nil {
			g.peers[fd] = &peer{fd: fd, client: true, in: wire.Scanner{Rules: wire.BackendRules(nil)}}
		}
		return err
	})
}

// run serves until all is measured.
func (g *generator) run(in chan error) (values, error) {
	events, buf := make([]syscall.EpollEvent, 512), make([]byte, 64<<10)
	for {
		n, err := syscall.EpollWait(g.poll, events, 10)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return nil, err
		}
		g.now = time.Now()
		for _, event := range events[:max(n, 0)] {
			if fd := int(event.Fd); fd == g.listener {
				g.accept()
			} else if err := g.receive(g.peers[fd], buf); err != nil {
				return nil, err
			}
		}
		select {
		case err := <-in:
			if err != nil {
				return nil, err
			}
			g.begin()
		default:
		}
		if v := g.look(); v != nil {
			return v, nil
		}
	}
}

func (g *generator) accept() {
	if fd, _, err := syscall.Accept(g.listener); err == nil {
		g.peers[fd] = &peer{fd: fd, in: wire.Scanner{Rules: wire.FrontendRules(nil)}, login: true}
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		g.watch(fd)
	}
}

// begin lets all clients send.
func (g *generator) begin() {
	g.ready = true
	for _, p := range g.peers {
		if p != nil && p.client {
			g.watch(p.fd)
			g.ask(p)
		}
	}
}

func (g *generator) ask(p *peer) {
	p.sent = g.now
	send(p.fd, g.message)
}

// look begins to measure a second after all clients have begun, or when each was served once, and ends when it is time.
func (g *generator) look() values {
	switch {
	case !g.ready:
	case g.begun.at.IsZero():
		if g.done >= int64(g.clients) && g.done >= 10_000 {
			g.begun = measure{time.Now(), g.done, use(g.target.PIDs)}
			for _, p := range g.peers {
				if p != nil {
					p.served = 0
				}
			}
		}
	case g.each > 0 && g.done-g.begun.done >= g.each*int64(g.clients), g.each == 0 && g.now.Sub(g.begun.at).Seconds() >= g.seconds:
		return g.result()
	}
	return nil
}

func (g *generator) result() values {
	used, n := use(g.target.PIDs).since(g.begun.used), float64(g.done-g.begun.done)
	var served []float64
	for _, p := range g.peers {
		if p != nil && p.client {
			served = append(served, float64(p.served))
		}
	}
	slices.Sort(g.taken)
	return values{
		tps: n / time.Since(g.begun.at).Seconds(), cpu: microseconds(used.total) / n, userCPU: microseconds(used.user) / n,
		tail:    quantile(g.taken, 0.99) / quantile(g.taken, 0.5),
		unequal: slices.Max(served) / max(1, slices.Min(served)),
	}
}

// receive takes what has come for one side of the pooler.
func (g *generator) receive(p *peer, buf []byte) error {
	n, err := receive(p.fd, buf)
	switch {
	case err == syscall.EAGAIN:
		return nil
	case err != 0 || n == 0:
		if p.client {
			return fmt.Errorf("the pooler has closed a client's connection: %w", err)
		}
		g.peers[p.fd] = nil
		return syscall.Close(p.fd)
	}
	in := buf[:n]
	if len(p.part) > 0 {
		in = append(p.part, in...)
	}
	if p.client {
		in, err := g.replies(p, in)
		p.part = append(p.part[:0], in...)
		return err
	}
	if p.login {
		return g.admit(p, in)
	}
	in = g.answer(p, in)
	p.part = append(p.part[:0], in...)
	return nil
}

// admit lets the pooler in, without a password.
func (g *generator) admit(p *peer, in []byte) error {
	const sslRequest = 8
	if len(in) == sslRequest && in[4] == 4 {
		send(p.fd, []byte{'N'})
		return nil
	}
	p.login = false
	out := wire.AppendAuthenticationOK(nil)
	for _, s := range [][2]string{
		{"server_version", "15.0"}, {"server_encoding", "UTF8"}, {"client_encoding", "UTF8"}, {"DateStyle", "ISO, MDY"},
		{"TimeZone", "UTC"}, {"integer_datetimes", "on"}, {"standard_conforming_strings", "on"}, {"application_name", ""},
	} {
		out = wire.AppendParameterStatus(out, s[0], s[1])
	}
	out = wire.AppendBackendKeyData(out, 1, []byte("keys"))
	send(p.fd, wire.AppendReadyForQuery(out, 'I'))
	return nil
}

// Replies of the made-up server, as PostgreSQL gives them to pgbench -S.
const (
	rowDescription = "T\x00\x00\x00\x21\x00\x01abalance\x00\x00\x00\x40\x00\x00\x04\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00"
	dataRow        = "D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x010C\x00\x00\x00\x0dSELECT 1\x00"
	readyForQuery  = "Z\x00\x00\x00\x05I"
)

// answers by type of message.
var answers = map[byte]string{
	wire.TypeQuery: rowDescription + dataRow + readyForQuery, wire.TypeParse: "1\x00\x00\x00\x04", wire.TypeBind: "2\x00\x00\x00\x04",
	wire.TypeDescribe: rowDescription, wire.TypeExecute: dataRow, wire.TypeSync: readyForQuery,
}

// answer is the server's; it returns what is no whole message yet.
func (g *generator) answer(p *peer, in []byte) []byte {
	var out []byte
	for {
		piece, err := p.in.Next(in)
		if err != nil || piece.Raw == nil {
			break
		}
		if piece.First {
			out = append(out, answers[piece.Type]...)
		}
		in = in[len(piece.Raw):]
	}
	if len(out) > 0 {
		send(p.fd, out)
	}
	return in
}

// replies counts what a client is answered, and lets it ask again.
func (g *generator) replies(p *peer, in []byte) ([]byte, error) {
	for {
		piece, err := p.in.Next(in)
		switch {
		case err != nil:
			return nil, err
		case piece.Raw == nil:
			return in, nil
		case piece.Type == wire.TypeErrorResponse:
			return nil, fmt.Errorf("a client is told %q", piece.Body())
		case piece.Type == wire.TypeReadyForQuery:
			g.done++
			p.served++
			if !g.begun.at.IsZero() {
				g.taken = append(g.taken, g.now.Sub(p.sent).Seconds()*1000)
			}
			g.ask(p)
		}
		in = in[len(piece.Raw):]
	}
}

func send(fd int, b []byte) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), syscall.MSG_NOSIGNAL, 0, 0)
}

func receive(fd int, b []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), err
}
