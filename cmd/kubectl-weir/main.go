package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, &plugin{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, p *plugin, args []string) int {
	command := newCommand(p)
	command.SetArgs(args)
	if err := command.ExecuteContext(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(p.ErrOut, "error:", err)
		return 1
	}
	return 0
}

func newCommand(p *plugin) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl-weir",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl weir"},
		Short:         "Look after connection pools",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{
			HiddenDefaultCmd: true,
		},
	}
	root.SetOut(p.Out)
	root.SetErr(io.Discard) // run says it
	p.addFlags(root.PersistentFlags())
	root.AddCommand(p.status(), p.top(), p.explain(), p.hold(), p.resume(), p.drain(), p.console())
	return root
}
