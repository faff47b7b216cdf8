package main

import (
	"crypto/tls"
	"flag"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/weir-dev/weir/pooler/listen"
	"github.com/weir-dev/weir/pooler/postgres"
)

// weirMain is Weir in the bench: the engine as cmd/pooler runs it, without an operator to give it its share of connections.
func weirMain(args []string) error {
	flags := flag.NewFlagSet("weir", flag.ExitOnError)
	address := flags.String("listen", "", "address for clients")
	server := flags.Int("server", 0, "port of the server")
	certificate := flags.String("certificate", "", "what the names of the certificate's and the key's file begin with")
	_ = flags.Parse(args)
	pair, err := tls.LoadX509KeyPair(*certificate+".crt", *certificate+".key")
	if err != nil {
		return err
	}
	engine, err := postgres.New(postgres.Options{
		Logger: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	err = engine.Apply(postgres.Config{
		Name:      "main",
		Endpoints: []postgres.Endpoint{{Host: "127.0.0.1", Port: *server}},
		ClientTLS: postgres.ClientTLS{Policy: postgres.TLSOptional, Config: &tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil },
		}},
		Users: map[string]postgres.Passwords{userName: {password}},
		Limits: postgres.Limits{
			MaxOpen: serverConnections, MaxIdle: serverConnections, MaxWaiting: -1, MaxClients: 20_000,
			AcquireTimeout: 2 * time.Minute,
		},
	})
	if err != nil {
		return err
	}
	ln, err := listen.TCP(*address)
	if err != nil {
		return err
	}
	return engine.Serve(ln)
}

func (g *ground) startWeir(s *subject, server int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return g.run(s, self, "weir", "-listen", s.address(), "-server", strconv.Itoa(server), "-certificate", g.dir+"/secrets/tls/tls")
}
