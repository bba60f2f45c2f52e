// Reads ClusterImagePolicies, one document after the other, the way Sigstore's policy-controller does: decoded strictly,
// with its defaults, and validated by its webhook's own code. Prints what is wrong; nothing when all is well.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sigstore/policy-controller/pkg/apis/policy/v1beta1"
	"sigs.k8s.io/yaml"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, document := range strings.Split(string(text), "\n---\n") {
		policy := &v1beta1.ClusterImagePolicy{}
		if err := yaml.UnmarshalStrict([]byte(document), policy); err != nil {
			fmt.Println(err)
			continue
		}
		ctx := context.Background()
		policy.SetDefaults(ctx)
		if err := policy.Validate(ctx); err != nil {
			fmt.Println(err)
		}
	}
}
