//! What accounts really did: audit logs of API servers, read as a stream and summed up.
//!
//! ```text
//! bytes ──> frames ──> records ──> requests ──> Usage
//! ```
//!
//! - `frames`: single JSON values out of lines, arrays and lists of any length.
//! - `record`: one JSON value, whoever exported it: an audit.k8s.io/v1 event as it is, or wrapped by `gke`,
//!   `eks` or `aks`.
//! - `event`: the request that an event tells of, as the authorizer saw it.
//! - `usage`: the sum, by account and permission; bounded, however long the log is.
//!
//! Knows nothing of roles, of rules, and of where the bytes come from.

mod aks;
mod eks;
mod event;
mod frames;
mod gke;
mod record;
mod text;
pub mod usage;

use std::io::{self, BufRead, BufReader, Read};

pub use self::usage::{Account, Names, Permission, Usage, Use};

/// Shown of what could not be read; the rest is counted.
const SHOWN_FAULTS: usize = 5;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 1 << 18;

/// What rules get to know of a log, with what the user decided about it.
#[derive(Debug)]
pub struct Evidence {
    pub usage: Usage,
    /// Values that could not be read: what they tell is missing.
    pub n_faults: u64,
    /// Whether denied requests count as needed.
    pub include_denied: bool,
    /// Whether `get`, `list` and `watch` are kept together.
    pub informers: bool,
}

/// What reading went through.
#[derive(Debug, Default)]
pub struct Reading {
    pub usage: Usage,
    /// Values that are no audit event because they are broken or too large.
    pub n_faults: u64,
    /// The first of them: `audit.log:17: reason`.
    pub faults: Vec<String>,
    /// Values that are something else: other log streams, other services.
    pub n_others: u64,
}

impl Reading {
    /// Adds a log, plain or compressed by gzip. `name` is what faults are reported under.
    ///
    /// # Errors
    /// When the bytes cannot be read or unpacked; what was read until then is in the sum.
    pub fn add(&mut self, name: &str, input: impl Read) -> io::Result<()> {
        let mut input = BufReader::with_capacity(BUFFER, input);
        if input.fill_buf()?.starts_with(&GZIP) {
            let unpacked = flate2::bufread::MultiGzDecoder::new(input);
            frames::each(BufReader::with_capacity(BUFFER, unpacked), &mut |line, frame| {
                self.take(name, line, frame)
            })
        } else {
            frames::each(input, &mut |line, frame| self.take(name, line, frame))
        }
    }

    fn take(&mut self, name: &str, line: u64, frame: Result<&[u8], &'static str>) {
        let read = match frame {
            Ok(bytes) => record::read(bytes, &mut self.usage),
            Err(reason) => Err(reason.to_owned()),
        };
        match read {
            Ok(others) => self.n_others += others,
            Err(reason) => {
                self.n_faults += 1;
                if self.faults.len() < SHOWN_FAULTS {
                    self.faults.push(format!("{name}:{line}: {reason}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
