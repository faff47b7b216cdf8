package validation

import (
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"

	"github.com/weir-dev/weir/api/v1alpha1"
)

var _ = It("accepts what is made out of a pgbouncer.ini", func(ctx SpecContext) {
	text, err := os.ReadFile("../../../pooler/pgbouncer/testdata/connectionpool.yaml")
	Expect(err).NotTo(HaveOccurred())
	pool := &v1alpha1.ConnectionPool{}
	Expect(yaml.UnmarshalStrict(text, pool)).To(Succeed())
	pool.Namespace = minimal().Namespace
	Expect(api.Create(ctx, pool)).To(Succeed())
})
