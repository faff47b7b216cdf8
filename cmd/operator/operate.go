package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers"
	"github.com/weir-dev/weir/controllers/controlca"
	"github.com/weir-dev/weir/controllers/pods"
)

// name is the name of the operator's lease, and of it as the sender of events.
const name = "weir-operator"

// startTimeout bounds how long the API server may take to hand out the control CA.
const startTimeout = time.Minute

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// operate wires the parts together and runs them until the context ends.
func operate(ctx context.Context, o options) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	scheme := newScheme()
	authority, err := controlCA(ctx, config, scheme, o.namespace)
	if err != nil {
		return err
	}
	pace := controllers.NewPace(o.writes)
	manager, err := newManager(config, pace, scheme, o)
	if err != nil {
		return fmt.Errorf("set up the manager: %w", err)
	}
	news := &controllers.News{}
	podClient := pods.New(pods.Options{Certificate: authority.ClientCertificate, News: news.Of})
	defer podClient.Close()
	if err := errors.Join(metrics.Registry.Register(podClient), metrics.Registry.Register(pace)); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	reconciler := controllers.New(controllers.Options{
		Client:   manager.GetClient(),
		Direct:   manager.GetAPIReader(),
		Pods:     podClient,
		News:     news,
		Events:   manager.GetEventRecorder(name),
		ClientCA: authority.PEM(),
		Image:    o.poolerImage,
	})
	if err := reconciler.SetupWithManager(manager, o.concurrency); err != nil {
		return fmt.Errorf("set up the reconciler: %w", err)
	}
	if err := addProbes(manager); err != nil {
		return err
	}
	ctrl.Log.Info("starting", "version", softwareVersion(), "poolerImage", o.poolerImage)
	if err := manager.Start(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

func newManager(config *rest.Config, pace *controllers.Pace, scheme *runtime.Scheme, o options) (ctrl.Manager, error) {
	paced := rest.CopyConfig(config)
	paced.Wrap(pace.Wrap)
	return ctrl.NewManager(paced, ctrl.Options{
		Scheme:                        scheme,
		Cache:                         controllers.Cache(o.namespaces()...),
		LeaderElection:                o.leaderElection,
		LeaderElectionConfig:          config, // a lease does not wait for its turn
		LeaderElectionID:              name,
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionReleaseOnCancel: true, // the process ends as soon as the manager does
		HealthProbeBindAddress:        o.healthAddress,
		Metrics: metricsserver.Options{
			BindAddress:    o.metricsAddress,
			SecureServing:  true,
			FilterProvider: filters.WithAuthenticationAndAuthorization,
		},
	})
}

// controlCA reads or makes the CA by which pods know the operator.
func controlCA(ctx context.Context, config *rest.Config, scheme *runtime.Scheme, namespace string) (*controlca.Authority, error) {
	direct, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return controlca.Ensure(ctx, direct, namespace, time.Now)
}

// addProbes makes the process alive while it answers, and ready when its cache is filled.
func addProbes(manager ctrl.Manager) error {
	if err := manager.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add /healthz: %w", err)
	}
	filled := func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), time.Second)
		defer cancel()
		if !manager.GetCache().WaitForCacheSync(ctx) {
			return errors.New("the cache is not filled yet")
		}
		return nil
	}
	if err := manager.AddReadyzCheck("cache", filled); err != nil {
		return fmt.Errorf("add /readyz: %w", err)
	}
	return nil
}
