package oracle

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// Replies that many actions want.
var (
	row1      = want{'T', ""}
	complete  = want{'C', ""}
	parsed    = want{'1', ""}
	bound     = want{'2', ""}
	closed    = want{'3', ""}
	copyStart = want{'G', ""}
)

func data(text string) want { return want{'D', text} }

func failed(text string) want { return want{'E', text} }

func ready(status byte) want { return want{'Z', string(status)} }

// action is something that a client does.
type action struct {
	name   string
	weight int
	do     func(l *life) error
}

var actions = []action{
	{"a simple query", 10, (*life).simple},
	{"several statements", 5, (*life).several},
	{"an error", 5, (*life).fail},
	{"a pipeline", 25, (*life).pipeline},
	{"a begin or an end", 12, (*life).transaction},
	{"a row for the journal", 8, (*life).write},
	{"a setting", 5, (*life).set},
	{"a look at the setting", 8, (*life).show},
	{"COPY in", 4, (*life).copyIn},
	{"COPY out", 4, (*life).copyOut},
	{"a cancel", 4, (*life).sleepAndCancel},
	{"a notification", 5, (*life).notify},
	{"a large row", 3, (*life).large},
	{"DEALLOCATE", 2, (*life).deallocate},
	{"a temporary table", 5, (*life).temporary},
	{"a pause", 4, (*life).pause},
}

// act does one action by chance. In a failed transaction most fail, so it is ended first.
func (l *life) act() error {
	sum := 0
	for _, a := range actions {
		sum += a.weight
	}
	pick := l.rng.IntN(sum)
	for _, a := range actions {
		if pick -= a.weight; pick >= 0 {
			continue
		}
		if l.status == wire.StatusFailed && l.rng.IntN(3) > 0 {
			return l.end("ROLLBACK")
		}
		l.said = append(l.said, a.name)
		if l.status == wire.StatusFailed {
			return l.ignored()
		}
		if err := a.do(l); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		return nil
	}
	return nil
}

func (l *life) query(sql string, wants ...want) error {
	b := &batch{}
	b.add(wire.AppendQuery(nil, sql), wants...)
	return l.run(b)
}

func (l *life) simple() error {
	m := l.next()
	return l.query("SELECT '"+m+"'", row1, data(m), complete, ready(l.status))
}

func (l *life) several() error {
	b := &batch{}
	var sql []string
	for range 1 + l.rng.IntN(4) {
		m := l.next()
		sql = append(sql, "SELECT '"+m+"'")
		b.want = append(b.want, row1, data(m), complete)
	}
	b.add(wire.AppendQuery(nil, strings.Join(sql, "; ")), ready(l.status))
	return l.run(b)
}

// afterError is the status that an error leads to.
func (l *life) afterError() byte {
	if l.status == wire.StatusIdle {
		return wire.StatusIdle
	}
	return wire.StatusFailed
}

func (l *life) fail() error {
	m := l.next()
	return l.query(`SELECT "`+m+`"`, failed(m), ready(l.afterError()))
}

// ignored is a statement in a failed transaction.
func (l *life) ignored() error {
	return l.query("SELECT '"+l.next()+"'", failed("25P02"), ready(wire.StatusFailed))
}

func (l *life) transaction() error {
	if l.status == wire.StatusIdle {
		l.appThen = l.app
		return l.query("BEGIN", complete, ready(wire.StatusInTransaction))
	}
	if l.rng.IntN(3) == 0 {
		return l.end("ROLLBACK")
	}
	return l.end("COMMIT")
}

// end ends a transaction; what it has written is certain afterwards.
func (l *life) end(how string) error {
	commits := how == "COMMIT" && l.status == wire.StatusInTransaction
	if commits {
		l.world.journal.perhaps(l.written)
	}
	if err := l.query(how, complete, ready(wire.StatusIdle)); err != nil {
		return err
	}
	if commits {
		l.world.journal.surely(l.written)
	} else {
		l.app = l.appThen
	}
	l.written = nil
	return nil
}

func (l *life) write() error {
	m := l.next()
	alone := l.status == wire.StatusIdle
	if alone {
		l.world.journal.perhaps([]string{m})
	}
	if err := l.query("INSERT INTO journal VALUES ('"+m+"') RETURNING mark", row1, data(m), complete, ready(l.status)); err != nil {
		return err
	}
	if alone {
		l.world.journal.surely([]string{m})
	} else {
		l.written = append(l.written, m)
	}
	return nil
}

func (l *life) set() error {
	m := l.next()
	if err := l.query("SET application_name = '"+m+"'", complete, ready(l.status)); err != nil {
		return err
	}
	l.app = m
	return nil
}

func (l *life) show() error {
	if l.rng.IntN(2) == 0 {
		return l.query("SHOW application_name", row1, data(l.app), complete, ready(l.status))
	}
	return l.query("SELECT '"+l.next()+"', current_setting('application_name')", row1, data(l.app), complete, ready(l.status))
}

func (l *life) copyIn() error {
	b := &batch{}
	m := l.next()
	b.add(wire.AppendQuery(nil, "COPY scratch FROM stdin"), copyStart)
	for range l.rng.IntN(20) {
		b.add(frame('d', []byte(m+strings.Repeat("x", l.rng.IntN(3000))+"\n")))
	}
	if l.rng.IntN(4) == 0 {
		b.add(frame('f', append([]byte(m), 0)), failed(m), ready(l.afterError()))
	} else {
		b.add(frame('c', nil), complete, ready(l.status))
	}
	return l.run(b)
}

func (l *life) copyOut() error {
	b := &batch{}
	m, n := l.next(), l.rng.IntN(20)
	b.add(wire.AppendQuery(nil, fmt.Sprintf("COPY (SELECT '%s' || n FROM generate_series(1, %d) n) TO stdout", m, n)), want{'H', ""})
	for i := range n {
		b.want = append(b.want, want{'d', fmt.Sprintf("%s%d\n", m, i+1)})
	}
	b.want = append(b.want, want{'c', ""}, complete, ready(l.status))
	return l.run(b)
}

// sleepAndCancel cancels at any moment: before the statement runs, meanwhile, or afterwards. Then nothing else is cancelled.
func (l *life) sleepAndCancel() error {
	m := l.next()
	l.conn.SetWriteDeadline(time.Now().Add(patience))
	_, _ = l.conn.Write(wire.AppendQuery(nil, fmt.Sprintf("SELECT '%s', pg_sleep(%g)", m, l.rng.Float64()/30)))
	time.Sleep(time.Duration(l.rng.IntN(40)) * time.Millisecond) // a moment by chance is what this is about
	if err := l.cancel(); err != nil {
		return err
	}
	after := l.afterError()
	for {
		typ, body, err := l.receive()
		switch {
		case err != nil:
			return err
		case typ == 'Z' && (body[0] == l.status || body[0] == after):
			return nil
		case typ == 'E' && strings.Contains(string(body), "57014"), typ == 'T', typ == 'C', typ == 'D' && strings.Contains(string(body), m):
		default:
			return fmt.Errorf("a statement that was cancelled is answered with %c %.200q", typ, body)
		}
	}
}

func (l *life) notify() error {
	channel := strings.ReplaceAll(l.mark, "-", "_")
	if !l.pins || l.status != wire.StatusIdle {
		return l.simple()
	}
	if !l.listens {
		l.listens = true
		return l.query("LISTEN "+channel, complete, ready(l.status))
	}
	m := l.next()
	return l.query("NOTIFY "+channel+", '"+m+"'", complete, want{'A', m}, ready(l.status))
}

func (l *life) large() error {
	m := l.next()
	size := 1000 + l.rng.IntN(300_000)
	sql := fmt.Sprintf("SELECT '%s' || repeat('x', %d) || '%s' /* %s */", m, size, m, strings.Repeat("y", l.rng.IntN(100_000)))
	return l.query(sql, row1, data(m+strings.Repeat("x", size)+m), complete, ready(l.status))
}

func (l *life) deallocate() error {
	if l.rng.IntN(3) == 0 {
		clear(l.names)
		return l.query("DEALLOCATE ALL", complete, ready(l.status))
	}
	for name := range l.names {
		delete(l.names, name)
		return l.query("DEALLOCATE "+name, complete, ready(l.status))
	}
	return l.simple()
}

func (l *life) temporary() error {
	if !l.pins || l.status != wire.StatusIdle {
		return l.simple()
	}
	m := l.next()
	if err := l.query("CREATE TEMP TABLE IF NOT EXISTS mine (mark text); DELETE FROM mine; INSERT INTO mine VALUES ('"+m+"')",
		complete, complete, complete, ready(l.status)); err != nil {
		return err
	}
	return l.query("SELECT mark FROM mine", row1, data(m), complete, ready(l.status))
}

func (l *life) pause() error {
	time.Sleep(time.Duration(l.rng.IntN(10)) * time.Millisecond) // clients pause; nothing is waited for
	return nil
}

func frame(typ byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4)), body...)
}
