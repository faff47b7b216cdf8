package session

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"unique"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

const (
	searchPath      = "search_path"
	applicationName = "application_name"
)

// notSettable says that a reported setting is the server's, or follows from the user: it is not the session's to change.
func notSettable(name string) bool {
	switch name {
	case "in_hot_standby", "server_version", "server_encoding", "integer_datetimes", "is_superuser":
		return true
	}
	return false
}

// settings are the values that differ from those a server connection has by itself. They do not change: with and without
// return others. Two of them are equal if their ids and their applications are.
type settings struct {
	list []wire.Param          // sorted by name, without application_name
	id   unique.Handle[string] // of list
	base unique.Handle[string] // of list without search_path
	mark uint64                // of list: equal lists have the same
	app  string                // application_name
	apps bool                  // app is set
}

// noSettings are what all have in common who have set nothing.
var noSettings = settings{mark: 1}

// find returns where a setting is in the list, or belongs.
func (s *settings) find(name string) (int, bool) {
	return slices.BinarySearchFunc(s.list, name, func(p wire.Param, name string) int { return cmp.Compare(p.Name, name) })
}

// with returns settings in which name has this value.
func (s *settings) with(name, value string) *settings {
	if name == applicationName {
		return s.named(value, true)
	}
	i, found := s.find(name)
	if found && s.list[i].Value == value {
		return s
	}
	list := slices.Clone(s.list)
	if found {
		list[i].Value = value
	} else {
		list = slices.Insert(list, i, wire.Param{Name: name, Value: value})
	}
	return s.of(list)
}

// without returns settings in which name has the value that the server gives it.
func (s *settings) without(name string) *settings {
	if name == applicationName {
		return s.named("", false)
	}
	i, found := s.find(name)
	if !found {
		return s
	}
	return s.of(slices.Delete(slices.Clone(s.list), i, i+1))
}

// named returns the settings with another application's name, if apps, or none.
func (s *settings) named(app string, apps bool) *settings {
	if s.app == app && s.apps == apps {
		return s
	}
	now := *s
	now.app, now.apps = app, apps
	return now.shared()
}

// of returns the settings with another list.
func (s *settings) of(list []wire.Param) *settings {
	now := settings{mark: 1, app: s.app, apps: s.apps}
	if len(list) > 0 {
		now.fill(list)
	}
	return now.shared()
}

func (s *settings) fill(list []wire.Param) {
	var all, base strings.Builder
	for _, p := range list {
		all.WriteString(p.Name + "\x00" + p.Value + "\x00")
		if p.Name != searchPath {
			base.WriteString(p.Name + "\x00" + p.Value + "\x00")
		}
	}
	s.list, s.id, s.base = list, handle(all.String()), handle(base.String())
	s.mark = maphash.Comparable(tagSeed, s.id) | 1
}

// shared returns the settings, or those that all have in common if nothing is set.
func (s *settings) shared() *settings {
	if s.empty() {
		return &noSettings
	}
	return s
}

// handle is the zero Handle for the empty text.
func handle(text string) (h unique.Handle[string]) {
	if text != "" {
		h = unique.Make(text)
	}
	return h
}

// empty says that there is nothing to set.
func (s *settings) empty() bool { return len(s.list) == 0 && !s.apps }

func (s *settings) get(name string) (string, bool) {
	if name == applicationName {
		return s.app, s.apps
	}
	if i, found := s.find(name); found {
		return s.list[i].Value, true
	}
	return "", false
}

// same says that nothing has to be said to get from one to the other.
func (s *settings) same(o *settings) bool { return s.id == o.id && s.sameName(o) }

func (s *settings) sameName(o *settings) bool { return s.apps == o.apps && s.app == o.app }

var tagSeed = maphash.MakeSeed()

// tag is a number that equal settings have in common, the application's name aside; never 0.
func (s *settings) tag() uint64 { return s.mark }

// replay appends what makes settings out of those that a server connection has: a Query for each that has to be read under
// the one before. It returns how many there are.
func (s *settings) replay(dst []byte, v *Server) (out []byte, queries int) {
	first, rest := s.differences(v)
	for _, script := range []string{first, rest} {
		if script != "" {
			dst = wire.AppendQuery(dst, script)
			queries++
		}
	}
	return dst, queries
}

// differences are the statements that lead from a server's settings to these: the one that changes how texts are encoded,
// and the others.
func (s *settings) differences(v *Server) (encoding, others string) {
	var b strings.Builder
	for _, p := range s.list {
		if v.Setting(p.Name) != p.Value {
			encoding = v.assign(&b, encoding, p.Name, p.Value)
		}
	}
	for _, p := range v.have.list {
		if _, wanted := s.get(p.Name); !wanted {
			if p.Name == "client_encoding" {
				encoding = "RESET client_encoding"
				continue
			}
			b.WriteString("RESET " + p.Name + ";")
		}
	}
	if !s.sameName(v.have) {
		b.WriteString(s.nameScript())
	}
	return encoding, b.String()
}

// nameScript sets the application's name.
func (s *settings) nameScript() string {
	if !s.apps {
		return "RESET application_name;"
	}
	return "SET application_name TO " + literal(s.app) + ";"
}

// assign writes the statement that gives a setting a value. search_path is a list of names: as the server reports it, it is
// read by set_config; as it was said in SQL, by SET.
func (v *Server) assign(b *strings.Builder, encoding, name, value string) string {
	switch {
	case name == "client_encoding":
		return "SET client_encoding TO " + literal(value)
	case name != searchPath:
		b.WriteString("SET " + name + " TO " + literal(value) + ";")
	case v.reports(searchPath):
		b.WriteString("SELECT pg_catalog.set_config('search_path'," + literal(value) + ",false);")
	default:
		b.WriteString("SET search_path TO " + value + ";")
	}
	return encoding
}

// literal quotes a value so that it is read the same whatever standard_conforming_strings says.
func literal(value string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(value) + "'"
}

// setting takes a setting of which the server has told the value.
func (s *Session) setting(p wire.Piece) {
	name, value, err := wire.ParseParameterStatus(p.Body())
	if !p.Last || err != nil { // too long to follow
		s.pin(SettingChange)
		return
	}
	s.server.report(string(name), string(value))
	if now, ok := s.server.have.get(string(name)); ok {
		s.chosen = s.chosen.with(string(name), now)
	} else {
		s.chosen = s.chosen.without(string(name))
	}
}

// givesBack says that the server has given a setting the value that it has by itself, where the client's login has chosen
// another: that is what the client has now.
func (s *Session) givesBack(p wire.Piece) bool {
	if !s.resets || !p.Last {
		return false
	}
	name, value, err := wire.ParseParameterStatus(p.Body())
	if err != nil || s.server.login[string(name)] != string(value) {
		return false
	}
	own, chosen := s.own.get(string(name))
	return chosen && own != string(value)
}

// giveBack notes a setting that the client is not told, or is told in another way.
func (s *Session) giveBack(p wire.Piece, e *entry) []byte {
	name, value, err := wire.ParseParameterStatus(p.Body())
	if !p.Last || err != nil {
		return nil
	}
	s.server.report(string(name), string(value))
	if e.replays() {
		return nil
	}
	own, _ := s.own.get(string(name))
	before, ok := s.chosen.get(string(name))
	s.chosen = s.chosen.with(string(name), own)
	s.regain = true
	if ok && before == own {
		return nil
	}
	s.server.scratch = wire.AppendParameterStatus(s.server.scratch[:0], name, own)
	return s.server.scratch
}
