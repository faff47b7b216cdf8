package lookup

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// MaxRow bounds the row that a query yields, in bytes: a name, and the longest password.
const MaxRow = 70_000

// Query asks for the stored password of one user. It is a machine without I/O.
type Query struct {
	user    string
	scanner wire.Scanner

	rows   int
	value  string
	found  bool
	err    error
	done   bool
	broken bool
}

var rules = wire.BackendRules(map[byte]wire.Rule{
	wire.TypeDataRow:       wire.Whole(MaxRow),
	wire.TypeErrorResponse: wire.Whole(30_000),
})

// NewQuery makes a Query for a user, and appends its messages to out: sql has the user's name as its parameter $1, and
// yields no row, or one with the name and the stored password, or with the stored password alone.
func NewQuery(sql, user string, out []byte) (*Query, []byte) {
	out = wire.AppendParse(out, "", sql, nil)
	out = wire.AppendBindText(out, "", "", user)
	out = wire.AppendExecute(out, "", 2) // one row more than there may be
	return &Query{user: user, scanner: wire.Scanner{Rules: rules}}, wire.AppendSync(out)
}

// Receive is given all bytes that have come and were not used yet. It returns how many of them it has used, and whether the
// query has ended.
func (q *Query) Receive(in []byte) (used int, done bool) {
	for !q.done {
		p, err := q.scanner.Next(in[used:])
		if err != nil {
			q.broken, q.done = true, true
			q.fail(fmt.Errorf("during a lookup: %w", err))
			break
		}
		if p.Raw == nil {
			break
		}
		used += len(p.Raw)
		q.take(p)
	}
	return used, q.done
}

// Result returns what is stored for the user; found is false if there is no such user, or it has no password.
func (q *Query) Result() (value string, found bool, err error) {
	if q.err != nil {
		return "", false, q.err
	}
	return q.value, q.found, nil
}

// Whole says that the connection can be used again.
func (q *Query) Whole() bool { return q.done && !q.broken }

func (q *Query) take(p wire.Piece) {
	switch p.Type {
	case wire.TypeDataRow:
		q.row(p.Body())
	case wire.TypeErrorResponse:
		report, err := wire.ParseReport(p.Body())
		if err != nil {
			q.fail(fmt.Errorf("read the ErrorResponse of a lookup: %w", err))
			return
		}
		q.fail(&wire.ServerError{Report: report})
		if report.Severity != wire.SeverityError { // the connection ends
			q.broken, q.done = true, true
		}
	case wire.TypeReadyForQuery:
		status, err := wire.ParseReadyForQuery(p.Body())
		q.broken, q.done = err != nil || status != wire.StatusIdle, true
	case wire.TypeCopyInResponse, wire.TypeCopyOutResponse, wire.TypeCopyBothResponse:
		q.fail(errors.New("the lookup's query is a COPY"))
		q.broken, q.done = true, true
	}
}

// row takes a row. A NULL is no password; functions like to answer with NULLs for nobody.
func (q *Query) row(body []byte) {
	if q.rows++; q.rows > 1 {
		q.fail(errors.New("the lookup's query yields more than one row"))
		return
	}
	columns, err := columnsOf(body)
	if err != nil {
		q.fail(err)
		return
	}
	last := columns[len(columns)-1]
	if len(last) > 0 && len(columns) == 2 && string(columns[0]) != q.user {
		q.fail(errors.New("the lookup's query yields a row of another user"))
		return
	}
	q.value, q.found = string(last), len(last) > 0
}

// fail keeps the first reason.
func (q *Query) fail(err error) {
	if q.err == nil {
		q.err = err
	}
}

// columnsOf reads a DataRow of one or two columns; nil for NULL.
func columnsOf(body []byte) ([][]byte, error) {
	malformed := errors.New("malformed DataRow of a lookup")
	if len(body) < 2 {
		return nil, malformed
	}
	n := int(binary.BigEndian.Uint16(body))
	if n != 1 && n != 2 {
		return nil, fmt.Errorf("the lookup's query yields %d columns: it must be the user's name and the stored password, or the password alone", n)
	}
	columns, rest := make([][]byte, n), body[2:]
	for i := range columns {
		if len(rest) < 4 {
			return nil, malformed
		}
		size := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if size == 1<<32-1 {
			continue
		}
		if uint64(size) > uint64(len(rest)) {
			return nil, malformed
		}
		columns[i], rest = rest[:size], rest[size:]
	}
	if len(rest) != 0 {
		return nil, malformed
	}
	return columns, nil
}
