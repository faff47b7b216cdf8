package pool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

func Example() {
	p, err := pool.New(pool.DefaultConfig(), pool.Hooks[net.Conn]{Dial: connect, Close: hangUp})
	check(err) // it names the field of the Config that makes no sense
	defer p.Close(ctx)
	lease, err := p.Acquire(ctx)
	check(err)            // it tells how long and for what it waited
	defer lease.Release() // or Discard, if the connection broke
	fmt.Fprint(lease.Conn(), "hello")

	fmt.Println(p.Stats().Lent, "lent")
	// Output: 1 lent
}

var ctx = context.Background()

// connect stands for what opens a connection: net.Dialer, tls.Dialer, a handshake.
func connect(context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	go io.Copy(io.Discard, server)
	return client, nil
}

func hangUp(c net.Conn) { c.Close() }

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func ExamplePool_AcquireFunc() {
	p, _ := pool.New(pool.DefaultConfig(), pool.Hooks[string]{
		Dial:  func(context.Context) (string, error) { return "a connection", nil },
		Close: func(string) {},
	})
	events := make(chan func()) // an event loop's mailbox

	p.AcquireFunc(time.Now().Add(time.Second), func(lease pool.Lease[string], err error) {
		go func() { events <- func() { fmt.Println(lease.Conn(), err); lease.Release() } }()
	})
	(<-events)()
	p.Close(context.Background())
	// Output: a connection <nil>
}

func ExampleWaitError() {
	cfg := pool.DefaultConfig()
	cfg.Max = 1
	p, _ := pool.New(cfg, pool.Hooks[string]{
		Dial:  func(context.Context) (string, error) { return "", errors.New("connection refused") },
		Close: func(string) {},
	})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Acquire(ctx)

	var wait *pool.WaitError
	fmt.Println(errors.As(err, &wait), errors.Is(err, context.DeadlineExceeded))
	fmt.Println(wait.Counts.Open, "of", wait.Counts.Max, "open:", wait.Dial)
	p.Close(context.Background())
	// Output:
	// true true
	// 0 of 1 open: connection refused
}

func ExampleSet() {
	type key struct{ database, user string }
	set := pool.NewSet(10, func(k key) (pool.Config, pool.Hooks[string], error) {
		return pool.DefaultConfig(), pool.Hooks[string]{
			Dial:  func(context.Context) (string, error) { return k.user + "@" + k.database, nil },
			Close: func(string) {},
		}, nil
	})
	lease, _ := set.Acquire(context.Background(), key{"orders", "ann"})
	fmt.Println(lease.Conn())
	lease.Release()

	set.SetBudget(0) // takes effect at once: what is idle is closed
	set.Close(context.Background())
	stats := set.Stats()
	fmt.Println(stats.Open, "open,", stats.ClosedSurplus, "closed")
	// Output:
	// ann@orders
	// 0 open, 1 closed
}
