//! [`RawConfig`] → [`Config`]: the rules that a single value's type cannot express, and the defaults.
//! Reports every mistake; decides nothing about files or findings.

use std::path::{Component, Path};

use toml::Spanned;

use super::mistake::Mistakes;
use super::network::network;
use super::raw::{
    RawAllow, RawCluster, RawConfig, RawImageField, RawPipeline, RawSignature, RawWorkload, RawWritablePath,
};
use super::reading::span_of;
use super::registries::{file_inside, registries};
use super::secrets::secrets;
use super::{
    Allow, Cluster, Config, CustomWorkload, Identity, ImageFields, Resources, SignedBy, SystemNamespaces,
    WritablePaths,
};
use crate::pipeline::Pins;

pub(crate) fn validate(raw: RawConfig, known: &[&str], mistakes: &mut Mistakes<'_>) -> Config {
    let default = Config::default();
    let mut names = |names: Vec<Spanned<String>>| -> Vec<String> {
        names.into_iter().map(|name| rule_or_area(name, known, false, mistakes)).collect()
    };
    let (select, ignore) = (names(raw.select), names(raw.ignore));
    Config {
        path: None,
        target_version: raw.target_version.unwrap_or(default.target_version),
        distribution: raw.distribution.unwrap_or(default.distribution),
        profile: raw.profile.unwrap_or(default.profile),
        level: raw.level.unwrap_or(default.level),
        select,
        ignore,
        exclude: each(raw.exclude, mistakes),
        generated: each(raw.generated, mistakes),
        include_generated: raw.include_generated.unwrap_or(default.include_generated),
        max_file_size: file_size(raw.max_file_size, mistakes).unwrap_or(default.max_file_size),
        enforce_version: raw.enforce_version,
        exceptions_file: exceptions_file(raw.exceptions_file, mistakes).unwrap_or(default.exceptions_file),
        namespace_file: beside(raw.namespace_file, mistakes).unwrap_or(default.namespace_file),
        rbac_file: beside(raw.rbac_file, mistakes).unwrap_or(default.rbac_file),
        tmp_size: tmp_size(raw.tmp_size, mistakes),
        system_namespaces: SystemNamespaces {
            extra: each(raw.system_namespaces.extra, mistakes),
            not: each(raw.system_namespaces.not, mistakes),
        },
        workloads: workloads(raw.workload, mistakes),
        image_fields: raw.image_field.into_iter().map(|entry| image_fields(entry, mistakes)).collect(),
        writable_paths: raw.writable_path.into_iter().map(|entry| writable_path(entry, mistakes)).collect(),
        signatures: raw.signature.into_iter().map(|entry| signed_by(entry, mistakes)).collect(),
        registries: registries(raw.registries, mistakes),
        network: network(raw.network, mistakes),
        pipeline: pins(raw.pipeline, mistakes),
        resources: Resources {
            headroom: raw.resources.headroom.unwrap_or(default.resources.headroom),
            nodes: raw.resources.nodes.map_or(default.resources.nodes, std::num::NonZeroU16::get),
        },
        secrets: secrets(raw.secrets, mistakes),
        cluster: cluster(raw.cluster, mistakes),
        allow: raw.allow.into_iter().map(|entry| allow(entry, known, mistakes)).collect(),
    }
}

/// Reads the items of a list. (Were this left to serde, a mistake would carry the place of the whole list.)
fn each<T>(texts: Vec<Spanned<String>>, mistakes: &mut Mistakes<'_>) -> Vec<T>
where
    T: TryFrom<String, Error = String>,
{
    let mut values = Vec::new();
    for text in texts {
        let span = text.span();
        match T::try_from(text.into_inner()) {
            Ok(value) => values.push(value),
            Err(message) => mistakes.add(span, message, None),
        }
    }
    values
}

fn rule_or_area(name: Spanned<String>, known: &[&str], star: bool, mistakes: &mut Mistakes<'_>) -> String {
    let span = name.span();
    let name = name.into_inner();
    let is_known = known.contains(&name.as_str()) || (star && name == "*");
    if !is_known {
        mistakes.add_unknown(span, "rule or area", &name, known);
    }
    name
}

fn cluster(raw: RawCluster, mistakes: &mut Mistakes<'_>) -> Cluster {
    let default = Cluster::default();
    let span = span_of(&raw.kms_endpoint);
    let endpoint = raw.kms_endpoint.map(Spanned::into_inner);
    let is_socket = |endpoint: &String| {
        endpoint
            .strip_prefix("unix:///")
            .is_some_and(|path| !path.is_empty() && !path.contains(char::is_control))
    };
    if let Some(wrong) = endpoint.as_ref().filter(|endpoint| !is_socket(endpoint)) {
        let message =
            format!("`{}` is not a socket like `unix:///run/kms/socket.sock`", wrong.escape_debug());
        mistakes.add(span, message, None);
    }
    let span = span_of(&raw.audit_webhook);
    let webhook = raw.audit_webhook.map(Spanned::into_inner);
    if let Some(wrong) = webhook.as_ref().filter(|url| !is_receiver(url)) {
        let message =
            format!("`{}` is not a receiver like `https://audit.corp.example/events`", wrong.escape_debug());
        let help = "`http://` goes to the host itself only; credentials are files of the host, never part of the URL";
        mistakes.add(span, message, Some(help.to_owned()));
    }
    Cluster {
        audit_secret_bodies: raw.audit_secret_bodies.unwrap_or(default.audit_secret_bodies),
        audit_webhook: webhook,
        encryption: raw.encryption.unwrap_or(default.encryption),
        kms_endpoint: endpoint.unwrap_or(default.kms_endpoint),
    }
}

/// Whether a URL is one that audit logs can be sent to: what they hold is for nobody on the way.
fn is_receiver(url: &str) -> bool {
    let is_plain = |rest: &str| {
        !rest.is_empty() && !rest.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control())
    };
    let own = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
    let is_own =
        own.iter().any(|host| url.strip_prefix(host).is_some_and(|rest| rest.starts_with([':', '/'])));
    is_plain(url)
        && (is_own
            || url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')))
}

fn file_size(size: Option<Spanned<i64>>, mistakes: &mut Mistakes<'_>) -> Option<u64> {
    let span = span_of(&size);
    let size = u64::try_from(size?.into_inner()).ok().filter(|size| *size > 0);
    if size.is_none() {
        mistakes.add(span, "`max-file-size` is a number of bytes above 0", None);
    }
    size
}

fn exceptions_file(file: Option<Spanned<String>>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let span = span_of(&file);
    let file = file?.into_inner();
    let inside = Path::new(&file).components().all(|part| matches!(part, Component::Normal(_)));
    if !inside || file.contains('\\') {
        let help = Some("write a path relative to the repo, without `..`".to_owned());
        mistakes.add(span, format!("`{}` may lie outside the repo", file.escape_debug()), help);
        return None;
    }
    yaml_file(file, span, mistakes)
}

/// The name of a file that goes beside what it protects.
pub(super) fn beside(file: Option<Spanned<String>>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let span = span_of(&file);
    let file = file?.into_inner();
    if file.contains(['/', '\\']) {
        let help = Some("the file goes into the folder of what it protects".to_owned());
        mistakes.add(span, format!("`{}` is not a plain file name", file.escape_debug()), help);
        return None;
    }
    yaml_file(file, span, mistakes)
}

fn yaml_file(file: String, span: std::ops::Range<usize>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let stem = file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml"));
    if stem.is_some_and(|stem| !stem.is_empty() && !stem.ends_with('/')) && !file.contains(char::is_control) {
        return Some(file);
    }
    mistakes.add(span, format!("`{}` is not the name of a .yaml or .yml file", file.escape_debug()), None);
    None
}

fn tmp_size(size: Option<Spanned<String>>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let span = span_of(&size);
    let size = size?.into_inner();
    if is_quantity(&size) {
        return Some(size);
    }
    let message = format!("`{}` is not a size like `64Mi`", size.escape_debug());
    mistakes.add(span, message, None);
    None
}

/// Sizes as the Kubernetes quantity grammar writes them, except exponents: nobody writes a size as `1e9`.
fn is_quantity(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = &text[number.len()..];
    let suffixes = ["", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    suffixes.contains(&suffix)
        && digits(whole)
        && digits(fraction)
        && number.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0')
}

fn workloads(entries: Vec<Spanned<RawWorkload>>, mistakes: &mut Mistakes<'_>) -> Vec<CustomWorkload> {
    let mut workloads: Vec<CustomWorkload> = Vec::new();
    for entry in entries {
        let RawWorkload { group, kind, pod_spec } = entry.into_inner();
        let span = kind.span();
        let kind = kind.into_inner();
        if kind.is_empty() {
            mistakes.add(span, "`kind` is empty", None);
            continue;
        }
        if workloads
            .iter()
            .any(|other| other.group == group && other.kind == kind && other.pod_spec == pod_spec)
        {
            mistakes.add(span, format!("`{}` is there twice", kind.escape_debug()), None);
            continue;
        }
        workloads.push(CustomWorkload { group, kind, pod_spec });
    }
    workloads
}

fn image_fields(entry: Spanned<RawImageField>, mistakes: &mut Mistakes<'_>) -> ImageFields {
    let span = entry.span();
    let RawImageField { group, kind, paths } = entry.into_inner();
    if kind.get_ref().is_empty() {
        mistakes.add(kind.span(), "`kind` is empty", None);
    }
    // After another mistake the list may be empty only because its items could not be read.
    if paths.is_empty() && mistakes.count() == 0 {
        mistakes.add(span, "an image field without `paths` does nothing", None);
    }
    for path in &paths {
        let text = path.get_ref();
        if json_patch::jsonptr::Pointer::parse(text).is_err() || text.is_empty() {
            let shown = text.escape_debug();
            mistakes.add(path.span(), format!("`{shown}` is not a pointer like `/spec/image`"), None);
        }
    }
    let paths = paths.into_iter().map(Spanned::into_inner).collect();
    ImageFields { group, kind: kind.into_inner(), paths }
}

fn writable_path(entry: Spanned<RawWritablePath>, mistakes: &mut Mistakes<'_>) -> WritablePaths {
    let span = entry.span();
    let RawWritablePath { image, paths } = entry.into_inner();
    // After another mistake the list may be empty only because its items could not be read.
    if paths.is_empty() && mistakes.count() == 0 {
        mistakes.add(span, "a writable path without `paths` does nothing", None);
    }
    for path in &paths {
        let parts: Vec<&str> = path.get_ref().split('/').skip(1).collect();
        let plain = !parts.is_empty() && parts.iter().all(|part| !matches!(*part, "" | "." | ".."));
        // The API refuses a mount path with a `:`.
        if !path.get_ref().starts_with('/') || !plain || path.get_ref().contains(':') {
            let shown = path.get_ref().escape_debug();
            mistakes.add(path.span(), format!("`{shown}` is not a directory like `/var/cache`"), None);
        }
    }
    WritablePaths { image, paths: paths.into_iter().map(Spanned::into_inner).collect() }
}

fn pins(raw: RawPipeline, mistakes: &mut Mistakes<'_>) -> Pins {
    let RawPipeline { image, actions, images } = raw;
    if let Some(image) = image.as_ref().filter(|image| {
        !crate::image::Reference::parse(image.get_ref()).is_ok_and(|reference| reference.digest().is_some())
    }) {
        let shown = image.get_ref().escape_debug();
        mistakes.add(image.span(), format!("`{shown}` is no image with its digest"), None);
    }
    let is_hex = |text: &str| text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    for commit in actions.values().filter(|commit| commit.get_ref().len() != 40 || !is_hex(commit.get_ref()))
    {
        let help = Some("a tag or a short commit can be moved or taken by another one".to_owned());
        mistakes.add(commit.span(), "an action is pinned by its full commit, 40 hex digits", help);
    }
    for digest in images.values().filter(|digest| crate::image::Digest::parse(digest.get_ref()).is_none()) {
        mistakes.add(digest.span(), "an image is pinned by its digest, `sha256:` and 64 hex digits", None);
    }
    let plain = |map: std::collections::BTreeMap<String, Spanned<String>>| {
        map.into_iter().map(|(name, pin)| (name, pin.into_inner())).collect()
    };
    Pins { image: image.map(Spanned::into_inner), actions: plain(actions), images: plain(images) }
}

fn signed_by(entry: Spanned<RawSignature>, mistakes: &mut Mistakes<'_>) -> SignedBy {
    let span = entry.span();
    let RawSignature { image, keys, issuer, subject } = entry.into_inner();
    let keyless = match (issuer, subject) {
        (Some(issuer), Some(subject)) if !issuer.is_empty() && !subject.trim_matches('*').is_empty() => {
            Some(Identity { issuer, subject })
        }
        (None, None) => None,
        _ => {
            let help = Some("anybody can sign: say whose signature counts, and who knows them".to_owned());
            mistakes.add(span.clone(), "`issuer` and `subject` go together, and name somebody", help);
            None
        }
    };
    // After another mistake the list may be empty only because its items could not be read.
    if keys.is_empty() && keyless.is_none() && mistakes.count() == 0 {
        let help = Some("for signing without keys, say `issuer` and `subject`".to_owned());
        mistakes.add(span, "a signature without `keys` cannot be checked", help);
    }
    SignedBy { image, keys: keys.iter().filter_map(|key| file_inside(key, mistakes)).collect(), keyless }
}

fn allow(entry: Spanned<RawAllow>, known: &[&str], mistakes: &mut Mistakes<'_>) -> Allow {
    let span = entry.span();
    let (line, column) = mistakes.position(&span);
    let raw = entry.into_inner();
    if raw.reason.get_ref().trim().is_empty() {
        mistakes.add(raw.reason.span(), "an allow needs a reason", None);
    }
    if let Some(object) = raw.object.as_ref().filter(|object| !object.get_ref().pattern().contains('/')) {
        let pattern = object.get_ref().pattern().escape_debug();
        let help = Some(format!("any kind of that name is `*/{pattern}`"));
        mistakes.add(object.span(), format!("`{pattern}` is not `Kind/name`"), help);
    }
    let everywhere = raw.path.is_none() && raw.object.is_none() && raw.namespace.is_none();
    if everywhere && raw.rule.get_ref() == "*" {
        let help = Some("name a rule, a path, an object or a namespace".to_owned());
        mistakes.add(span, "this would allow every finding of the repo", help);
    }
    Allow {
        rule: rule_or_area(raw.rule, known, true, mistakes),
        path: raw.path,
        object: raw.object.map(Spanned::into_inner),
        namespace: raw.namespace,
        reason: raw.reason.into_inner().trim().to_owned(),
        expires: raw.expires,
        line,
        column,
    }
}

#[cfg(test)]
mod tests {
    use super::is_quantity;

    #[test]
    fn sizes_are_kubernetes_quantities() {
        assert!(["64Mi", "1Gi", "1.5G", "1048576"].into_iter().all(is_quantity));
        assert!(
            ["", "Mi", "0", "0Mi", "64 Mi", "64MiB", "-1Gi", "1.Gi", "5m"]
                .into_iter()
                .all(|text| !is_quantity(text))
        );
    }
}
