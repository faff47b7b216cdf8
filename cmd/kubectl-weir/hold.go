package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// look is how often a command looks whether what it asked for has come.
const look = 500 * time.Millisecond

func (p *plugin) hold() *cobra.Command {
	var drain bool
	var timeout time.Duration
	command := &cobra.Command{
		Use:   "hold POOL [DESTINATION...]",
		Short: "Keep clients from a database for a maintenance: transactions finish, clients wait",
		Long: "Keep clients from a database for a maintenance, and wait until no transaction runs there any more. Clients stay connected and wait until\n" +
			"`kubectl weir resume`. Without a destination all of the pool are held. It sets spec.destinations[].stopPolicy.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			policy := v1alpha1.StopPolicyHold
			if drain {
				policy = v1alpha1.StopPolicyHoldAndDrain
			}
			return p.stop(command.Context(), args[0], args[1:], policy, timeout)
		},
	}
	command.Flags().BoolVar(&drain, "drain", false, "close the server connections, too")
	command.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait; the hold stays when it is over")
	return command
}

func (p *plugin) resume() *cobra.Command {
	var timeout time.Duration
	command := &cobra.Command{
		Use:   "resume POOL [DESTINATION...]",
		Short: "Let clients go on after a hold",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return p.stop(command.Context(), args[0], args[1:], v1alpha1.StopPolicyNone, timeout)
		},
	}
	command.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait")
	return command
}

// stop sets the stopPolicy of destinations, of all if none is named, and waits until the pods have said that they follow.
func (p *plugin) stop(ctx context.Context, name string, destinations []string, policy v1alpha1.StopPolicy, timeout time.Duration) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	pool, err := c.pool(ctx, name)
	if err != nil {
		return err
	}
	patch, err := stopPatch(pool, destinations, policy)
	if err != nil {
		return err
	}
	if patch != nil {
		if err := c.Patch(ctx, pool, client.RawPatch(types.JSONPatchType, patch)); err != nil {
			return fmt.Errorf("change the stopPolicy of pool %q: %w", name, err)
		}
	}
	return p.awaitStop(ctx, c, pool, destinations, policy, timeout)
}

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// stopPatch changes what differs, and only if the destinations are still where they were read. It is nil if nothing does.
func stopPatch(pool *v1alpha1.ConnectionPool, destinations []string, policy v1alpha1.StopPolicy) ([]byte, error) {
	for _, name := range destinations {
		if pool.Spec.Destination(name) == nil {
			return nil, fmt.Errorf("pool %q has no destination %q", pool.Name, name)
		}
	}
	var patch []operation
	for i := range pool.Spec.Destinations {
		d := &pool.Spec.Destinations[i]
		if len(destinations) > 0 && !slices.Contains(destinations, d.Name) {
			continue
		}
		at := fmt.Sprintf("/spec/destinations/%d", i)
		if policy == v1alpha1.StopPolicyNone && !d.Held() || d.StopPolicy == policy {
			continue
		}
		patch = append(patch, operation{"test", at + "/name", d.Name}, operation{"add", at + "/stopPolicy", policy})
	}
	if len(patch) == 0 {
		return nil, nil
	}
	return json.Marshal(patch)
}

func (p *plugin) awaitStop(ctx context.Context, c *cluster, pool *v1alpha1.ConnectionPool, destinations []string, policy v1alpha1.StopPolicy, timeout time.Duration) error {
	said := ""
	err := wait.PollUntilContextTimeout(ctx, look, timeout, true, func(ctx context.Context) (bool, error) {
		now, err := c.pool(ctx, pool.Name)
		if err != nil {
			return false, err
		}
		done, words := stopped(now, pool.Generation, destinations, policy)
		if words != said {
			said = words
			fmt.Fprintln(p.Out, words)
		}
		return done, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("after %v: %s", timeout, said)
	}
	return err
}

// stopped says whether the pods follow the policy, and what is to be said about it.
func stopped(pool *v1alpha1.ConnectionPool, generation int64, destinations []string, policy v1alpha1.StopPolicy) (done bool, words string) {
	if pool.Status.ObservedGeneration < generation {
		return false, "Waiting for the operator."
	}
	for _, d := range pool.Status.Destinations {
		if len(destinations) > 0 && !slices.Contains(destinations, d.Name) {
			continue
		}
		held := meta.FindStatusCondition(d.Conditions, v1alpha1.ConditionHeld)
		switch {
		case policy == v1alpha1.StopPolicyNone && held == nil:
		case policy == v1alpha1.StopPolicyNone:
			return false, fmt.Sprintf("Destination %s: waiting for the pods.", d.Name)
		case held == nil:
			return false, fmt.Sprintf("Destination %s: waiting for the pods.", d.Name)
		case held.Status != metav1.ConditionTrue:
			return false, fmt.Sprintf("Destination %s: %s", d.Name, held.Message)
		}
	}
	if policy == v1alpha1.StopPolicyNone {
		if synced := meta.FindStatusCondition(pool.Status.Conditions, v1alpha1.ConditionConfigSynced); synced == nil || synced.Status != metav1.ConditionTrue {
			return false, "Waiting for the pods."
		}
		return true, "Clients go on."
	}
	return true, fmt.Sprintf("Held. Clients wait until: kubectl weir resume %s", pool.Name)
}
