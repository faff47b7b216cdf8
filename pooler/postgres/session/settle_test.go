package session

import (
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// rename gives the server connection another application's name, so that the session's own has to be set first.
func (l *line) rename(app string) {
	l.server.have = l.server.have.with(applicationName, app)
}

func TestAConnectionIsKeptForTheMessageThatItWasAcquiredFor(t *testing.T) {
	long := parse("long", "SELECT '"+strings.Repeat("x", 20<<10)+"'")
	for name, c := range map[string]struct {
		says func(l *line)
		want string // types of what the server gets, once it has set the application's name
	}{
		"a Parse of which the rest is still to come": {
			says: func(l *line) {
				l.says(len(long), long[:10<<10])
				l.answers(100, tag("SET"), ready('I'))
				l.says(len(long), long[10<<10:])
			},
			want: "P",
		},
		"a Parse that cannot be answered before the name is set": {
			says: func(l *line) {
				l.says(100, parse("known", "SELECT 1"), wire.AppendSync(nil))
				l.answers(100, tag("SET"), ready('I'))
			},
			want: "S",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(t, Transaction)
			known := l.s.statements.share(l.server.have.id, []byte("SELECT 1\x00\x00\x00"), func([]byte) traits { return traits{} })
			l.server.slots.add(known, 0).ready = true
			l.rename("another")
			c.says(l)
			l.wantDid(Acquire)
			l.want("types to the server", types(t, clientTypes, l.toSrv.Bytes()), "Q "+c.want)
		})
	}
}

func TestALongParseThatTheServerIgnoresIsOwedNothing(t *testing.T) {
	l := newLine(t, Transaction)
	long := parse("long", strings.Repeat("x", 2*seenNames))
	l.says(1<<20, parse("", "wrong"), long[:seenNames+100])
	l.answers(100, fail("42601"))
	l.says(1<<20, long[seenNames+100:], syncAll)
	l.answers(100, ready('I'))
	l.wantDid(Acquire, Release)
	l.want("types to the server", types(t, clientTypes, l.toSrv.Bytes()), "P P S")
	l.want("types to the client", types(t, serverTypes, l.toCli.Bytes()), "E:42601 Z:I")
}
