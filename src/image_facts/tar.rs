//! The entries of a tar archive as it streams by: ustar, GNU and PAX, as layers use them.
//!
//! Not a crate, because a layer is hostile: names and headers are bounded here, bodies are read only where
//! somebody wants them, and nothing can be unpacked. Format: POSIX pax(1), GNU tar's manual "Basic Tar Format".

use std::io::{self, Read};

const BLOCK: usize = 512;

/// Most bytes of a long name or a PAX header. Linux itself ends paths at 4096.
const LONGEST_HEADER: u64 = 1 << 20;

/// What an entry is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    Symlink,
    Directory,
    Other,
}

/// An entry's header.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// As written.
    pub(super) path: String,
    pub(super) link: String,
    pub(super) kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) size: u64,
    /// `security.capability`.
    pub(super) capability: Option<Vec<u8>>,
}

/// What PAX and GNU headers say about the next entry.
#[derive(Default)]
struct Override {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    uid: Option<u32>,
    capability: Option<Vec<u8>>,
}

/// Goes through all entries. `visit` may read the entry's body; what it leaves is skipped.
pub(super) fn entries(
    mut archive: impl Read,
    visit: &mut dyn FnMut(Entry, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut next = Override::default();
    let mut block = [0; BLOCK];
    loop {
        // An archive may end without its two zero blocks.
        if !read_block(&mut archive, &mut block)? || block.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        if !is_header(&block) {
            return Err(invalid("not a tar archive"));
        }
        let own_size = number(&block[124..136]).ok_or_else(|| invalid("a tar header without a size"))?;
        match block[156] {
            b'x' => pax(&text(&mut archive, own_size)?, &mut next)?,
            b'g' => drop(text(&mut archive, own_size)?),
            b'L' => next.path = Some(lossy(until_nul(&text(&mut archive, own_size)?))),
            b'K' => next.link = Some(lossy(until_nul(&text(&mut archive, own_size)?))),
            flag => {
                let entry = entry(&block, flag, own_size, std::mem::take(&mut next));
                let size = entry.size;
                let mut body = (&mut archive).take(size);
                visit(entry, &mut body)?;
                let left = body.limit() + padding(size);
                skip(&mut archive, left)?;
            }
        }
    }
}

fn entry(block: &[u8; BLOCK], flag: u8, own_size: u64, said: Override) -> Entry {
    let kind = match flag {
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'5' => Kind::Directory,
        _ => Kind::Other,
    };
    let field = |range: std::ops::Range<usize>| until_nul(&block[range]).to_vec();
    let own_path = || {
        let (name, prefix) = (field(0..100), field(345..500));
        // The prefix is POSIX's; GNU keeps times there.
        let is_posix = &block[257..263] == b"ustar\0";
        if is_posix && !prefix.is_empty() {
            lossy(&[prefix, b"/".to_vec(), name].concat())
        } else {
            lossy(&name)
        }
    };
    let path = said.path.unwrap_or_else(own_path);
    // Links and directories have no body, whatever their header says.
    let has_body = matches!(kind, Kind::File | Kind::Other);
    Entry {
        kind: if kind == Kind::File && path.ends_with('/') { Kind::Directory } else { kind },
        path,
        link: said.link.unwrap_or_else(|| lossy(&field(157..257))),
        mode: number(&block[100..108]).map_or(0, |mode| (mode & 0o7777) as u32),
        uid: said
            .uid
            .unwrap_or_else(|| number(&block[108..116]).and_then(|uid| u32::try_from(uid).ok()).unwrap_or(0)),
        size: if has_body { said.size.unwrap_or(own_size) } else { 0 },
        capability: said.capability,
    }
}

/// `LENGTH key=value\n`, where the length counts the whole record.
fn pax(records: &[u8], said: &mut Override) -> io::Result<()> {
    let bad = || invalid("a broken PAX header");
    let mut rest = records;
    while !rest.is_empty() {
        let space = rest.iter().position(|byte| *byte == b' ').filter(|at| *at <= 20).ok_or_else(bad)?;
        let length: usize = std::str::from_utf8(&rest[..space])
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(bad)?;
        let record =
            rest.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(bad)?;
        rest = &rest[length..];
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let decimal = || std::str::from_utf8(value).ok().and_then(|digits| digits.parse::<u64>().ok());
        match key {
            b"path" => said.path = Some(lossy(value)),
            b"linkpath" => said.link = Some(lossy(value)),
            b"size" => said.size = Some(decimal().ok_or_else(bad)?),
            b"uid" => said.uid = decimal().and_then(|uid| u32::try_from(uid).ok()),
            b"SCHILY.xattr.security.capability" => said.capability = Some(value.to_vec()),
            _ => {}
        }
    }
    Ok(())
}

/// The body of a header entry.
fn text(archive: &mut impl Read, size: u64) -> io::Result<Vec<u8>> {
    if size > LONGEST_HEADER {
        return Err(invalid("a tar header of more than 1 MiB"));
    }
    let mut bytes = Vec::new();
    if archive.take(size).read_to_end(&mut bytes)? as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    skip(archive, padding(size))?;
    Ok(bytes)
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn skip(archive: &mut impl Read, bytes: u64) -> io::Result<()> {
    match io::copy(&mut archive.take(bytes), &mut io::sink())? {
        skipped if skipped == bytes => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads a block; false at the end of the archive.
fn read_block(archive: &mut impl Read, block: &mut [u8; BLOCK]) -> io::Result<bool> {
    let mut read = 0;
    while read < BLOCK {
        match archive.read(&mut block[read..])? {
            0 if read == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => read += n,
        }
    }
    Ok(true)
}

/// Whether the checksum is right; old tars summed signed bytes.
fn is_header(block: &[u8; BLOCK]) -> bool {
    let in_sum = |at: usize| if (148..156).contains(&at) { b' ' } else { block[at] };
    let unsigned: i64 = (0..BLOCK).map(|at| i64::from(in_sum(at))).sum();
    let signed: i64 = (0..BLOCK).map(|at| i64::from(in_sum(at).cast_signed())).sum();
    number(&block[148..156])
        .and_then(|sum| i64::try_from(sum).ok())
        .is_some_and(|sum| sum == unsigned || sum == signed)
}

/// Octal, or base 256 when the first bit is set. An empty field is 0.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (negative, rest) = (field[0] & 0x40 != 0, &field[1..]);
        let significant = &rest[rest.len().saturating_sub(8)..];
        let fits = !negative
            && rest[..rest.len() - significant.len()].iter().all(|byte| *byte == 0)
            && field[0] == 0x80;
        return fits.then(|| significant.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    }
    let digits = field.iter().filter(|byte| !matches!(**byte, b' ' | 0));
    digits.copied().try_fold(0_u64, |sum, digit| match digit {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len())]
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A header block with its checksum.
    pub(crate) fn header(path: &str, flag: u8, mode: u32, uid: u32, size: usize, link: &str) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..path.len()].copy_from_slice(path.as_bytes());
        block[100..107].copy_from_slice(format!("{mode:07o}").as_bytes());
        block[108..115].copy_from_slice(format!("{uid:07o}").as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[156] = flag;
        block[157..157 + link.len()].copy_from_slice(link.as_bytes());
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    pub(crate) fn padded(body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(BLOCK), 0);
        body
    }

    pub(crate) fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
        let tail = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
        let mut length = tail.len();
        while length != tail.len() + length.to_string().len() {
            length = tail.len() + length.to_string().len();
        }
        [length.to_string().into_bytes(), tail].concat()
    }

    fn listed(archive: &[u8]) -> io::Result<Vec<(String, Kind, u64)>> {
        let mut found = Vec::new();
        entries(archive, &mut |entry, _| {
            found.push((entry.path, entry.kind, entry.size));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn long_names_come_from_pax_and_gnu_headers() {
        let long = "d/".repeat(120) + "file";
        let record = pax_record("path", long.as_bytes());
        let archive = [
            header("x", b'x', 0, 0, record.len(), ""),
            padded(&record),
            header("short", b'0', 0o644, 0, 3, ""),
            padded(b"abc"),
            header("././@LongLink", b'L', 0, 0, long.len() + 1, ""),
            padded(&[long.as_bytes(), b"\0"].concat()),
            header("short", b'0', 0o644, 0, 0, ""),
            header("dir/", b'5', 0o755, 0, 0, ""),
            vec![0; 1024],
        ]
        .concat();
        let expected =
            [(long.clone(), Kind::File, 3), (long, Kind::File, 0), ("dir/".to_owned(), Kind::Directory, 0)];
        assert_eq!(listed(&archive).unwrap(), expected);
    }

    #[test]
    fn hostile_archives_are_errors_and_cost_nothing() {
        assert!(listed(b"short").is_err());
        assert!(listed(&[b'a'; 1024]).is_err());
        // A name of 8 GiB, a body that never comes.
        assert!(listed(&header("x", b'L', 0, 0, 0o77_777_777_777, "")).is_err());
        assert!(listed(&header("x", b'0', 0, 0, 0o77_777_777_777, "")).is_err());
        let record = b"99 path=x\n";
        assert!(listed(&[header("x", b'x', 0, 0, record.len(), ""), padded(record)].concat()).is_err());
        let record = b"3 \n";
        assert!(listed(&[header("x", b'x', 0, 0, record.len(), ""), padded(record)].concat()).is_err());
        assert_eq!(listed(b"").unwrap(), []);
    }

    #[test]
    fn sizes_above_octal_are_base_256() {
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(number(&[0xff; 12]), None);
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"      8 "), None);
    }
}
