package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	netlisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const (
	settle = 100 * time.Millisecond // changes come in bursts: apply once per burst
	again  = 2 * time.Second        // after a failure
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	if endpoint := os.Getenv("CONTROL_PLANE_ENDPOINT"); endpoint != "" {
		config.Host = "https://" + endpoint // kind sets it: no need to wait for kube-proxy
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	n := newNode(informers.NewSharedInformerFactory(client, 0))
	if err := n.watch(ctx); err != nil {
		return err
	}
	log.Print("synced")
	for {
		pause := settle
		if err := n.apply(ctx); err != nil {
			log.Print(err)
			n.mark()
			pause = again
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-n.dirty:
		}
	}
}

// node is what podnet knows of the cluster, seen from the node it runs on.
type node struct {
	name, podSubnet string
	factory         informers.SharedInformerFactory
	nodes           corelisters.NodeLister
	pods            corelisters.PodLister
	namespaces      corelisters.NamespaceLister
	policies        netlisters.NetworkPolicyLister
	dirty           chan struct{} // holds one token while something is not applied yet
	loaded          string        // the ruleset the kernel has
}

func newNode(f informers.SharedInformerFactory) *node {
	return &node{
		name:       os.Getenv("NODE_NAME"),
		podSubnet:  os.Getenv("POD_SUBNET"),
		factory:    f,
		nodes:      f.Core().V1().Nodes().Lister(),
		pods:       f.Core().V1().Pods().Lister(),
		namespaces: f.Core().V1().Namespaces().Lister(),
		policies:   f.Networking().V1().NetworkPolicies().Lister(),
		dirty:      make(chan struct{}, 1),
	}
}

func (n *node) mark() {
	select {
	case n.dirty <- struct{}{}:
	default:
	}
}

// watch starts the informers and returns when their caches are filled.
func (n *node) watch(ctx context.Context) error {
	changed := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { n.mark() },
		UpdateFunc: func(any, any) { n.mark() },
		DeleteFunc: func(any) { n.mark() },
	}
	for _, i := range []cache.SharedIndexInformer{
		n.factory.Core().V1().Nodes().Informer(),
		n.factory.Core().V1().Pods().Informer(),
		n.factory.Core().V1().Namespaces().Informer(),
		n.factory.Networking().V1().NetworkPolicies().Informer(),
	} {
		if _, err := i.AddEventHandler(changed); err != nil {
			return err
		}
	}
	n.factory.Start(ctx.Done())
	n.factory.WaitForCacheSync(ctx.Done())
	return ctx.Err()
}

// apply brings CNI configuration, routes and rules in line with the caches.
func (n *node) apply(ctx context.Context) error {
	nodes, err := n.nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	for _, other := range nodes {
		if err := n.reach(other); err != nil {
			return fmt.Errorf("node %s: %w", other.Name, err)
		}
	}
	pods, err := n.pods.List(labels.Everything())
	if err != nil {
		return err
	}
	namespaces, err := n.namespaces.List(labels.Everything())
	if err != nil {
		return err
	}
	policies, err := n.policies.List(labels.Everything())
	if err != nil {
		return err
	}
	rules := newRuleset(n.name, n.podSubnet, pods, namespaces, policies).render()
	if rules == n.loaded {
		return nil
	}
	if err := load(ctx, rules); err != nil {
		return err
	}
	n.loaded = rules
	return nil
}

func (n *node) reach(other *corev1.Node) error {
	switch {
	case other.Spec.PodCIDR == "":
		return nil // the controller manager gives it one soon
	case other.Name == n.name:
		return writeCNI(other.Spec.PodCIDR)
	default:
		return route(other)
	}
}
