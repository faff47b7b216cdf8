package main

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ruleset is everything the nftables table is made of: render is a function of
// it alone. The kubelet's probes pass always, since traffic from the own node
// does not cross the forward hook.
type ruleset struct {
	node, podSubnet string
	pods            []*corev1.Pod // only those with an address of their own
	policies        []*netv1.NetworkPolicy
	namespaces      map[string]labels.Set
}

func newRuleset(node, podSubnet string, pods []*corev1.Pod, namespaces []*corev1.Namespace, policies []*netv1.NetworkPolicy) ruleset {
	r := ruleset{node: node, podSubnet: podSubnet, policies: slices.Clone(policies), namespaces: map[string]labels.Set{}}
	for _, p := range pods {
		if networked(p) {
			r.pods = append(r.pods, p)
		}
	}
	// listers return no order: the same cluster must give the same text
	slices.SortFunc(r.pods, func(a, b *corev1.Pod) int { return strings.Compare(string(a.UID), string(b.UID)) })
	slices.SortFunc(r.policies, func(a, b *netv1.NetworkPolicy) int { return strings.Compare(string(a.UID), string(b.UID)) })
	for _, n := range namespaces {
		r.namespaces[n.Name] = n.Labels
	}
	return r
}

func networked(p *corev1.Pod) bool {
	return !p.Spec.HostNetwork && p.Status.PodIP != "" && !strings.Contains(p.Status.PodIP, ":") &&
		p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// render returns the whole table; loading it replaces the former one.
func (r ruleset) render() string {
	var chains, jumps strings.Builder
	for _, p := range r.pods {
		if p.Spec.NodeName != r.node {
			continue
		}
		id := strings.ReplaceAll(string(p.UID), "-", "")
		for _, d := range []direction{egress, ingress} {
			allowed, isolated := r.allowed(d, p)
			if !isolated {
				continue
			}
			fmt.Fprintf(&chains, "  chain %s_%s { # %s/%s\n", d.prefix, id, p.Namespace, p.Name)
			for _, match := range allowed {
				fmt.Fprintf(&chains, "    %s return\n", match)
			}
			fmt.Fprintf(&chains, "    drop\n  }\n")
			fmt.Fprintf(&jumps, "    ip %s %s jump %s_%s\n", d.own, p.Status.PodIP, d.prefix, id)
		}
	}
	return fmt.Sprintf(`table ip podnet
delete table ip podnet
table ip podnet {
%s  chain forward {
    type filter hook forward priority 10; policy accept;
    ct state established,related accept
%s  }
  chain postrouting {
    type nat hook postrouting priority 110; policy accept;
    ip saddr %s ip daddr != %s masquerade
  }
}
`, chains.String(), jumps.String(), r.podSubnet, r.podSubnet)
}

// direction names the address fields of a packet, seen from the selected pod.
type direction struct {
	prefix, own, peer string
	kind              netv1.PolicyType
}

var (
	ingress = direction{prefix: "in", own: "daddr", peer: "saddr", kind: netv1.PolicyTypeIngress}
	egress  = direction{prefix: "out", own: "saddr", peer: "daddr", kind: netv1.PolicyTypeEgress}
)

// allowed returns the matches that let traffic of one direction pass, and
// whether any policy selects the pod for it: if none does, everything passes.
func (r ruleset) allowed(d direction, p *corev1.Pod) (matches []string, isolated bool) {
	for _, np := range r.policies {
		if np.Namespace != p.Namespace || !selects(&np.Spec.PodSelector, p.Labels) || !slices.Contains(np.Spec.PolicyTypes, d.kind) {
			continue
		}
		isolated = true
		if d.kind == netv1.PolicyTypeIngress {
			for _, rule := range np.Spec.Ingress {
				matches = append(matches, r.matches(d, np.Namespace, rule.From, rule.Ports, p)...)
			}
			continue
		}
		for _, rule := range np.Spec.Egress {
			matches = append(matches, r.matches(d, np.Namespace, rule.To, rule.Ports, nil)...)
		}
	}
	return matches, isolated
}

// matches renders one rule of a policy; each line is one allowed combination.
// target is the pod whose named ports count: the selected one for ingress, nil
// for egress, where they belong to each peer.
func (r ruleset) matches(d direction, namespace string, peers []netv1.NetworkPolicyPeer, ports []netv1.NetworkPolicyPort, target *corev1.Pod) []string {
	if len(peers) == 0 {
		return withPorts("", ports, target)
	}
	var lines, ips []string
	for _, peer := range peers {
		if peer.IPBlock != nil {
			lines = append(lines, withPorts(block(d, peer.IPBlock), ports, target)...)
			continue
		}
		for _, p := range r.pods {
			switch {
			case !r.isPeer(peer, namespace, p):
			case target == nil && named(ports):
				lines = append(lines, withPorts(fmt.Sprintf("ip %s %s", d.peer, p.Status.PodIP), ports, p)...)
			default:
				ips = append(ips, p.Status.PodIP)
			}
		}
	}
	if len(ips) > 0 {
		slices.Sort(ips)
		set := strings.Join(slices.Compact(ips), ", ")
		lines = append(lines, withPorts(fmt.Sprintf("ip %s { %s }", d.peer, set), ports, target)...)
	}
	return lines
}

func (r ruleset) isPeer(peer netv1.NetworkPolicyPeer, namespace string, p *corev1.Pod) bool {
	if peer.NamespaceSelector == nil && p.Namespace != namespace {
		return false
	}
	if peer.NamespaceSelector != nil && !selects(peer.NamespaceSelector, r.namespaces[p.Namespace]) {
		return false
	}
	return peer.PodSelector == nil || selects(peer.PodSelector, p.Labels)
}

func selects(s *metav1.LabelSelector, l map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(l))
}

// block renders an address range. An IPv6 range never matches: the pods have
// IPv4 addresses only.
func block(d direction, b *netv1.IPBlock) string {
	if strings.Contains(b.CIDR, ":") {
		return fmt.Sprintf("ip %s 255.255.255.255", d.peer)
	}
	match := fmt.Sprintf("ip %s %s", d.peer, b.CIDR)
	if len(b.Except) > 0 {
		match += fmt.Sprintf(" ip %s != { %s }", d.peer, strings.Join(b.Except, ", "))
	}
	return match
}

func named(ports []netv1.NetworkPolicyPort) bool {
	return slices.ContainsFunc(ports, func(p netv1.NetworkPolicyPort) bool {
		return p.Port != nil && p.Port.Type == intstr.String
	})
}

func withPorts(match string, ports []netv1.NetworkPolicyPort, target *corev1.Pod) []string {
	if len(ports) == 0 {
		return []string{match}
	}
	var lines []string
	for _, p := range ports {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		proto := strings.ToLower(string(protocol))
		switch {
		case p.Port == nil:
			lines = append(lines, fmt.Sprintf("%s meta l4proto %s", match, proto))
		case p.Port.Type == intstr.String:
			for _, number := range portsOf(target, p.Port.StrVal, protocol) {
				lines = append(lines, fmt.Sprintf("%s %s dport %d", match, proto, number))
			}
		case p.EndPort != nil:
			lines = append(lines, fmt.Sprintf("%s %s dport %d-%d", match, proto, p.Port.IntVal, *p.EndPort))
		default:
			lines = append(lines, fmt.Sprintf("%s %s dport %d", match, proto, p.Port.IntVal))
		}
	}
	return lines
}

func portsOf(p *corev1.Pod, name string, protocol corev1.Protocol) []int32 {
	var numbers []int32
	if p == nil {
		return nil
	}
	for _, c := range p.Spec.Containers {
		for _, port := range c.Ports {
			if port.Name == name && (port.Protocol == protocol || port.Protocol == "" && protocol == corev1.ProtocolTCP) {
				numbers = append(numbers, port.ContainerPort)
			}
		}
	}
	return numbers
}
