//! A repo of the size that teams have: every pin is what others see, and the wait is the registry's, not ours.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::images::{Push, file, image, index, tar};
use super::real::{PASSWD, manifest};
use super::running::{Registry, is_missing, is_missing_go, output, program};
use super::server::{Reply, Request, Server, reply};
use crate::program::Folder;

const IMAGES: u8 = 60;

/// How many questions are asked at once.
const WIDTH: usize = 16;

/// What each answer of the slow registry takes beyond its own time.
const DELAY: Duration = Duration::from_millis(40);

/// Pushes the images.
fn push_all(registry: &Registry) {
    let origin = format!("http://{}", registry.host);
    let push = Push { agent: registry.agent(), origin: &origin, authorization: None };
    let layer = |n: u8| tar(&[file("etc/passwd", 0o644, PASSWD), file("app", 0o755, &[n; 100_000])]);
    let push_one = |n: &u8| {
        let app = image("amd64", json!({"User": (1000 + u32::from(*n)).to_string()}), &[layer(*n)]);
        push.image(&format!("team/app-{n}"), "child", &app);
        push.manifest(&format!("team/app-{n}"), "1.0", &index(&[("amd64", &app)]));
    };
    let numbers: Vec<u8> = (0..IMAGES).collect();
    caseharden::lock::resolve::each(&numbers, WIDTH, &push_one, &|_| {});
}

fn names(host: &str) -> Vec<String> {
    (0..IMAGES).map(|n| format!("{host}/team/app-{n}:1.0")).collect()
}

/// A repo that names each image five times.
fn repo(host: &str) -> Folder {
    let folder = Folder::committed(&[]);
    for part in 0..5 {
        folder.write(&format!("pods-{part}.yaml"), manifest(&names(host)));
    }
    folder
}

fn check_digests(registry: &Registry, numbers: &[u8], ask: &(dyn Fn(&str) -> String + Sync)) {
    let folder = repo(&registry.host);
    folder.run(&["lock"]).expect_code(0);
    let lock: toml::Table = folder.read("caseharden.lock").parse().unwrap();
    assert_eq!(lock["image"].as_table().unwrap().len(), usize::from(IMAGES));
    let seen = caseharden::lock::resolve::each(numbers, 4, &|n| ask(&format!("team/app-{n}:1.0")), &|_| {});
    for (n, seen) in numbers.iter().zip(seen) {
        let locked = &lock["image"][&format!("{}/team/app-{n}:1.0", registry.host)]["digest"];
        assert_eq!(locked.as_str(), Some(seen.as_str()), "app-{n}");
    }
    // Every one of the 300 references gets that pin, and then there is nothing left to do.
    folder.run(&["apply", "--allow-dirty", "--select", "image-not-pinned"]).expect_code(0);
    let pinned: usize =
        (0..5).map(|part| folder.read(&format!("pods-{part}.yaml")).matches("@sha256:").count()).sum();
    assert_eq!(pinned, 5 * usize::from(IMAGES));
    let after = folder.tree();
    assert_eq!(folder.run(&["diff", "--select", "image-not-pinned"]).expect_code(0).stdout, "");
    folder.run(&["lock", "--check"]).expect_code(0);
    assert_eq!(
        folder.run(&["lock"]).expect_code(0).stderr,
        format!("{IMAGES} images locked: 0 new, 0 moved\n")
    );
    assert_eq!(folder.tree(), after);
}

#[test]
fn three_hundred_references_to_sixty_images() {
    if is_missing() {
        return;
    }
    let registry = Registry::start(false);
    push_all(&registry);
    check_digests(&registry, &[0, 17, 59], &|image| registry.skopeo(image));
}

#[test]
fn every_pin_is_what_skopeo_and_crane_see_in_both_registries() {
    if is_missing_go(&["crane"]) {
        return;
    }
    let all: Vec<u8> = (0..IMAGES).collect();
    for registry in [Registry::start(false), Registry::start_crane()] {
        push_all(&registry);
        check_digests(&registry, &all, &|image| {
            let crane = program("crane").unwrap();
            let seen = output(Command::new(crane).args(["digest", &format!("{}/{image}", registry.host)]));
            assert_eq!(seen, registry.skopeo(image));
            seen
        });
    }
}

/// The registry behind a slow line.
fn slow(registry: &Registry) -> Server {
    let (agent, origin) = (registry.agent(), format!("http://{}", registry.host));
    Server::start(move |_, request| forward(&agent, &origin, request))
}

fn forward(agent: &ureq::Agent, origin: &str, request: &Request) -> Reply {
    let asked = ureq::http::Request::builder()
        .method(request.method.as_str())
        .uri(format!("{origin}{}", request.path))
        .header("accept", request.header("accept").unwrap_or("*/*"))
        .body(())
        .unwrap();
    let mut answer = agent.run(asked).unwrap();
    let headers: Vec<(String, String)> = ["content-type", "docker-content-digest"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), answer.headers().get(*name)?.to_str().ok()?.to_owned())))
        .collect();
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = answer.body_mut().read_to_vec().unwrap();
    // The wait is what is measured: without it both sides measure this machine.
    std::thread::sleep(DELAY);
    reply(answer.status().as_u16(), &headers, body)
}

#[test]
fn the_wait_is_the_registrys_own() {
    if is_missing_go(&["crane"]) {
        return;
    }
    let registry = Registry::start(false);
    push_all(&registry);
    let slow = slow(&registry);
    let folder = repo(&slow.host);
    let start = Instant::now();
    folder.run(&["lock"]).expect_code(0);
    let took = start.elapsed();
    let asked = slow.requests().len();
    let alone = raw_requests(&registry, &format!("http://{}", slow.host));
    let asked_alone = slow.requests().len() - asked;
    let ratio = took.as_secs_f64() / alone.as_secs_f64();
    eprintln!(
        "300 references to 60 images: lock {took:?} for {asked} answers, {asked_alone} answers alone {WIDTH} wide \
         {alone:?}: {ratio:.2}"
    );
    assert!(ratio <= 1.5, "lock takes {ratio:.2} times as long as the answers of the registry");
}

/// The same questions without anything else: HEAD, index, manifest, two blobs, signature and referrers.
fn raw_requests(registry: &Registry, origin: &str) -> Duration {
    let agent = registry.agent();
    let accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
    let get = |url: String| {
        agent.get(url).header("accept", accept).call().unwrap().body_mut().read_to_vec().unwrap()
    };
    let start = Instant::now();
    caseharden::lock::resolve::each(
        &(0..60).collect::<Vec<u32>>(),
        16,
        &|n| {
            let base = format!("{origin}/v2/team/app-{n}");
            agent.head(format!("{base}/manifests/1.0")).header("accept", accept).call().unwrap();
            let index: serde_json::Value =
                serde_json::from_slice(&get(format!("{base}/manifests/1.0"))).unwrap();
            let child = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
            let child: serde_json::Value =
                serde_json::from_slice(&get(format!("{base}/manifests/{child}"))).unwrap();
            get(format!("{base}/blobs/{}", child["config"]["digest"].as_str().unwrap()));
            get(format!("{base}/blobs/{}", child["layers"][0]["digest"].as_str().unwrap()));
            for missing in ["manifests/sha256-0.sig", "referrers/x", "manifests/sha256-0"] {
                get(format!("{base}/{missing}"));
            }
        },
        &|_| {},
    );
    start.elapsed()
}
