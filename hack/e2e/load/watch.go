package main

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// watchStats is what watch counts.
type watchStats struct {
	Samples int64  `json:"samples"`
	Now     int64  `json:"now"`
	Most    int64  `json:"most"`
	Error   string `json:"error,omitempty"` // the last one
}

const sampleEvery = 20 * time.Millisecond

type watcher struct {
	dsn, user string

	mu    sync.Mutex
	count watchStats
}

func (w *watcher) stats() any {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.sample(ctx)
		w.mu.Lock()
		if err != nil && ctx.Err() == nil {
			w.count.Error = err.Error()
		}
		w.mu.Unlock()
		pause(ctx)
	}
}

// sample counts until the connection fails.
func (w *watcher) sample(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, w.dsn)
	if err != nil {
		return err
	}
	defer closeQuietly(conn)
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		var now int64
		const count = "select count(*) from pg_stat_activity where usename = $1 and backend_type = 'client backend'"
		if err := conn.QueryRow(ctx, count, w.user).Scan(&now); err != nil {
			return err
		}
		w.mu.Lock()
		w.count.Samples++
		w.count.Now = now
		w.count.Most = max(w.count.Most, now)
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
