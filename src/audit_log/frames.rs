//! Single JSON values out of a stream: one a line, or the items of one long array or list.
//!
//! Memory holds one value at a time. Knows how JSON nests; not what it says.

use std::io::{self, BufRead};

use memchr::{memchr, memchr2};

/// The largest value that is read, in bytes. API servers keep objects below 3 MiB; a logged list holds many.
const LARGEST: usize = 32 << 20;
/// Keys of an object that hold what matters one by one: EventList, CloudWatch's API, its subscriptions, Event Hubs.
const LISTS: [&[u8]; 4] = [b"items", b"events", b"logEvents", b"records"];
const TOO_LARGE: &str = "larger than 32 MiB";

/// Receives values with the line they start at, or why there is none.
type Take<'t> = &'t mut dyn FnMut(u64, Result<&[u8], &'static str>);

/// Calls `take` for every value. A stream whose first line holds a whole value has one on each line; another one is a
/// document.
pub(super) fn each(mut input: impl BufRead, take: Take<'_>) -> io::Result<()> {
    if is_document(input.fill_buf()?) { document(input, take) } else { lines(input, take) }
}

/// An array, a value over several lines, or a list that goes beyond what is buffered.
fn is_document(start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    let (line, is_whole) = match memchr(b'\n', start) {
        Some(end) => (start[..end].trim_ascii_end(), true),
        None => (start, false),
    };
    let opens_list = || LISTS.iter().any(|key| has_list(line, key));
    line.first() == Some(&b'[') || line == b"{" || !is_whole && opens_list()
}

/// `"key":[` or `"key": [`.
fn has_list(text: &[u8], key: &[u8]) -> bool {
    memchr::memmem::find_iter(text, key).any(|at| {
        let quoted = at > 0 && text[at - 1] == b'"' && text.get(at + key.len()) == Some(&b'"');
        let rest = text.get(at + key.len() + 1..).unwrap_or_default().trim_ascii_start();
        quoted && rest.first() == Some(&b':') && rest[1..].trim_ascii_start().first() == Some(&b'[')
    })
}

fn lines(mut input: impl BufRead, take: Take<'_>) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut is_too_large = false;
        loop {
            let chunk = input.fill_buf()?;
            let (part, ends) = match memchr(b'\n', chunk) {
                Some(end) => (&chunk[..end], true),
                None => (chunk, chunk.is_empty()),
            };
            is_too_large |= line.len() + part.len() > LARGEST;
            if !is_too_large {
                line.extend_from_slice(part);
            }
            let (used, is_over) = (part.len() + usize::from(ends && !chunk.is_empty()), chunk.is_empty());
            input.consume(used);
            if is_over && line.is_empty() && !is_too_large {
                return Ok(());
            }
            if ends {
                break;
            }
        }
        let value = without_time(line.trim_ascii());
        if is_too_large {
            take(number, Err(TOO_LARGE));
        } else if !value.is_empty() {
            take(number, Ok(value));
        }
    }
    Ok(())
}

/// CloudWatch puts the time in front of each line that it exports to S3:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3Export.html>.
fn without_time(line: &[u8]) -> &[u8] {
    match memchr(b' ', &line[..line.len().min(40)]) {
        Some(at) if line[0].is_ascii_digit() && line[at - 1] == b'Z' => line[at..].trim_ascii_start(),
        _ => line,
    }
}

/// Where a scan is in a document.
struct Scan<'t> {
    take: Take<'t>,
    value: Vec<u8>,
    line: u64,
    /// Where the value starts.
    starts: u64,
    depth: usize,
    /// Values start at this depth: 0, or inside of an array or list.
    base: usize,
    /// Behind a list: the rest of the object around it means nothing.
    skips: bool,
    collects: bool,
    is_too_large: bool,
    in_string: bool,
    escaped: bool,
    /// The last string of the outermost object, and whether it is the key of what comes.
    string: Vec<u8>,
    is_key: bool,
}

fn document(mut input: impl BufRead, take: Take<'_>) -> io::Result<()> {
    let mut scan = Scan {
        take,
        value: Vec::new(),
        line: 1,
        starts: 1,
        depth: 0,
        base: 0,
        skips: false,
        collects: false,
        is_too_large: false,
        in_string: false,
        escaped: false,
        string: Vec::new(),
        is_key: false,
    };
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            if scan.depth > 0 {
                (scan.take)(scan.starts, Err("ends in the middle of a value"));
            }
            return Ok(());
        }
        scan.chunk(chunk);
        let used = chunk.len();
        input.consume(used);
    }
}

impl Scan<'_> {
    fn chunk(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = if self.in_string { self.string(bytes) } else { self.structure(bytes) };
            bytes = &bytes[used..];
        }
    }

    /// Inside of a string: up to and with its end, or one escape. Returns how much was used.
    fn string(&mut self, bytes: &[u8]) -> usize {
        let used = if self.escaped {
            self.escaped = false;
            1
        } else {
            match memchr2(b'"', b'\\', bytes) {
                Some(at) => {
                    self.escaped = bytes[at] == b'\\';
                    self.in_string = self.escaped;
                    at + 1
                }
                None => bytes.len(),
            }
        };
        if self.depth == 1 && self.base == 0 && self.string.len() < 16 {
            let inside = used - usize::from(!self.in_string);
            self.string.extend_from_slice(&bytes[..inside.min(16)]);
        }
        self.collect(&bytes[..used]);
        used
    }

    fn structure(&mut self, bytes: &[u8]) -> usize {
        let byte = bytes[0];
        match byte {
            b'\n' => self.line += 1,
            b'"' => {
                self.in_string = true;
                self.is_key = false;
                self.string.clear();
            }
            b':' => self.is_key = self.depth == 1,
            b'{' => self.open(),
            b'[' if self.depth == 0 => {
                (self.depth, self.base) = (1, 1);
                return 1;
            }
            b'[' if self.is_list() => {
                self.collects = false;
                self.value.clear();
                (self.depth, self.base) = (2, 2);
                return 1;
            }
            b'[' => self.depth += 1,
            b'}' | b']' => {
                self.collect(&bytes[..1]);
                self.close();
                return 1;
            }
            _ => {}
        }
        self.collect(&bytes[..1]);
        1
    }

    fn is_list(&self) -> bool {
        self.depth == 1
            && self.base == 0
            && !self.skips
            && self.is_key
            && LISTS.contains(&self.string.as_slice())
    }

    fn open(&mut self) {
        if self.depth == self.base && !self.skips {
            self.collects = true;
            self.starts = self.line;
        }
        self.depth += 1;
    }

    fn close(&mut self) {
        if self.depth == self.base {
            // The end of an array, or of a list in its object.
            self.skips = self.base == 2;
            self.depth = self.base - usize::from(self.base > 0);
            self.base = 0;
            return;
        }
        self.depth = self.depth.saturating_sub(1);
        if self.skips {
            self.skips = self.depth > 0;
        } else if self.collects && self.depth == self.base {
            let read = if self.is_too_large { Err(TOO_LARGE) } else { Ok(self.value.as_slice()) };
            (self.take)(self.starts, read);
            self.value.clear();
            (self.collects, self.is_too_large) = (false, false);
        }
    }

    fn collect(&mut self, bytes: &[u8]) {
        if self.collects {
            self.is_too_large |= self.value.len() + bytes.len() > LARGEST;
            if !self.is_too_large {
                self.value.extend_from_slice(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads through a buffer of a few bytes, so that every boundary is met.
    #[track_caller]
    fn check(input: &str, expected: &[(u64, &str)]) {
        for capacity in [1 << 16, 7] {
            let mut found = Vec::new();
            let input = io::BufReader::with_capacity(capacity, input.as_bytes());
            // What the input is must be seen from its start.
            let mut take = |line: u64, frame: Result<&[u8], &'static str>| {
                let text =
                    frame.map_or_else(str::to_owned, |bytes| String::from_utf8(bytes.to_vec()).unwrap());
                found.push((line, text));
            };
            if capacity == 7 {
                let start = input.get_ref().to_vec();
                if is_document(&start) { document(input, &mut take) } else { lines(input, &mut take) }
                    .unwrap();
            } else {
                each(input, &mut take).unwrap();
            }
            let expected: Vec<(u64, String)> =
                expected.iter().map(|(n, text)| (*n, (*text).to_owned())).collect();
            assert_eq!(found, expected, "with a buffer of {capacity}");
        }
    }

    #[test]
    fn a_line_is_a_value() {
        check(
            "{\"a\":1}\n\n{\"b\":2}\r\nbroken {\n{}",
            &[(1, "{\"a\":1}"), (3, "{\"b\":2}"), (4, "broken {"), (5, "{}")],
        );
        check("{\"items\":[{}]}\n{\"a\":1}\n", &[(1, "{\"items\":[{}]}"), (2, "{\"a\":1}")]);
        check("", &[]);
        check("\n\n", &[]);
    }

    #[test]
    fn a_time_before_a_value_goes() {
        check("2026-01-02T03:04:05.678Z {\"a\":1}\n", &[(1, "{\"a\":1}")]);
        check("2026 {\"a\":1}\n", &[(1, "2026 {\"a\":1}")]);
    }

    #[test]
    fn items_of_arrays_and_lists_come_one_by_one() {
        check(
            "[\n {\"a\": [1, {}]},\n {\"b\": \"]}\\\"\"}\n]\n",
            &[(2, "{\"a\": [1, {}]}"), (3, "{\"b\": \"]}\\\"\"}")],
        );
        check("[{},{}][{}]", &[(1, "{}"), (1, "{}"), (1, "{}")]);
        check(
            "{\n \"kind\": \"EventList\",\n \"items\": [\n  {\"items\": [{}]},\n  {\"x\": 2}\n ],\n \"z\": {\"a\": [{}]}\n}\n{\n \"a\": 1\n}",
            &[(4, "{\"items\": [{}]}"), (5, "{\"x\": 2}"), (9, "{\n \"a\": 1\n}")],
        );
        check("{\n\"a\": \"items\", \"b\": [{}]}", &[(1, "{\n\"a\": \"items\", \"b\": [{}]}")]);
        check("{\n\"a\": {\"items\": [{}]}}", &[(1, "{\n\"a\": {\"items\": [{}]}}")]);
    }

    #[test]
    fn a_document_that_ends_early_is_told() {
        check("[\n{\"a\":1},\n{\"b\":", &[(2, "{\"a\":1}"), (3, "ends in the middle of a value")]);
    }

    #[test]
    fn a_list_on_one_long_line_is_a_document() {
        let long = format!("{{\"kind\":\"EventList\",\"items\":[{}]}}", vec!["{\"a\":1}"; 50_000].join(","));
        let mut n = 0;
        each(io::BufReader::with_capacity(1 << 10, long.as_bytes()), &mut |_, frame| {
            assert_eq!(frame, Ok(&b"{\"a\":1}"[..]));
            n += 1;
        })
        .unwrap();
        assert_eq!(n, 50_000);
    }

    #[test]
    fn a_value_beyond_the_limit_is_passed_over() {
        let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(LARGEST));
        check(&format!("{huge}\n{{}}\n"), &[(1, TOO_LARGE), (2, "{}")]);
        check(&format!("[{huge},{{}}]"), &[(1, TOO_LARGE), (1, "{}")]);
    }
}
