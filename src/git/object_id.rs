//! The name of an object: 20 bytes in a SHA-1 repository, 32 in a SHA-256 one.

use std::fmt;

/// The name of a commit, tree or blob. Its text form is lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    bytes: [u8; 32],
    len: u8,
}

impl ObjectId {
    /// Reads the full hex form; `None` for anything else.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let digits = hex.as_bytes();
        if digits.len() != 40 && digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? * 16 + low?).expect("two hex digits fit a byte");
        }
        Some(Self { bytes, len: u8::try_from(digits.len() / 2).expect("20 or 32") })
    }

    /// Returns the name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(super) fn from_git2(id: git2::Oid) -> Self {
        let mut bytes = [0; 32];
        let raw = id.as_bytes();
        bytes[..raw.len()].copy_from_slice(raw);
        Self { bytes, len: u8::try_from(raw.len()).expect("20 or 32") }
    }

    pub(super) fn to_git2(self) -> Result<git2::Oid, git2::Error> {
        git2::Oid::from_bytes(self.as_bytes())
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hex: &str, valid: bool) {
        assert_eq!(ObjectId::from_hex(hex).map(|id| id.to_string()), valid.then(|| hex.to_owned()));
    }

    #[test]
    fn hex_goes_in_and_comes_out() {
        check(&"0f".repeat(20), true);
        check(&"a9".repeat(32), true);
        check(&"a9".repeat(21), false);
        check(&"xy".repeat(20), false);
        check("", false);
    }
}
