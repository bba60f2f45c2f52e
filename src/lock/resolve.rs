//! Fills a lock: asks the registries about each image, many at once, and reads the facts of those not seen before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Locked, OtherUser, Wanted, signatures};
use crate::image::{Digest, Reference};
use crate::image_facts::cache::Cache;
use crate::image_facts::{Configuration, Facts, RootFs};
use crate::registry::{Client, Content, Descriptor, Failure, ImageManifest, Index, Manifest, Resolved};
use crate::signature::PublicKey;

/// Platforms of an image whose users are compared; the widest images have a dozen.
const MOST_PLATFORMS: usize = 32;

/// Asks about all images, at most `width` at a time. The answers are in the order of the questions, whoever came
/// first; `done` is called after each.
pub fn each<Q: Sync, A: Send>(
    questions: &[Q],
    width: usize,
    ask: &(dyn Fn(&Q) -> A + Sync),
    done: &(dyn Fn(&Q) + Sync),
) -> Vec<A> {
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<(usize, A)>> = Mutex::new(Vec::with_capacity(questions.len()));
    std::thread::scope(|scope| {
        for _ in 0..width.min(questions.len()) {
            scope.spawn(|| {
                while let Some((idx, question)) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|idx| Some((idx, questions.get(idx)?)))
                {
                    let answer = ask(question);
                    answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((idx, answer));
                    done(question);
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    answers.sort_by_key(|(idx, _)| *idx);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Everything the lock keeps of an image; its signatures are checked with `keys`.
pub fn image(client: &Client, cache: &Cache, wanted: &Wanted, keys: &[PublicKey]) -> Result<Locked, Failure> {
    let reference = match &wanted.pinned {
        Some(digest) => wanted.reference.with_digest(digest.clone()),
        None => wanted.reference.clone(),
    };
    let Resolved { digest, .. } = client.resolve(&reference)?;
    let manifest = client.manifest(&reference, &digest)?;
    let mut locked = Locked {
        digest: digest.clone(),
        media_type: manifest.media_type.clone(),
        platforms: Vec::new(),
        index: index_of(client, &wanted.reference, &manifest),
        signatures: None,
        verification: None,
        version_tag: None,
        facts: None,
        other_users: Vec::new(),
        no_facts: None,
    };
    signatures::look(client, &reference, &mut locked, keys)?;
    if let Content::Index(index) = &manifest.content {
        let platforms: BTreeSet<String> = index.images().map(|(platform, _)| platform.to_string()).collect();
        locked.platforms = platforms.into_iter().collect();
    }
    let mut label = None;
    match facts(client, cache, &reference, &manifest)? {
        Ok((facts, version)) => {
            if locked.platforms.is_empty() {
                locked.platforms.push(facts.platform.clone());
            }
            if let Content::Index(index) = &manifest.content {
                locked.other_users = other_users(client, &reference, index, &facts)?;
            }
            locked.facts = Some(facts);
            label = version;
        }
        Err(reason) => {
            locked.no_facts = Some(reason);
            if locked.platforms.is_empty() {
                locked.platforms.extend(own_platform(client, &reference, &manifest)?);
            }
        }
    }
    if wanted.reference.tag() == Some("latest") {
        // A proposal only: that a registry does not list its tags is no reason to fail.
        locked.version_tag = client.version_of(&wanted.reference, &digest, label.as_deref()).ok().flatten();
    }
    Ok(locked)
}

/// The index that a pinned tag has, when what is pinned is one platform of it: an accident that stops the image on
/// every other kind of node. A notice only, so that a registry which does not answer is no failure.
fn index_of(client: &Client, reference: &Reference, pinned: &Manifest) -> Option<Digest> {
    let tagged = reference.tagged()?;
    if !matches!(pinned.content, Content::Image(_)) {
        return None;
    }
    let index = client.resolve(&tagged).ok().filter(|resolved| resolved.digest != pinned.digest)?;
    match client.manifest(&tagged, &index.digest).ok()?.content {
        Content::Index(platforms) => {
            platforms.images().any(|(_, child)| child.digest == pinned.digest).then_some(index.digest)
        }
        Content::Image(_) => None,
    }
}

/// Platforms of an index whose configuration has another user. The facts are one platform's, and images are built one
/// platform at a time: some have a `USER` on one only.
fn other_users(
    client: &Client,
    reference: &Reference,
    index: &Index,
    facts: &Facts,
) -> Result<Vec<OtherUser>, Failure> {
    let mut others = BTreeMap::new();
    let linux = index.images().filter(|(platform, _)| platform.os == "linux").take(MOST_PLATFORMS);
    for (platform, descriptor) in linux {
        let platform = platform.to_string();
        if platform == facts.platform {
            continue;
        }
        if let Content::Image(image) = client.manifest(reference, &descriptor.digest)?.content
            && let Some(configuration) = configuration(client, reference, &image)?
            && configuration.user != facts.user
        {
            others.insert(platform, configuration.user);
        }
    }
    Ok(others.into_iter().map(|(platform, user)| OtherUser { platform, user }).collect())
}

/// What a single image's configuration says it is for.
fn own_platform(
    client: &Client,
    reference: &Reference,
    manifest: &Manifest,
) -> Result<Option<String>, Failure> {
    let Content::Image(image) = &manifest.content else { return Ok(None) };
    let configuration = configuration(client, reference, image)?;
    Ok(configuration
        .filter(|configuration| !configuration.os.is_empty())
        .map(|configuration| format!("{}/{}", configuration.os, configuration.architecture)))
}

fn configuration(
    client: &Client,
    reference: &Reference,
    image: &ImageManifest,
) -> Result<Option<Configuration>, Failure> {
    if !image.config.media_type.contains("image") && !image.config.media_type.is_empty() {
        return Ok(None);
    }
    let bytes = client.small_blob(reference, &image.config, client.limits().configuration)?;
    Ok(Configuration::read(&bytes))
}

type FactsOrReason = Result<(Facts, Option<String>), String>;

/// Facts with the image's own version label, or why there are none.
fn facts(
    client: &Client,
    cache: &Cache,
    reference: &Reference,
    manifest: &Manifest,
) -> Result<FactsOrReason, Failure> {
    let chosen = match &manifest.content {
        Content::Image(_) => None,
        Content::Index(index) => {
            let linux = |arch: Option<&str>| {
                index.images().find(|(platform, _)| {
                    platform.os == "linux" && arch.is_none_or(|arch| platform.architecture == arch)
                })
            };
            match linux(Some("amd64")).or_else(|| linux(None)) {
                Some((platform, descriptor)) => Some((platform.to_string(), descriptor.digest.clone())),
                None => return Ok(Err("no linux image".to_owned())),
            }
        }
    };
    let digest = chosen.as_ref().map_or(&manifest.digest, |(_, digest)| digest);
    if let Some(known) = cache.get(digest) {
        return Ok(Ok(known));
    }
    let child;
    let image = match &manifest.content {
        Content::Image(image) => image,
        Content::Index(_) => match client.manifest(reference, digest)?.content {
            Content::Image(image) => {
                child = image;
                &child
            }
            Content::Index(_) => return Ok(Err("an index within an index".to_owned())),
        },
    };
    let read = read_image(client, reference, image, chosen.as_ref().map(|(platform, _)| platform.as_str()))?;
    if let Ok((facts, label)) = &read {
        // What cannot be kept is read again next time.
        cache.put(digest, facts, label.as_deref()).ok();
    }
    Ok(read)
}

fn read_image(
    client: &Client,
    reference: &Reference,
    image: &ImageManifest,
    platform: Option<&str>,
) -> Result<FactsOrReason, Failure> {
    let limits = client.limits();
    if !image.config.media_type.contains("image") && !image.config.media_type.is_empty()
        || image.artifact_type.is_some()
    {
        return Ok(Err("not a container image".to_owned()));
    }
    let sent: u64 = image.layers.iter().map(|layer| layer.size).fold(0, u64::saturating_add);
    if sent > limits.layers {
        return Ok(Err(format!(
            "its layers have {sent} bytes, more than the {} that are read",
            limits.layers
        )));
    }
    let bytes = client.small_blob(reference, &image.config, limits.configuration)?;
    let Some(configuration) = Configuration::read(&bytes) else {
        return Ok(Err("its configuration cannot be read".to_owned()));
    };
    if configuration.os == "windows" {
        return Ok(Err("no linux image".to_owned()));
    }
    let mut root_fs = RootFs::default();
    for layer in &image.layers {
        root_fs = match read_layer(client, reference, layer, &root_fs) {
            Ok(root_fs) => root_fs,
            // The bytes are what the digest says, and nobody can read them.
            Err(Failure::Layer { detail }) => return Ok(Err(format!("a layer cannot be read: {detail}"))),
            Err(failure) => return Err(failure),
        };
    }
    let own = format!("{}/{}", configuration.os, configuration.architecture);
    let facts = Facts::new(&configuration, &root_fs, platform.map_or(own, str::to_owned));
    Ok(Ok((facts, configuration.version)))
}

fn read_layer(
    client: &Client,
    reference: &Reference,
    layer: &Descriptor,
    below: &RootFs,
) -> Result<RootFs, Failure> {
    let limit = client.limits().unpacked;
    client.blob(reference, layer, &|stream| below.with_layer(stream, limit))
}
