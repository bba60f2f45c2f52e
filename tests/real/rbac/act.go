package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// auditPolicy logs what service accounts do; the oracle itself is none.
const auditPolicy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [
	{"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
	{"level": "None"}
]}`

// script is what a client does, one request after the other.
type script struct {
	Namespace  string   `json:"namespace"`
	Name       string   `json:"name"`
	Namespaces []string `json:"namespaces"`
	Requests   []struct {
		Method string          `json:"method"`
		Path   string          `json:"path"`
		Type   string          `json:"type"`
		Body   json.RawMessage `json:"body"`
	} `json:"requests"`
}

func auditArguments(folder string) ([]string, error) {
	policy := filepath.Join(folder, "audit-policy.json")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	return []string{"--audit-policy-file=" + policy, "--audit-log-path=" + auditLog(folder)}, nil
}

func auditLog(folder string) string {
	return filepath.Join(folder, "audit.log")
}

// act makes the requests with a token of the service account and answers with their codes, once all are in the log.
func (o *oracle) act(ctx context.Context, script *script) ([]int, error) {
	token, err := o.token(ctx, script)
	if err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(o.config)
	config.BearerToken = token
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	user := "system:serviceaccount:" + script.Namespace + ":" + script.Name
	before := o.logged(user)
	codes := []int{}
	for _, wanted := range script.Requests {
		request, err := http.NewRequestWithContext(ctx, wanted.Method, o.config.Host+wanted.Path, bytes.NewReader(wanted.Body))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Accept", "application/json")
		request.Header.Set("Content-Type", wanted.Type)
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			return nil, err
		}
		codes = append(codes, response.StatusCode)
	}
	for deadline := time.Now().Add(time.Minute); o.logged(user) < before+len(codes); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the audit log lacks requests of %s", user)
		}
	}
	return codes, nil
}

// logged counts the requests of a user that are done.
func (o *oracle) logged(user string) int {
	log, _ := os.ReadFile(auditLog(o.folder))
	count := 0
	for line := range strings.Lines(string(log)) {
		if strings.HasSuffix(line, "\n") && strings.Contains(line, `"ResponseComplete"`) && strings.Contains(line, `"`+user+`"`) {
			count++
		}
	}
	return count
}

// token makes the account, and the namespaces it works in, where they are missing.
func (o *oracle) token(ctx context.Context, script *script) (string, error) {
	for _, name := range append(script.Namespaces, script.Namespace) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := o.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
		if err != nil && !errors.IsAlreadyExists(err) {
			return "", err
		}
	}
	accounts := o.client.CoreV1().ServiceAccounts(script.Namespace)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: script.Name}}
	if _, err := accounts.Create(ctx, account, metav1.CreateOptions{}); err != nil && !errors.IsAlreadyExists(err) {
		return "", err
	}
	review, err := accounts.CreateToken(ctx, script.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return review.Status.Token, nil
}
