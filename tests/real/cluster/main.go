// Holds what `caseharden generate apiserver` writes against a real kube-apiserver and the real types of kubeadm and the
// kubelet.
//
// usage: cluster-oracle FOLDER metadata|bodies
//
//	cluster-oracle free-port
//
// FOLDER has what was generated, a folder for each distribution (static-pod, kubeadm, kind). The API server gets the flags
// of static-pod/kube-apiserver.yaml and the files they name. The second argument says what the audit log is to hold of
// Secrets and tokens.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

const (
	placeholder = "<FILL-IN-ON-EACH-HOST>"
	// A key as a host would have it: base64 of 32 bytes.
	key       = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	onHosts   = "/etc/kubernetes/apiserver/"
	logOnHost = "/var/log/kubernetes/audit/"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "free-port" {
		ports, err := freePorts(1)
		if err != nil {
			fail("%v", err)
		}
		fmt.Println(ports[0])
		return
	}
	if len(os.Args) != 3 {
		fail("usage: cluster-oracle FOLDER metadata|bodies")
	}
	generated, bodies := os.Args[1], os.Args[2] == "bodies"
	for _, name := range []string{"kubeadm/kubeadm.yaml", "kind/kind.yaml"} {
		if err := decode(filepath.Join(generated, name)); err != nil {
			fail("%s: %v", name, err)
		}
		fmt.Println("ok: the types of kubeadm and the kubelet take", name)
	}
	work, err := os.MkdirTemp("", "cluster-oracle-")
	if err != nil {
		fail("%v", err)
	}
	defer os.RemoveAll(work)
	flags, err := flagsOf(filepath.Join(generated, "static-pod"), work)
	if err != nil {
		fail("static-pod: %v", err)
	}
	received, err := receive(filepath.Join(work, "audit-webhook.yaml"))
	if err != nil {
		fail("the receiver of the audit log: %v", err)
	}
	server, err := start(work, flags)
	if err != nil {
		fail("%v", err)
	}
	client, err := kubernetes.NewForConfig(server.config)
	if err != nil {
		fail("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := ready(ctx, client); err != nil {
		fail("%v", err)
	}
	fmt.Println("ok: the API server takes all flags and files")
	checks := []struct {
		name  string
		check func(context.Context, *running) error
	}{
		{"anonymous requests", anonymous},
		{"encryption at rest", encrypted},
		{"Pod Security of namespaces without labels", admission},
		{"levels of the audit log", audited},
		{"the audit log is sent to its receiver", shipped},
	}
	state := &running{server, client, filepath.Join(work, "audit.log"), bodies, received}
	for _, check := range checks {
		if err := check.check(ctx, state); err != nil {
			fail("%s: %v", check.name, err)
		}
		fmt.Println("ok:", check.name)
	}
}

// running is the server with what is known of it.
type running struct {
	*server
	client *kubernetes.Clientset
	log    string
	bodies bool
	// received has the events that the receiver of the log got.
	received chan auditv1.Event
}

// flagsOf reads the flags of a static pod, with the files of the host where they are here, and the key filled in.
func flagsOf(folder, work string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(folder, "kube-apiserver.yaml"))
	if err != nil {
		return nil, err
	}
	var pod corev1.Pod
	if err := yaml.UnmarshalStrict(text, &pod); err != nil {
		return nil, err
	}
	container := pod.Spec.Containers[0]
	mounted := map[string]bool{}
	for _, mount := range container.VolumeMounts {
		mounted[mount.MountPath] = true
	}
	var flags []string
	for _, flag := range container.Command[1:] {
		_, value, _ := strings.Cut(flag, "=")
		if name, ok := strings.CutPrefix(value, onHosts); ok {
			if !mounted[value] {
				return nil, fmt.Errorf("%s is not mounted", value)
			}
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				return nil, err
			}
			filled := strings.Replace(string(text), placeholder, key, 1)
			if err := os.WriteFile(filepath.Join(work, name), []byte(filled), 0o600); err != nil {
				return nil, err
			}
			flag = strings.Replace(flag, onHosts, work+"/", 1)
		}
		if strings.HasPrefix(value, logOnHost) {
			if !mounted[strings.TrimSuffix(logOnHost, "/")] {
				return nil, fmt.Errorf("%s is not mounted", logOnHost)
			}
			flag = strings.Replace(flag, logOnHost, work+"/", 1)
		}
		flags = append(flags, flag)
	}
	return flags, nil
}

func ready(ctx context.Context, client *kubernetes.Clientset) error {
	for {
		_, err := client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "FAILED: "+format+"\n", arguments...)
	os.Exit(1)
}
