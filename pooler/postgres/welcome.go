package postgres

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// mostAnswers bounds how many answers to settings of logins are remembered.
const mostAnswers = 1000

// welcomes remembers what the server last reported at a login, by key, and what became of the settings that clients asked for:
// a client is told the same.
type welcomes struct {
	mu      sync.Mutex
	params  map[key][]wire.Param
	answers map[asked][]wire.Param
}

// asked is what a client asks for at its login.
type asked struct {
	key      key
	settings string
}

func askedFor(k key, settings []wire.Param) asked {
	var b strings.Builder
	for _, p := range settings {
		b.WriteString(p.Name + "\x00" + p.Value + "\x00")
	}
	return asked{k, b.String()}
}

// answer remembers what settings become.
func (w *welcomes) answer(to asked, settings []wire.Param) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answers == nil || len(w.answers) >= mostAnswers {
		w.answers = make(map[asked][]wire.Param)
	}
	w.answers[to] = settings
}

func (w *welcomes) answered(to asked) ([]wire.Param, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	settings, ok := w.answers[to]
	return settings, ok
}

func (w *welcomes) set(k key, params []wire.Param) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.params == nil {
		w.params = make(map[key][]wire.Param)
	}
	w.params[k] = params
}

func (w *welcomes) get(k key) ([]wire.Param, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	params, ok := w.params[k]
	return params, ok
}

func (w *welcomes) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.params, w.answers = nil, nil
}

// keep forgets the keys that have no pool any more.
func (w *welcomes) keep(servers *pool.Set[key, *conn]) {
	known := make(map[key]bool)
	for k := range servers.All() {
		known[k] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.params {
		if !known[k] {
			delete(w.params, k)
		}
	}
	for a := range w.answers {
		if !known[a.key] {
			delete(w.answers, a)
		}
	}
}

// errLong is welcome's, if it may not take long.
var errLong = errors.New("the server must be asked")

// welcome returns what the server reports to the logins of a client's key, and the settings that the client has asked for as
// the server writes them. What is not known is found out on a server connection, if it may take long.
func (en *entry) welcome(may bool, wanted []wire.Param) (told, chosen []wire.Param, err error) {
	e := en.engine
	known, foreign := divide(wanted)
	question := askedFor(en.key, foreign)
	told, ok := e.welcomes.get(en.key)
	answer, answered := e.welcomes.answered(question)
	if !ok || len(foreign) > 0 && !answered || en.replicates { // who has no right to is told so at the login
		if !may {
			return nil, nil, errLong
		}
		if told, answer, err = en.inquire(foreign); err != nil {
			return nil, nil, err
		}
		if len(foreign) > 0 {
			e.welcomes.answer(question, answer)
		}
	}
	chosen = slices.Concat(known, answer)
	base := told
	told = overlay(told, chosen)
	return told, slices.DeleteFunc(chosen, func(p wire.Param) bool { return slices.Contains(base, p) }), nil
}

// divide parts settings of which the value is known as the server writes it, from others.
func divide(wanted []wire.Param) (known, foreign []wire.Param) {
	for _, p := range wanted {
		if p.Name == "application_name" && isPlain(p.Value) {
			known = append(known, p)
		} else {
			foreign = append(foreign, p)
		}
	}
	return known, foreign
}

// isPlain says that a name is neither cut nor changed by the server.
func isPlain(name string) bool {
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return false
		}
	}
	return len(name) < 64
}

// overlay returns params with other values for some. It may be params itself.
func overlay(params, values []wire.Param) []wire.Param {
	if len(values) == 0 {
		return params
	}
	all := slices.Clone(params)
	for i := range all {
		for _, v := range values {
			if v.Name == all[i].Name {
				all[i].Value = v.Value
			}
		}
	}
	return all
}

// inquire finds out what the server reports at a login, and what settings become that a client asks for. The time that it takes
// is not the client's.
func (en *entry) inquire(settings []wire.Param) (told, answer []wire.Param, err error) {
	defer loop.Rest()()
	en.net.SetDeadline(time.Time{})
	defer func() { en.net.SetWriteDeadline(time.Now().Add(en.settings.Timeouts.Login)) }()
	lease, err := en.acquire()
	if err != nil {
		return nil, nil, err
	}
	c := lease.Conn()
	if len(settings) > 0 {
		answer, err = c.try(settings)
	}
	if _, refused := errors.AsType[*wire.ServerError](err); err != nil && !refused {
		lease.Discard(err)
		return nil, nil, err
	}
	done := make(chan struct{}) // else the client could miss it, and have another dialed
	c.spare(lease, func() { close(done) })
	select {
	case <-done:
	case <-c.lane.Load().Ended():
	}
	return c.params, answer, err
}
