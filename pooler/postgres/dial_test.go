package postgres

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// startEngine is an Engine with one lane and user app, in front of a server of its own.
func startEngine(t *testing.T, maxOpen int) *Engine {
	t.Helper()
	db := pgtest.Start(t, pgtest.Options{})
	db.Exec(`CREATE ROLE app LOGIN PASSWORD 'secret'`, `CREATE DATABASE app OWNER app`)
	e, err := New(Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := e.Apply(Config{
		Name: "main", Endpoints: []Endpoint{{Host: db.Host, Port: db.Port}}, Databases: map[string]string{"app": "app"},
		Users:  map[string]Passwords{"app": {"secret"}},
		Limits: Limits{MaxOpen: maxOpen, MaxIdle: maxOpen, MaxWaiting: -1, MaxClients: 100, AcquireTimeout: time.Minute},
	}); err != nil {
		t.Fatal(err)
	}
	return e
}

// A client that is lent a connection writes at once. What it writes before the lane knows the socket would be lost, and it
// would wait for an answer for ever.
func TestAServerConnectionIsOnItsLaneBeforeItIsLent(t *testing.T) {
	e := startEngine(t, 1)
	lent := make(chan error, 1)
	e.lanes[0].Post(func() { // and so is busy
		go func() { lent <- e.Probe(context.Background()) }()
		select {
		case <-lent:
			t.Error("a connection was lent while its lane had no time for it")
			lent <- nil
		case <-time.After(200 * time.Millisecond):
		}
	})
	if err := <-lent; err != nil {
		t.Fatal(err)
	}
}

// Connections are replaced all the time, so that many are lent just when they have come.
func TestEveryQueryIsAnsweredWhileConnectionsComeAndGo(t *testing.T) {
	const clients, queries = 24, 500
	e := startEngine(t, clients)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving, working sync.WaitGroup
	serving.Go(func() {
		if err := e.Serve(ln); err != nil {
			t.Error(err)
		}
	})
	ctx, stop := context.WithCancel(context.Background())
	serving.Go(func() {
		for tick := time.NewTicker(50 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			for _, p := range e.servers.All() {
				p.Retire()
			}
		}
	})
	for range clients {
		working.Go(func() {
			if err := askAgain(fmt.Sprintf("postgres://app:secret@%s/app", ln.Addr()), queries); err != nil {
				t.Error(err)
			}
		})
	}
	working.Wait()
	stop()
	ln.Close()
	serving.Wait()
	if dialed := e.servers.Stats().Dialed; dialed < 2*clients {
		t.Errorf("%d connections were opened: too few to say anything", dialed)
	}
}

// askAgain sends so many queries, with a minute for all.
func askAgain(url string, queries int) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	for i := 0; err == nil && i < queries; i++ {
		_, err = conn.Exec(ctx, "SELECT 1")
	}
	if err == nil {
		err = conn.Close(ctx)
	}
	return err
}
