//! Container images made from nothing: tar archives, configurations, manifests and indexes, and pushing them.

use std::io::Write;

use caseharden::image::Digest;
use serde_json::{Value, json};

/// A blob, a manifest or an index.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: &'static str,
}

impl Part {
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    pub(crate) fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest().as_str(), "size": self.bytes.len()})
    }
}

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image of one platform: manifest, configuration, layers.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) manifest: Part,
    pub(crate) blobs: Vec<Part>,
}

pub(crate) fn image(architecture: &str, container: Value, layers: &[Vec<u8>]) -> Image {
    let configuration = json!({"os": "linux", "architecture": architecture, "config": container, "rootfs": {"type": "layers", "diff_ids": []}});
    let configuration = Part { bytes: configuration.to_string().into_bytes(), media_type: CONFIGURATION };
    let layers: Vec<Part> = layers.iter().map(|tar| Part { bytes: gzip(tar), media_type: LAYER }).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": configuration.descriptor(),
        "layers": layers.iter().map(Part::descriptor).collect::<Vec<_>>(),
    });
    let blobs = [vec![configuration], layers].concat();
    Image { manifest: Part { bytes: manifest.to_string().into_bytes(), media_type: MANIFEST }, blobs }
}

pub(crate) fn index(images: &[(&str, &Image)]) -> Part {
    let entry = |(architecture, image): &(&str, &Image)| {
        let mut descriptor = image.manifest.descriptor();
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        descriptor
    };
    let manifests: Vec<Value> = images.iter().map(entry).collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    Part { bytes: index.to_string().into_bytes(), media_type: INDEX }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar archive of these entries.
pub(crate) fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

pub(crate) fn file(path: &str, mode: u32, body: &[u8]) -> Vec<u8> {
    [header(path, b'0', mode, 0, body.len()), padded(body)].concat()
}

pub(crate) fn directory(path: &str, mode: u32, uid: u32) -> Vec<u8> {
    header(path, b'5', mode, uid, 0)
}

/// A file with an extended attribute, as `tar --xattrs` and BuildKit write it.
pub(crate) fn with_attribute(path: &str, value: &[u8], body: &[u8]) -> Vec<u8> {
    let tail = [b" SCHILY.xattr.security.capability=", value, b"\n"].concat();
    let record = [(tail.len() + 2).to_string().as_bytes(), &tail].concat();
    assert_eq!(record.len(), tail.len() + 2, "the length has two digits");
    [header("pax", b'x', 0o644, 0, record.len()), padded(&record), file(path, 0o755, body)].concat()
}

fn header(path: &str, flag: u8, mode: u32, uid: u32, size: usize) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..107].copy_from_slice(format!("{mode:07o}").as_bytes());
    block[108..115].copy_from_slice(format!("{uid:07o}").as_bytes());
    block[116..123].copy_from_slice(b"0000000");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn padded(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(512), 0);
    body
}

/// Pushes to a registry: `origin` like `https://127.0.0.1:5001`.
pub(crate) struct Push<'a> {
    pub(crate) agent: ureq::Agent,
    pub(crate) origin: &'a str,
    pub(crate) authorization: Option<&'a str>,
}

impl Push<'_> {
    pub(crate) fn image(&self, repository: &str, tag: &str, image: &Image) {
        for blob in &image.blobs {
            let response =
                self.call("POST", &format!("{}/v2/{repository}/blobs/uploads/", self.origin), "", b"");
            let location = response.headers()["location"].to_str().unwrap().to_owned();
            let location =
                if location.starts_with('/') { format!("{}{location}", self.origin) } else { location };
            let joint = if location.contains('?') { '&' } else { '?' };
            self.call(
                "PUT",
                &format!("{location}{joint}digest={}", blob.digest()),
                "application/octet-stream",
                &blob.bytes,
            );
        }
        self.manifest(repository, tag, &image.manifest);
    }

    pub(crate) fn manifest(&self, repository: &str, tag: &str, part: &Part) {
        self.call(
            "PUT",
            &format!("{}/v2/{repository}/manifests/{tag}", self.origin),
            part.media_type,
            &part.bytes,
        );
    }

    fn call(
        &self,
        method: &str,
        url: &str,
        media_type: &str,
        body: &[u8],
    ) -> ureq::http::Response<ureq::Body> {
        let mut request =
            ureq::http::Request::builder().method(method).uri(url).header("content-type", media_type);
        if let Some(authorization) = self.authorization {
            request = request.header("authorization", authorization);
        }
        let response = self.agent.run(request.body(body).unwrap()).unwrap();
        assert!(response.status().is_success(), "{method} {url}: {}", response.status());
        response
    }
}
