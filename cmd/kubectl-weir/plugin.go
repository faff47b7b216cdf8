package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// plugin is what commands share: which cluster is meant, and where they read and write.
type plugin struct {
	In          io.Reader
	Out, ErrOut io.Writer

	rules     clientcmd.ClientConfigLoadingRules
	overrides clientcmd.ConfigOverrides
}

// addFlags adds those flags of kubectl that say which cluster is meant, and as whom.
func (p *plugin) addFlags(flags *pflag.FlagSet) {
	p.rules = *clientcmd.NewDefaultClientConfigLoadingRules()
	flags.StringVar(&p.rules.ExplicitPath, "kubeconfig", "", "path of the kubeconfig file to use")
	flags.StringVar(&p.overrides.CurrentContext, "context", "", "name of the kubeconfig context to use")
	flags.StringVarP(&p.overrides.Context.Namespace, "namespace", "n", "", "namespace of the pool; default: that of the context")
	flags.StringVar(&p.overrides.AuthInfo.Impersonate, "as", "", "user to act as")
	flags.StringArrayVar(&p.overrides.AuthInfo.ImpersonateGroups, "as-group", nil, "group to act as; can be given several times")
}

func (p *plugin) config() clientcmd.ClientConfig {
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&p.rules, &p.overrides)
}

// cluster is the API server as the person who runs the plugin may see it, and the namespace that is meant.
type cluster struct {
	client.Client
	namespace string
}

func (p *plugin) connect() (*cluster, error) {
	config, err := p.config().ClientConfig()
	if err != nil {
		return nil, err
	}
	namespace, _, err := p.config().Namespace()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return &cluster{c, namespace}, nil
}

// pool reads a pool, and says what to do if there is none.
func (c *cluster) pool(ctx context.Context, name string) (*v1alpha1.ConnectionPool, error) {
	pool := &v1alpha1.ConnectionPool{}
	err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, pool)
	switch {
	case meta.IsNoMatchError(err):
		return nil, errors.New("the cluster knows no ConnectionPools: install Weir first")
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("there is no pool %q in namespace %q: see kubectl get connectionpools --all-namespaces", name, c.namespace)
	case err != nil:
		return nil, fmt.Errorf("read pool %q: %w", name, err)
	}
	return pool, nil
}

// pods are those of a pool, by name.
func (c *cluster) pods(ctx context.Context, pool string) ([]corev1.Pod, error) {
	var list corev1.PodList
	if err := c.List(ctx, &list, client.InNamespace(c.namespace), client.MatchingLabels{v1alpha1.LabelPool: pool}); err != nil {
		return nil, fmt.Errorf("list the pods of pool %q: %w", pool, err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return list.Items, nil
}

// isReady says that a pod gets clients.
func isReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// table writes rows in columns.
func (p *plugin) table(header string, rows [][]string) error {
	w := tabwriter.NewWriter(p.Out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, strings.Join(strings.Fields(header), "\t"))
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// number writes an optional number; - where there is none.
func number(n *int32) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}
