// Command network asks Cyclonus, a simulator of network policies that is written by others, what the policies of
// a folder allow. It reads the manifests itself, with Kubernetes' own decoder, and prints one line of JSON for
// each pair of ends: the ports, out of those that anything names, that one may use of the other.
//
// Objects without a namespace are in "default". Pods of the node's network are left out: the simulator takes them
// for others. The API leaves open whether an ipBlock holds pods; here it holds addresses only.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

const nameLabel = "kubernetes.io/metadata.name"

type workload struct {
	// What the output calls it: path, kind and name.
	key       string
	namespace string
	labels    map[string]string
	ports     []corev1.ContainerPort
}

type world struct {
	namespaces map[string]map[string]string
	workloads  []workload
	policies   []*networkingv1.NetworkPolicy
}

type port struct {
	protocol corev1.Protocol
	number   int
}

// line is one line of output.
type line struct {
	From  string   `json:"from"`
	To    string   `json:"to"`
	Ports []string `json:"ports"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: network FOLDER")
	}
	w := world{namespaces: map[string]map[string]string{}}
	if err := w.readFolder(os.Args[1]); err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	if err := w.print(json.NewEncoder(out)); err != nil {
		log.Fatal(err)
	}
}

func (w *world) readFolder(folder string) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
		for {
			document, err := reader.Read()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			w.read(filepath.ToSlash(relative), document)
		}
	})
}

// read takes what it knows; the rest is none of its business.
func (w *world) read(path string, document []byte) {
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
	if err != nil {
		return
	}
	if list, ok := object.(*corev1.List); ok {
		for _, item := range list.Items {
			w.read(path, item.Raw)
		}
		return
	}
	if list, ok := object.(*networkingv1.NetworkPolicyList); ok {
		for i := range list.Items {
			w.take(path, &list.Items[i])
		}
		return
	}
	w.take(path, object)
}

func (w *world) take(path string, object runtime.Object) {
	add := func(kind string, meta metav1.ObjectMeta, pod metav1.ObjectMeta, spec corev1.PodSpec) {
		if spec.HostNetwork {
			return
		}
		found := workload{
			key:       fmt.Sprintf("%s %s/%s", path, kind, meta.Name),
			namespace: namespaceOf(meta),
			labels:    pod.Labels,
		}
		for _, container := range append(spec.InitContainers, spec.Containers...) {
			found.ports = append(found.ports, container.Ports...)
		}
		w.workloads = append(w.workloads, found)
	}
	switch object := object.(type) {
	case *corev1.Namespace:
		w.namespaces[object.Name] = object.Labels
	case *corev1.Pod:
		add("Pod", object.ObjectMeta, object.ObjectMeta, object.Spec)
	case *corev1.ReplicationController:
		add("ReplicationController", object.ObjectMeta, object.Spec.Template.ObjectMeta, object.Spec.Template.Spec)
	case *appsv1.Deployment:
		add("Deployment", object.ObjectMeta, object.Spec.Template.ObjectMeta, object.Spec.Template.Spec)
	case *appsv1.StatefulSet:
		add("StatefulSet", object.ObjectMeta, object.Spec.Template.ObjectMeta, object.Spec.Template.Spec)
	case *appsv1.DaemonSet:
		add("DaemonSet", object.ObjectMeta, object.Spec.Template.ObjectMeta, object.Spec.Template.Spec)
	case *appsv1.ReplicaSet:
		add("ReplicaSet", object.ObjectMeta, object.Spec.Template.ObjectMeta, object.Spec.Template.Spec)
	case *batchv1.Job:
		// The controller does this.
		if object.Spec.Template.Labels == nil {
			object.Spec.Template.Labels = map[string]string{}
		}
		object.Spec.Template.Labels["job-name"] = object.Name
		object.Spec.Template.Labels[batchv1.JobNameLabel] = object.Name
		add("Job", object.ObjectMeta, object.Spec.Template.ObjectMeta, object.Spec.Template.Spec)
	case *batchv1.CronJob:
		template := object.Spec.JobTemplate.Spec.Template
		add("CronJob", object.ObjectMeta, template.ObjectMeta, template.Spec)
	case *networkingv1.NetworkPolicy:
		setDefaults(object)
		if isValid(object) {
			w.policies = append(w.policies, object)
		}
	}
}

func namespaceOf(meta metav1.ObjectMeta) string {
	if meta.Namespace == "" {
		return corev1.NamespaceDefault
	}
	return meta.Namespace
}

// setDefaults does what SetDefaults_NetworkPolicy of the API server does; the simulator takes nothing else.
func setDefaults(policy *networkingv1.NetworkPolicy) {
	policy.Namespace = namespaceOf(policy.ObjectMeta)
	if len(policy.Spec.PolicyTypes) == 0 {
		policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(policy.Spec.Egress) > 0 {
			policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
}

// isValid says whether the API server would take the peers and ports; the simulator panics where it would not.
func isValid(policy *networkingv1.NetworkPolicy) (valid bool) {
	defer func() {
		if recover() != nil {
			valid = false
		}
	}()
	ip := &matcher.TrafficPeer{IP: "192.0.2.1"}
	pod := &matcher.TrafficPeer{IP: "192.0.2.1", Internal: &matcher.InternalPeer{}}
	ingress, egress := matcher.BuildTarget(policy)
	for _, target := range []*matcher.Target{ingress, egress} {
		if target != nil {
			for _, peer := range []*matcher.TrafficPeer{ip, pod} {
				target.Allows(peer, 1, "", corev1.ProtocolTCP)
			}
		}
	}
	return !hasBadPort(policy)
}

func hasBadPort(policy *networkingv1.NetworkPolicy) bool {
	return slices.ContainsFunc(ports(policy), func(port networkingv1.NetworkPolicyPort) bool {
		if port.Port == nil {
			return port.EndPort != nil
		}
		return port.Port.Type == intstr.Int && (port.Port.IntVal < 1 || port.Port.IntVal > 65535)
	})
}

func ports(policy *networkingv1.NetworkPolicy) (ports []networkingv1.NetworkPolicyPort) {
	for _, rule := range policy.Spec.Ingress {
		ports = append(ports, rule.Ports...)
	}
	for _, rule := range policy.Spec.Egress {
		ports = append(ports, rule.Ports...)
	}
	return ports
}

func peers(policy *networkingv1.NetworkPolicy) (peers []networkingv1.NetworkPolicyPeer) {
	for _, rule := range policy.Spec.Ingress {
		peers = append(peers, rule.From...)
	}
	for _, rule := range policy.Spec.Egress {
		peers = append(peers, rule.To...)
	}
	return peers
}

// numbers are the ports at which an answer can change.
func (w *world) numbers() []int {
	numbers := map[int]bool{1: true, 65535: true}
	add := func(number int) {
		for _, n := range []int{number - 1, number, number + 1} {
			if n >= 1 && n <= 65535 {
				numbers[n] = true
			}
		}
	}
	for _, workload := range w.workloads {
		for _, port := range workload.ports {
			add(int(port.ContainerPort))
		}
	}
	for _, policy := range w.policies {
		for _, port := range ports(policy) {
			if port.Port != nil && port.Port.Type == intstr.Int {
				add(int(port.Port.IntVal))
			}
			if port.EndPort != nil {
				add(int(*port.EndPort))
			}
		}
	}
	list := make([]int, 0, len(numbers))
	for number := range numbers {
		list = append(list, number)
	}
	slices.Sort(list)
	return list
}

// addresses has one of each kind, and one of each block and each hole of a policy.
func (w *world) addresses() []string {
	addresses := []string{"10.9.8.7", "172.16.9.9", "192.168.9.9", "203.0.113.9", "2001:db8:9::9", "fd00:9::9"}
	for _, policy := range w.policies {
		for _, peer := range peers(policy) {
			if peer.IPBlock == nil {
				continue
			}
			for _, cidr := range append([]string{peer.IPBlock.CIDR}, peer.IPBlock.Except...) {
				if _, block, err := net.ParseCIDR(cidr); err == nil {
					addresses = append(addresses, block.IP.String())
				}
			}
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

// withoutBlocks drops peers that are blocks; a rule that has no other allows nobody then.
func withoutBlocks(policies []*networkingv1.NetworkPolicy) (rest []*networkingv1.NetworkPolicy) {
	isBlock := func(peer networkingv1.NetworkPolicyPeer) bool { return peer.IPBlock != nil }
	for _, policy := range policies {
		policy = policy.DeepCopy()
		ingress, egress := policy.Spec.Ingress, policy.Spec.Egress
		policy.Spec.Ingress, policy.Spec.Egress = nil, nil
		for _, rule := range ingress {
			some := len(rule.From) > 0
			rule.From = slices.DeleteFunc(rule.From, isBlock)
			if !some || len(rule.From) > 0 {
				policy.Spec.Ingress = append(policy.Spec.Ingress, rule)
			}
		}
		for _, rule := range egress {
			some := len(rule.To) > 0
			rule.To = slices.DeleteFunc(rule.To, isBlock)
			if !some || len(rule.To) > 0 {
				policy.Spec.Egress = append(policy.Spec.Egress, rule)
			}
		}
		rest = append(rest, policy)
	}
	return rest
}

func (w *world) peer(workload *workload) *matcher.TrafficPeer {
	labels := map[string]string{}
	for key, value := range w.namespaces[workload.namespace] {
		labels[key] = value
	}
	labels[nameLabel] = workload.namespace
	return &matcher.TrafficPeer{IP: "192.0.2.1", Internal: &matcher.InternalPeer{
		PodLabels:       workload.labels,
		NamespaceLabels: labels,
		Namespace:       workload.namespace,
	}}
}

func (w *world) print(out *json.Encoder) error {
	numbers := w.numbers()
	between := matcher.BuildNetworkPolicies(false, withoutBlocks(w.policies))
	outside := matcher.BuildNetworkPolicies(false, w.policies)
	ask := func(policy *matcher.Policy, from, to *matcher.TrafficPeer, named []corev1.ContainerPort) []string {
		allowed := []string{}
		for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
			for _, number := range numbers {
				// A number may have several names, or none.
				names := []string{""}
				for _, port := range named {
					of := port.Protocol
					if of == "" {
						of = corev1.ProtocolTCP
					}
					if of == protocol && int(port.ContainerPort) == number {
						names = append(names, port.Name)
					}
				}
				if slices.ContainsFunc(names, func(name string) bool {
					return policy.IsTrafficAllowed(&matcher.Traffic{
						Source: from, Destination: to,
						ResolvedPort: number, ResolvedPortName: name, Protocol: protocol,
					}).IsAllowed()
				}) {
					allowed = append(allowed, fmt.Sprintf("%s %d", protocol, number))
				}
			}
		}
		return allowed
	}
	for i := range w.workloads {
		own := &w.workloads[i]
		for j := range w.workloads {
			other := &w.workloads[j]
			allowed := ask(between, w.peer(own), w.peer(other), other.ports)
			if err := out.Encode(line{own.key, other.key, allowed}); err != nil {
				return err
			}
		}
		for _, address := range w.addresses() {
			external := &matcher.TrafficPeer{IP: address}
			if err := out.Encode(line{own.key, address, ask(outside, w.peer(own), external, nil)}); err != nil {
				return err
			}
			if err := out.Encode(line{address, own.key, ask(outside, external, w.peer(own), own.ports)}); err != nil {
				return err
			}
		}
	}
	all := []string{}
	for _, protocol := range []string{"TCP", "UDP", "SCTP"} {
		for _, number := range numbers {
			all = append(all, fmt.Sprintf("%s %d", protocol, number))
		}
	}
	// What was asked about.
	return out.Encode(line{"", strings.Join(w.addresses(), " "), all})
}
