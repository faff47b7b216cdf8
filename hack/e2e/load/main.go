// load is the client that the cluster tests run beside a pool: it counts what went wrong.
//
//	load run   --dsn URL --clients N   transactions through the pool, until the process ends
//	load watch --dsn URL --user NAME   connections of NAME that PostgreSQL itself counts, sampled directly
//	load stats                         what the run or watch in this container has counted so far, as JSON
//
// run counts as an error everything that a careful client would notice: a refused connect once one was served, a failed
// statement, an answer meant for somebody else. A connection that the pool lets go of with 57P01 between two transactions,
// before any statement of the next one was answered, is counted apart: a client's own pool opens another and nothing is lost.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const statsAddr = "127.0.0.1:8080"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say run, watch or stats")
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	dsn := flags.String("dsn", "", "connection URL")
	clients := flags.Int("clients", 10, "clients of run")
	user := flags.String("user", "app", "the user whose connections watch counts")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "stats":
		return printStats(ctx)
	case "run":
		return serve(ctx, &runner{dsn: *dsn, clients: *clients})
	case "watch":
		return serve(ctx, &watcher{dsn: *dsn, user: *user})
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// work goes on until ctx is done; stats may be read at any time.
type work interface {
	run(ctx context.Context)
	stats() any
}

func serve(ctx context.Context, w work) error {
	listener, err := net.Listen("tcp", statsAddr)
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(out).Encode(w.stats())
	})}
	var done sync.WaitGroup
	done.Go(func() { _ = server.Serve(listener) })
	w.run(ctx)
	_ = server.Close()
	done.Wait()
	return json.NewEncoder(os.Stdout).Encode(w.stats())
}

func printStats(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+statsAddr+"/", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}
