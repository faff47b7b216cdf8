package oracle

import (
	"encoding/binary"
	"fmt"
	"maps"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// pipeline is a batch of the extended protocol: statements with and without names, some of which fail, between Syncs. What it
// does to the names and the transaction is followed as PostgreSQL would.
func (l *life) pipeline() error {
	p := &piped{life: l, batch: &batch{}, status: l.status, names: maps.Clone(l.names)}
	for range 1 + l.rng.IntN(4) {
		for range l.rng.IntN(5) {
			p.step()
		}
		p.sync()
	}
	if err := l.run(p.batch); err != nil {
		return err
	}
	l.names = p.names
	return nil
}

// piped is a pipeline that is being written.
type piped struct {
	*life
	batch  *batch
	status byte
	names  map[string]int
	skips  bool // an error has been made: nothing is answered before the Sync
}

func (p *piped) add(message []byte, wants ...want) {
	if p.skips {
		wants = nil
	}
	p.batch.add(message, wants...)
}

func (p *piped) sync() {
	if p.skips && p.status == wire.StatusInTransaction {
		p.status = wire.StatusFailed
	}
	p.skips = false
	p.batch.add(wire.AppendSync(nil), ready(p.status))
}

// err makes everything up to the Sync be skipped.
func (p *piped) err(message []byte, text string) {
	if p.status == wire.StatusFailed {
		text = "25P02"
	}
	p.add(message, failed(text))
	p.skips = true
}

func (p *piped) step() {
	switch n := p.rng.IntN(12); {
	case p.status == wire.StatusFailed:
		p.err(wire.AppendParse(nil, "", "SELECT '"+p.next()+"'", nil), "")
	case n < 3:
		p.unnamed()
	case n < 9:
		p.named()
	case n == 9:
		m := p.next()
		p.err(wire.AppendParse(nil, "", `SELECT "`+m+`"`, nil), m)
	case n == 10:
		name := p.name()
		p.add(wire.AppendClose(nil, wire.TargetStatement, name), closed)
		if !p.skips {
			delete(p.names, name)
		}
	default:
		p.add(wire.AppendFlush(nil))
	}
}

func (p *piped) unnamed() {
	m := p.next()
	p.add(wire.AppendParse(nil, "", "SELECT '"+m+"', $1::text", nil), parsed)
	p.execute("", m)
}

// execute binds and executes a statement whose row begins with text and ends with a mark of this execution.
func (p *piped) execute(name, text string) {
	m := p.next()
	p.add(bind(name, m), bound)
	if p.rng.IntN(2) == 0 {
		p.add(wire.AppendDescribe(nil, wire.TargetPortal, ""), row1)
	}
	field := func(s string) string { return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s }
	p.add(frame('E', []byte{0, 0, 0, 0, 0}), data(field(text)+field(m)), complete)
}

// name is one of a few.
func (p *piped) name() string { return string(rune('r' + p.rng.IntN(5))) }

// named uses a statement with a name; another text than before has to be parsed, and many clients have texts that are alike.
func (p *piped) named() {
	name := p.name()
	number, known := p.names[name]
	switch {
	case !known && p.rng.IntN(6) == 0:
		p.err(bind(name, p.next()), "26000")
		return
	case !known:
		number = p.rng.IntN(20)
		p.add(wire.AppendParse(nil, name, text(number), nil), parsed)
		if !p.skips {
			p.names[name] = number
		}
	case p.rng.IntN(6) == 0:
		p.err(wire.AppendParse(nil, name, text(number+1), nil), "42P05")
		return
	}
	p.execute(name, fmt.Sprintf("statement %d", number))
}

// text is what statements with names say: the row tells which of them it is.
func text(number int) string { return fmt.Sprintf("SELECT 'statement %d', $1::text", number) }

// bind binds a statement with one parameter to the unnamed portal.
func bind(statement, value string) []byte {
	body := append(append([]byte{0}, statement...), 0, 0, 0, 0, 1)
	body = append(binary.BigEndian.AppendUint32(body, uint32(len(value))), value...)
	return frame(wire.TypeBind, append(body, 0, 0))
}
