//! Network policies of real repos: what the generated ones allow, set against what is known of the applications.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::corpus;
use crate::program::Folder;

/// Who calls whom in the demo shop: its own README and the addresses its programs read, with the ports of the pods.
const SHOP: [(&str, &str, u16); 16] = [
    ("cartservice", "redis-cart", 6379),
    ("checkoutservice", "cartservice", 7070),
    ("checkoutservice", "currencyservice", 7000),
    ("checkoutservice", "emailservice", 8080),
    ("checkoutservice", "paymentservice", 50051),
    ("checkoutservice", "productcatalogservice", 3550),
    ("checkoutservice", "shippingservice", 50051),
    ("frontend", "adservice", 9555),
    ("frontend", "cartservice", 7070),
    ("frontend", "checkoutservice", 5050),
    ("frontend", "currencyservice", 7000),
    ("frontend", "productcatalogservice", 3550),
    ("frontend", "recommendationservice", 8080),
    ("frontend", "shippingservice", 50051),
    ("loadgenerator", "frontend", 8080),
    ("recommendationservice", "productcatalogservice", 3550),
];

fn corpus(name: &str) -> Option<std::path::PathBuf> {
    corpus::repos()?.into_iter().find(|repo| corpus::name(repo).contains(name))
}

/// The YAML files of a folder, as a repo.
fn folder_of(from: &Path, folder: &Folder) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            folder.write(&name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// Connections between pods that policies allow: from, to, first and last port.
fn allowed(folder: &Folder) -> BTreeSet<(String, String, u64, u64)> {
    let graph = folder.run(&["network", "graph", "--format", "json"]).expect_code(0).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let connections = graph["connections"].as_array().unwrap().iter();
    let each = connections.flat_map(|connection| {
        let ports = connection["ports"].as_array().unwrap().iter();
        ports.map(|port| {
            let number = |key: &str| port[key].as_u64().unwrap();
            (text(&connection["from"]), text(&connection["to"]), number("first"), number("last"))
        })
    });
    each.collect()
}

#[test]
fn the_demo_shop_gets_its_call_graph_and_nothing_else() {
    let Some(repo) = corpus("microservices-demo") else { return };
    let folder = Folder::new();
    folder_of(&repo.join("kubernetes-manifests"), &folder);
    folder.git(&["init", "--quiet"]);
    folder.git(&["add", "--all"]);
    folder.git(&["commit", "--quiet", "--message=as found"]);
    let summary = || folder.run(&["network", "graph"]).expect_code(0).stdout;
    assert!(summary().contains("there is no network policy"), "{}", summary());
    folder.run(&["apply", "--select", "namespace-open-to-network"]).expect_code(0);
    let wanted = SHOP.map(|(from, to, port)| (from.to_owned(), to.to_owned(), port.into(), port.into()));
    assert!(summary().contains("restrict the ingress of 12 and the egress of 12"), "{}", summary());
    assert_eq!(allowed(&folder), BTreeSet::from(wanted));

    // The maintainers' own policies allow those, and much more.
    let theirs = Folder::new();
    folder_of(&repo.join("kubernetes-manifests"), &theirs);
    folder_of(&repo.join("kustomize/components/network-policies"), &theirs);
    fs::copy(repo.join("kubernetes-manifests/kustomization.yaml"), theirs.path().join("kustomization.yaml"))
        .unwrap();
    let theirs = allowed(&theirs);
    for (from, to, port) in SHOP {
        let covers = |other: &&(String, String, u64, u64)| {
            other.0 == from && other.1 == to && (other.2..=other.3).contains(&port.into())
        };
        assert!(theirs.iter().any(|other| covers(&other)), "they too allow {from} -> {to}:{port}");
    }
}

/// A needed connection that is allowed before and denied after is the worst that can happen.
#[test]
fn no_fix_denies_what_a_real_repo_needs() {
    let Some(repos) = corpus::repos() else { return };
    let mut changed = 0;
    for repo in repos {
        // Hundreds of test inputs that share namespaces, and take minutes: `tests/real/network` judges them.
        if corpus::name(&repo).contains("netpol-analyzer") {
            continue;
        }
        let folder = corpus::copy(&repo);
        let run = folder.run(&["network", "diff", "--select", "network"]);
        let last = run.stdout.lines().last().unwrap_or_default().to_owned();
        assert!(
            last.ends_with("needed and denied: 0") || last == "the fixes change no connection",
            "{}: {last}",
            corpus::name(&repo)
        );
        changed += usize::from(last.ends_with(": 0"));
    }
    assert!(changed > 0, "some repo must have something to change");
}

/// An application whose maintainers wrote policies for it, and where ours are known to differ.
struct Compared {
    repo: &'static str,
    folder: &'static str,
    config: &'static str,
    /// Pairs of workloads that only ours connect; `*` for every source.
    ours_only: &'static [(&'static str, &'static str)],
    /// Pairs that only theirs connect.
    theirs_only: &'static [(&'static str, &'static str)],
    /// Targets that both let the same sources reach, on other ports.
    other_ports: &'static [&'static str],
}

/// `docs/network-policies-compared.md` has the reasons.
const COMPARED: &[Compared] = &[
    Compared {
        repo: "np-guard__netpol-analyzer",
        folder: "tests/acs-security-demos",
        config: "",
        ours_only: &[],
        theirs_only: &[],
        other_ports: &[],
    },
    Compared {
        repo: "np-guard__netpol-analyzer",
        folder: "tests/netpol-analysis-example-minimal",
        config: "",
        ours_only: &[],
        theirs_only: &[],
        other_ports: &[],
    },
    Compared {
        repo: "np-guard__netpol-analyzer",
        folder: "tests/onlineboutique_workloads",
        config: "",
        ours_only: &[("cartservice", "redis-cart")],
        theirs_only: &[],
        other_ports: &[],
    },
    Compared {
        repo: "prometheus-operator__kube-prometheus",
        folder: "manifests",
        config: "[system-namespaces]\nnot = [\"monitoring\"]\n",
        ours_only: &[
            ("*", "blackbox-exporter"),
            ("*", "grafana"),
            ("*", "kube-state-metrics"),
            ("*", "prometheus-operator"),
        ],
        theirs_only: &[],
        other_ports: &["prometheus-adapter"],
    },
];

/// The YAML below a folder, with the policies in it or without them.
fn application(from: &Path, compared: &Compared, with_policies: bool) -> Folder {
    let folder = Folder::new();
    let is_policy = |document: &str| document.lines().any(|line| line.trim_end() == "kind: NetworkPolicy");
    let mut open = vec![from.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            if !path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let documents = text.split("\n---").filter(|document| with_policies || !is_policy(document));
            let kept = documents.collect::<Vec<_>>().join("\n---");
            if !kept.trim_matches(['-', '\n', ' ']).is_empty() {
                folder.write(&path.strip_prefix(from).unwrap().to_string_lossy(), kept);
            }
        }
    }
    folder.write("caseharden.toml", compared.config);
    folder.git(&["init", "--quiet"]);
    folder.git(&["add", "--all"]);
    folder.git(&["commit", "--quiet", "--message=as found"]);
    folder
}

#[test]
fn the_result_connects_what_maintainers_of_real_applications_connect() {
    for compared in COMPARED {
        let Some(repo) = corpus(compared.repo) else { return };
        let from = repo.join(compared.folder);
        let theirs = allowed(&application(&from, compared, true));
        let folder = application(&from, compared, false);
        folder.run(&["apply", "--include-generated", "--select", "namespace-open-to-network"]).expect_code(0);
        let ours = allowed(&folder);
        let pairs = |all: &BTreeSet<(String, String, u64, u64)>| -> BTreeSet<(String, String)> {
            all.iter().map(|(from, to, _, _)| (from.clone(), to.clone())).collect()
        };
        let (our_pairs, their_pairs) = (pairs(&ours), pairs(&theirs));
        let is_known = |list: &[(&str, &str)], (from, to): &(String, String)| {
            list.iter().any(|known| (known.0 == "*" || known.0 == from) && known.1 == to)
        };
        let show = |label: &str, pairs: &BTreeSet<(String, String)>| {
            for (from, to) in pairs {
                println!("{}/{}: {label}: {from} -> {to}", compared.repo, compared.folder);
            }
        };
        let ours_only: BTreeSet<_> = our_pairs.difference(&their_pairs).cloned().collect();
        let theirs_only: BTreeSet<_> = their_pairs.difference(&our_pairs).cloned().collect();
        show("only ours", &ours_only);
        show("only theirs", &theirs_only);
        assert!(ours_only.iter().all(|pair| is_known(compared.ours_only, pair)), "{ours_only:?}");
        assert!(theirs_only.iter().all(|pair| is_known(compared.theirs_only, pair)), "{theirs_only:?}");
        for pair in our_pairs.intersection(&their_pairs) {
            let ports = |all: &BTreeSet<(String, String, u64, u64)>| -> BTreeSet<(u64, u64)> {
                let of_pair = all.iter().filter(|(from, to, _, _)| (from, to) == (&pair.0, &pair.1));
                of_pair.map(|(_, _, first, last)| (*first, *last)).collect()
            };
            let is_alike = ports(&ours) == ports(&theirs) || compared.other_ports.contains(&pair.1.as_str());
            assert!(is_alike, "{}: {pair:?} on other ports", compared.folder);
        }
        assert!(!our_pairs.is_empty(), "{}: nothing was compared", compared.folder);
    }
}
