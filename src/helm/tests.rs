use serde_json::json;

use super::*;

const D: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Whether a chart with this template takes the second values for the first.
fn proved(template: &str, before: Json, after: Json, changing: &str) -> Result<(), Unproved> {
    let (path, text) = ("c/templates/a.yaml".to_owned(), template.to_owned());
    let templates = vec![repo::Template { path, text, context_only: false }];
    let metadata = [("Name", "c"), ("AppVersion", "9.9")];
    let metadata = metadata.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
    let (folder, name) = ("c".to_owned(), "c".to_owned());
    let chart = repo::Chart { folder, name, metadata, templates, ..repo::Chart::default() };
    let chart = Chart::new(&chart, &[]);
    let reference = Reference::parse("r.io/a/b:1.2").unwrap();
    let digest = Digest::parse(D).unwrap();
    chart.prove(&before, &after, &[changing], Pin { reference: &reference, digest: &digest })
}

fn parts() -> Json {
    json!({"image": {"registry": "r.io", "repository": "a/b", "tag": "1.2", "digest": ""}, "on": false, "list": []})
}

fn with(key: &str, value: String) -> Json {
    let mut values = parts();
    values["image"][key] = value.into();
    values
}

/// A template of values in parts: whether the digest field, and the tag, can carry the digest.
#[track_caller]
fn check(template: &str, digest: bool, tag: bool) {
    let by_digest = proved(template, parts(), with("digest", D.to_owned()), "/image");
    let by_tag = proved(template, parts(), with("tag", format!("1.2@{D}")), "/image");
    assert_eq!((by_digest.is_ok(), by_tag.is_ok()), (digest, tag), "{template}\n{by_digest:?}\n{by_tag:?}");
}

#[test]
fn the_usual_shapes() {
    let name = "{{ .Values.image.registry }}/{{ .Values.image.repository }}";
    check(&format!("image: \"{name}:{{{{ .Values.image.tag | default .Chart.AppVersion }}}}\""), false, true);
    check(
        &format!(
            "image: {name}:{{{{ .Values.image.tag }}}}{{{{ if .Values.image.digest }}}}@{{{{ .Values.image.digest }}}}{{{{ end }}}}"
        ),
        true,
        true,
    );
    check(
        &format!(
            "image: {name}{{{{ with .Values.image.digest }}}}@{{{{ . }}}}{{{{ else }}}}:{{{{ $.Values.image.tag }}}}{{{{ end }}}}"
        ),
        true,
        true,
    );
    check(
        "image: {{ printf \"%s/%s\" .Values.image.registry .Values.image.repository }}{{ ternary (printf \":%s\" .Values.image.tag) (printf \"@%s\" .Values.image.digest) (empty .Values.image.digest) }}",
        true,
        true,
    );
    check(
        "{{- with .Values.image }}\nimage: {{ .registry }}/{{ .repository }}:{{ .tag }}\n{{- end }}",
        false,
        true,
    );
    check(
        "{{- define \"c.image\" -}}\n{{- $i := .image -}}\n{{ $i.registry }}/{{ $i.repository }}:{{ $i.tag }}{{ if $i.digest }}@{{ $i.digest }}{{ end }}\n{{- end -}}\nimage: {{ include \"c.image\" (dict \"image\" .Values.image \"root\" $) | quote }}",
        true,
        true,
    );
    check(
        "{{ $tag := .Values.image.tag | default \"x\" | toString }}{{ $sep := \":\" }}{{ if .Values.image.digest }}{{ $sep = \"@\" }}{{ $tag = .Values.image.digest }}{{ end }}image: {{ printf \"%s/%s%s%s\" .Values.image.registry .Values.image.repository $sep $tag }}",
        true,
        true,
    );
    check(
        "args: [--image={{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}]",
        false,
        true,
    );
}

#[test]
fn values_merged_with_those_of_all_images() {
    let template = "{{- if .Values.on }}\n{{- with (merge .Values.image .Values.global.image) }}\nimage: {{ if .name }}{{ .name }}{{ else }}{{ .registry }}/{{ .repository }}{{ end }}:{{ .tag }}{{ if .digest }}@{{ .digest }}{{ end }}\n{{- end }}\n{{- end }}";
    check(template, true, true);
}

#[test]
fn a_tag_that_is_used_for_more_stays_as_it_is() {
    let image = "image: {{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}";
    check(&format!("version: {{{{ .Values.image.tag }}}}\n{image}"), false, false);
    check(&format!("{{{{ if eq .Values.image.tag \"1.2\" }}}}old: true\n{{{{ end }}}}{image}"), false, false);
    check(
        &format!("{{{{ if semverCompare \">=1\" .Values.image.tag }}}}new: true\n{{{{ end }}}}{image}"),
        false,
        false,
    );
    // Also where the values have it switched off.
    check(
        &format!("{{{{ if .Values.on }}}}v: {{{{ .Values.image.tag }}}}{{{{ end }}}}\n{image}"),
        false,
        false,
    );
    check(
        &format!("{{{{ range .Values.list }}}}v: {{{{ $.Values.image.tag }}}}{{{{ end }}}}\n{image}"),
        false,
        false,
    );
    check(&format!("{image}-{{{{ .Values.on }}}}"), false, false);
    check("image: {{ .Values.image.repository }}-fips:{{ .Values.image.tag }}", false, false);
}

#[test]
fn what_nobody_knows_decides_nothing() {
    let image = "{{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}";
    check(
        &format!(
            "{{{{ if .Capabilities.APIVersions.Has \"x/v1\" }}}}a: 1{{{{ else }}}}a: 2{{{{ end }}}}\nimage: {image}"
        ),
        false,
        true,
    );
    check(
        &format!(
            "name: {{{{ .Release.Name | trunc 63 }}}}\nlabels: {{{{ toYaml .Values.list }}}}\nimage: {image}"
        ),
        false,
        true,
    );
    check(&format!("image: {{{{ if .Capabilities.X }}}}q/{{{{ end }}}}{image}"), false, false);
    check("image: {{ include \"common.images.image\" (dict \"imageRoot\" .Values.image) }}", false, false);
    check(&format!("{{{{ if .Values.on }}}}{{{{ break }}}}{{{{ end }}}}image: {image}"), false, false);
    check("image: {{ .Values.image", false, false);
    check("image: fixed", false, false);
}

#[test]
fn says_which_template_is_missing_and_what_would_be_rendered() {
    let template = "image: {{ include \"lib.image\" .Values.image }}";
    let outcome = proved(template, parts(), with("digest", D.to_owned()), "/image");
    assert_eq!(outcome, Err(Unproved::Elsewhere("lib.image".to_owned())));
    // Helm reads an unquoted tag as a number.
    let image = |tag: Json| json!({"image": {"name": "r.io/a/b", "tag": tag}});
    let template = "image: {{ .Values.image.name }}:{{ .Values.image.tag }}";
    let outcome = proved(template, image(json!(1.20)), image(json!(format!("1.20@{D}"))), "/image");
    let after = format!("r.io/a/b:1.20@{D}");
    assert_eq!(outcome, Err(Unproved::Renders { before: "r.io/a/b:1.2".to_owned(), after }));
}

#[test]
fn templates_without_an_end_come_to_one() {
    let endless = "{{ define \"a\" }}x{{ include \"a\" . }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}\nimage: {{ .Values.image.repository }}";
    check(endless, false, false);
    let whole = "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}image: {{ .Values.image.repository }}";
    check(whole, false, false);
}

#[test]
fn values_of_a_subchart_are_below_its_name() {
    let template = "image: {{ .Values.image.repository }}:{{ .Values.image.tag }}".to_owned();
    let inner = repo::Chart {
        folder: "c/charts/db".to_owned(),
        name: "db".to_owned(),
        templates: vec![repo::Template {
            path: "c/charts/db/templates/a.yaml".to_owned(),
            text: template,
            context_only: false,
        }],
        values: json!({"image": {"repository": "r.io/a/b"}}),
        ..repo::Chart::default()
    };
    let outer = repo::Chart {
        folder: "c".to_owned(),
        name: "c".to_owned(),
        dependencies: vec![repo::Dependency {
            name: "db".to_owned(),
            alias: Some("store".to_owned()),
            ..repo::Dependency::default()
        }],
        ..repo::Chart::default()
    };
    let chart = Chart::new(&outer, &[outer.clone(), inner]);
    let values = |tag: String| json!({"store": {"image": {"tag": tag}}});
    let reference = Reference::parse("r.io/a/b:1.2").unwrap();
    let digest = Digest::parse(D).unwrap();
    let pin = Pin { reference: &reference, digest: &digest };
    let before = values("1.2".to_owned());
    let after = values(format!("1.2@{D}"));
    assert_eq!(chart.prove(&before, &after, &["/store/image"], pin), Ok(()));
}

/// What a chart renders of a template beside its notes.
#[track_caller]
fn check_rendered(template: &str, values: Json, expected: Json) {
    let parts = [("c/templates/NOTES.txt", "All: is: well.\n"), ("c/templates/a.yaml", template)];
    let templates = parts.map(|(path, text)| repo::Template {
        path: path.to_owned(),
        text: text.to_owned(),
        context_only: false,
    });
    let chart = repo::Chart {
        folder: "c".to_owned(),
        name: "c".to_owned(),
        templates: templates.into(),
        ..repo::Chart::default()
    };
    let release = Release { name: "shop".to_owned(), namespace: "prod".to_owned() };
    let render = concrete::Renders::rendered(&Chart::new(&chart, &[]).released(&release), &values).unwrap();
    assert_eq!(render.refused, []);
    let objects: Vec<Json> = render.objects.into_iter().map(|object| object.value).collect();
    assert_eq!(Json::from(objects), expected);
}

#[test]
fn what_helm_renders_is_rendered() {
    check_rendered(
        "kind: A\nname: {{ .Release.Name }}-{{ .Release.Namespace }}\n",
        json!({}),
        json!([{"kind": "A", "name": "shop-prod"}]),
    );
    // A number is not nothing.
    check_rendered(
        "kind: A\n{{- if ne .Values.limit nil }}\nlimit: {{ .Values.limit }}\n{{- end }}\n",
        json!({"limit": 3}),
        json!([{"kind": "A", "limit": 3}]),
    );
    // Actions within values that are written as YAML first.
    check_rendered(
        "kind: A\nlabels:\n  {{- tpl (toYaml .Values.labels) . | nindent 2 }}\n",
        json!({"labels": {"app": "{{ printf \"%s\" .Release.Name }}", "it": "it's: so"}}),
        json!([{"kind": "A", "labels": {"app": "shop", "it": "it's: so"}}]),
    );
}
