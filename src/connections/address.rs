//! Finds addresses in text: URLs, `host:port`, names behind words like `host`. Knows how people write addresses;
//! not which names exist.

/// An address as a text has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    /// In lower case, without the dot at the end.
    pub(super) host: String,
    pub(super) port: Option<PortText>,
    /// The scheme's own port, where the text names none.
    pub(super) default_port: Option<u16>,
    pub(super) form: Form,
    /// Line of the text, counted from 0.
    pub(super) line: usize,
    /// As written, without what could be a credential.
    pub(super) shown: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PortText {
    Number(u16),
    Name(String),
}

/// How clear it is that a word is an address, least clear first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// A word on its own: an address only if it is the name of one.
    Word,
    /// `word:5432` within other text.
    Inline,
    /// Behind a key such as `DB_HOST` or `--server`.
    Keyed,
    /// Nothing but `host:port`.
    Whole,
    Url,
}

/// Ports that schemes imply. IANA's registry and the projects' own documentation of their URLs.
const SCHEMES: &[(&str, u16)] = &[
    ("amqp", 5672),
    ("amqps", 5671),
    ("bolt", 7687),
    ("ftp", 21),
    ("http", 80),
    ("https", 443),
    ("ldap", 389),
    ("ldaps", 636),
    ("mariadb", 3306),
    ("memcached", 11211),
    ("mongodb", 27017),
    ("mqtt", 1883),
    ("mqtts", 8883),
    ("mysql", 3306),
    ("nats", 4222),
    ("neo4j", 7687),
    ("otlp", 4317),
    ("postgres", 5432),
    ("postgresql", 5432),
    ("redis", 6379),
    ("rediss", 6379),
    ("smtp", 25),
    ("sqlserver", 1433),
    ("ssh", 22),
    ("ws", 80),
    ("wss", 443),
    ("zipkin", 9411),
];

/// Schemes whose rest is no address of a host.
const NOT_HOSTS: &[&str] = &[
    "arn",
    "classpath",
    "configmap",
    "data",
    "docker",
    "file",
    "gs",
    "oci",
    "s3",
    "secret",
    "spiffe",
    "unix",
    "unix-abstract",
    "urn",
];

/// Last words of keys that hold addresses: `DB_HOST`, `bootstrapServers`, `--upstream-url`.
const ADDRESS_WORDS: &[&str] = &[
    "addr",
    "address",
    "addresses",
    "authority",
    "backend",
    "backends",
    "base",
    "baseurl",
    "bootstrap",
    "broker",
    "brokers",
    "connect",
    "connection",
    "connectionstring",
    "destination",
    "dsn",
    "endpoint",
    "endpoints",
    "exporter",
    "h",
    "host",
    "hostname",
    "hosts",
    "hostaddr",
    "link",
    "listener",
    "master",
    "nodes",
    "origin",
    "peer",
    "peers",
    "primary",
    "proxy",
    "pass",
    "proxypass",
    "remote",
    "replica",
    "route",
    "seed",
    "seeds",
    "server",
    "servers",
    "service",
    "svc",
    "target",
    "targets",
    "upstream",
    "uri",
    "uris",
    "url",
    "urls",
];

/// Finds the addresses of a text. `key` is what the text is the value of.
pub(super) fn mentions(text: &str, key: Option<&str>) -> Vec<Mention> {
    let mut found = Vec::new();
    if key.is_some_and(is_no_address) {
        return found;
    }
    let keyed = key.is_some_and(names_address);
    for (line, row) in text.lines().enumerate() {
        let row = row.trim();
        let row = row.split_once(" #").map_or(row, |(row, _)| row);
        if row.starts_with('#') || row.starts_with("//") {
            continue;
        }
        let rest = urls(row, line, &mut found);
        words(&rest, line, keyed, text.lines().nth(1).is_none(), &mut found);
    }
    found
}

/// Takes the URLs of a line; returns the line with blanks in their place.
fn urls(row: &str, line: usize, found: &mut Vec<Mention>) -> String {
    let mut rest = String::with_capacity(row.len());
    let mut left = row;
    while let Some(at) = left.find("://") {
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-' | ':');
        let start = left[..at]
            .rfind(|c: char| !is_scheme(c))
            .map_or(0, |before| before + left[before..].chars().next().map_or(1, char::len_utf8));
        rest.push_str(&left[..start]);
        rest.push(' ');
        let scheme = left[start..at].rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
        let body = &left[at + 3..];
        let end = body
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ')' | ']' | '}' | ';' | '|')
            })
            .unwrap_or(body.len());
        // A list of URLs; a list of hosts behind one scheme stays whole.
        let next = body[..end].find("://").and_then(|next| body[..next].rfind(','));
        let end = next.unwrap_or(end);
        url(&scheme, &body[..end], line, found);
        left = &body[end..];
    }
    rest.push_str(left);
    rest
}

fn url(scheme: &str, body: &str, line: usize, found: &mut Vec<Mention>) {
    if NOT_HOSTS.contains(&scheme) {
        return;
    }
    let authority = body.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    // `mongodb+srv`, `jdbc:postgresql`, `grpc+tls`: the part that says the protocol decides the port.
    let plain = scheme.split('+').next().unwrap_or_default();
    let default_port = SCHEMES.iter().find(|(name, _)| *name == plain).map(|(_, port)| *port);
    // MySQL's Go driver writes `tcp(host:port)`.
    for part in authority.split(',') {
        let part = part.trim_start_matches("tcp(").trim_end_matches(')');
        if let Some((host, port)) = host_and_port(part) {
            let shown = match &port {
                Some(port) => format!("{scheme}://{host}:{port}"),
                None => format!("{scheme}://{host}"),
            };
            found.push(Mention { host, port, default_port, form: Form::Url, line, shown });
        }
    }
}

fn words(row: &str, line: usize, keyed: bool, single_line: bool, found: &mut Vec<Mention>) {
    let separators = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '"' | '\''
                    | '`'
                    | ','
                    | ';'
                    | '='
                    | '<'
                    | '>'
                    | '('
                    | ')'
                    | '['
                    | ']'
                    | '{'
                    | '}'
                    | '|'
                    | '&'
                    | '@'
            )
    };
    let tokens: Vec<&str> = row.split(separators).filter(|token| !token.is_empty()).collect();
    // A list of nothing but addresses, as `a:9092,b:9092`.
    let is_list =
        single_line && tokens.iter().all(|token| matches!(host_and_port(token), Some((_, Some(_)))));
    for (idx, token) in tokens.iter().enumerate() {
        let token = token.trim_end_matches([':', '.']);
        if token.starts_with(['/', '-', '.', '$', '%', '\\']) {
            continue;
        }
        let (head, tail) = token.split_once('/').unwrap_or((token, ""));
        // A range of addresses is nobody's address.
        if !tail.is_empty() && tail.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Some((host, port)) = host_and_port(head) else { continue };
        let before = idx.checked_sub(1).map(|idx| tokens[idx]);
        let behind_key = match before {
            Some(before) => names_address(before.trim_start_matches('-').trim_end_matches(':')),
            None => keyed,
        } || keyed && tokens.len() == 1;
        // `nc -z db 5432`
        let next = tokens.get(idx + 1).and_then(|next| next.parse::<u16>().ok()).filter(|port| *port > 0);
        let form = match &port {
            Some(_) if is_list => Form::Whole,
            _ if behind_key || keyed && is_list => Form::Keyed,
            Some(_) => Form::Inline,
            None if next.is_some() && port.is_none() => Form::Inline,
            None => Form::Word,
        };
        let port = port.or(next.filter(|_| before.is_some()).map(PortText::Number));
        let shown = match &port {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        found.push(Mention { host, port, default_port: None, form, line, shown });
    }
}

/// `host`, `host:5432` or `host:http`; `None` for what no host is called.
fn host_and_port(text: &str) -> Option<(String, Option<PortText>)> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let port = match port {
        None | Some("") => None,
        Some(port) => match port.parse::<u32>() {
            Ok(0) => return None,
            Ok(number) => Some(PortText::Number(u16::try_from(number).ok()?)),
            Err(_) if is_port_name(port) => Some(PortText::Name(port.to_owned())),
            Err(_) => return None,
        },
    };
    is_host(&host).then_some((host, port))
}

/// An RFC 1123 name, or one with underscores in front as SRV records have; not only digits.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253
        && host.split('.').all(label)
        && (host.bytes().any(|byte| byte.is_ascii_lowercase()) || ipv4(host).is_some())
}

/// The four numbers of an IPv4 address.
pub(super) fn ipv4(host: &str) -> Option<std::net::Ipv4Addr> {
    host.parse().ok()
}

/// An IANA service name, as ports of containers have.
fn is_port_name(text: &str) -> bool {
    text.len() <= 15
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Whether what a key holds is an address, by the key's last word.
pub(super) fn names_address(key: &str) -> bool {
    let words = split_words(key);
    let last = words.last().map(String::as_str).unwrap_or_default();
    ADDRESS_WORDS.contains(&last)
        || words.len() > 1 && last.bytes().all(|byte| byte.is_ascii_digit()) && {
            let before = words[words.len() - 2].as_str();
            ADDRESS_WORDS.contains(&before)
        }
}

/// Keys whose values name images, pods or people, which look like addresses.
fn is_no_address(key: &str) -> bool {
    let words = split_words(key);
    let last = words.last().map(String::as_str).unwrap_or_default();
    matches!(last, "image" | "tag" | "version" | "namespace" | "ns" | "schema" | "license")
}

/// The words of `DB_HOST`, `dbHost`, `db.host` and `--db-host`, in lower case.
pub(super) fn split_words(key: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut was_lower = false;
    let mut starts = true;
    for c in key.chars() {
        if !c.is_ascii_alphanumeric() {
            starts = true;
            was_lower = false;
            continue;
        }
        if starts || was_lower && c.is_ascii_uppercase() {
            words.push(String::new());
            starts = false;
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        words.last_mut().expect("a word was started").push(c.to_ascii_lowercase());
    }
    words
}

impl std::fmt::Display for PortText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PortText::Number(number) => write!(f, "{number}"),
            PortText::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found, as `form shown`; words on their own are left out.
    #[track_caller]
    fn check(key: Option<&str>, text: &str, expected: &[&str]) {
        let found = mentions(text, key);
        let clear = found.iter().filter(|mention| mention.form > Form::Word);
        let shown: Vec<String> =
            clear.map(|mention| format!("{:?} {}", mention.form, mention.shown)).collect();
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn urls_give_hosts_and_ports() {
        check(None, "http://api:8080/v1?x=http", &["Url http://api:8080"]);
        check(None, "jdbc:postgresql://accounts-db:5432/accounts", &["Url postgresql://accounts-db:5432"]);
        check(None, "amqp://user:pa:ss@rabbit:5672/%2f", &["Url amqp://rabbit:5672"]);
        check(
            None,
            "mongodb://a-0.a:27017,a-1.a:27017/db",
            &["Url mongodb://a-0.a:27017", "Url mongodb://a-1.a:27017"],
        );
        check(None, "http://a:1,http://b:2", &["Url http://a:1", "Url http://b:2"]);
        check(None, "redis://db.ns.svc.cluster.local.:6379", &["Url redis://db.ns.svc.cluster.local:6379"]);
        check(None, "unix:///var/run/x.sock", &[]);
    }

    #[test]
    fn hosts_with_ports_are_found_alone_in_lists_and_in_text() {
        check(Some("DB"), "db:5432", &["Whole db:5432"]);
        check(Some("BROKERS"), "k0:9092,k1:9092", &["Whole k0:9092", "Whole k1:9092"]);
        check(None, "--flag=db:5432", &["Inline db:5432"]);
        check(None, "nc -z db 5432", &["Inline db:5432"]);
        check(None, "until nc -z db:pg; do true; done", &["Inline db:pg"]);
    }

    #[test]
    fn keys_tell_that_a_word_is_an_address() {
        check(Some("REDIS_HOST"), "redis", &["Keyed redis"]);
        check(Some("DB_NAME"), "db", &[]);
        check(Some("LOG_LEVEL"), "api", &[]);
        check(None, "--host\ndb", &[]);
        check(None, "--host db", &["Keyed db"]);
        check(None, "spring.redis.host: cache", &["Keyed cache"]);
        check(Some("IMAGE"), "redis:6379", &[]);
    }

    #[test]
    fn what_is_no_address_is_passed_over() {
        check(None, "10.0.0.0/8 /etc/config 12:30 nginx:1.25 # http://x", &[]);
        check(None, "# see http://docs\n// http://more", &[]);
        check(Some("HOST"), "10.0.0.7", &["Keyed 10.0.0.7"]);
    }
}
