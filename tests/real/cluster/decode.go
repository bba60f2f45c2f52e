package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	kubelet "k8s.io/kubelet/config/v1beta1"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/v1beta4"
	"sigs.k8s.io/yaml"
)

// cluster is what is read of a kind cluster: its patches.
type cluster struct {
	Kind    string   `json:"kind"`
	Patches []string `json:"kubeadmConfigPatches"`
}

// decode reads every document into its type and takes no field that the type does not know.
func decode(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	documents := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	defer documents.Close()
	seen := 0
	for {
		document := make([]byte, len(text)+1)
		length, err := documents.Read(document)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if err := one(document[:length]); err != nil {
			return err
		}
		seen++
	}
	if seen == 0 {
		return fmt.Errorf("no document")
	}
	return nil
}

func one(document []byte) error {
	var head cluster
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	switch head.Kind {
	case "ClusterConfiguration":
		var config kubeadm.ClusterConfiguration
		if err := yaml.UnmarshalStrict(document, &config); err != nil {
			return err
		}
		if len(config.APIServer.ExtraArgs) == 0 || len(config.APIServer.ExtraVolumes) == 0 {
			return fmt.Errorf("the API server gets no arguments or volumes")
		}
		return nil
	case "KubeletConfiguration":
		return yaml.UnmarshalStrict(document, &kubelet.KubeletConfiguration{})
	case "Cluster":
		if len(head.Patches) == 0 {
			return fmt.Errorf("the cluster has no patches")
		}
		for _, patch := range head.Patches {
			if err := one([]byte(patch)); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("what is %q?", head.Kind)
	}
}
