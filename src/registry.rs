//! Asks registries: which digest a tag has, what a manifest says, the bytes of a blob. With [`crate::forge`] the only
//! network code.
//!
//! Why not `oci-client`: it brings tokio, hyper and reqwest (more than twice the packages of the whole rest),
//! follows redirects and realms on its own, and hides the raw bytes. What is needed of the distribution
//! specification (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>) is small, and who
//! gets to see a credential has to be decided here, so this is a blocking client (`ureq`, rustls, Mozilla's
//! roots) and our own requests on it, used from as many threads as there are questions.
//!
//! What holds for every request:
//! - Bodies are bounded, and count only when their own hash is the digest that was asked for or announced.
//! - A credential goes to the host it was stored for and to the token service that host names over https,
//!   never along a redirect, never over plain HTTP except to this machine.
//! - A public registry cannot send us to a private address.
//! - Answers that may pass (429, 5xx, broken connections) are asked for again, a bounded number of times.
//!
//! Knows nothing of manifests of Kubernetes, of lock files or of what is in a layer.

mod address;
mod blob;
mod challenge;
mod chart;
pub mod credentials;
mod failure;
mod manifest;
mod settings;
mod tags;
mod transport;

use std::collections::HashMap;
use std::sync::Mutex;

use ureq::http::{Method, StatusCode};

pub use self::address::Site;
pub(crate) use self::address::is_loopback;
pub use self::credentials::Credentials;
pub use self::failure::Failure;
pub use self::manifest::{Content, Descriptor, ImageManifest, Index, Platform};
pub use self::settings::{Limits, Settings};
use self::transport::{Ask, Transport};
pub(crate) use self::transport::{agent, retry_after};
use crate::image::{Digest, Reference};

/// All that a manifest can be. Without the index types a registry may answer with one platform's manifest, which
/// has another digest.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// Asks registries. Shared by threads.
pub struct Client {
    transport: Transport,
    settings: Settings,
    /// Where a registry's repository was last found, so that one mirror answers all questions about an image.
    found_at: Mutex<HashMap<String, Site>>,
}

/// A manifest or an index whose bytes were checked.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub digest: Digest,
    pub media_type: String,
    pub content: Content,
}

/// What a HEAD request tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub digest: Digest,
    pub media_type: Option<String>,
}

impl Client {
    pub fn new(settings: Settings, credentials: Credentials) -> Result<Client, Failure> {
        let transport = Transport::new(&settings, credentials)?;
        Ok(Client { transport, settings, found_at: Mutex::default() })
    }

    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// The digest that a reference has now: its own, when the registry still has that, else its tag's.
    ///
    /// Asks with HEAD, which Docker Hub does not count as a pull, and with GET where that does not tell.
    pub fn resolve(&self, reference: &Reference) -> Result<Resolved, Failure> {
        let wanted = wanted(reference);
        let resolved = self.anywhere(reference, |site| self.resolve_at(site, reference, wanted))?;
        match reference.digest() {
            Some(asked) if *asked != resolved.digest => {
                Err(Failure::Mismatch { expected: asked.clone(), found: resolved.digest })
            }
            _ => Ok(resolved),
        }
    }

    fn resolve_at(&self, site: &Site, reference: &Reference, wanted: &str) -> Result<Resolved, Failure> {
        let ask = self.manifest_ask(Method::HEAD, site, reference, wanted);
        let answer = match self.transport.ask(&ask) {
            Ok(answer) if answer.status == StatusCode::OK => Some(answer),
            Ok(_) | Err(Failure::NotFound { .. } | Failure::Status { .. }) => None,
            Err(failure) => return Err(failure),
        };
        let announced =
            answer.as_ref().and_then(|answer| Digest::parse(answer.header("docker-content-digest")?));
        match (answer, announced) {
            (Some(answer), Some(digest)) => Ok(Resolved { digest, media_type: answer.media_type() }),
            _ => {
                let manifest = self.fetch_at(site, reference, wanted)?;
                Ok(Resolved { digest: manifest.digest, media_type: Some(manifest.media_type) })
            }
        }
    }

    /// The manifest of a digest in the repository of `reference`.
    pub fn manifest(&self, reference: &Reference, digest: &Digest) -> Result<Manifest, Failure> {
        self.anywhere(reference, |site| self.fetch_at(site, reference, digest.as_str()))
    }

    /// The manifest of a tag beside the reference's own (a signature's); `None` when there is no such tag.
    pub fn manifest_of_tag(&self, reference: &Reference, tag: &str) -> Result<Option<Manifest>, Failure> {
        match self.anywhere(reference, |site| self.fetch_at(site, reference, tag)) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn fetch_at(&self, site: &Site, reference: &Reference, wanted: &str) -> Result<Manifest, Failure> {
        let ask = self.manifest_ask(Method::GET, site, reference, wanted);
        let answer = self.transport.ask(&ask)?;
        let announced = answer.header("docker-content-digest").and_then(Digest::parse);
        let media_type = answer.media_type();
        // A digest that was asked for decides; the header only has to agree.
        let asked = Digest::parse(wanted).or(announced.clone());
        let found = match &asked {
            Some(asked) => asked.of_same_kind(&answer.body),
            None => Digest::of(&answer.body),
        };
        for expected in
            asked.iter().chain(announced.iter().filter(|header| header.algorithm() == found.algorithm()))
        {
            if *expected != found {
                return Err(Failure::Mismatch { expected: expected.clone(), found });
            }
        }
        let (media_type, content) = manifest::read(media_type.as_deref(), &answer.body)?;
        Ok(Manifest { digest: found, media_type, content })
    }

    /// What refers to a digest, by the referrers API or, where that is missing, by its fallback tag.
    ///
    /// Source: "Listing Referrers" in the distribution specification.
    pub fn referrers(&self, reference: &Reference, digest: &Digest) -> Result<Vec<Descriptor>, Failure> {
        let asked = self.anywhere(reference, |site| {
            let path = format!("referrers/{digest}");
            self.transport.ask(&self.ask(Method::GET, site, reference, &path, manifest::INDEX))
        });
        match asked {
            Ok(answer) => match manifest::read(Some(manifest::INDEX), &answer.body)?.1 {
                Content::Index(index) => return Ok(index.manifests),
                Content::Image(_) => return Err(Failure::Malformed { what: "list of referrers" }),
            },
            Err(Failure::NotFound { .. } | Failure::Status { .. }) => {}
            Err(failure) => return Err(failure),
        }
        let tag = format!("{}-{}", digest.algorithm(), digest.hex());
        Ok(match self.manifest_of_tag(reference, &tag)?.map(|manifest| manifest.content) {
            Some(Content::Index(index)) => index.manifests,
            _ => Vec::new(),
        })
    }

    fn manifest_ask<'a>(
        &self,
        method: Method,
        site: &'a Site,
        reference: &'a Reference,
        wanted: &str,
    ) -> Ask<'a> {
        self.ask(method, site, reference, &format!("manifests/{wanted}"), MANIFEST_TYPES)
    }

    fn ask<'a>(
        &self,
        method: Method,
        site: &'a Site,
        reference: &'a Reference,
        path: &str,
        accept: &'static str,
    ) -> Ask<'a> {
        let repository = site.repository(reference);
        let url = format!("{}/v2/{repository}/{path}", site.origin());
        Ask { method, url, site, repository, accept, limit: self.settings.limits.manifest }
    }

    /// Asks the mirrors of the reference's registry and then the registry itself; what the last one says holds.
    fn anywhere<T>(
        &self,
        reference: &Reference,
        ask: impl Fn(&Site) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut sites = self.settings.sites(reference.registry());
        let upstream = sites.last().expect("a registry is its own last site").clone();
        let name = reference.name();
        if let Some(known) = self.lock_found().get(&name) {
            sites.sort_by_key(|site| site != known);
        }
        let mut failure = None;
        for site in sites {
            match ask(&site) {
                Ok(answer) => {
                    self.lock_found().insert(name, site);
                    return Ok(answer);
                }
                Err(other) if site == upstream => failure = Some(other),
                Err(_) => {}
            }
        }
        Err(failure.expect("a registry is one of its own sites"))
    }

    fn lock_found(&self) -> std::sync::MutexGuard<'_, HashMap<String, Site>> {
        self.found_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What to ask the registry for: the digest where there is one.
fn wanted(reference: &Reference) -> &str {
    match reference.digest() {
        Some(digest) => digest.as_str(),
        None => reference.tag().expect("a reference without a digest has a tag"),
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
