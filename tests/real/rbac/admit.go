package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// The resources that objects of a kind are.
var resources = map[string]string{
	"Namespace": "namespaces", "ConfigMap": "configmaps", "Pod": "pods", "ReplicationController": "replicationcontrollers",
	"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets", "ReplicaSet": "replicasets",
	"Job": "jobs", "CronJob": "cronjobs",
	"ValidatingAdmissionPolicy":        "validatingadmissionpolicies",
	"ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}

// A policy of our own, made after the others: when it holds, they do.
const canary = `[
 {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "canary"},
  "spec": {"matchConstraints": {"resourceRules": [
    {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}]},
   "validations": [{"expression": "object.metadata.name != 'canary'"}]}},
 {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
  "metadata": {"name": "canary"}, "spec": {"policyName": "canary", "validationActions": ["Deny"]}}]`

type verdict struct {
	Refused  string   `json:"refused"`
	Warnings []string `json:"warnings"`
}

// warnings collects what the server warns of; one request at a time.
type warnings struct {
	mutex sync.Mutex
	texts []string
}

func (w *warnings) HandleWarningHeader(code int, _ string, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if code == 299 {
		w.texts = append(w.texts, text)
	}
}

func (w *warnings) take() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	texts := append([]string{}, w.texts...)
	w.texts = nil
	return texts
}

// admit makes policies and namespaces, tries to create each object without keeping it, and deletes the policies.
func (o *oracle) admit(ctx context.Context, policies, objects []json.RawMessage) (any, error) {
	heard := &warnings{}
	config := rest.CopyConfig(o.config)
	config.WarningHandler, config.QPS, config.Burst = heard, 10000, 10000
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	var last []json.RawMessage
	if err := json.Unmarshal([]byte(canary), &last); err != nil {
		return nil, err
	}
	made := []func() error{}
	for _, raw := range append(policies, last...) {
		place, object, err := placed(client, raw)
		if err != nil {
			return nil, err
		}
		_, err = place.Create(ctx, object, metav1.CreateOptions{FieldValidation: "Strict"})
		if errors.IsAlreadyExists(err) && object.GetKind() == "Namespace" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", object.GetKind(), object.GetName(), err)
		}
		if object.GetKind() != "Namespace" {
			made = append(made, func() error { return place.Delete(ctx, object.GetName(), metav1.DeleteOptions{}) })
		}
	}
	if err := hold(ctx, client); err != nil {
		return nil, err
	}
	heard.take()
	verdicts := []verdict{}
	for _, raw := range objects {
		place, object, err := placed(client, raw)
		if err != nil {
			return nil, err
		}
		found := verdict{}
		_, err = place.Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			found.Refused = err.Error()
		}
		found.Warnings = heard.take()
		verdicts = append(verdicts, found)
	}
	for _, remove := range made {
		if err := remove(); err != nil {
			return nil, err
		}
	}
	return map[string]any{"verdicts": verdicts}, nil
}

// hold waits until the server asks the policies.
func hold(ctx context.Context, client dynamic.Interface) error {
	raw := json.RawMessage(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "canary", "namespace": "default"}}`)
	place, object, err := placed(client, raw)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		_, err := place.Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'canary'") {
			return nil
		}
	}
	return fmt.Errorf("the server does not ask the policies")
}

func placed(client dynamic.Interface, raw json.RawMessage) (dynamic.ResourceInterface, *unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, object); err != nil {
		return nil, nil, err
	}
	kind := object.GroupVersionKind()
	resource, known := resources[kind.Kind]
	if !known {
		return nil, nil, fmt.Errorf("cannot try a %s", kind.Kind)
	}
	at := client.Resource(schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: resource})
	if namespace := object.GetNamespace(); namespace != "" {
		return at.Namespace(namespace), object, nil
	}
	return at, object, nil
}
