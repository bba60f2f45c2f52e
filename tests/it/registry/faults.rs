//! What a registry can do wrong, and who gets to see a credential.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use caseharden::image::{Digest, Reference};
use caseharden::registry::credentials::Places;
use caseharden::registry::{Client, Content, Credentials, Failure, Limits, Settings};

use super::images::{INDEX, Image, MANIFEST, image, index, tar};
use super::server::{Reply, Request, Server, reply};

const CANARY: &str = "canary-7f3a9c";

fn limits() -> Limits {
    Limits {
        attempts: 3,
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_secs(2),
        answer: Duration::from_millis(400),
        silence: Duration::from_millis(400),
        ..Limits::default()
    }
}

fn client() -> Client {
    Client::new(Settings { limits: limits(), ..Settings::default() }, Credentials::default()).unwrap()
}

/// A client that has a login for these hosts.
fn client_with_login(hosts: &[&str]) -> (Client, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let auths: BTreeMap<&str, _> = hosts
        .iter()
        .map(|host| (*host, serde_json::json!({"username": "reader", "password": CANARY})))
        .collect();
    let path: PathBuf = folder.path().join("auth.json");
    std::fs::write(&path, serde_json::json!({"auths": auths}).to_string()).unwrap();
    let credentials = Credentials::load(&Places { auth_file: Some(path), ..Places::default() });
    (Client::new(Settings { limits: limits(), ..Settings::default() }, credentials).unwrap(), folder)
}

fn single() -> Image {
    image("amd64", serde_json::json!({}), &[tar(&[])])
}

fn reference(host: &str) -> Reference {
    Reference::parse(&format!("{host}/team/app:1")).unwrap()
}

fn manifest_reply(image: &Image) -> Reply {
    let digest = image.manifest.digest().to_string();
    reply(
        200,
        &[("content-type", MANIFEST), ("docker-content-digest", &digest)],
        image.manifest.bytes.clone(),
    )
}

fn sees_secret(request: &Request) -> bool {
    let encoded = "cmVhZGVyOmNhbmFyeS03ZjNhOWM=";
    let text = format!("{request:?}");
    text.contains(CANARY) || text.contains(encoded) || text.contains("Bearer")
}

#[test]
fn a_rate_limit_is_waited_for_and_then_passes() {
    let image = single();
    let expected = image.manifest.digest();
    let server = Server::start(move |number, _| match number {
        1 | 2 => reply(429, &[("retry-after", "0")], ""),
        _ => manifest_reply(&image),
    });
    assert_eq!(client().resolve(&reference(&server.host)).unwrap().digest, expected);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_rate_limit_that_stays_ends_after_the_attempts_and_a_long_one_at_once() {
    let server = Server::start(|_, _| reply(429, &[("retry-after", "0")], ""));
    let failure = client().resolve(&reference(&server.host)).unwrap_err();
    assert!(matches!(failure, Failure::RateLimited { .. }), "{failure}");
    assert_eq!(server.requests().len(), 3);

    let server = Server::start(|_, _| reply(429, &[("retry-after", "3600")], ""));
    let failure = client().resolve(&reference(&server.host)).unwrap_err();
    assert!(
        failure.to_string().ends_with("limits the rate of requests (429) and asks to wait for 3600 s"),
        "{failure}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_error_is_asked_again() {
    let image = single();
    let server = Server::start(
        move |number, _| if number == 1 { reply(503, &[], "") } else { manifest_reply(&image) },
    );
    assert!(client().resolve(&reference(&server.host)).is_ok());
}

#[test]
fn a_registry_that_lies_about_a_digest_is_refused() {
    let (image, other) = (single(), Digest::of(b"other"));
    let announced = other.to_string();
    let body = image.manifest.bytes.clone();
    let server = Server::start(move |_, _| {
        reply(200, &[("content-type", MANIFEST), ("docker-content-digest", &announced)], body.clone())
    });
    let reference = reference(&server.host);
    let client = client();
    // HEAD is believed until the body is there.
    let resolved = client.resolve(&reference).unwrap();
    assert_eq!(resolved.digest, other);
    let failure = client.manifest(&reference, &resolved.digest).unwrap_err();
    assert_eq!(failure, Failure::Mismatch { expected: other.clone(), found: image.manifest.digest() });
    // What was pinned is asked for by its digest, and has to be it.
    let pinned = reference.with_digest(image.manifest.digest());
    assert!(matches!(client.resolve(&pinned), Err(Failure::Mismatch { .. })));
}

#[test]
fn a_blob_that_is_not_what_its_digest_says_gives_nothing() {
    let image = single();
    let layer = image.blobs[1].clone();
    let mut wrong = layer.bytes.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let server = Server::start(move |_, _| reply(200, &[], wrong.clone()));
    let descriptor = serde_json::from_value(layer.descriptor()).unwrap();
    let failure = client().small_blob(&reference(&server.host), &descriptor, 1 << 20).unwrap_err();
    assert!(matches!(failure, Failure::Mismatch { .. }), "{failure}");
}

#[test]
fn a_body_that_breaks_off_is_asked_for_again() {
    let layer = single().blobs[1].clone();
    let (bytes, half) = (layer.bytes.clone(), layer.bytes[..layer.bytes.len() / 2].to_vec());
    let server = Server::start(move |number, _| {
        if number < 3 { Reply::Truncated(half.clone()) } else { reply(200, &[], bytes.clone()) }
    });
    let descriptor = serde_json::from_value(layer.descriptor()).unwrap();
    assert_eq!(client().small_blob(&reference(&server.host), &descriptor, 1 << 20).unwrap(), layer.bytes);

    let server = Server::start(|_, _| Reply::Truncated(b"{".to_vec()));
    let failure = client().resolve(&reference(&server.host)).unwrap_err();
    assert!(failure.to_string().ends_with(": the answer broke off"), "{failure}");
}

#[test]
fn a_registry_without_the_header_is_asked_for_the_body() {
    let image = index(&[("amd64", &single())]);
    let body = image.bytes.clone();
    let server = Server::start(move |_, _| reply(200, &[("content-type", INDEX)], body.clone()));
    let client = client();
    let resolved = client.resolve(&reference(&server.host)).unwrap();
    assert_eq!(resolved.digest, image.digest());
    let manifest = client.manifest(&reference(&server.host), &resolved.digest).unwrap();
    assert!(matches!(manifest.content, Content::Index(index) if index.manifests.len() == 1));
    let accept = server.requests()[0].header("accept").unwrap().to_owned();
    assert_eq!(accept.split(", ").count(), 4, "{accept}");
}

#[test]
fn silence_ends_in_time_and_spares_the_next_image_of_the_host() {
    let server = Server::start(|_, _| Reply::Never);
    let client = client();
    let failure = client.resolve(&reference(&server.host)).unwrap_err();
    assert!(matches!(failure, Failure::Timeout { .. }), "{failure}");
    let asked = server.requests().len();
    let other = Reference::parse(&format!("{}/other:1", server.host)).unwrap();
    assert!(matches!(client.resolve(&other), Err(Failure::Timeout { .. })));
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn bodies_are_bounded() {
    let server = Server::start(|_, _| reply(200, &[("content-type", MANIFEST)], vec![b' '; (4 << 20) + 1]));
    let failure = client().resolve(&reference(&server.host)).unwrap_err();
    assert_eq!(failure, Failure::TooLarge { what: "answer", limit: 4 << 20 });
}

#[test]
fn statuses_are_told_apart() {
    let of = |status: u16| {
        let server = Server::start(move |_, _| reply(status, &[], ""));
        let host = server.host.clone();
        client().resolve(&reference(&host)).unwrap_err().to_string().replace(&host, "R")
    };
    assert_eq!(of(403), "R refuses access (403)");
    assert_eq!(of(404), "R has no such image (404)");
    assert_eq!(of(418), "R answers with status 418");
    assert!(of(401).starts_with("R wants a login (401): there is no login for it in "));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert!(matches!(client().resolve(&reference(&nobody)), Err(Failure::Connection { .. })));
}

#[test]
fn a_token_is_fetched_with_the_login_and_used_for_its_registry_only() {
    let image = single();
    let expected = image.manifest.digest();
    let server = Server::start(move |_, request| {
        let host = request.header("host").unwrap_or_default().to_owned();
        if request.path.starts_with("/token?") {
            assert!(
                request.path.contains("service=s") && request.path.contains("team%2Fapp"),
                "{}",
                request.path
            );
            return reply(200, &[], r#"{"access_token": "abc", "expires_in": 60}"#);
        }
        match request.header("authorization") {
            Some("Bearer abc") => manifest_reply(&image),
            _ => reply(
                401,
                &[("www-authenticate", &format!("Bearer realm=\"http://{host}/token\",service=\"s\""))],
                "",
            ),
        }
    });
    let (client, _folder) = client_with_login(&[&server.host]);
    assert_eq!(client.resolve(&reference(&server.host)).unwrap().digest, expected);
    let requests = server.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert_eq!(requests[1].header("authorization"), Some("Basic cmVhZGVyOmNhbmFyeS03ZjNhOWM="));
    // The second image of the host needs no refused request first.
    let other = Reference::parse(&format!("{}/team/app2:1", server.host)).unwrap();
    client.resolve(&other).unwrap();
    assert!(server.requests()[3].path.starts_with("/token"));
}

#[test]
fn an_identity_token_is_traded_for_a_token_in_the_body_of_a_request() {
    let image = single();
    let server = Server::start(move |_, request| {
        let host = request.header("host").unwrap_or_default().to_owned();
        match (request.method.as_str(), request.header("authorization")) {
            ("POST", None) if request.body.contains("refresh_token=canary-7f3a9c") => {
                assert!(request.body.contains("grant_type=refresh_token") && !request.path.contains(CANARY));
                reply(200, &[], r#"{"access_token": "abc"}"#)
            }
            (_, Some("Bearer abc")) => manifest_reply(&image),
            _ => reply(401, &[("www-authenticate", &format!("Bearer realm=\"http://{host}/token\""))], ""),
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth.json");
    let login = serde_json::json!({"auths": {&server.host: {"identitytoken": CANARY}}});
    std::fs::write(&path, login.to_string()).unwrap();
    let credentials = Credentials::load(&Places { auth_file: Some(path), ..Places::default() });
    let client = Client::new(Settings { limits: limits(), ..Settings::default() }, credentials).unwrap();
    client.resolve(&reference(&server.host)).unwrap();
}

#[test]
fn an_evil_realm_is_not_asked_and_sees_no_secret() {
    let thief = Server::start(|_, _| reply(200, &[], r#"{"token": "x"}"#));
    // Another name for the same machine is another host.
    let realm = format!("http://{}/token", thief.host.replace("127.0.0.1", "localhost"));
    for realm in [
        realm,
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "https://169.254.169.254/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let header = format!("Bearer realm=\"{realm}\",service=\"s\"");
        let server = Server::start(move |_, _| reply(401, &[("www-authenticate", &header)], ""));
        let (client, _folder) = client_with_login(&[&server.host]);
        let failure = client.resolve(&reference(&server.host)).unwrap_err();
        assert!(matches!(failure, Failure::Refused { .. } | Failure::Malformed { .. }), "{failure}");
        assert!(!format!("{failure} {failure:?}").contains(CANARY));
    }
    assert!(thief.requests().is_empty(), "{:?}", thief.requests());
}

#[test]
fn no_credential_goes_over_plain_http_to_what_is_not_this_machine_by_name() {
    let server = Server::start(|_, _| reply(401, &[("www-authenticate", "Basic realm=\"r\"")], ""));
    // Reaches the same server, under a name that could be anybody's.
    let host = server.host.replace("127.0.0.1", "0.0.0.0");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth.json");
    std::fs::write(
        &path,
        serde_json::json!({"auths": {&host: {"username": "reader", "password": CANARY}}}).to_string(),
    )
    .unwrap();
    let credentials = Credentials::load(&Places { auth_file: Some(path), ..Places::default() });
    let settings = Settings { plain_http: [host.clone()].into(), limits: limits(), ..Settings::default() };
    let failure = Client::new(settings, credentials).unwrap().resolve(&reference(&host)).unwrap_err();
    assert_eq!(failure, Failure::PlainLogin { registry: host });
    assert!(!server.requests().is_empty() && !server.requests().iter().any(sees_secret));
}

#[test]
fn no_credential_goes_along_a_redirect() {
    let image = single();
    let store = Server::start(move |_, _| manifest_reply(&image));
    // The same host on another port: allowed, as a stranger.
    let location = format!("http://{}/blob", store.host);
    let server = Server::start(move |_, request| match request.header("authorization") {
        None => reply(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        Some(_) => reply(307, &[("location", &location)], ""),
    });
    let (client, _folder) = client_with_login(&[&server.host, &store.host]);
    client.resolve(&reference(&server.host)).unwrap();
    assert!(sees_secret(&server.requests()[1]));
    assert!(!store.requests().is_empty());
    assert!(!store.requests().iter().any(sees_secret), "{:?}", store.requests());
}

#[test]
fn redirects_lead_to_no_other_machine_over_plain_http_and_end() {
    for location in ["http://localhost:1/x", "https://169.254.169.254/x", "gopher://x/", "//evil.example/x"] {
        let server = Server::start(move |_, _| reply(307, &[("location", location)], ""));
        let failure = client().resolve(&reference(&server.host)).unwrap_err();
        assert!(
            matches!(failure, Failure::Refused { .. } | Failure::Malformed { .. }),
            "{location}: {failure}"
        );
    }
    let server = Server::start(|_, _| reply(307, &[("location", "/again")], ""));
    let failure = client().resolve(&reference(&server.host)).unwrap_err();
    assert!(failure.to_string().contains("more than 5 redirects"), "{failure}");
}

#[test]
fn a_login_that_is_refused_is_named_by_its_file_only() {
    let server = Server::start(|_, _| reply(401, &[("www-authenticate", "Basic realm=\"r\"")], ""));
    let (client, folder) = client_with_login(&[&server.host]);
    let failure = client.resolve(&reference(&server.host)).unwrap_err();
    let path = folder.path().join("auth.json");
    assert_eq!(
        failure.to_string(),
        format!("{} wants a login (401): the login in {} is not accepted", server.host, path.display())
    );
    assert!(!format!("{failure:?} {client:?}").contains(CANARY));
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_when_it_does_not_have_the_image() {
    let image = single();
    let (expected, image2) = (image.manifest.digest(), image.clone());
    let mirror = Server::start(move |_, request| {
        if request.path.starts_with("/v2/hub/team/app/") {
            manifest_reply(&image)
        } else {
            reply(404, &[], "")
        }
    });
    let registry = Server::start(move |_, _| manifest_reply(&image2));
    let mirrors = [(registry.host.clone(), vec![format!("{}/hub", mirror.host)])].into();
    let client =
        Client::new(Settings { mirrors, limits: limits(), ..Settings::default() }, Credentials::default())
            .unwrap();
    assert_eq!(client.resolve(&reference(&registry.host)).unwrap().digest, expected);
    assert!(registry.requests().is_empty());
    let other = Reference::parse(&format!("{}/other:1", registry.host)).unwrap();
    assert_eq!(client.resolve(&other).unwrap().digest, expected);
    assert!(!registry.requests().is_empty());
}
