package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

const topHeader = "DESTINATION POD LIMIT OPEN IN-USE WAITING CLIENTS PINNED WAIT-P95 TPS"

func (p *plugin) top() *cobra.Command {
	var interval time.Duration
	var once bool
	command := &cobra.Command{
		Use:   "top POOL",
		Short: "Watch what each pod of a pool allows and uses, by destination",
		Long:  "Watch what each pod of a pool allows and uses, by destination. Waits and transactions are those of the last interval.",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if interval < time.Second {
				return fmt.Errorf("--interval is %v: it must be 1s at least", interval)
			}
			c, err := p.connect()
			if err != nil {
				return err
			}
			return p.watch(command.Context(), c, args[0], interval, once)
		},
	}
	command.Flags().DurationVar(&interval, "interval", 2*time.Second, "how often to look")
	command.Flags().BoolVar(&once, "once", false, "look once, after one interval, and end")
	return command
}

// watch prints a table every interval; over the one before on a terminal.
func (p *plugin) watch(ctx context.Context, c *cluster, name string, interval time.Duration, once bool) error {
	if _, err := c.pool(ctx, name); err != nil {
		return err
	}
	scrapers := map[string]*scraper{}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for first := true; ; first = false {
		pods, err := c.pods(ctx, name)
		if err != nil {
			return err
		}
		rows, err := p.look(ctx, pods, scrapers)
		if err != nil {
			return err
		}
		if !first {
			if file, ok := p.Out.(interface{ Fd() uintptr }); ok && !once && term.IsTerminal(int(file.Fd())) {
				fmt.Fprint(p.Out, "\x1b[H\x1b[2J")
			}
			if err := p.table(topHeader, rows); err != nil || once {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look asks each pod, and keeps a port-forward to those that stay.
func (p *plugin) look(ctx context.Context, pods []corev1.Pod, scrapers map[string]*scraper) ([][]string, error) {
	var rows [][]string
	there := map[string]bool{}
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase != corev1.PodRunning {
			continue
		}
		there[pod.Name] = true
		s := scrapers[pod.Name]
		if s == nil {
			local, err := p.forward(ctx, pod, v1alpha1.HealthPort)
			if err != nil {
				return nil, err
			}
			s = newScraper(fmt.Sprintf("http://127.0.0.1:%d/metrics", local))
			scrapers[pod.Name] = s
		}
		counted, err := s.scrape(ctx)
		if err != nil { // it may just have left
			rows = append(rows, []string{"-", pod.Name, "-", "-", "-", "-", "-", "-", "-", "-"})
			continue
		}
		for _, d := range counted {
			rows = append(rows, d.row(pod.Name))
		}
	}
	for name := range scrapers {
		if !there[name] {
			delete(scrapers, name)
		}
	}
	return byDestination(rows), nil
}
