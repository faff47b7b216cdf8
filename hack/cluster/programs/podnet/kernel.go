package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
)

const cniFile = "/etc/cni/net.d/10-podnet.conflist"

// writeCNI tells the container runtime which addresses this node's pods get.
// The file appears at once or not at all: the runtime watches the folder.
func writeCNI(podCIDR string) error {
	want := fmt.Sprintf(`{"cniVersion":"0.3.1","name":"podnet","plugins":[
 {"type":"ptp","ipMasq":false,"mtu":1400,"ipam":{"type":"host-local","dataDir":"/run/cni-ipam-state",
  "routes":[{"dst":"0.0.0.0/0"}],"ranges":[[{"subnet":%q}]]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
`, podCIDR)
	if have, err := os.ReadFile(cniFile); err == nil && string(have) == want {
		return nil
	}
	tmp := filepath.Join(filepath.Dir(cniFile), ".podnet.tmp")
	if err := os.WriteFile(tmp, []byte(want), 0o644); err != nil {
		return err
	}
	log.Printf("this node's pods are in %s", podCIDR)
	return os.Rename(tmp, cniFile)
}

// route sends traffic for another node's pods to that node.
func route(other *corev1.Node) error {
	_, pods, err := net.ParseCIDR(other.Spec.PodCIDR)
	if err != nil {
		return err
	}
	for _, a := range other.Status.Addresses {
		if ip := net.ParseIP(a.Address); a.Type == corev1.NodeInternalIP && ip.To4() != nil {
			return netlink.RouteReplace(&netlink.Route{Dst: pods, Gw: ip})
		}
	}
	return nil
}

// load hands the table to the kernel, which swaps it in one transaction.
func load(ctx context.Context, rules string) error {
	nft := exec.CommandContext(ctx, "nft", "-f", "-")
	nft.Stdin = strings.NewReader(rules)
	if out, err := nft.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}
