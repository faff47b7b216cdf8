package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// A client that is lent a connection writes at once. What it writes before the lane knows the socket would be lost, and it
// would wait for an answer for ever.
func TestAServerConnectionIsOnItsLaneBeforeItIsLent(t *testing.T) {
	db := pgtest.Start(t, pgtest.Options{})
	db.Exec(`CREATE ROLE app LOGIN PASSWORD 'secret'`, `CREATE DATABASE app OWNER app`)
	e, err := New(Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Apply(Config{
		Name: "main", Endpoints: []Endpoint{{Host: db.Host, Port: db.Port}}, Databases: map[string]string{"app": "app"},
		Users:  map[string]Passwords{"app": {"secret"}},
		Limits: Limits{MaxOpen: 1, MaxIdle: 1, MaxClients: 1, AcquireTimeout: time.Minute},
	}); err != nil {
		t.Fatal(err)
	}
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
