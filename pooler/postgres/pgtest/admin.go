package pgtest

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// adminName is the application name of the administrator's own connections.
const adminName = "pgtest"

func (s *Server) admin(database string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s application_name=%s", s.dir, s.Port, Superuser, database, adminName)
}

// Admin connects as the administrator, past everything that is tested; for the test's length.
func (s *Server) Admin() *pgx.Conn {
	s.t.Helper()
	conn, err := pgx.Connect(context.Background(), s.admin("postgres"))
	if err != nil {
		s.t.Fatalf("connect as administrator: %v", err)
	}
	s.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// Exec runs statements as the administrator in database postgres, each in a transaction of its own.
func (s *Server) Exec(statements ...string) {
	s.t.Helper()
	s.ExecIn("postgres", statements...)
}

// ExecIn is Exec in another database.
func (s *Server) ExecIn(database string, statements ...string) {
	s.t.Helper()
	conn, err := pgx.Connect(context.Background(), s.admin(database))
	if err != nil {
		s.t.Fatalf("connect as administrator: %v", err)
	}
	defer conn.Close(context.Background())
	for _, sql := range statements {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// Connections counts the clients in pg_stat_activity, without the administrator, for whom the condition holds; "" for all.
func (s *Server) Connections(condition string) int {
	s.t.Helper()
	conn, err := pgx.Connect(context.Background(), s.admin("postgres"))
	if err != nil {
		s.t.Fatalf("connect as administrator: %v", err)
	}
	defer conn.Close(context.Background())
	n, err := Count(conn, condition)
	if err != nil {
		s.t.Fatalf("count connections: %v", err)
	}
	return n
}

// Count is Connections on a connection of the administrator, for those who count often.
func Count(admin *pgx.Conn, condition string) (n int, err error) {
	if condition == "" {
		condition = "true"
	}
	err = admin.QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity "+
		"WHERE backend_type = 'client backend' AND application_name <> '"+adminName+"' AND ("+condition+")").Scan(&n)
	return n, err
}
