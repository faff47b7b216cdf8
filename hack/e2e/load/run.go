package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// runStats is what run counts.
type runStats struct {
	Transactions int64    `json:"transactions"`
	LetGo        int64    `json:"letGo"` // connections ended with 57P01 between two transactions
	Connects     int64    `json:"connects"`
	Errors       int64    `json:"errors"`
	Samples      []string `json:"samples,omitempty"` // the first errors, in words
	SlowestMS    int64    `json:"slowestMilliseconds"`
}

const (
	maxSamples = 10
	patience   = 30 * time.Second // for one transaction, the wait for a server connection included
)

type runner struct {
	dsn     string
	clients int

	transactions, letGo, connects, errors, slowest atomic.Int64

	mu      sync.Mutex
	samples []string
}

func (r *runner) run(ctx context.Context) {
	r.first(ctx)
	var clients sync.WaitGroup
	for id := range r.clients {
		clients.Go(func() { r.client(ctx, id) })
	}
	clients.Wait()
}

// first waits until one connection is not refused: a new Service takes a moment to reach each node.
func (r *runner) first(ctx context.Context) {
	conn, err := r.connect(ctx)
	for errors.Is(err, syscall.ECONNREFUSED) && ctx.Err() == nil {
		pause(ctx)
		conn, err = r.connect(ctx)
	}
	if err == nil {
		closeQuietly(conn)
	}
}

func (r *runner) stats() any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return runStats{
		Transactions: r.transactions.Load(), LetGo: r.letGo.Load(), Connects: r.connects.Load(),
		Errors: r.errors.Load(), SlowestMS: r.slowest.Load(), Samples: r.samples,
	}
}

// client connects again and again, and runs transactions for as long as the connection lives.
func (r *runner) client(ctx context.Context, id int) {
	for n := 0; ctx.Err() == nil; {
		conn, err := r.connect(ctx)
		if err != nil {
			_ = r.failed(ctx, "connect", err)
			pause(ctx)
			continue
		}
		for ctx.Err() == nil && err == nil {
			n++
			err = r.once(ctx, conn, fmt.Sprintf("%d/%d", id, n))
		}
		closeQuietly(conn)
	}
}

func (r *runner) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	config, err := pgx.ParseConfig(r.dsn)
	if err != nil {
		return nil, err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // transaction mode: no named statements
	r.connects.Add(1)
	return pgx.ConnectConfig(ctx, config)
}

// errLetGo ends a connection that the pool let go of between two transactions.
var errLetGo = errors.New("let go between two transactions")

// once runs one transaction whose answers must carry identity.
func (r *runner) once(ctx context.Context, conn *pgx.Conn, identity string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// as a client's own pool does before it lends a connection; a Ping would be a transaction of its own
	if conn.PgConn().CheckConn() != nil { //nolint:staticcheck // see above
		r.letGo.Add(1)
		return errLetGo
	}
	begin := time.Now()
	tx, err := conn.Begin(ctx)
	if isLetGo(err) {
		r.letGo.Add(1)
		return errLetGo
	}
	if err != nil {
		return r.failed(ctx, "begin", err)
	}
	var got string
	if err := tx.QueryRow(ctx, "select $1::text from pg_sleep(0.002)", identity).Scan(&got); err != nil {
		return r.failed(ctx, "select", err)
	}
	if got != identity {
		return r.failed(ctx, "select", fmt.Errorf("asked for %q and was answered %q", identity, got))
	}
	if err := tx.Commit(ctx); err != nil {
		return r.failed(ctx, "commit", err)
	}
	r.transactions.Add(1)
	r.noteSlowest(time.Since(begin).Milliseconds())
	return nil
}

func (r *runner) noteSlowest(ms int64) {
	for old := r.slowest.Load(); ms > old && !r.slowest.CompareAndSwap(old, ms); old = r.slowest.Load() {
	}
}

func isLetGo(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == "57P01"
}

func (r *runner) failed(ctx context.Context, doing string, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return err // the load ends; not the pool's doing
	}
	r.errors.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.samples) < maxSamples {
		r.samples = append(r.samples, fmt.Sprintf("%s %s: %v", time.Now().UTC().Format("15:04:05.000"), doing, err))
	}
	return err
}

func closeQuietly(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// pause keeps a client that cannot connect from spinning.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(200 * time.Millisecond):
	}
}
