package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// consoleOptions are the flags of console.
type consoleOptions struct {
	user, pod, destination string
	commands               []string
}

func (p *plugin) console() *cobra.Command {
	var o consoleOptions
	command := &cobra.Command{
		Use:   "console POOL",
		Short: "Open the administration console of a pod: SHOW POOLS, SHOW CLIENTS, SHOW HELP, ...",
		Long: "Open the administration console of a pod. Log in as one of the pool's console users; the password comes from $PGPASSWORD or is asked for.\n" +
			"What it shows and does is of that pod alone.",
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			conn, err := p.dialConsole(command.Context(), c, args[0], o)
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(command.Context()))
			return p.talk(command.Context(), conn, o.commands)
		},
	}
	command.Flags().StringVarP(&o.user, "user", "U", os.Getenv("PGUSER"), "a console user of the pool; default: $PGUSER")
	command.Flags().StringVar(&o.pod, "pod", "", "the pod; default: one that is ready")
	command.Flags().StringVar(&o.destination, "destination", "", "the destination; default: the first")
	command.Flags().StringArrayVarP(&o.commands, "command", "c", nil, "run this command and end; can be given several times")
	return command
}

func (p *plugin) dialConsole(ctx context.Context, c *cluster, name string, o consoleOptions) (*pgconn.PgConn, error) {
	if o.user == "" {
		return nil, errors.New("say who you are with --user: one of the pool's console users")
	}
	pool, err := c.pool(ctx, name)
	if err != nil {
		return nil, err
	}
	port, err := listenPort(pool, o.destination)
	if err != nil {
		return nil, err
	}
	pods, err := c.pods(ctx, name)
	if err != nil {
		return nil, err
	}
	pod, err := choose(pods, o.pod)
	if err != nil {
		return nil, err
	}
	local, err := p.forward(ctx, pod, port)
	if err != nil {
		return nil, err
	}
	password, err := p.password(o.user)
	if err != nil {
		return nil, err
	}
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d dbname=weir sslmode=prefer", local))
	if err != nil {
		return nil, err
	}
	config.User, config.Password = o.user, password
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { fmt.Fprintf(p.Out, "%s: %s\n", n.Severity, n.Message) }
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("log in to pod %q: %w", pod.Name, err)
	}
	return conn, nil
}

func listenPort(pool *v1alpha1.ConnectionPool, destination string) (int, error) {
	d := &pool.Spec.Destinations[0]
	if destination != "" {
		if d = pool.Spec.Destination(destination); d == nil {
			return 0, fmt.Errorf("pool %q has no destination %q", pool.Name, destination)
		}
	}
	return int(d.Port()), nil
}

func choose(pods []corev1.Pod, name string) (*corev1.Pod, error) {
	for i := range pods {
		if pods[i].Name == name || name == "" && isReady(&pods[i]) {
			return &pods[i], nil
		}
	}
	if name != "" {
		return nil, fmt.Errorf("the pool has no pod %q", name)
	}
	return nil, errors.New("no pod of the pool is ready: kubectl weir explain says why")
}

func (p *plugin) password(user string) (string, error) {
	if password, ok := os.LookupEnv("PGPASSWORD"); ok {
		return password, nil
	}
	file, ok := p.In.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return "", errors.New("there is nobody to ask for the password: set PGPASSWORD")
	}
	fmt.Fprintf(p.ErrOut, "Password of %s: ", user)
	password, err := term.ReadPassword(int(file.Fd()))
	fmt.Fprintln(p.ErrOut)
	return string(password), err
}

// talk runs commands, or else what is typed until \q or the end of the input.
func (p *plugin) talk(ctx context.Context, conn *pgconn.PgConn, commands []string) error {
	for _, command := range commands {
		if err := p.execute(ctx, conn, command); err != nil {
			return err
		}
	}
	if len(commands) > 0 {
		return nil
	}
	lines := bufio.NewScanner(p.In)
	for fmt.Fprint(p.Out, "weir=# "); lines.Scan(); fmt.Fprint(p.Out, "weir=# ") {
		line := strings.TrimSpace(lines.Text())
		if line == `\q` || strings.EqualFold(line, "quit") {
			return nil
		}
		err := p.execute(ctx, conn, line)
		if refusal := (*pgconn.PgError)(nil); errors.As(err, &refusal) && !conn.IsClosed() {
			fmt.Fprintln(p.ErrOut, err)
		} else if err != nil {
			return err
		}
	}
	fmt.Fprintln(p.Out)
	return lines.Err()
}

// execute prints what a command answers.
func (p *plugin) execute(ctx context.Context, conn *pgconn.PgConn, command string) error {
	if command == "" {
		return nil
	}
	results, err := conn.Exec(ctx, command).ReadAll()
	for _, result := range results {
		if len(result.FieldDescriptions) > 0 {
			writeResult(p.Out, result)
		} else if result.Err == nil {
			fmt.Fprintln(p.Out, result.CommandTag)
		}
	}
	return err
}

func writeResult(out io.Writer, result *pgconn.Result) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for i, field := range result.FieldDescriptions {
		fmt.Fprint(w, separator(i), field.Name)
	}
	fmt.Fprintln(w)
	for _, row := range result.Rows {
		for i, value := range row {
			fmt.Fprint(w, separator(i), string(value))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Fprintf(out, "(%d rows)\n", len(result.Rows))
}

func separator(column int) string {
	if column == 0 {
		return ""
	}
	return "\t"
}
