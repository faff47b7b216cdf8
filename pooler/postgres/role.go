package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// TargetSession says which servers will do, as libpq's target_session_attrs.
type TargetSession int

// Target sessions.
const (
	AnySession TargetSession = iota
	ReadWrite                // not a standby, nor read-only by default
	ReadOnly                 // one of the two
)

// wrongRole says that a server is not what TargetSession asks for.
type wrongRole struct{ want TargetSession }

func (w *wrongRole) Error() string {
	if w.want == ReadWrite {
		return "it is a standby, or read-only by default, but targetSession is ReadWrite"
	}
	return "it is a primary, but targetSession is ReadOnly"
}

// checkRole returns a *wrongRole if the server that has just let us in is not what is asked for. What it reported says so
// from PostgreSQL 14 on; older ones are asked.
func checkRole(ctx context.Context, want TargetSession, nc net.Conn, params []wire.Param) error {
	if want == AnySession {
		return nil
	}
	readOnly, known := reportsReadOnly(params)
	if !known {
		var err error
		if readOnly, err = askReadOnly(ctx, nc); err != nil {
			return fmt.Errorf("ask the server whether it is a standby: %w", err)
		}
	}
	if readOnly != (want == ReadOnly) {
		return &wrongRole{want}
	}
	return nil
}

// reportsReadOnly says whether the server is a standby or read-only by default; known is false if it does not say.
func reportsReadOnly(params []wire.Param) (readOnly, known bool) {
	for _, p := range params {
		switch p.Name {
		case "in_hot_standby":
			known = true
			readOnly = readOnly || p.Value == "on"
		case "default_transaction_read_only":
			readOnly = readOnly || p.Value == "on"
		}
	}
	return readOnly, known
}

// askReadOnly asks a server over a connection that nobody reads yet.
func askReadOnly(ctx context.Context, nc net.Conn) (bool, error) {
	if deadline, ok := ctx.Deadline(); ok {
		_ = nc.SetDeadline(deadline)
		defer func() { _ = nc.SetDeadline(time.Time{}) }()
	}
	if _, err := nc.Write(wire.AppendQuery(nil, "SHOW transaction_read_only")); err != nil {
		return false, err
	}
	scanner := wire.Scanner{Rules: roleRules}
	buf := make([]byte, 4<<10)
	have, readOnly := 0, false
	for {
		n, err := nc.Read(buf[have:])
		if have += n; n == 0 && err != nil {
			return false, err
		}
		used := 0
		for {
			p, err := scanner.Next(buf[used:have])
			if err != nil {
				return false, err
			}
			if p.Raw == nil {
				break
			}
			used += len(p.Raw)
			switch p.Type {
			case wire.TypeDataRow: // one column, and the length of its value
				readOnly = string(p.Body()) == "\x00\x01\x00\x00\x00\x02on"
			case wire.TypeErrorResponse:
				return false, errors.New("it does not say")
			case wire.TypeReadyForQuery:
				return readOnly, nil
			}
		}
		have = copy(buf, buf[used:have])
	}
}

// roleRules let short messages through, each whole.
var roleRules = wire.BackendRules(map[byte]wire.Rule{
	wire.TypeRowDescription:  wire.Whole(1 << 10),
	wire.TypeDataRow:         wire.Whole(64),
	wire.TypeCommandComplete: wire.Whole(64),
	wire.TypeErrorResponse:   wire.Prefix(0, wire.MaxSmallBody),
	wire.TypeNoticeResponse:  wire.Prefix(0, wire.MaxSmallBody),
	wire.TypeParameterStatus: wire.Prefix(0, wire.MaxSmallBody),
})

// outlook is what the server's role means for a connection that comes back.
type outlook uint8

const (
	good      outlook = iota
	doubtful          // it has refused to write
	otherRole         // it is no longer the primary, or standby, that it was
)

// turned says that the server is not the primary, or standby, any more that it was. What clients are told at their login is
// asked for anew then.
func (c *conn) turned() bool {
	if !c.machine.RoleChanged() {
		return false
	}
	c.engine.log.Info("a server has changed its role", "endpoint", c.at.address())
	c.engine.welcomes.forget()
	return true
}

// outlook says what the server has told about its role since the last lease.
func (c *conn) outlook() outlook {
	if c.turned() {
		return otherRole
	}
	if c.machine.RefusedWrite() && c.engine.settings.Load().TargetSession == ReadWrite && c.engine.endpoints.doubt(c.at, time.Now()) {
		return doubtful
	}
	return good
}
