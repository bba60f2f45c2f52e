//! Charts: of OCI registries (<https://helm.sh/docs/topics/registries/>) and of HTTP repositories with an `index.yaml`
//! (<https://helm.sh/docs/topics/chart_repository/>).

use ureq::http::{Method, Uri};

use super::address::target;
use super::transport::Ask;
use super::{Client, Content, Failure, Site};
use crate::image::{Digest, Reference};

/// The archive of a chart in an OCI manifest.
const ARCHIVE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// Most bytes of a chart's archive: what Kubernetes can store of a release is a fraction of it.
const LARGEST_CHART: u64 = 20 << 20;

/// Most bytes of an `index.yaml`; that of Bitnami has some 20 MB.
const LARGEST_INDEX: u64 = 64 << 20;

impl Client {
    /// The archive of a chart in an OCI registry, and the digest of its manifest.
    pub fn chart(&self, reference: &Reference) -> Result<(Digest, Vec<u8>), Failure> {
        let resolved = self.resolve(reference)?;
        let manifest = self.manifest(reference, &resolved.digest)?;
        let Content::Image(image) = manifest.content else {
            return Err(Failure::Unsupported("it is no chart, but an index of images".to_owned()));
        };
        let Some(layer) = image.layers.iter().find(|layer| layer.media_type == ARCHIVE) else {
            return Err(Failure::Unsupported("it is no chart".to_owned()));
        };
        Ok((resolved.digest, self.small_blob(reference, layer, LARGEST_CHART)?))
    }

    /// The `index.yaml` of a repository of charts.
    pub fn chart_index(&self, repository: &str) -> Result<Vec<u8>, Failure> {
        self.file(&format!("{}/index.yaml", repository.trim_end_matches('/')), repository, LARGEST_INDEX)
    }

    /// The archive of a chart that a repository's index names by a URL, whole or from the repository.
    pub fn chart_archive(&self, repository: &str, url: &str) -> Result<Vec<u8>, Failure> {
        let url = match url.contains("://") {
            true => url.to_owned(),
            false => format!("{}/{}", repository.trim_end_matches('/'), url.trim_start_matches('/')),
        };
        self.file(&url, repository, LARGEST_CHART)
    }

    fn file(&self, url: &str, repository: &str, limit: u64) -> Result<Vec<u8>, Failure> {
        let home = self.site_of(repository)?;
        let uri = uri(url)?;
        // Archives are often kept at another host than their index; no login goes along there.
        super::address::check_detour(&home, &uri, "chart")?;
        let site = self.site_of(url)?;
        let repository = uri.path().trim_start_matches('/').to_owned();
        let ask =
            Ask { method: Method::GET, url: url.to_owned(), site: &site, repository, accept: "*/*", limit };
        self.transport.ask(&ask).map(|answer| answer.body)
    }

    /// The host of a URL. Plain HTTP is for this machine and for hosts that the settings name.
    fn site_of(&self, url: &str) -> Result<Site, Failure> {
        let uri = uri(url)?;
        let host = uri.authority().map(|authority| authority.to_string()).unwrap_or_default();
        let sites = self.settings.sites(&host);
        let site = sites.into_iter().next_back().ok_or(Failure::Malformed { what: "address" })?;
        match uri.scheme_str() {
            Some("http") if !site.plain_http => {
                Err(Failure::Unsupported(format!("{host} is reached over plain HTTP: refused")))
            }
            Some("http") => Ok(site),
            _ => Ok(Site { plain_http: false, ..site }),
        }
    }
}

fn uri(url: &str) -> Result<Uri, Failure> {
    let nowhere = Uri::from_static("https://localhost");
    target(&nowhere, url).ok_or(Failure::Malformed { what: "address" })
}
