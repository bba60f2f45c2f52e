// Command psa asks Kubernetes' own code about manifests. It reads the files and folders named on its command line
// and prints one line of JSON for each object: how the strict decoder takes it and, for everything that makes
// pods, the Pod Security evaluator's verdict.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	kubejson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/admission"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// object is one line of output.
type object struct {
	File string `json:"file"`
	// Doc counts the documents of the file from 0, Item those of a List from 1.
	Doc  int    `json:"doc"`
	Item int    `json:"item,omitempty"`
	Kind string `json:"kind,omitempty"`
	Name string `json:"name,omitempty"`
	// Schema is ok, strict-error, error, unknown-kind or not-an-object.
	Schema string    `json:"schema"`
	Errors []string  `json:"errors,omitempty"`
	PSA    []verdict `json:"psa,omitempty"`
}

type verdict struct {
	Level   string    `json:"level"`
	Version string    `json:"version"`
	Allowed bool      `json:"allowed"`
	Checks  []refusal `json:"checks,omitempty"`
}

type refusal struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// judge decodes and evaluates.
type judge struct {
	decoder   runtime.Decoder
	evaluator policy.Evaluator
	asked     []api.LevelVersion
	out       *json.Encoder
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("psa: ")
	levels := flag.String("levels", "baseline,restricted", "levels to judge at")
	versions := flag.String("versions", "latest", "policy versions to judge by")
	flag.Parse()

	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	check(err)
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	strict := kubejson.SerializerOptions{Yaml: true, Strict: true}
	j := judge{
		decoder:   kubejson.NewSerializerWithOptions(kubejson.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, strict),
		evaluator: evaluator,
		asked:     pairs(*levels, *versions),
		out:       encoder,
	}
	for _, path := range flag.Args() {
		for _, file := range files(path) {
			j.file(file)
		}
	}
	check(out.Flush())
}

func pairs(levels, versions string) []api.LevelVersion {
	var pairs []api.LevelVersion
	for _, text := range strings.Split(versions, ",") {
		version, err := api.ParseVersion(text)
		check(err)
		for _, text := range strings.Split(levels, ",") {
			level, err := api.ParseLevel(text)
			check(err)
			pairs = append(pairs, api.LevelVersion{Level: level, Version: version})
		}
	}
	return pairs
}

// files lists the manifests at a path, in order.
func files(path string) []string {
	var found []string
	check(filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.Type().IsRegular() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			found = append(found, path)
		}
		return nil
	}))
	return found
}

func (j judge) file(path string) {
	text, err := os.ReadFile(path)
	check(err)
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for doc := 0; ; doc++ {
		line := object{File: path, Doc: doc, Schema: "error"}
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			line.Errors = []string{err.Error()}
			check(j.out.Encode(line))
			return
		}
		value, err := yaml.ToJSON(document)
		if err != nil {
			line.Errors = []string{err.Error()}
			check(j.out.Encode(line))
			continue
		}
		if value := string(bytes.TrimSpace(value)); value != "null" && value != "" {
			j.object(line, document)
		}
	}
}

func (j judge) object(line object, text []byte) {
	decoded, kind, err := j.decoder.Decode(text, nil, nil)
	line.Schema, line.Errors = schema(err)
	if kind != nil {
		line.Kind = kind.Kind
	}
	if list, ok := decoded.(*corev1.List); ok {
		for idx, item := range list.Items {
			inner := line
			inner.Item = idx + 1
			j.object(inner, item.Raw)
		}
		if line.Schema == "ok" {
			return
		}
	}
	if decoded != nil {
		if named, err := meta.Accessor(decoded); err == nil {
			line.Name = named.GetName()
		}
		line.PSA = j.verdicts(decoded)
	}
	check(j.out.Encode(line))
}

func schema(err error) (string, []string) {
	switch {
	case err == nil:
		return "ok", nil
	case runtime.IsNotRegisteredError(err):
		return "unknown-kind", nil
	case runtime.IsMissingKind(err), runtime.IsMissingVersion(err):
		return "not-an-object", nil
	}
	strict, ok := runtime.AsStrictDecodingError(err)
	if !ok {
		return "error", []string{err.Error()}
	}
	var all []string
	for _, err := range strict.Errors() {
		all = append(all, err.Error())
	}
	return "strict-error", all
}

func (j judge) verdicts(decoded runtime.Object) []verdict {
	metadata, spec, err := admission.DefaultPodSpecExtractor{}.ExtractPodSpec(decoded)
	if err != nil || spec == nil {
		return nil
	}
	var verdicts []verdict
	for _, asked := range j.asked {
		found := verdict{Level: string(asked.Level), Version: asked.Version.String(), Allowed: true}
		for _, result := range j.evaluator.EvaluatePod(asked, metadata, spec) {
			if !result.Allowed {
				found.Allowed = false
				found.Checks = append(found.Checks, refusal{result.ForbiddenReason, result.ForbiddenDetail})
			}
		}
		verdicts = append(verdicts, found)
	}
	return verdicts
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
