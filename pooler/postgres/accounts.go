package postgres

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weir-dev/weir/pooler/postgres/login"
)

// account is a user who may come in. What is derived from the passwords is derived once.
type account struct {
	values     Passwords
	credential func() (login.Credential, error) // what the client is checked against; the first time takes milliseconds
	derived    atomic.Bool                      // that time is over
	logins     *logins                          // what its server connections log in with
}

func newAccount(name string, values Passwords, salting login.Salting, allowMD5 bool) *account {
	a := &account{values: values, logins: newLogins(values)}
	a.credential = sync.OnceValues(func() (login.Credential, error) {
		defer a.derived.Store(true)
		return login.NewCredential(name, values, salting, allowMD5)
	})
	return a
}

// logins are what one user may log in to the server with. A verifier cannot: until a client's own proof has shown what it
// stands for, which is remembered as long as the verifier is stored.
type logins struct {
	stored []*login.Password

	mu     sync.Mutex
	proven *login.Password
	worked *login.Password // the last that the server took
}

func newLogins(values Passwords) *logins {
	l := &logins{}
	for _, value := range values {
		if p := login.NewPassword(value); p != nil {
			l.stored = append(l.stored, p)
		}
	}
	return l
}

// prove remembers what a client's login has shown.
func (l *logins) prove(p *login.Password) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.worked == l.proven {
		l.worked = p
	}
	l.proven = p
}

// take notes that the server has taken one.
func (l *logins) take(p *login.Password) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.worked = p
}

// list is in the order in which they are to be tried: what the server took last, then as they are stored, then what a
// client has shown.
func (l *logins) list() []*login.Password {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.stored)
	if l.proven != nil {
		all = append(all, l.proven)
	}
	slices.SortStableFunc(all, func(a, b *login.Password) int {
		first := func(p *login.Password) int {
			if p == l.worked {
				return 0
			}
			return 1
		}
		return cmp.Compare(first(a), first(b))
	})
	return all
}

// salting is what names without an account are shown, and accounts with a clear password: the iteration count that most
// verifiers have, so that these do not stand out.
func (c Config) salting() login.Salting {
	counts := map[int]int{}
	for _, values := range c.Users {
		for _, value := range values {
			if n := login.IterationsOf(value); n > 0 {
				counts[n]++
			}
		}
	}
	most := 0
	for n := range counts {
		if counts[n] > counts[most] || counts[n] == counts[most] && n < most {
			most = n
		}
	}
	return login.Salting{Secret: c.Salt, Iterations: most}
}

// accountsOf makes the accounts of a Config, and keeps those of old that are the same: they remember what was derived.
func (s *settings) accountsOf(old *settings) map[string]*account {
	accounts := make(map[string]*account, len(s.Users))
	same := old.Auth.Method == s.Auth.Method && old.hasSalting(s.salts)
	for name, values := range s.Users {
		if known := old.accounts[name]; same && known != nil && slices.Equal(known.values, values) {
			accounts[name] = known
			continue
		}
		accounts[name] = newAccount(name, values, s.salts, s.Auth.Method == AuthMD5)
	}
	return accounts
}

func (s *settings) hasSalting(salts login.Salting) bool {
	return s.salts.Iterations == salts.Iterations && string(s.salts.Secret) == string(salts.Secret)
}

// loginsOf keeps what was learned of a server user that has not changed.
func loginsOf(now, old *Login, known *logins) *logins {
	switch {
	case now == nil:
		return nil
	case old != nil && now.User == old.User && slices.Equal(now.Passwords, old.Passwords):
		return known
	}
	return newLogins(now.Passwords)
}
