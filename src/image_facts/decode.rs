//! Layers as they are sent, uncompressed as they stream: gzip, zstd, or plain. Told apart by their first bytes, as
//! runtimes do, because media types lie. Knows nothing of what is inside.

use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// Larger than what zstd's own tool needs at its default levels; bounds memory.
const LARGEST_WINDOW: u64 = 128 << 20;

/// The plain bytes of a layer.
pub(super) fn decoded<'a>(layer: &'a mut dyn Read) -> io::Result<Box<dyn Read + 'a>> {
    let peeked = Peeked::new(BufReader::with_capacity(64 * 1024, layer))?;
    Ok(match peeked.head() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(peeked)),
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Box::new(Zstd::Between(Some(peeked))),
        _ => Box::new(peeked),
    })
}

/// A reader whose next four bytes are known.
struct Peeked<R> {
    inner: R,
    head: [u8; 4],
    from: usize,
    to: usize,
}

impl<R: Read> Peeked<R> {
    fn new(inner: R) -> io::Result<Peeked<R>> {
        let mut peeked = Peeked { inner, head: [0; 4], from: 0, to: 0 };
        peeked.peek()?;
        Ok(peeked)
    }

    /// Fills the head; call only when it was read. Returns whether there is anything left.
    fn peek(&mut self) -> io::Result<bool> {
        (self.from, self.to) = (0, 0);
        while self.to < self.head.len() {
            match self.inner.read(&mut self.head[self.to..])? {
                0 => break,
                n => self.to += n,
            }
        }
        Ok(self.to > 0)
    }

    fn head(&self) -> &[u8] {
        &self.head[self.from..self.to]
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.from == self.to {
            return self.inner.read(buffer);
        }
        let n = buffer.len().min(self.to - self.from);
        buffer[..n].copy_from_slice(&self.head[self.from..self.from + n]);
        self.from += n;
        Ok(n)
    }
}

/// All frames of a stream one after the other: `zstd:chunked` layers have many, and some that are to be skipped.
enum Zstd<R: Read> {
    Between(Option<Peeked<R>>),
    Inside(Box<StreamingDecoder<Peeked<R>, FrameDecoder>>),
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self {
                Zstd::Inside(decoder) => {
                    let n = decoder.read(buffer)?;
                    if n > 0 {
                        return Ok(n);
                    }
                    let Zstd::Inside(decoder) = std::mem::replace(self, Zstd::Between(None)) else {
                        return Ok(0);
                    };
                    let mut source = decoder.into_inner();
                    if source.peek()? {
                        *self = Zstd::Between(Some(source));
                    }
                }
                Zstd::Between(source) => {
                    let Some(mut source) = source.take() else { return Ok(0) };
                    if let [magic @ 0x50..=0x5f, 0x2a, 0x4d, 0x18] = *source.head() {
                        let _ = magic;
                        skip_frame(&mut source)?;
                        if source.peek()? {
                            *self = Zstd::Between(Some(source));
                        }
                        continue;
                    }
                    let decoder = StreamingDecoder::new_with_max_window_size(source, LARGEST_WINDOW)
                        .map_err(bad_frame)?;
                    *self = Zstd::Inside(Box::new(decoder));
                }
            }
        }
    }
}

fn skip_frame<R: Read>(source: &mut Peeked<R>) -> io::Result<()> {
    let mut header = [0; 8];
    source.read_exact(&mut header)?;
    let length = u64::from(u32::from_le_bytes([header[4], header[5], header[6], header[7]]));
    io::copy(&mut source.take(length), &mut io::sink())?;
    Ok(())
}

fn bad_frame(error: FrameDecoderError) -> io::Error {
    match error {
        FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::MagicNumberReadError(error)) => error,
        error => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[track_caller]
    fn check(mut sent: &[u8], expected: &[u8]) {
        let mut plain = Vec::new();
        decoded(&mut sent).unwrap().read_to_end(&mut plain).unwrap();
        assert!(plain == expected, "{} bytes", plain.len());
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn every_compression_gives_the_same_bytes() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        check(&gzip(&bytes), &bytes);
        check(&zstd(&bytes), &bytes);
        check(&bytes, &bytes);
        check(b"ab", b"ab");
        check(b"", b"");
    }

    #[test]
    fn several_members_and_frames_are_one_stream() {
        check(&[gzip(b"one"), gzip(b"two")].concat(), b"onetwo");
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        check(&[zstd(b"one"), skipped.clone(), zstd(b"two"), skipped].concat(), b"onetwo");
    }

    #[test]
    fn broken_streams_are_errors() {
        let mut sent = &[0x1f, 0x8b, 8, 0, 0][..];
        assert!(decoded(&mut sent).unwrap().read_to_end(&mut Vec::new()).is_err());
        let mut sent = &[0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff][..];
        assert!(decoded(&mut sent).unwrap().read_to_end(&mut Vec::new()).is_err());
    }
}
