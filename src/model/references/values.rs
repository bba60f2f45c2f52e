//! Images in Helm values, in the shapes that charts use: `image: repo:tag`, `image: {registry, repository, tag,
//! digest}`, `image` with its tag beside it. A chart may use other names; those are not found.

use super::{Class, Place, Skipped};
use crate::repo::LIMITS;
use crate::yaml::{Kind, Node, Stream};

/// Takes a use: pointer, class, text, and why it cannot be pulled when the shape alone tells.
pub(super) type Found<'f> = dyn FnMut(String, Class, String, Option<Skipped>) + 'f;

/// `global.imageRegistry`, which charts put in front of every repository.
pub(super) fn registry(root: Node<'_>) -> Option<String> {
    let global = root.get("global")?;
    global
        .get("imageRegistry")
        .and_then(Node::written)
        .or_else(|| global.get("image")?.get("registry")?.written())
}

/// Finds the images below a node.
pub(super) fn walk(node: Node<'_>, at: String, registry: Option<&str>, found: &mut Found<'_>) {
    match node.kind() {
        Kind::Mapping => {
            for (key, value) in node.entries() {
                let Some(key) = key.as_str() else { continue };
                let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                // An alias is seen where its anchor is.
                if value.kind() == Kind::Alias {
                    continue;
                }
                if key.to_ascii_lowercase().ends_with("image") && take(node, value, &pointer, registry, found)
                {
                    continue;
                }
                walk(value, pointer, registry, found);
            }
        }
        Kind::Sequence => {
            for (idx, item) in node.items().enumerate() {
                walk(item, format!("{at}/{idx}"), registry, found);
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
    registry: Option<&str>,
    found: &mut Found<'_>,
) -> bool {
    if value.kind() == Kind::Mapping {
        return take_parts(value, pointer, registry, found);
    }
    let Some(text) = value.written().filter(|_| value.kind() == Kind::Scalar) else { return false };
    if value.as_str().is_none() {
        return false;
    }
    let has_own_tag = text.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    let beside = ["tag", "imageTag"].iter().find_map(|key| parent.get(key).and_then(Node::written));
    match beside.filter(|_| !has_own_tag && pointer.ends_with("/image")) {
        Some(tag) => found(pointer.to_owned(), Class::ValuesText, format!("{text}:{tag}"), None),
        // `image: web` may be the name of anything.
        None if !has_own_tag && !text.contains('/') && super::Image::parse(&text).is_some() => return true,
        None => found(pointer.to_owned(), Class::ValuesText, text, None),
    }
    true
}

fn take_parts(image: Node<'_>, pointer: &str, global: Option<&str>, found: &mut Found<'_>) -> bool {
    let text = |key: &str| image.get(key).filter(|node| node.kind() == Kind::Scalar).and_then(Node::written);
    let (tag, registry) = (text("tag").or_else(|| text("version")), text("registry"));
    let digest = text("digest")
        .or_else(|| text("sha"))
        .map(|digest| if digest.contains(':') { digest } else { format!("sha256:{digest}") });
    let is_named = tag.is_some() || digest.is_some() || registry.is_some();
    let name = text("repository").or_else(|| text("image").or_else(|| text("name")).filter(|_| is_named));
    let Some(name) = name else { return false };
    let registry = global
        .map(str::to_owned)
        .or(registry)
        .map_or_else(String::new, |registry| format!("{}/", registry.trim_end_matches('/')));
    let has_own_tag = name.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    let missing = (tag.is_none() && digest.is_none() && !has_own_tag).then_some(Skipped::ChartTag);
    let tag = tag.map_or_else(String::new, |tag| format!(":{tag}"));
    // Some charts' defaults have the digest within the tag already.
    let digest =
        digest.filter(|_| !tag.contains('@')).map_or_else(String::new, |digest| format!("@{digest}"));
    found(pointer.to_owned(), Class::ValuesParts, format!("{registry}{name}{tag}{digest}"), missing);
    true
}

/// Values within Flux's, Argo CD's and k3s' objects.
pub(super) fn of_object(object: Node<'_>, at: &str, place: &mut Place<'_>) {
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
        walk(
            node,
            format!("{at}{pointer}"),
            registry(node).as_deref(),
            &mut |pointer, class, text, missing| {
                place.add(pointer, class, text, missing);
            },
        );
    }
    for pointer in texts {
        let Some(text) = object.at(&pointer).and_then(Node::as_str) else { continue };
        let Ok(stream) = Stream::parse(text.into_owned(), &LIMITS) else { continue };
        let Some(root) = stream.root(0) else { continue };
        walk(root, String::new(), registry(root).as_deref(), &mut |_, _, text, missing| {
            place.add(format!("{at}{pointer}"), Class::ValuesInText, text, missing);
        });
    }
}
