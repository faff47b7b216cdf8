package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// secret is the password with the keys derived from it, so that clients cost little.
var secret = login.NewPassword(password)

// connection is a client's, logged in.
type connection struct {
	net.Conn
	rules wire.Scanner
	buf   []byte
}

// dial connects and logs in.
func dial(address string, secure bool) (*connection, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: conn, rules: wire.Scanner{Rules: wire.BackendRules(nil)}, buf: make([]byte, login.ServerBuffer)}
	if err := c.logIn(secure); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *connection) logIn(secure bool) error {
	cfg := login.ServerConfig{User: userName, Database: database, Password: secret}
	if secure {
		cfg.TLS = login.ServerTLSRequire
	}
	machine := login.NewServer(cfg)
	out, action := machine.Start(nil)
	have := 0
	for {
		if _, err := c.Write(out); err != nil {
			return err
		}
		out = out[:0]
		switch action {
		case login.Read:
			n, err := c.Read(c.buf[have:])
			if err != nil {
				return fmt.Errorf("log in: %w", err)
			}
			var used int
			used, out, action = machine.Receive(c.buf[:have+n], out)
			have = copy(c.buf, c.buf[used:have+n])
		case login.StartTLS:
			over := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
			if err := over.Handshake(); err != nil {
				return err
			}
			c.Conn = over
			out, action = machine.TLSEstablished(login.TLS{Binding: login.EndPointBinding(over.ConnectionState().PeerCertificates[0])}, out)
		case login.Ready:
			return nil
		default:
			return machine.Err()
		}
	}
}

// query sends a simple query and returns how many bytes answer it.
func (c *connection) query(sql string) (n int, err error) {
	if _, err := c.Write(wire.AppendQuery(nil, sql)); err != nil {
		return 0, err
	}
	have := 0
	for {
		piece, err := c.rules.Next(c.buf[:have])
		switch {
		case err != nil:
			return n, err
		case piece.Raw == nil:
			more, err := c.Read(c.buf[have:])
			if err != nil {
				return n, errors.Join(err, io.ErrUnexpectedEOF)
			}
			have += more
			n += more
			continue
		case piece.First && piece.Type == wire.TypeErrorResponse:
			return n, fmt.Errorf("%s: %q", sql, piece.Body())
		case piece.Type == wire.TypeReadyForQuery:
			return n, nil
		}
		have = copy(c.buf, c.buf[len(piece.Raw):have])
	}
}
