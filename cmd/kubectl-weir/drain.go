package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
)

func (p *plugin) drain() *cobra.Command {
	var timeout time.Duration
	command := &cobra.Command{
		Use:   "drain POD",
		Short: "Let a pod go: its clients are let go of between two transactions, and another pod takes its place",
		Long: "Evict a pod of a pool and wait until it is gone. The PodDisruptionBudget of the pool is respected: with too few other pods the\n" +
			"command waits until there are more.",
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			return p.letGo(command.Context(), c, args[0], timeout)
		},
	}
	command.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait")
	return command
}

// letGo evicts a pod of a pool and waits until it is gone.
func (p *plugin) letGo(ctx context.Context, c *cluster, name string, timeout time.Duration) error {
	pod := &corev1.Pod{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, pod); err != nil {
		return fmt.Errorf("read pod %q: %w", name, err)
	}
	if pod.Labels[v1alpha1.LabelPool] == "" {
		return fmt.Errorf("pod %q is not of a pool", name)
	}
	uid, state := pod.UID, ""
	say := func(words string) {
		if words != state {
			state = words
			fmt.Fprintln(p.Out, words)
		}
	}
	err := wait.PollUntilContextTimeout(ctx, look, timeout, true, func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		switch {
		case apierrors.IsNotFound(err), err == nil && pod.UID != uid:
			say("Gone.")
			return true, nil
		case err != nil:
			return false, fmt.Errorf("read pod %q: %w", name, err)
		case pod.DeletionTimestamp != nil:
			say("Its clients are let go of between two transactions.")
			return false, nil
		}
		err = c.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{})
		if apierrors.IsTooManyRequests(err) {
			say("Too few other pods are ready: waiting for them, as the PodDisruptionBudget asks.")
			return false, nil
		}
		return false, client.IgnoreNotFound(err)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("pod %q is still there after %v", name, timeout)
	}
	return err
}
