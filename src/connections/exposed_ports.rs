//! Ports of pods whose manifest declares none, as the image they run says: Dockerfiles of the repo, found by what
//! Skaffold, a compose file or a folder's name says of who builds which image; and Skaffold's port forwards.
//!
//! <https://skaffold.dev/docs/references/yaml/>, <https://github.com/compose-spec/compose-spec/blob/main/build.md>.
//! Weak evidence all of it: an image may listen on other ports than it says.

use std::collections::{BTreeMap, HashMap};

use super::{Evidence, Member, MemberId, Port, Protocol};
use crate::model::{Image, Model, pods};
use crate::repo::{File, folder, join};
use crate::yaml::{Kind, Node};

/// Ports with what says so.
pub(super) type ExposedPorts = BTreeMap<MemberId, Vec<(Port, Evidence)>>;

/// Where an image is built.
struct Built {
    dockerfile: String,
    target: Option<String>,
}

/// The ports of members that declare none.
pub(super) fn exposed_ports(model: &Model<'_>, members: &[Member]) -> ExposedPorts {
    let mut found = ExposedPorts::new();
    let silent = members.iter().enumerate().filter(|(_, member)| member.ports.is_empty());
    let silent: Vec<(MemberId, &Member)> = silent.map(|(idx, member)| (MemberId(idx), member)).collect();
    if silent.is_empty() {
        return found;
    }
    let skaffolds: Vec<&File> = model.repo().files.iter().filter(|file| is_skaffold(file)).collect();
    let images = built_images(model, &skaffolds);
    for (id, member) in &silent {
        for image in images_of(model, member) {
            let own = found.entry(*id).or_default();
            own.extend(of_image(model, &images, &image));
        }
    }
    for file in skaffolds {
        port_forwards(file, &silent, &mut found);
    }
    found.retain(|_, ports| !ports.is_empty());
    for ports in found.values_mut() {
        ports.sort();
        ports.dedup_by(|a, b| a.0 == b.0);
    }
    found
}

fn is_skaffold(file: &File) -> bool {
    let version = file.stream.root(0).and_then(|root| root.get("apiVersion")?.as_str());
    version.is_some_and(|version| version.starts_with("skaffold/"))
}

fn images_of(model: &Model<'_>, member: &Member) -> Vec<String> {
    let object = &model.objects_of(member.file)[member.object];
    let (Some(layout), Some(value)) = (&object.layout, model.value(object)) else { return Vec::new() };
    let pods = pods(layout, &value);
    let containers = pods.iter().flat_map(|pod| &pod.containers);
    containers.filter_map(|container| Some(container.value["image"].as_str()?.to_owned())).collect()
}

/// By the image's name without tag.
fn built_images(model: &Model<'_>, skaffolds: &[&File]) -> HashMap<String, Vec<Built>> {
    let mut images: HashMap<String, Vec<Built>> = HashMap::new();
    let mut take =
        |image: &str, at: &str, context: &str, dockerfile: Option<String>, target: Option<String>| {
            let Some(image) = Image::parse(image) else { return };
            let dockerfile = dockerfile.unwrap_or_else(|| "Dockerfile".to_owned());
            if let Some(dockerfile) = join(at, &format!("{context}/{dockerfile}")) {
                images.entry(image.name().to_owned()).or_default().push(Built { dockerfile, target });
            }
        };
    for file in skaffolds {
        let roots = (0..file.stream.documents()).filter_map(|document| file.stream.root(document));
        for artifact in roots.filter_map(|root| root.at("/build/artifacts")).flat_map(Node::items) {
            let text = |pointer: &str| artifact.at(pointer).and_then(Node::written);
            let Some(image) = text("/image") else { continue };
            let context = text("/context").unwrap_or_else(|| ".".to_owned());
            take(&image, folder(&file.path), &context, text("/docker/dockerfile"), text("/docker/target"));
        }
    }
    for file in &model.repo().compose {
        let services = file.stream.root(0).and_then(|root| root.get("services"));
        for (_, service) in services.into_iter().flat_map(Node::entries) {
            let text = |pointer: &str| service.at(pointer).and_then(Node::written);
            let (Some(image), Some(build)) = (text("/image"), service.get("build")) else { continue };
            let context =
                if build.kind() == Kind::Mapping { text("/build/context") } else { build.written() };
            let context = context.unwrap_or_else(|| ".".to_owned());
            take(&image, folder(&file.path), &context, text("/build/dockerfile"), text("/build/target"));
        }
    }
    images
}

/// What the Dockerfile of an image exposes. Without anybody who says which it is, that in a folder of the image's name.
fn of_image(model: &Model<'_>, images: &HashMap<String, Vec<Built>>, image: &str) -> Vec<(Port, Evidence)> {
    let Some(parsed) = Image::parse(image) else { return Vec::new() };
    let short = parsed.repository().rsplit('/').next().unwrap_or_default();
    let mut found = Vec::new();
    for file in &model.repo().dockerfiles {
        let target = match images.get(parsed.name()) {
            Some(built) => match built.iter().find(|built| built.dockerfile == file.path) {
                Some(built) => built.target.as_deref(),
                None => continue,
            },
            None if is_ours(model, image, &parsed)
                && folder(&file.path).rsplit('/').next() == Some(short) =>
            {
                None
            }
            None => continue,
        };
        for exposed in file.exposed(target) {
            let protocol = if exposed.udp { Protocol::Udp } else { Protocol::Tcp };
            let words = format!("the image {} says that it listens on {}", parsed.name(), exposed.port);
            let evidence = Evidence { path: file.path.clone(), line: exposed.line, words };
            found.push((Port::number(exposed.port, protocol), evidence));
        }
    }
    found
}

/// `redis` is somebody else's image, whatever folder the repo has; `me/redis` may be its own.
fn is_ours(model: &Model<'_>, image: &str, parsed: &Image<'_>) -> bool {
    parsed.repository().contains('/') || model.builders.target(image).is_err()
}

/// Who forwards a port of a workload expects something to listen there.
fn port_forwards(file: &File, silent: &[(MemberId, &Member)], found: &mut ExposedPorts) {
    let roots = (0..file.stream.documents()).filter_map(|document| file.stream.root(document));
    for forward in roots.filter_map(|root| root.get("portForward")).flat_map(Node::items) {
        let text = |key: &str| forward.get(key).and_then(Node::written);
        let (Some(kind), Some(name), Some(port)) = (text("resourceType"), text("resourceName"), text("port"))
        else {
            continue;
        };
        let Ok(number) = port.parse::<u16>() else { continue };
        for (id, member) in silent {
            if member.id.kind.eq_ignore_ascii_case(&kind) && *member.id.name == *name {
                let line = file.stream.position(forward.range().start).line;
                let words = format!("Skaffold forwards port {number} of {}", member.subject());
                let evidence = Evidence { path: file.path.clone(), line, words };
                let port = Port::number(number, Protocol::Tcp);
                found.entry(*id).or_default().push((port, evidence));
            }
        }
    }
}
