// Package drivers runs real drivers through Weir: pgx with its own test suite, node-postgres, postgres.js, psycopg 2 and 3,
// psql and pgbench.
//
// hack/drivers.sh installs them and runs the tests (build tag drivers). Everything is tried in session and in transaction
// mode, against PostgreSQL itself where the outcome is not known otherwise.
package drivers
