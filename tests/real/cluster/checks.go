package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/rest"
)

// canary is a value that no log may hold unless it is asked to.
const canary = "canary-7f3a91"

// anonymous asks without credentials: probes are answered, the rest is not.
func anonymous(ctx context.Context, s *running) error {
	client, err := rest.HTTPClientFor(rest.AnonymousClientConfig(s.config))
	if err != nil {
		return err
	}
	wanted := map[string]int{
		"/livez": 200, "/readyz": 200, "/healthz": 200, "/readyz?verbose": 200,
		"/api": 401, "/version": 401, "/readyz/etcd": 401, "/apis/rbac.authorization.k8s.io/v1/clusterroles": 401,
	}
	for path, code := range wanted {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.config.Host+path, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			return err
		}
		if response.StatusCode != code {
			return fmt.Errorf("%s is answered with %d, not %d", path, response.StatusCode, code)
		}
	}
	return nil
}

// encrypted stores a Secret and looks at what etcd got.
func encrypted(ctx context.Context, s *running) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "canary"},
		StringData: map[string]string{"password": canary},
	}
	if _, err := s.client.CoreV1().Secrets("default").Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return err
	}
	value, err := s.stored(ctx, "/registry/secrets/default/canary")
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(value, []byte("k8s:enc:secretbox:v1:key1:")) || bytes.Contains(value, []byte(canary)) {
		return fmt.Errorf("etcd has it in plain text: %.40q", value)
	}
	back, err := s.client.CoreV1().Secrets("default").Get(ctx, "canary", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if string(back.Data["password"]) != canary {
		return fmt.Errorf("the Secret does not come back as it was")
	}
	return nil
}

// admission tries a privileged pod and one that baseline allows, in a namespace without labels and in an exempt one.
func admission(ctx context.Context, s *running) error {
	pod := func(privileged bool) *corev1.Pod {
		container := corev1.Container{Name: "a", Image: "registry.example/a:1"}
		container.SecurityContext = &corev1.SecurityContext{Privileged: &privileged}
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "try-"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{container}},
		}
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "unlabelled"}}
	if _, err := s.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := s.client.CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{}); err == nil {
			break
		} else if time.Now().After(deadline) {
			return err
		}
	}
	try := func(namespace string, privileged bool) error {
		options := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
		_, err := s.client.CoreV1().Pods(namespace).Create(ctx, pod(privileged), options)
		return err
	}
	if err := try("unlabelled", true); err == nil || !strings.Contains(err.Error(), `PodSecurity "baseline:latest"`) {
		return fmt.Errorf("a privileged pod in a namespace without labels: %v", err)
	}
	if err := try("unlabelled", false); err != nil {
		return fmt.Errorf("an ordinary pod in a namespace without labels: %w", err)
	}
	if err := try("kube-system", true); err != nil {
		return fmt.Errorf("a privileged pod in kube-system: %w", err)
	}
	return nil
}

// audited makes requests of each kind and compares the levels in the log.
func audited(ctx context.Context, s *running) error {
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "canary"}}
	if _, err := s.client.RbacV1().Roles("default").Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: canary + "-token"}}
	if _, err := s.client.AuthenticationV1().TokenReviews().Create(ctx, review, metav1.CreateOptions{}); err != nil {
		return err
	}
	self := &authenticationv1.SelfSubjectReview{}
	if _, err := s.client.AuthenticationV1().SelfSubjectReviews().Create(ctx, self, metav1.CreateOptions{}); err != nil {
		return err
	}
	// The last one: when it is in the log, all are.
	if _, err := s.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); err != nil {
		return err
	}
	secrets := auditv1.LevelMetadata
	if s.bodies {
		secrets = auditv1.LevelRequestResponse
	}
	wanted := map[string]auditv1.Level{
		"create secrets": secrets, "create tokenreviews": secrets,
		"create roles": auditv1.LevelRequestResponse, "create selfsubjectreviews": auditv1.LevelRequestResponse,
		"create pods": auditv1.LevelMetadata, "list nodes": auditv1.LevelMetadata,
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		found, text, err := s.levels()
		if err != nil {
			return err
		}
		if _, done := found["list nodes"]; !done {
			if time.Now().After(deadline) {
				return fmt.Errorf("the log lacks the last request")
			}
			continue
		}
		for request, level := range wanted {
			if found[request] != level {
				return fmt.Errorf("%s is logged at level %q, not %q", request, found[request], level)
			}
		}
		if strings.Contains(text, canary+"-token") != s.bodies {
			return fmt.Errorf("whether the log holds a token is %v", !s.bodies)
		}
		if strings.Contains(text, `"requestURI":"/livez"`) {
			return fmt.Errorf("the log holds probes")
		}
		return nil
	}
}

// levels are those of the oracle's own finished requests, by verb and resource; and the log itself.
func (s *running) levels() (map[string]auditv1.Level, string, error) {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return nil, "", err
	}
	found := map[string]auditv1.Level{}
	for line := range strings.Lines(string(text)) {
		var event auditv1.Event
		if !strings.HasSuffix(line, "\n") {
			continue
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			return nil, "", err
		}
		if event.ObjectRef != nil && event.User.Username == "oracle" && event.Stage == auditv1.StageResponseComplete {
			found[event.Verb+" "+event.ObjectRef.Resource] = event.Level
		}
	}
	return found, string(text), nil
}
