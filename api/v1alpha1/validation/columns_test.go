package validation

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
)

// kubectl asks the API server for a table; those with a priority are shown with -o wide.
var _ = It("has the columns that people read", func(ctx SpecContext) {
	pool := minimal()
	Expect(api.Create(ctx, pool)).To(Succeed())
	client, err := discovery.NewDiscoveryClientForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	text, err := client.RESTClient().Get().AbsPath("/apis/weir.dev/v1alpha1/namespaces", pool.Namespace, "connectionpools", pool.Name).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)
	Expect(err).NotTo(HaveOccurred())
	var table metav1.Table
	Expect(json.Unmarshal(text, &table)).To(Succeed())
	var narrow, wide []string
	for _, column := range table.ColumnDefinitions {
		if column.Priority == 0 {
			narrow = append(narrow, column.Name)
		} else {
			wide = append(wide, column.Name)
		}
	}
	Expect(narrow).To(Equal([]string{"Name", "Desired", "Ready", "In-Use", "Limit", "Waiting", "Available", "Age"}))
	Expect(wide).To(Equal([]string{"Synced", "Reason", "Address"}))
	Expect(table.Rows).To(HaveLen(1))
	Expect(table.Rows[0].Cells).To(ContainElements(pool.Name, BeEquivalentTo(2), "Pending"))
})
