package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
)

// sqlPeer is database/sql with a driver that dials as the server says and can do nothing else.
type sqlPeer struct{ *sql.DB }

func openSQL(s *server, most int) peer {
	db := sql.OpenDB(connector{s})
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return sqlPeer{db}
}

func (p sqlPeer) acquire(ctx context.Context) (lease, error) {
	c, err := p.Conn(ctx)
	return lease{sql: c}, err
}
func (p sqlPeer) release(l lease) { _ = l.sql.Close() }

// discard lets the driver say that the connection is bad: database/sql has no other way.
func (p sqlPeer) discard(l lease) {
	_ = l.sql.Raw(func(any) error { return driver.ErrBadConn })
}
func (p sqlPeer) close() { _ = p.Close() }

type connector struct{ server *server }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.server.dial(ctx); err != nil {
		return nil, err
	}
	return new(sqlConn), nil
}

func (c connector) Driver() driver.Driver { return c }

func (c connector) Open(string) (driver.Conn, error) { return c.Connect(context.Background()) }

var errNoStatements = errors.New("bench-pool: connections of this driver are only lent")

// sqlConn is not empty: database/sql needs connections with different addresses.
type sqlConn struct{ _ int }

func (*sqlConn) Prepare(string) (driver.Stmt, error) { return nil, errNoStatements }
func (*sqlConn) Begin() (driver.Tx, error)           { return nil, errNoStatements }
func (*sqlConn) Close() error                        { return nil }
