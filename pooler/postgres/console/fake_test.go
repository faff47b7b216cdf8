package console_test

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/console"
)

// stage is a Source that tells what a test says and notes what it is told.
type stage struct {
	totals []console.Totals
	told   []string
	fails  error
}

func (s *stage) tell(what string) error {
	s.told = append(s.told, what)
	return s.fails
}

func (s *stage) Databases() []console.Database {
	return []console.Database{{
		Name: "shop", Target: "shop_prod", Host: "db", Port: 5432, ForcedUser: "app", PoolSize: 20, MinIdle: 2, Lifetime: time.Hour,
		PoolMode: "transaction", MaxOpen: 20, Open: 3, MaxClients: 100, Clients: 7, Paused: true,
	}}
}

func (s *stage) Pools() []console.Pool {
	return []console.Pool{{
		Database: "shop", User: "app", Clients: 1, Waiting: 2, Cancels: 3, Lent: 4, Canceled: 5, Idle: 6, Resetting: 7, Dialing: 8,
		OldestWait: 1500 * time.Millisecond, PoolMode: "transaction",
	}}
}

func (s *stage) Users() []console.User {
	return []console.User{{Name: "app", MaxOpen: 9, Open: 8, Clients: 7}}
}

func (s *stage) Totals() []console.Totals { return s.totals }

func link(id, peer uint64) console.Link {
	return console.Link{
		ID: id, Peer: peer, User: "app", Database: "shop", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1111},
		Local: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 6432}, Since: time.Unix(0, 0).UTC(), Asked: time.Unix(60, 0).UTC(),
		TLS: "TLSv1.3/TLS_AES_128_GCM_SHA256", ApplicationName: "psql", Prepared: 4,
	}
}

func (s *stage) Clients() []console.Client {
	return []console.Client{{Link: link(1, 2)}, {Link: link(3, 0), Wait: 2500 * time.Millisecond, Canceled: true}}
}

func (s *stage) Servers() []console.Server {
	return []console.Server{{Link: link(2, 1), State: "active", Retired: true, PID: 4711}}
}

func (s *stage) Settings() []console.Setting {
	return []console.Setting{{Key: "max_client_conn", Value: "100", Default: "10000"}}
}

func (s *stage) State() console.State { return console.State{Suspended: true, Logins: 5} }

func (s *stage) Pause(ctx context.Context, name string) error {
	return errors.Join(s.tell("pause:"+name), ctx.Err())
}
func (s *stage) Suspend(context.Context) error               { return s.tell("suspend") }
func (s *stage) Resume(name string) error                    { return s.tell("resume:" + name) }
func (s *stage) Kill(name string) error                      { return s.tell("kill:" + name) }
func (s *stage) KillClient(id uint64) error                  { return s.tell("kill client " + string(rune('0'+id))) }
func (s *stage) Reconnect(name string) error                 { return s.tell("reconnect:" + name) }
func (s *stage) WaitClose(_ context.Context, n string) error { return s.tell("wait:" + n) }
func (s *stage) Enable(name string) error                    { return s.tell("enable:" + name) }
func (s *stage) Disable(name string) error                   { return s.tell("disable:" + name) }
func (s *stage) Reload() error                               { return s.tell("reload") }
func (s *stage) Shutdown(how console.Shutdown) error {
	return s.tell(map[console.Shutdown]string{console.Now: "quit", console.InOrder: "leave"}[how])
}
