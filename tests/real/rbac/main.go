// The real kube-apiserver with etcd on loopback, in one process, for questions about RBAC.
//
// Reads one JSON request a line from standard input and answers each with one JSON line:
//
//	{"op": "apply", "objects": [...]}   creates RBAC objects and namespaces; answers {"refused": [...]}
//	{"op": "reset"}                     deletes what was applied
//	{"op": "ask", "questions": [...]}   SubjectAccessReview of each; answers {"allowed": "0110..."}
//	{"op": "act", "script": {...}}      makes requests as a service account; answers {"codes": [200, ...]}, and its log is
//	                                    FOLDER/audit.log
//	{"op": "admit", "objects": [...], "try": [...]}
//	                                    makes policies and namespaces and tries to create the others; answers
//	                                    {"verdicts": [{"refused": "", "warnings": []}]}
//	{"op": "record"}                    the built-in roles, bindings and API resources of the server
//
// usage: rbac-oracle FOLDER [EMULATED-VERSION]
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
)

func main() {
	if len(os.Args) < 2 {
		fail("usage: rbac-oracle FOLDER [EMULATED-VERSION]")
	}
	version := ""
	if len(os.Args) > 2 {
		version = os.Args[2]
	}
	// Whatever the server prints must not get between the answers.
	answers := os.Stdout
	os.Stdout = os.Stderr
	config, err := start(os.Args[1], version)
	if err != nil {
		fail("%v", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		fail("%v", err)
	}
	ctx := context.Background()
	if err := ready(ctx, client); err != nil {
		fail("%v", err)
	}
	aggregate(ctx, client)
	serve(ctx, &oracle{client: client, config: config, folder: os.Args[1]}, answers)
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "rbac-oracle: "+format+"\n", arguments...)
	os.Exit(1)
}

// ready waits until the server has made its own roles, or ends with what it says.
func ready(ctx context.Context, client kubernetes.Interface) error {
	var last error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		_, last = client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if last == nil {
			return nil
		}
	}
	return fmt.Errorf("the API server does not get ready: %w", last)
}

// aggregate runs the part of the controller manager that fills in aggregated cluster roles.
func aggregate(ctx context.Context, client kubernetes.Interface) {
	factory := informers.NewSharedInformerFactory(client, 0)
	controller := clusterroleaggregation.NewClusterRoleAggregation(factory.Rbac().V1().ClusterRoles(), client.RbacV1())
	factory.Start(ctx.Done())
	go controller.Run(ctx, 5)
}

type oracle struct {
	client  kubernetes.Interface
	config  *rest.Config
	folder  string
	applied []func(context.Context) error
}

type request struct {
	Op        string            `json:"op"`
	Objects   []json.RawMessage `json:"objects"`
	Questions []question        `json:"questions"`
	Script    script            `json:"script"`
	Try       []json.RawMessage `json:"try"`
}

func serve(ctx context.Context, oracle *oracle, answers *os.File) {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	encoder := json.NewEncoder(answers)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) == 0 || err != nil {
			return
		}
		var request request
		if err := json.Unmarshal(line, &request); err != nil {
			fail("%v", err)
		}
		answer, err := oracle.answer(ctx, &request)
		if err != nil {
			fail("%s: %v", request.Op, err)
		}
		if err := encoder.Encode(answer); err != nil {
			fail("%v", err)
		}
	}
}

func (o *oracle) answer(ctx context.Context, request *request) (any, error) {
	switch request.Op {
	case "apply":
		return o.apply(ctx, request.Objects)
	case "reset":
		for _, remove := range o.applied {
			if err := remove(ctx); err != nil && !errors.IsNotFound(err) {
				return nil, err
			}
		}
		o.applied = nil
		return map[string]any{}, o.settle(ctx)
	case "ask":
		allowed, err := o.ask(ctx, request.Questions)
		return map[string]any{"allowed": allowed}, err
	case "act":
		codes, err := o.act(ctx, &request.Script)
		return map[string]any{"codes": codes}, err
	case "admit":
		return o.admit(ctx, request.Objects, request.Try)
	case "record":
		return o.record(ctx)
	}
	return nil, fmt.Errorf("no such operation")
}

// apply creates objects as a client would; what the server refuses is named with its reason.
func (o *oracle) apply(ctx context.Context, objects []json.RawMessage) (any, error) {
	refused := []string{}
	for _, raw := range objects {
		var head struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, err
		}
		resource, namespaced := map[string]string{
			"Role": "roles", "RoleBinding": "rolebindings", "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings",
		}[head.Kind], strings.HasPrefix(head.Kind, "Role")
		if resource == "" {
			return nil, fmt.Errorf("cannot apply a %s", head.Kind)
		}
		rbac := o.client.RbacV1().RESTClient()
		err := rbac.Post().NamespaceIfScoped(head.Namespace, namespaced).Resource(resource).Body([]byte(raw)).
			SetHeader("Content-Type", "application/json").Do(ctx).Error()
		if err != nil {
			refused = append(refused, fmt.Sprintf("%s %s/%s: %v", head.Kind, head.Namespace, head.Name, err))
			continue
		}
		o.applied = append(o.applied, func(ctx context.Context) error {
			return rbac.Delete().NamespaceIfScoped(head.Namespace, namespaced).Resource(resource).Name(head.Name).Do(ctx).Error()
		})
	}
	return map[string]any{"refused": refused}, o.settle(ctx)
}

// settle waits until the aggregated roles say the same twice and the authorizer's caches had time to see it.
func (o *oracle) settle(ctx context.Context) error {
	previous := ""
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		time.Sleep(80 * time.Millisecond)
		roles, err := o.client.RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		var versions strings.Builder
		for _, role := range roles.Items {
			versions.WriteString(role.Name + role.ResourceVersion + ",")
		}
		if versions.String() == previous {
			return nil
		}
		previous = versions.String()
	}
	return fmt.Errorf("the aggregated roles do not settle")
}

// inParallel calls act with 0..n from a few goroutines; the first error wins.
func inParallel(n int, act func(int) error) error {
	var mutex sync.Mutex
	var first error
	next := 0
	take := func() (int, bool) {
		mutex.Lock()
		defer mutex.Unlock()
		next++
		return next - 1, next <= n && first == nil
	}
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for at, more := take(); more; at, more = take() {
				if err := act(at); err != nil {
					mutex.Lock()
					first = err
					mutex.Unlock()
					return
				}
			}
		})
	}
	workers.Wait()
	return first
}
