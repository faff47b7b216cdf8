package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// The CPUs of the loads that leave the pooler alone.
const (
	poolerCPU = "0"
	loadCPU   = "1"
)

// alone measures the pooler alone on a CPU; this program on another is the server and the clients.
func alone(protocol string, clients int) func(*ground, *subject, float64) (values, error) {
	return func(g *ground, s *subject, seconds float64) (values, error) {
		return g.generate(s, "-protocol", protocol, "-clients", strconv.Itoa(clients), "-seconds", fmt.Sprint(seconds))
	}
}

// crowd is so many clients that each is served only now and then: whether they are served alike. It runs until each client
// has been served 50 times on average, so that one time more or less is 2 %.
func crowd(clients int) func(*ground, *subject, float64) (values, error) {
	return func(g *ground, s *subject, _ float64) (values, error) {
		return g.generate(s, "-clients", strconv.Itoa(clients), "-each", "50")
	}
}

// generate runs the load on a CPU of its own. The subject has been told that its server is where the load will listen, and
// it is started by the load's wish: a server must be there first.
func (g *ground) generate(s *subject, args ...string) (values, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	backend := freePort()
	args = append([]string{"-c", loadCPU, self, "load", "-listen", "127.0.0.1:" + strconv.Itoa(backend)}, args...)
	cmd := exec.Command("taskset", args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() { _ = cmd.Wait() }() // what went wrong it has said
	defer in.Close()
	result := json.NewDecoder(out)
	var listens bool
	if err := result.Decode(&listens); err != nil {
		return nil, err
	}
	started, err := g.start(s.program, backend, 1, poolerCPU)
	if err != nil {
		return nil, err
	}
	defer started.stop()
	if err := json.NewEncoder(in).Encode(target{Address: started.address(), PIDs: started.pids()}); err != nil {
		return nil, err
	}
	v := values{}
	return v, result.Decode(&v)
}
