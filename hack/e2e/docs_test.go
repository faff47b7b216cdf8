//go:build e2e

package e2e_test

import (
	"os"
	"os/exec"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// The commands of the users' documents, run as they stand there, in the order in which a person reads them.
var _ = Describe("the documents", Ordered, func() {
	var install, operate []string

	BeforeAll(func() {
		install, operate = commands("docs/install.md"), commands("docs/operate.md")
		Expect(len(install)).To(BeNumerically(">=", 3))
		Expect(operate).NotTo(BeEmpty())
		DeferCleanup(func() { must("delete", "namespace", "shop", "--ignore-not-found", "--timeout=180s") })
	})

	It("install Weir and a first pool", func() {
		for _, block := range install[:len(install)-1] {
			run(block)
		}
	})
	It("operate it", func() {
		for _, block := range operate {
			run(block)
		}
	})
	It("remove it", func() { run(install[len(install)-1]) })
	It("name fields that the API has", func() { run("kubectl explain connectionpool.spec --recursive >/dev/null") })
})

// commands are the fenced blocks of shell in a document, without those for who has installed Weir the other way.
func commands(document string) []string {
	text, err := os.ReadFile("../../" + document)
	Expect(err).NotTo(HaveOccurred())
	otherWay := "With helm\n"
	if withHelm {
		otherWay = "With kustomize\n"
	}
	var blocks []string
	for _, section := range strings.Split(string(text), "\n## ") {
		if strings.HasPrefix(section, otherWay) {
			continue
		}
		for _, part := range strings.Split(section, "\n```sh\n")[1:] {
			block, _, closed := strings.Cut(part, "\n```")
			Expect(closed).To(BeTrue(), document)
			blocks = append(blocks, block)
		}
	}
	return blocks
}

func run(script string) {
	GinkgoHelper()
	By(script)
	command := exec.Command("bash", "-euo", "pipefail", "-c", script)
	command.Dir = "../.."
	out, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
}
