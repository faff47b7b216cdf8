package pgtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Standby starts a hot standby that follows the server, until the test ends or Promote.
func (s *Server) Standby() *Server {
	s.t.Helper()
	standby := &Server{Host: s.Host, Port: freePort(s.t), t: s.t, bin: s.bin, opts: s.opts}
	standby.makeDir()
	standby.copyOf(s)
	s.t.Cleanup(standby.Stop)
	standby.Run()
	return standby
}

// copyOf makes the data directory of a standby.
func (s *Server) copyOf(primary *Server) {
	s.t.Helper()
	s.command(s.Tool("pg_basebackup"), "-D", s.data(), "-h", primary.dir, "-p", fmt.Sprint(primary.Port), "-U", Superuser,
		"-c", "fast", "-X", "stream")
	s.follow(primary)
}

// follow makes the server, which does not run, a standby.
func (s *Server) follow(primary *Server) {
	s.t.Helper()
	s.configure(fmt.Sprintf("primary_conninfo = 'host=%s port=%d user=%s'", primary.dir, primary.Port, Superuser),
		"recovery_target_timeline = 'latest'", "hot_standby = on", "wal_retrieve_retry_interval = '100ms'")
	s.write("data/standby.signal", "")
}

// Promote makes a standby a primary, and returns when it takes writes.
func (s *Server) Promote() {
	s.t.Helper()
	s.Exec("SELECT pg_promote(true, 30)")
}

// Recover starts the server again, and returns while it refuses clients as one that is starting up (57P03), until Recovered.
func (s *Server) Recover() {
	s.t.Helper()
	s.Stop()
	s.configure("hot_standby = off")
	s.write("data/standby.signal", "")
	s.start()
	err := eventually(func() error {
		conn, err := pgx.Connect(s.t.Context(), s.admin("postgres"))
		if err == nil {
			conn.Close(s.t.Context())
			return errors.New("it takes clients")
		}
		if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Code == "57P03" && refusal.Detail != "" {
			return nil
		}
		return err
	})
	if err != nil {
		s.t.Fatalf("PostgreSQL does not recover: %v\n%s", err, s.logs)
	}
}

// Recovered ends what Recover began, and waits until the server takes connections.
func (s *Server) Recovered() {
	s.t.Helper()
	s.command(filepath.Join(s.bin, "pg_ctl"), "promote", "-D", s.data(), "-W")
	s.awaitReady()
}

// Rejoin makes a server that was stopped or killed a standby of another that was promoted instead, with its data anew.
func (s *Server) Rejoin(primary *Server) {
	s.t.Helper()
	if err := os.RemoveAll(s.data()); err != nil {
		s.t.Fatalf("remove the old data: %v", err)
	}
	s.copyOf(primary)
	s.Run()
}

// Follows waits until a standby has everything that the server has.
func (s *Server) Follows(standby *Server) {
	s.t.Helper()
	var lsn string
	if err := s.Admin().QueryRow(s.t.Context(), "SELECT pg_current_wal_lsn()::text").Scan(&lsn); err != nil {
		s.t.Fatalf("ask how far the primary is: %v", err)
	}
	admin := standby.Admin()
	err := eventually(func() error {
		var done bool
		err := admin.QueryRow(s.t.Context(), "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)", lsn).Scan(&done)
		if err == nil && !done {
			err = errors.New("it lacks some")
		}
		return err
	})
	if err != nil {
		s.t.Fatalf("the standby does not catch up: %v", err)
	}
}
