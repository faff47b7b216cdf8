package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/pgtest"
)

// A client that is lent a connection writes at once. What it writes before the lane knows the socket would be lost, and it
// would wait for an answer for ever.
func TestAServerConnectionIsOnItsLaneBeforeItIsLent(t *testing.T) {
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Databases = map[string]string{"app": "app"}
	f := serve(t, db, cfg)
	release := f.HoldLanes()
	lent := make(chan error, 1)
	go func() { lent <- f.Probe(context.Background()) }()
	select {
	case err := <-lent:
		t.Errorf("a connection was lent while its lane had no time for it (%v)", err)
		release()
		return
	case <-time.After(2 * grace):
	}
	release()
	if err := <-lent; err != nil {
		t.Fatal(err)
	}
}

// Connections are replaced all the time, so that many are lent just when they have come.
func TestEveryQueryIsAnsweredWhileConnectionsComeAndGo(t *testing.T) {
	const clients, queries = 24, 500
	db := startDB(t, pgtest.Options{})
	cfg := config(db)
	cfg.Limits.MaxOpen, cfg.Limits.MaxIdle = clients, clients
	f := serve(t, db, cfg)
	answers := make(chan error)
	for range clients {
		go func() { answers <- askAgain(f.url("default_query_exec_mode", "simple_protocol"), queries) }()
	}
	replace := time.NewTicker(50 * time.Millisecond)
	defer replace.Stop()
	for answered := 0; answered < clients; {
		select {
		case <-replace.C:
			f.Retire()
		case err := <-answers:
			if err != nil {
				t.Error(err)
			}
			answered++
		}
	}
	if dialed := f.Stats().Dialed; dialed < 2*clients {
		t.Errorf("%d connections were opened: too few to say anything", dialed)
	}
}

// askAgain sends so many queries, with a minute for all.
func askAgain(url string, queries int) error {
	conn, err := tryConnect(url)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := 0; err == nil && i < queries; i++ {
		_, err = conn.Exec(ctx, "SELECT 1")
	}
	if err == nil {
		err = conn.Close(ctx)
	}
	return err
}
