package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

func (p *plugin) explain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain POOL",
		Short: "Say in words why a pool is not ready, or what else is wrong with it",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			pool, err := c.pool(command.Context(), args[0])
			if err != nil {
				return err
			}
			pods, err := c.pods(command.Context(), pool.Name)
			if err != nil {
				return err
			}
			for _, sentence := range explanation(pool, pods) {
				fmt.Fprintln(p.Out, sentence)
			}
			return nil
		},
	}
}

// explanation is the state of a pool in sentences: first whether it is ready, then what is wrong, the causes first.
func explanation(pool *v1alpha1.ConnectionPool, pods []corev1.Pod) []string {
	var said []string
	ready := meta.FindStatusCondition(pool.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case pool.Status.ObservedGeneration < pool.Generation:
		said = append(said, "The operator has not looked at the latest change of the pool. Does it run? kubectl get deployments --all-namespaces -l app.kubernetes.io/name=weir")
	case ready != nil && ready.Status == metav1.ConditionTrue:
		said = append(said, fmt.Sprintf("Pool %s is ready. Clients connect to %s.", pool.Name, pool.Status.Address))
	default:
		said = append(said, fmt.Sprintf("Pool %s is not ready.", pool.Name))
	}
	found := len(said)
	for _, of := range trouble {
		if c := meta.FindStatusCondition(pool.Status.Conditions, of.kind); c != nil && c.Status == of.bad {
			said = append(said, sentence(c))
		}
	}
	for _, d := range pool.Status.Destinations {
		for _, of := range destinationTrouble {
			if c := meta.FindStatusCondition(d.Conditions, of.kind); c != nil && c.Status == of.bad {
				said = append(said, fmt.Sprintf("Destination %s: %s", d.Name, sentence(c)))
			}
		}
	}
	for i := range pods {
		if why := unready(&pods[i]); why != "" {
			said = append(said, fmt.Sprintf("Pod %s: %s", pods[i].Name, why))
		}
	}
	if ready == nil || ready.Status != metav1.ConditionTrue {
		if len(said) == found && ready != nil && ready.Message != "" {
			said = append(said, sentence(ready))
		}
	}
	return said
}

// suspect is a condition and the status in which it is trouble.
type suspect struct {
	kind string
	bad  metav1.ConditionStatus
}

// What to look at, causes before effects.
var (
	trouble = []suspect{
		{v1alpha1.ConditionStalled, metav1.ConditionTrue},
		{v1alpha1.ConditionHeld, metav1.ConditionTrue},
		{v1alpha1.ConditionHeld, metav1.ConditionFalse},
		{v1alpha1.ConditionAvailable, metav1.ConditionFalse},
		{v1alpha1.ConditionConfigSynced, metav1.ConditionFalse},
		{v1alpha1.ConditionReconciling, metav1.ConditionTrue},
	}
	destinationTrouble = []suspect{
		{v1alpha1.ConditionReachable, metav1.ConditionFalse},
		{v1alpha1.ConditionUsersFound, metav1.ConditionFalse},
		{v1alpha1.ConditionSaturated, metav1.ConditionTrue},
	}
)

// sentence is what a condition says, with its reason, by which docs/troubleshoot.md can be searched.
func sentence(c *metav1.Condition) string {
	return fmt.Sprintf("%s (%s)", strings.TrimSuffix(c.Message, "."), c.Reason)
}

// unready says why a pod is not ready; empty: it is, or it leaves.
func unready(pod *corev1.Pod) string {
	if pod.DeletionTimestamp != nil || isReady(pod) {
		return ""
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "no node takes it: " + c.Message
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && w.Reason != "ContainerCreating" {
			return strings.TrimSuffix(w.Reason+": "+w.Message, ": ")
		}
		if t := c.LastTerminationState.Terminated; t != nil {
			return fmt.Sprintf("its container ended with exit code %d: %s", t.ExitCode, strings.TrimSpace(t.Message))
		}
	}
	return "it is starting, or waits for its share of connections"
}
