package envtest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/controlca"
)

const (
	operatorNamespace = "weir-system"
	operatorUser      = "system:serviceaccount:weir-system:weir-operator"
)

var (
	environment    *envtest.Environment
	scheme         = runtime.NewScheme()
	operatorConfig *rest.Config  // with the operator's rights
	cluster        client.Client // with all rights; reads past any cache
	authority      *controlca.Authority
)

func TestOperator(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run `make test-envtest`")
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(100 * time.Millisecond)
	SetDefaultConsistentlyPollingInterval(100 * time.Millisecond)
	RunSpecs(t, "The operator against a real API server")
}

var _ = BeforeSuite(func(ctx context.Context) {
	ctrl.SetLogger(GinkgoLogr)
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())

	environment = &envtest.Environment{
		CRDDirectoryPaths:     []string{"../../config/crd"},
		ErrorIfCRDPathMissing: true,
		Scheme:                scheme,
	}
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed()) }) // when the start fails late too
	config, err := environment.Start()
	Expect(err).NotTo(HaveOccurred())
	config.QPS = -1
	cluster, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	Expect(cluster.Create(ctx, &corev1.Namespace{ObjectMeta: meta("", operatorNamespace)})).To(Succeed())
	for _, object := range manifests("../../config/rbac") {
		Expect(cluster.Create(ctx, object)).To(Succeed())
	}
	operatorConfig = rest.CopyConfig(config)
	operatorConfig.Impersonate = rest.ImpersonationConfig{UserName: operatorUser}
	direct, err := client.New(operatorConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	Eventually(func() (err error) {
		authority, err = controlca.Ensure(ctx, direct, operatorNamespace, time.Now)
		return err
	}).Should(Succeed())
})

// manifests are the objects in the YAML files of a folder, but for kustomize's own.
func manifests(folder string) []*unstructured.Unstructured {
	GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	var objects []*unstructured.Unstructured
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
		for {
			object := &unstructured.Unstructured{}
			err := decoder.Decode(object)
			if errors.Is(err, io.EOF) {
				break
			}
			Expect(err).NotTo(HaveOccurred())
			objects = append(objects, object)
		}
	}
	Expect(objects).NotTo(BeEmpty())
	return objects
}
