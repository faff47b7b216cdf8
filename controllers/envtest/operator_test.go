package envtest_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/weir-dev/weir/controllers"
	"github.com/weir-dev/weir/controllers/pods"
)

const (
	operatorImage = "example.com/weir:1"
	// vanish is how long charges of vanished pods are held in these tests.
	vanish = 3 * time.Second
)

// operator is a running operator.
type operator struct {
	stop func()
}

// startOperator runs an operator over the namespace of the test, until it is stopped or the test ends.
func (g *ground) startOperator() *operator {
	GinkgoHelper()
	return g.startOperatorWith(operatorImage)
}

func (g *ground) startOperatorWith(image string) *operator {
	GinkgoHelper()
	manager, err := ctrl.NewManager(operatorConfig, ctrl.Options{
		Scheme:     scheme,
		Cache:      controllers.Cache(g.namespace),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: ctrlconfig.Controller{SkipNameValidation: new(true)}, // several operators in one process
	})
	Expect(err).NotTo(HaveOccurred())
	news := &controllers.News{}
	podClient := pods.New(pods.Options{Certificate: authority.ClientCertificate, Dial: g.network.Dial, News: news.Of})
	reconciler := controllers.New(controllers.Options{
		Client:   manager.GetClient(),
		Direct:   manager.GetAPIReader(),
		Pods:     podClient,
		News:     news,
		Events:   manager.GetEventRecorder("weir-operator"),
		ClientCA: authority.PEM(),
		Image:    image,
		Vanish:   vanish,
	})
	Expect(reconciler.SetupWithManager(manager, 4)).To(Succeed())

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- manager.Start(ctx) }()
	Expect(manager.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
	stopped := false
	o := &operator{stop: func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		Expect(<-done).To(Succeed())
		podClient.Close()
	}}
	DeferCleanup(o.stop)
	return o
}
