//! Blobs, streamed: whoever reads one gets a result only when all bytes were what the digest says.

use std::io::{self, Read};

use ureq::http::Method;

use super::transport::broken;
use super::{Client, Descriptor, Failure, Site};
use crate::image::{Hasher, Reference};

impl Client {
    /// Streams a blob through `read`. Its result counts only if the whole blob has the descriptor's size and
    /// digest. A connection that breaks makes `read` run again from the start.
    pub fn blob<T>(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        read: &dyn Fn(&mut dyn Read) -> io::Result<T>,
    ) -> Result<T, Failure> {
        let path = format!("blobs/{}", blob.digest);
        self.anywhere(reference, |site| {
            let ask = self.ask(Method::GET, site, reference, &path, "application/octet-stream, */*");
            self.transport.attempt(&ask, &|response| take(site, blob, response.into_body().as_reader(), read))
        })
    }

    /// A blob of at most `limit` bytes.
    pub fn small_blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>, Failure> {
        if blob.size > limit {
            return Err(Failure::TooLarge { what: "blob", limit });
        }
        self.blob(reference, blob, &|reader| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }
}

fn take<T>(
    site: &Site,
    blob: &Descriptor,
    body: impl Read,
    read: &dyn Fn(&mut dyn Read) -> io::Result<T>,
) -> Result<T, Failure> {
    let mut checked = Checked { inner: body, hasher: blob.digest.hasher(), left: blob.size, failed: None };
    let result = read(&mut checked);
    let drained = result.as_ref().map_or(Ok(0), |_| io::copy(&mut checked, &mut io::sink()));
    if let Some(error) = &checked.failed {
        return Err(broken(site, error));
    }
    drained.map_err(|error| broken(site, &error))?;
    if checked.left > 0 && result.is_ok() {
        let detail = "the answer broke off".to_owned();
        return Err(Failure::Connection { registry: site.name.clone(), detail });
    }
    let found = match result {
        // What could not be read may be so because it is not the blob: its hash says which.
        Err(_) => {
            io::copy(&mut checked, &mut io::sink()).map_err(|error| broken(site, &error))?;
            checked.hasher.finish()
        }
        Ok(_) => checked.hasher.finish(),
    };
    if found != blob.digest {
        return Err(Failure::Mismatch { expected: blob.digest.clone(), found });
    }
    result.map_err(|error| Failure::Layer { detail: error.to_string() })
}

/// Hashes what passes, and ends where the descriptor says.
struct Checked<R> {
    inner: R,
    hasher: Hasher,
    left: u64,
    /// What the network did, as opposed to what the reader made of the bytes.
    failed: Option<io::Error>,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        match self.inner.read(&mut buffer[..most]) {
            Ok(0) if most > 0 => {
                self.failed = Some(io::ErrorKind::UnexpectedEof.into());
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(n) => {
                self.hasher.update(&buffer[..n]);
                self.left -= n as u64;
                Ok(n)
            }
            Err(error) => {
                self.failed = Some(io::Error::new(error.kind(), "the answer broke off"));
                Err(error)
            }
        }
    }
}
