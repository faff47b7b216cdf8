package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
)

func (p *plugin) status() *cobra.Command {
	var everywhere bool
	command := &cobra.Command{
		Use:   "status [POOL]",
		Short: "Show what pools allow and use, by destination, from their status",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			var pools []v1alpha1.ConnectionPool
			if len(args) == 1 {
				pool, err := c.pool(command.Context(), args[0])
				if err != nil {
					return err
				}
				pools = append(pools, *pool)
			} else {
				var list v1alpha1.ConnectionPoolList
				where := client.InNamespace(c.namespace)
				if everywhere {
					where = ""
				}
				if err := c.List(command.Context(), &list, where); err != nil {
					return fmt.Errorf("list pools: %w", err)
				}
				pools = list.Items
			}
			if len(pools) == 0 {
				fmt.Fprintf(p.ErrOut, "There are no pools in namespace %q.\n", c.namespace)
				return nil
			}
			return p.table(statusHeader, statusRows(pools, everywhere))
		},
	}
	command.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "show the pools of all namespaces")
	return command
}

const statusHeader = "POOL DESTINATION LIMIT OPEN IN-USE PEAK WAITING WAIT-P95 TIMEOUTS READY REASON"

func statusRows(pools []v1alpha1.ConnectionPool, everywhere bool) [][]string {
	var rows [][]string
	for i := range pools {
		pool := &pools[i]
		name := pool.Name
		if everywhere {
			name = pool.Namespace + "/" + name
		}
		ready, reason := "Unknown", ""
		if c := meta.FindStatusCondition(pool.Status.Conditions, v1alpha1.ConditionReady); c != nil {
			ready, reason = string(c.Status), c.Reason
		}
		if len(pool.Status.Destinations) == 0 {
			rows = append(rows, []string{name, "-", "-", "-", "-", "-", "-", "-", "-", ready, reason})
		}
		for _, d := range pool.Status.Destinations {
			n := d.Connections
			rows = append(rows, []string{
				name, d.Name, number(n.Limit), number(n.Open), number(n.InUse), number(d.PeakInUse), number(n.Waiting),
				milliseconds(d.AcquireWaitP95Milliseconds), number(d.AcquireTimeouts), ready, reason,
			})
		}
	}
	return rows
}

func milliseconds(n *int32) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprintf("%dms", *n)
}
