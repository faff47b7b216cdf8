package difftest

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Target is a server that scripts are run on.
type Target struct {
	Addr           string
	User, Password string
	Database       string
	TLS            *tls.Config
	Bytewise       bool      // clients send every byte on its own
	Admin          *pgx.Conn // in the database, past the target
}

// Transcript is what the clients of a script have received.
type Transcript struct {
	Lines []string         // of each client in turn: "a Z I"
	Heard map[int][]string // the short names that a step of the script brought, by its line
}

// Run runs a script. The error is about the script or the surroundings; what the server does wrong is in the Transcript.
func Run(s *Script, target Target) (*Transcript, error) {
	p := &play{target: target, clients: map[string]*client{}, transcript: &Transcript{Heard: map[int][]string{}}}
	defer p.close()
	for _, step := range s.Steps {
		if err := p.step(step); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", s.Name, step.Line, err)
		}
	}
	for _, name := range p.order {
		p.clients[name].finish()
	}
	slices.Sort(p.order)
	for _, name := range p.order {
		for _, line := range p.clients[name].lines {
			p.transcript.Lines = append(p.transcript.Lines, name+" "+line)
		}
	}
	return p.transcript, nil
}

// play is a script that is being run.
type play struct {
	target     Target
	clients    map[string]*client
	order      []string // their names, as they came
	transcript *Transcript
}

func (p *play) close() {
	for _, c := range p.clients {
		c.conn.Close()
	}
}

func (p *play) step(step Step) error {
	switch step.Who {
	case "admin":
		return p.admin(step.Rest)
	case "until":
		return p.until(step.Rest)
	}
	c := p.clients[step.Who]
	if c == nil {
		var err error
		if c, err = dial(p.target); err != nil {
			return err
		}
		p.clients[step.Who] = c
		p.order = append(p.order, step.Who)
	}
	if step.Verb != "<" {
		return p.say(c, step)
	}
	if len(step.Args) == 0 {
		return fmt.Errorf("%s waits for nothing", step.Who)
	}
	done := c.flushing()
	p.transcript.Heard[step.Line] = collapse(c.hear(step.Args))
	<-done
	return nil
}

// say lets a client say something, several times if the script says so: 20* CopyData "x".
func (p *play) say(c *client, step Step) error {
	verb, args, n := step.Verb, step.Args, 1
	if times, ok := strings.CutSuffix(verb, "*"); ok && len(args) > 0 {
		if _, err := fmt.Sscan(times, &n); err != nil {
			return fmt.Errorf("how many times is %q: %w", verb, err)
		}
		verb, args = args[0], args[1:]
	}
	for range n {
		if err := c.say(verb, args); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) admin(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := p.target.Admin.Exec(ctx, sql)
	return err
}

// until waits until a query says true.
func (p *play) until(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		var ok bool
		if err := p.target.Admin.QueryRow(ctx, sql).Scan(&ok); err != nil {
			return fmt.Errorf("%s has not come true within %v: %w", sql, patience, err)
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond): // between two looks at what cannot be waited on
		}
	}
}
