package validation

import (
	"os"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"
)

// A rule without a row that is refused by it could be wrong, or taken away, and no test would notice.
var _ = It("has for each rule of the CustomResourceDefinition a row that is refused by it", func() {
	text, err := os.ReadFile("../../../config/crd/weir.dev_connectionpools.yaml")
	Expect(err).NotTo(HaveOccurred())
	var crd any
	Expect(yaml.Unmarshal(text, &crd)).To(Succeed())
	messages := messagesOfRules(crd)
	Expect(len(messages)).To(BeNumerically(">=", 20), "the rules are found")

	for i, message := range messages {
		Expect(messages[:i]).NotTo(ContainElement(message), "two rules say the same: which one refused?")
		covered := slices.ContainsFunc(append(reasons, immutable), func(why string) bool {
			return strings.Contains(why, " ") && strings.Contains(message, why)
		})
		Expect(covered).To(BeTrue(), "no row is refused because %q", message)
	}
})

// messagesOfRules are what the rules below a node say when they are broken.
func messagesOfRules(node any) (messages []string) {
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			messages = append(messages, messagesOfRules(child)...)
		}
	case map[string]any:
		for key, child := range node {
			if key != "x-kubernetes-validations" {
				messages = append(messages, messagesOfRules(child)...)
				continue
			}
			for _, rule := range child.([]any) {
				messages = append(messages, rule.(map[string]any)["message"].(string))
			}
		}
	}
	return messages
}
