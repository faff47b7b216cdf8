package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// program is what is compared.
type program string

const (
	weir      program = "weir"
	pgbouncer program = "pgbouncer"
	direct    program = "direct"
)

// programs in the order of the table's columns; the first is ours, the second what ratios refer to.
var programs = []program{weir, pgbouncer, direct}

// subject is a program that runs.
type subject struct {
	program program
	port    int
	cpu     string // it is pinned to; empty: none
	cmds    []*exec.Cmd
}

// start runs a program in front of the PostgreSQL at this port; processes matters to PgBouncer only.
func (g *ground) start(p program, server, processes int, cpu string) (*subject, error) {
	s := &subject{program: p, port: freePort(), cpu: cpu}
	var err error
	switch p {
	case direct:
		s.port = server
		return s, nil
	case weir:
		err = g.startWeir(s, server)
	default:
		for n := 0; n < processes && err == nil; n++ {
			err = g.startPgBouncer(s, server, n, processes)
		}
	}
	if err == nil {
		err = eventually(string(p)+" listens", func() bool {
			conn, err := net.Dial("tcp", s.address())
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *subject) address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

func (g *ground) startPgBouncer(s *subject, server, n, processes int) error {
	ini := fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
so_reuseport = 1
auth_type = scram-sha-256
auth_file = %s/users.txt
pool_mode = transaction
default_pool_size = %d
max_client_conn = 20000
listen_backlog = 4096
server_reset_query =
query_wait_timeout = 0
log_connections = 0
log_disconnections = 0
log_stats = 0
client_tls_sslmode = allow
client_tls_cert_file = %s/secrets/tls/tls.crt
client_tls_key_file = %s/secrets/tls/tls.key
ignore_startup_parameters = extra_float_digits
`, server, s.port, g.dir, serverConnections/processes, g.dir, g.dir)
	name := fmt.Sprintf("pgbouncer-%d.ini", n)
	if err := errors.Join(g.write(name, ini), g.write("users.txt", fmt.Sprintf("%q %q\n", userName, g.verifier))); err != nil {
		return err
	}
	return g.run(s, "/usr/sbin/pgbouncer", "-q", filepath.Join(g.dir, name))
}

// run starts one process of the subject.
func (g *ground) run(s *subject, name string, args ...string) error {
	if s.cpu != "" {
		name, args = "taskset", append([]string{"-c", s.cpu, name}, args...)
	}
	cmd := g.command(name, args...)
	cmd.Stderr = os.Stderr
	if s.program == pgbouncer {
		cmd.Stderr = nil // it repeats its log there
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmds = append(s.cmds, cmd)
	return nil
}

// pids are the subject's processes.
func (s *subject) pids() (pids []int) {
	for _, cmd := range s.cmds {
		pids = append(pids, cmd.Process.Pid)
	}
	return pids
}

func (s *subject) stop() {
	for _, cmd := range s.cmds {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	}
}
