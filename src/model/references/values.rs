//! Images in Helm values, in the shapes that charts use: `image: repo:tag`, `image: {registry, repository, tag,
//! digest}`, `image` with its tag beside it. A chart may use other names; those are not found.

use serde_json::Value;

use super::{Class, Place, Skipped};
use crate::repo::LIMITS;
use crate::yaml::{Kind, Node, Stream};

/// An image in values.
pub(super) struct Found {
    pub(super) pointer: String,
    pub(super) class: Class,
    pub(super) text: String,
    /// Why it cannot be pulled, when the shape alone tells.
    pub(super) missing: Option<Skipped>,
}

/// What surrounds the values.
pub(super) struct Around<'u> {
    /// `global.imageRegistry`, which charts put in front of every repository.
    registry: Option<String>,
    /// Values that these lie over: parts of an image that are not named come from there.
    under: &'u Value,
}

impl<'u> Around<'u> {
    pub(super) fn new(root: Node<'_>, under: &'u Value) -> Around<'u> {
        let own = root.get("global").and_then(|global| {
            let registry = global.get("imageRegistry").and_then(Node::written);
            registry.or_else(|| global.get("image")?.get("registry")?.written())
        });
        let global = &under["global"];
        let below = global["imageRegistry"].as_str().or_else(|| global["image"]["registry"].as_str());
        let registry = own.or_else(|| below.map(str::to_owned)).filter(|registry| !registry.is_empty());
        Around { registry, under }
    }

    /// What lies under a part of an image.
    fn under(&self, pointer: &str, key: &str) -> Option<String> {
        match self.under.pointer(pointer)?.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

/// Finds the images below a node.
pub(super) fn walk(node: Node<'_>, at: String, around: &Around<'_>, found: &mut dyn FnMut(Found)) {
    match node.kind() {
        Kind::Mapping => {
            for (key, value) in node.entries() {
                let Some(key) = key.as_str() else { continue };
                let pointer = format!("{at}/{}", crate::pointer::token(&key));
                // An alias is seen where its anchor is.
                if value.kind() == Kind::Alias {
                    continue;
                }
                if key.to_ascii_lowercase().ends_with("image") && take(node, value, &pointer, around, found) {
                    continue;
                }
                walk(value, pointer, around, found);
            }
        }
        Kind::Sequence => {
            for (idx, item) in node.items().enumerate() {
                walk(item, format!("{at}/{idx}"), around, found);
            }
        }
        Kind::Scalar | Kind::Alias => {}
    }
}

/// Whether the value of an `…image` key is an image.
fn take(
    parent: Node<'_>,
    value: Node<'_>,
    pointer: &str,
    around: &Around<'_>,
    found: &mut dyn FnMut(Found),
) -> bool {
    if value.kind() == Kind::Mapping {
        let taken = take_parts(value, pointer, around);
        return taken.map(found).is_some();
    }
    let Some(text) = value.written().filter(|_| value.kind() == Kind::Scalar) else { return false };
    if value.as_str().is_none() {
        return false;
    }
    let has_own_tag = text.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    let beside = ["tag", "imageTag"].iter().find_map(|key| parent.get(key).and_then(Node::written));
    let text = match beside.filter(|_| !has_own_tag && pointer.ends_with("/image")) {
        Some(tag) => format!("{text}:{tag}"),
        // `image: web` may be the name of anything.
        None if !has_own_tag && !text.contains('/') && super::Image::parse(&text).is_some() => return true,
        None => text,
    };
    found(Found { pointer: pointer.to_owned(), class: Class::ValuesText, text, missing: None });
    true
}

fn take_parts(image: Node<'_>, pointer: &str, around: &Around<'_>) -> Option<Found> {
    let own = |key: &str| image.get(key).filter(|node| node.kind() == Kind::Scalar).and_then(Node::written);
    let text = |key: &str| own(key).or_else(|| around.under(pointer, key)).filter(|text| !text.is_empty());
    let names_part = ["registry", "repository", "tag", "version", "digest", "sha", "image", "name"];
    if !names_part.iter().any(|key| own(key).is_some()) {
        return None;
    }
    let (tag, registry) = (text("tag").or_else(|| text("version")), text("registry"));
    let digest = text("digest")
        .or_else(|| text("sha"))
        .map(|digest| if digest.contains(':') { digest } else { format!("sha256:{digest}") });
    let is_named = tag.is_some() || digest.is_some() || registry.is_some();
    let name = text("repository").or_else(|| text("image").or_else(|| text("name")).filter(|_| is_named));
    let Some(name) = name else {
        // Another tag for an image that only the chart names.
        let own_tag = own("tag").filter(|tag| !tag.is_empty() && !tag.contains('@') && digest.is_none())?;
        let text = format!("<image of the chart>:{own_tag}");
        let missing = Some(Skipped::ChartName);
        return Some(Found { pointer: pointer.to_owned(), class: Class::ValuesParts, text, missing });
    };
    let registry = around
        .registry
        .clone()
        .or(registry)
        .map_or_else(String::new, |registry| format!("{}/", registry.trim_end_matches('/')));
    let has_own_tag = name.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    let missing = (tag.is_none() && digest.is_none() && !has_own_tag).then_some(Skipped::ChartTag);
    let tag = tag.map_or_else(String::new, |tag| format!(":{tag}"));
    // Some charts' defaults have the digest within the tag already.
    let digest =
        digest.filter(|_| !tag.contains('@')).map_or_else(String::new, |digest| format!("@{digest}"));
    let text = format!("{registry}{name}{tag}{digest}");
    Some(Found { pointer: pointer.to_owned(), class: Class::ValuesParts, text, missing })
}

/// Values within Flux's, Argo CD's and k3s' objects. `under` tells what lies under those at a pointer.
pub(super) fn of_object(object: Node<'_>, at: &str, under: &dyn Fn(&str) -> Value, place: &mut Place<'_>) {
    let mut inline = vec!["/spec/values".to_owned()];
    let mut texts = vec!["/spec/valuesContent".to_owned()];
    let mut sources = vec!["/spec/source".to_owned(), "/spec/template/spec/source".to_owned()];
    for list in ["/spec/sources", "/spec/template/spec/sources"] {
        let count = object.at(list).map_or(0, |list| list.items().count());
        sources.extend((0..count).map(|idx| format!("{list}/{idx}")));
    }
    for source in sources {
        inline.push(format!("{source}/helm/valuesObject"));
        texts.push(format!("{source}/helm/values"));
    }
    for pointer in inline {
        let Some(node) = object.at(&pointer) else { continue };
        let under = under(&format!("{pointer}/"));
        walk(node, String::new(), &Around::new(node, &under), &mut |mut found| {
            found.pointer = format!("{at}{pointer}{}", found.pointer);
            place.add_found(found);
        });
    }
    for pointer in texts {
        let Some(text) = object.at(&pointer).and_then(Node::as_str) else { continue };
        let Ok(stream) = Stream::parse(text.into_owned(), &LIMITS) else { continue };
        let Some(root) = stream.root(0) else { continue };
        let under = under(&format!("{pointer}/"));
        walk(root, String::new(), &Around::new(root, &under), &mut |found| {
            let outer = format!("{at}{pointer}");
            place.add_within(outer, Some(found.pointer), Class::ValuesInText, found.text, found.missing);
        });
    }
}
