//! `[registries]`: how the registries of images are reached. Data only; nothing is asked here.

use std::path::{Component, Path};

use toml::Spanned;

use super::mistake::Mistakes;
use super::raw::RawRegistries;
use super::reading::span_of;
use crate::image::is_registry;

/// How registries are reached. Hosts have their port, if they need one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    /// Hosts without TLS.
    pub plain_http: Vec<String>,
    /// Hosts, each with the file, relative to the repo, of the only certificates that are trusted for it.
    pub ca: Vec<(String, String)>,
    /// Registries, each with the hosts (with or without a path) that are asked before it.
    pub mirrors: Vec<(String, Vec<String>)>,
    /// Bytes of an image's layers that are read at most.
    pub max_image_size: Option<u64>,
}

pub(super) fn registries(raw: RawRegistries, mistakes: &mut Mistakes<'_>) -> Registries {
    let mut registries = Registries::default();
    for name in raw.plain_http {
        registries.plain_http.extend(host(&name, mistakes));
    }
    for (name, file) in raw.ca {
        let (name, file) = (host(&name, mistakes), file_inside(&file, mistakes));
        registries.ca.extend(name.zip(file));
    }
    for (name, mirrors) in raw.mirrors {
        let mirrors: Vec<String> = mirrors.iter().filter_map(|name| mirror(name, mistakes)).collect();
        registries.mirrors.extend(host(&name, mistakes).map(|name| (name, mirrors)));
    }
    let span = span_of(&raw.max_image_size);
    if let Some(size) = raw.max_image_size {
        match u64::try_from(size.into_inner()).ok().filter(|size| *size > 0) {
            None => mistakes.add(span, "`max-image-size` is a number of bytes above 0", None),
            size => registries.max_image_size = size,
        }
    }
    registries
}

fn host(name: &Spanned<String>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let text = name.get_ref();
    if is_registry(text) {
        return Some(text.to_lowercase());
    }
    mistakes.add(
        name.span(),
        format!("`{}` is not a host like `registry.example:5000`", text.escape_debug()),
        None,
    );
    None
}

fn mirror(name: &Spanned<String>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let text = name.get_ref();
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
            && part != ".."
    };
    if is_registry(host) && (path.is_empty() && !text.ends_with('/') || path.split('/').all(part)) {
        return Some(format!("{}{}", host.to_lowercase(), &text[host.len()..]));
    }
    let shown = text.escape_debug();
    mistakes.add(
        name.span(),
        format!("`{shown}` is not a host, with or without a path, like `mirror.example/hub`"),
        None,
    );
    None
}

/// A path of the configuration, if it is one below the root of the repo.
pub(super) fn file_inside(file: &Spanned<String>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let text = file.get_ref();
    let inside = Path::new(text).components().all(|part| matches!(part, Component::Normal(_)));
    if inside && !text.is_empty() && !text.contains('\\') {
        return Some(text.clone());
    }
    let help = Some("write a path relative to the repo, without `..`".to_owned());
    mistakes.add(file.span(), format!("`{}` may lie outside the repo", text.escape_debug()), help);
    None
}
