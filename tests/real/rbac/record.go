package main

import (
	"context"
	"sort"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// resource is what discovery says of one, its subresources among the names.
type resource struct {
	Group      string   `json:"group"`
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`
	Namespaced bool     `json:"namespaced"`
	Verbs      []string `json:"verbs"`
}

type record struct {
	Version             string                      `json:"version"`
	ClusterRoles        []rbacv1.ClusterRole        `json:"clusterRoles"`
	Roles               []rbacv1.Role               `json:"roles"`
	ClusterRoleBindings []rbacv1.ClusterRoleBinding `json:"clusterRoleBindings"`
	RoleBindings        []rbacv1.RoleBinding        `json:"roleBindings"`
	Resources           []resource                  `json:"resources"`
}

// record is what a server without any workload has: its own roles and bindings, and the resources it serves.
func (o *oracle) record(ctx context.Context) (*record, error) {
	if err := o.settle(ctx); err != nil {
		return nil, err
	}
	var record record
	version, err := o.client.Discovery().ServerVersion()
	if err != nil {
		return nil, err
	}
	record.Version = version.Major + "." + version.Minor
	if version.EmulationMajor != "" {
		record.Version = version.EmulationMajor + "." + version.EmulationMinor
	}
	rbac := o.client.RbacV1()
	clusterRoles, err := rbac.ClusterRoles().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	record.ClusterRoles = clusterRoles.Items
	roles, err := rbac.Roles("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	record.Roles = roles.Items
	clusterBindings, err := rbac.ClusterRoleBindings().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	record.ClusterRoleBindings = clusterBindings.Items
	bindings, err := rbac.RoleBindings("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	record.RoleBindings = bindings.Items
	record.Resources, err = o.resources()
	return &record, err
}

// resources merges the versions of each group: a verb that one of them has is one of the resource.
func (o *oracle) resources() ([]resource, error) {
	_, lists, err := o.client.Discovery().ServerGroupsAndResources()
	if err != nil {
		return nil, err
	}
	merged := map[string]*resource{}
	for _, list := range lists {
		group, _, found := strings.Cut(list.GroupVersion, "/")
		if !found {
			group = ""
		}
		for _, served := range list.APIResources {
			key := group + "\x00" + served.Name
			if merged[key] == nil {
				merged[key] = &resource{Group: group, Name: served.Name, Kind: served.Kind, Namespaced: served.Namespaced}
			}
			for _, verb := range served.Verbs {
				if !contains(merged[key].Verbs, verb) {
					merged[key].Verbs = append(merged[key].Verbs, verb)
				}
			}
		}
	}
	keys := make([]string, 0, len(merged))
	for key := range merged {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	resources := make([]resource, 0, len(keys))
	for _, key := range keys {
		sort.Strings(merged[key].Verbs)
		resources = append(resources, *merged[key])
	}
	return resources, nil
}

func contains(list []string, wanted string) bool {
	for _, item := range list {
		if item == wanted {
			return true
		}
	}
	return false
}
