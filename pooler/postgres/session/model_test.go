package session

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// phrases are what clients say. Those that copy send what a COPY may be sent, and no more.
func phrases(name string) map[string][]byte {
	q := func(what string) []byte { return sql(name + " " + what) }
	batch := func(what string) []byte {
		return bytes.Join([][]byte{parse("", name+" "+what), bindTo(""), executeAll}, nil)
	}
	data := message('d', 'x')
	done, bad := message('c'), message('f', 0)
	over := append(parse("", name+" select"), syncAll...) // so that the COPY is not run again without data
	return map[string][]byte{
		"query": q("select"), "begin": q("begin"), "rollback": q("rollback"), "failing query": q("fail"),
		"batch": batch("select"), "failing batch": batch("fail"), "failing parse": parse("", "bad"),
		"sync": syncAll, "flush": message('H'), "bind": bindTo(""), "execute": executeAll,
		"describe statement": message('D', 'S', 0), "describe portal": message('D', 'P', 0),
		"close": message('C', 'S', 0), "named": parse("n", name+" select"), "bind named": bindTo("n"),
		"parse another": parse("n", name+" other"), "parse m": parse("m", name+" select"), "bad named": parse("n", "bad"),
		"describe named": message('D', 'S', 'n', 0), "close named": message('C', 'S', 'n', 0), "bind m": bindTo("m"),
		"named begin": bytes.Join([][]byte{parse("b", name+" begin"), bindTo("b"), executeAll}, nil),
		"named batch": bytes.Join([][]byte{parse("n", name+" select"), bindTo("n"), executeAll, syncAll}, nil),
		"long":        parse("l", name+" "+strings.Repeat("x", 2*seenNames)),
		"use":         bytes.Join([][]byte{bindTo("n"), executeAll, syncAll}, nil),
		"shared":      parse("s", "all share"), "use shared": bytes.Join([][]byte{bindTo("s"), executeAll, syncAll}, nil),
		"zone": q("set" + name), "deallocate": sql("DEALLOCATE n"), "deallocate all": sql("DEALLOCATE ALL"),
		"extended deallocate":     bytes.Join([][]byte{parse("", "DEALLOCATE n"), bindTo(""), executeAll}, nil),
		"extended deallocate all": bytes.Join([][]byte{parse("", "DEALLOCATE ALL"), bindTo(""), executeAll}, nil),
		"sql prepare":             sql("PREPARE n AS " + name + " prepared"), "sql execute": sql("EXECUTE n"),
		"sql execute among others": sql("EXECUTE n; DEALLOCATE n; " + name + " select; EXECUTE m"),
		"extended sql execute":     bytes.Join([][]byte{parse("", "EXECUTE n"), bindTo(""), executeAll}, nil),
		"named sql execute":        bytes.Join([][]byte{parse("x", "EXECUTE m"), bindTo("x"), executeAll, syncAll}, nil),
		"extended sql prepare":     bytes.Join([][]byte{parse("", "PREPARE m AS "+name+" prepared"), bindTo(""), executeAll}, nil),
		"deallocate among others":  sql("DEALLOCATE n; " + name + " select; DEALLOCATE m"),
		"named deallocate":         bytes.Join([][]byte{parse("d", "DEALLOCATE m"), bindTo("d"), executeAll}, nil),
		"late data":                append(bytes.Clone(data), done...),
		"copy":                     bytes.Join([][]byte{q("copy"), data, data, done}, nil),
		"bad copy":                 bytes.Join([][]byte{q("copy"), data, bad}, nil),
		"extended copy":            bytes.Join([][]byte{batch("copy"), syncAll, data, done, syncAll, over}, nil),
		"copy in a batch":          bytes.Join([][]byte{batch("copy"), data, done, syncAll, over}, nil),
		"bad copy in a batch":      bytes.Join([][]byte{batch("copy"), data, bad, syncAll, over}, nil),
	}
}

func TestWhateverClientsSayTheyGetWhatAServerOfTheirOwnWouldSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := NewStatements(2)
		w := &world{t: t, b: newBackend(), all: all, server: NewServer(all, reported)}
		for _, name := range []string{"anna", "bert"} {
			chosen := []wire.Param{{Name: applicationName, Value: name}}
			w.players = append(w.players, &player{name: name, s: New(Transaction, all, chosen)})
		}
		pick := func() *player { return w.players[rapid.IntRange(0, 1).Draw(t, "player")] }
		words := map[string]map[string][]byte{"anna": phrases("anna"), "bert": phrases("bert")}
		names := rapid.SampledFrom(sortedKeys(words["anna"]))
		for range rapid.IntRange(1, 60).Draw(t, "moves") {
			switch rapid.IntRange(0, 5).Draw(t, "move") {
			case 0:
				p := pick()
				w.says(p, words[p.name][names.Draw(t, "says")])
			case 1:
				p := pick()
				says := words[p.name][names.Draw(t, "says")]
				w.begins(p, says, rapid.IntRange(1, len(says)).Draw(t, "arrives"))
			case 2:
				if p := pick(); p.late != nil {
					send := p.late
					p.late = nil
					send()
					w.step(p)
				}
			case 3:
				w.b.process()
			case 4, 5:
				w.fetch(rapid.IntRange(1, 40).Draw(t, "bytes"))
				for _, p := range w.players {
					w.step(p)
				}
			}
			audit(t, all, w.server, &w.players[0].s, &w.players[1].s)
		}
		w.settle()
		for _, p := range w.players {
			if want := direct(p.said); !bytes.Equal(p.got, want) && len(p.unsent) == 0 {
				t.Fatalf("%s says %q\ngets  %s\nwants %s", p.name, p.said, types(t, serverTypes, p.got), types(t, serverTypes, want))
			}
			p.s.Leave(false)
		}
		w.server.Close()
		if count, size := w.all.Size(); count != 0 || size != 0 {
			t.Fatalf("%d statements of %d bytes are kept for nobody", count, size)
		}
	})
}

// direct is what a client gets from a server of its own.
func direct(said []byte) []byte {
	b := newBackend()
	b.buf = said
	for b.process() {
	}
	return b.out
}

func sortedKeys(m map[string][]byte) []string { return slices.Sorted(maps.Keys(m)) }

func TestPiecesOfAnySizeGiveTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := phrases("anna")
		names := rapid.SampledFrom(sortedKeys(words))
		var script [][]byte
		for range rapid.IntRange(1, 8).Draw(t, "phrases") {
			script = append(script, words[names.Draw(t, "says")])
		}
		whole, pieces := play(t, script, 1<<20), play(t, script, rapid.IntRange(1, 20).Draw(t, "piece"))
		if whole != pieces {
			t.Fatalf("in pieces the server gets %q\nas a whole             %q", pieces, whole)
		}
	})
}

// play has one client say a script, each phrase answered before the next, and returns what the server got.
func play(t *rapid.T, script [][]byte, piece int) string {
	l := newLine(t, Transaction)
	b := newBackend()
	for _, phrase := range script {
		l.says(piece, phrase)
		b.buf = append(b.buf, l.toSrv.Bytes()[l.given:]...)
		l.given = l.toSrv.Len()
		for b.process() {
		}
		out := b.out
		b.out = nil
		if len(out) > 0 {
			l.answers(piece, out)
		}
	}
	return l.toSrv.String() + "|" + l.toCli.String() + fmt.Sprint(l.did)
}

func FuzzAnyBytes(f *testing.F) {
	f.Add(sql("SELECT 1"), append(tag("SELECT 1"), ready('I')...), 3)
	f.Add(append(parse("", "x"), syncAll...), append(fail("42601"), ready('I')...), 1)
	f.Add(append(parse("n", "x"), syncAll...), ready('T'), 1)
	f.Add(append(sql("COPY"), message('c')...), append(message('G', 0), ready('I')...), 2)
	f.Fuzz(func(t *testing.T, client, server []byte, piece int) {
		if piece < 1 {
			return
		}
		l := newLine(t, Transaction)
		l.says(piece, client)
		if l.s.Attached() {
			l.answers(piece, server)
		}
		l.says(piece, client)
		l.s.Leave(true)
		NewServer(NewStatements(1), nil).Quiet(server)
	})
}
