// Package validation tests the rules, defaults and subresources of the ConnectionPool against a real API server: what
// the CRD says is only true once an API server has read it.
package validation

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/weir-dev/weir/api/v1alpha1"
)

var (
	config *rest.Config
	api    client.Client
)

func TestValidation(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("this suite needs an API server: run make test-envtest")
	}
	RegisterFailHandler(Fail)
	RunSpecs(t, "ConnectionPool rules")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "..", "config", "crd")},
		ErrorIfCRDPathMissing: true,
	}
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed()) }) // also when Start fails late
	var err error
	config, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())

	scheme := runtime.NewScheme()
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	Expect(corev1.AddToScheme(scheme)).To(Succeed())
	api, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
})

// minimal is the least that makes a pool.
func minimal() *v1alpha1.ConnectionPool {
	return &v1alpha1.ConnectionPool{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "pool-", Namespace: "default"},
		Spec: v1alpha1.ConnectionPoolSpec{
			Destinations: []v1alpha1.Destination{destination("orders")},
		},
	}
}

func destination(name string) v1alpha1.Destination {
	return v1alpha1.Destination{
		Name:       name,
		Protocol:   v1alpha1.ProtocolPostgreSQL,
		Endpoints:  []v1alpha1.Endpoint{{Host: "postgres.demo.svc"}},
		PostgreSQL: v1alpha1.PostgreSQL{Auth: v1alpha1.Auth{UsersSecretRef: v1alpha1.SecretReference{Name: "users"}}},
	}
}
