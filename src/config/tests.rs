use std::path::Path;

use serde_json::Value;

use super::*;

const KNOWN: &[&str] = &["pod", "runs-as-root", "host-namespaces"];
const EXAMPLE: &str = include_str!("../../templates/caseharden.toml");

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let shown: Vec<String> = match Config::parse(text, Path::new("c.toml"), KNOWN) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes
            .into_iter()
            .flat_map(|mistake| {
                let help = mistake.help.as_ref().map(|help| format!("  help: {help}"));
                [Some(mistake.to_string()), help]
            })
            .flatten()
            .collect(),
    };
    assert_eq!(shown, expected);
}

#[test]
fn unknown_keys_and_values_are_named_with_the_nearest() {
    check("slect = []", &["c.toml:1:1: unknown key `slect`", "  help: did you mean `select`?"]);
    check(
        "distribution = 'openshfit'",
        &["c.toml:1:16: unknown value `openshfit`", "  help: did you mean `openshift`?"],
    );
    check(
        "select = [\n  'pod',\n  'runs-as-rot',\n]",
        &["c.toml:3:3: unknown rule or area `runs-as-rot`", "  help: did you mean `runs-as-root`?"],
    );
    check(
        "[system-namespaces]\nextras = []",
        &["c.toml:2:1: unknown key `extras`", "  help: did you mean `extra`?"],
    );
    check(
        "[[allow]]\nrule = 'pod'\nreason = 'r'\nticket = 'X-1'",
        &[
            "c.toml:4:1: unknown key `ticket`",
            "  help: keys here: rule, path, object, namespace, reason, expires",
        ],
    );
}

#[test]
fn wrong_values_are_explained_at_their_place() {
    check(
        "target-version = '1.37.1'",
        &["c.toml:1:18: `1.37.1` is not a Kubernetes minor version like `1.37`"],
    );
    check("target-version = 1.37", &["c.toml:1:18: invalid type: floating point `1.37`, expected a string"]);
    check(
        "profile = 'strict'",
        &["c.toml:1:11: `strict` is not a level: must be one of privileged, baseline, restricted"],
    );
    check(
        "exclude = ['a[b']",
        &["c.toml:1:12: `a[b` is not a pattern: unclosed character class; missing ']'"],
    );
    check("max-file-size = 0", &["c.toml:1:17: `max-file-size` is a number of bytes above 0"]);
    check("tmp-size = '64MB'", &["c.toml:1:12: `64MB` is not a size like `64Mi`"]);
    check(
        "[[workload]]\ngroup = 'x'\nkind = 'Y'\npod-spec = 'spec'",
        &["c.toml:4:12: `spec` is not a pointer like `/spec/template/spec`"],
    );
    check(
        "[[image-field]]\ngroup = 'x'\nkind = ''\npaths = ['/spec/image', 'spec', '/a~2']",
        &[
            "c.toml:3:8: `kind` is empty",
            "c.toml:4:25: `spec` is not a pointer like `/spec/image`",
            "c.toml:4:33: `/a~2` is not a pointer like `/spec/image`",
        ],
    );
    check(
        "[[writable-path]]\nimage = 'nginx'\npaths = ['var', '/a/../b', '/ok']",
        &[
            "c.toml:3:10: `var` is not a directory like `/var/cache`",
            "c.toml:3:17: `/a/../b` is not a directory like `/var/cache`",
        ],
    );
    check(
        "[[signature]]\nimage = '*'\nkeys = ['k.pub', '../k.pub', '/k.pub']",
        &[
            "c.toml:3:18: `../k.pub` may lie outside the repo",
            "  help: write a path relative to the repo, without `..`",
            "c.toml:3:30: `/k.pub` may lie outside the repo",
            "  help: write a path relative to the repo, without `..`",
        ],
    );
    check(
        "[[signature]]\nimage = '*'\nkeys = []",
        &[
            "c.toml:1:1: a signature without `keys` cannot be checked",
            "  help: for signing without keys, say `issuer` and `subject`",
        ],
    );
}

#[test]
fn nothing_can_point_outside_the_repo() {
    let help = "  help: write a path relative to the repo, without `..`";
    for path in ["/etc/x.yaml", "../x.yaml", "a/../../x.yaml", "C:\\\\x.yaml"] {
        let shown = path.escape_debug().to_string().replace("\\\\\\\\", "\\\\");
        check(
            &format!("exceptions-file = \"{path}\""),
            &[&format!("c.toml:1:19: `{shown}` may lie outside the repo"), help],
        );
    }
    check(
        "namespace-file = 'x/namespace.yaml'",
        &[
            "c.toml:1:18: `x/namespace.yaml` is not a plain file name",
            "  help: the file goes into the folder of what it protects",
        ],
    );
    check(
        "namespace-file = 'caseharden.toml'",
        &["c.toml:1:18: `caseharden.toml` is not the name of a .yaml or .yml file"],
    );
}

#[test]
fn an_allow_needs_a_rule_a_reason_and_a_bound() {
    check("[[allow]]\nrule = 'pod'", &["c.toml:1:1: `reason` is missing"]);
    check("[[allow]]\nrule = 'pod'\nreason = ' '", &["c.toml:3:10: an allow needs a reason"]);
    check(
        "[[allow]]\nrule = '*'\nreason = 'r'",
        &[
            "c.toml:1:1: this would allow every finding of the repo",
            "  help: name a rule, a path, an object or a namespace",
        ],
    );
    check(
        "[[allow]]\nrule = 'pod'\nobject = 'web'\nreason = 'r'",
        &["c.toml:3:10: `web` is not `Kind/name`", "  help: any kind of that name is `*/web`"],
    );
    check(
        "[[allow]]\nrule = 'pod'\nreason = 'r'\nexpires = '2027-02-30'",
        &["c.toml:4:11: `2027-02-30` is not a date like `2027-01-31`"],
    );
    check(
        "[[allow]]\nrule = 'pod'\nreason = 'r'\nexpires = 2027-01-31T10:00:00Z",
        &["c.toml:4:11: `2027-01-31T10:00:00Z` is not a date like `2027-01-31`"],
    );
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_text() {
    check(
        "targt-version = '1.36'\nlevel = 3\nexclude = ['ok', '[', '../x']\nignore = ['nope']\n\
         [[allow]]\nrule = 7\nreason = 'r'\n[[allow]]\nreason = 'r'\n[[allow]]\nrule = 'pod'\nreason = ''\n",
        &[
            "c.toml:1:1: unknown key `targt-version`",
            "  help: did you mean `target-version`?",
            "c.toml:2:9: expected a string",
            "c.toml:3:18: `[` is not a pattern: unclosed character class; missing ']'",
            "c.toml:3:23: `../x` leaves the repo",
            "c.toml:4:11: unknown rule or area `nope`",
            "c.toml:6:8: invalid type: integer `7`, expected a string",
            "c.toml:8:1: `rule` is missing",
            "c.toml:12:10: an allow needs a reason",
        ],
    );
}

#[test]
fn a_file_full_of_mistakes_is_given_up_after_a_hundred() {
    let text: String = (0..5000).map(|n| format!("x{n} = 1\n")).collect();
    assert_eq!(Config::parse(&text, Path::new("c.toml"), KNOWN).unwrap_err().len(), 100);
}

#[test]
fn broken_toml_is_reported_where_it_breaks() {
    check("level = \n", &["c.toml:1:9: string values must be quoted, expected literal string"]);
    check("a = 1\na = 2", &["c.toml:2:1: duplicate key"]);
}

#[test]
fn what_is_configured_is_what_holds() {
    let config = Config::parse(
        "target-version = '1.34'\nselect = ['pod']\nignore = ['runs-as-root']\n\
         [[writable-path]]\nimage = 'nginx'\npaths = ['/a', '/b']\n\
         [[writable-path]]\nimage = '*'\npaths = ['/b', '/c']\n\
         [[signature]]\nimage = 'r.io/**'\nkeys = ['b.pub', 'a.pub']\n\
         [[signature]]\nimage = 'r.io/team/*'\nkeys = ['a.pub', 'team.pub']\n",
        Path::new("c.toml"),
        KNOWN,
    )
    .unwrap();
    assert_eq!(config.enforce_version().to_string(), "v1.34");
    assert_eq!(
        config.writable_paths("docker.io/library/nginx"),
        ["/a", "/b", "/c", "/var/cache/nginx", "/var/run"]
    );
    assert_eq!(config.signature_keys("r.io/team/web"), ["a.pub", "b.pub", "team.pub"]);
    assert_eq!(config.signature_keys("r.io/web"), ["a.pub", "b.pub"]);
    assert!(config.signature_keys("docker.io/library/nginx").is_empty());
    assert!(config.is_selected("host-namespaces", "pod"));
    assert!(!config.is_selected("runs-as-root", "pod") && !config.is_selected("image-not-pinned", "image"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_parsing_fail_otherwise_than_with_mistakes(
        lines in proptest::collection::vec(
            "(\\[\\[?(allow|workload|system-namespaces)\\]?\\]|(rule|reason|paths|exclude|extra|level|kind|expires) = \
             (3|'a\\['|\\['x', 4\\]|\\{ rule = 1 \\}|2027-01-01|[a-z\"é]{0,4}))",
            0..8,
        ),
    ) {
        if let Err(mistakes) = Config::parse(&lines.join("\n"), Path::new("c.toml"), KNOWN) {
            assert!(!mistakes.is_empty());
        }
    }
}

/// The example without the `#` in front of settings; prose has a blank behind its `#`.
fn uncommented_example() -> String {
    let body = EXAMPLE.split_once("-#}\n").unwrap().1;
    let uncomment = |line: &'static str| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    };
    body.lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_changes_nothing_until_it_is_uncommented() {
    let body = EXAMPLE.split_once("-#}\n").unwrap().1;
    let config = Config::parse(body, Path::new("c.toml"), KNOWN).unwrap();
    assert_eq!(
        format!("{config:?}"),
        format!("{:?}", Config { path: config.path.clone(), ..Config::default() })
    );
}

#[test]
fn the_example_shows_the_defaults() {
    let mut config = Config::parse(&uncommented_example(), Path::new("c.toml"), KNOWN).unwrap();
    assert_eq!((config.workloads.len(), config.writable_paths.len(), config.allow.len()), (1, 1, 1));
    assert_eq!(config.image_fields[0].paths, ["/spec/image", "/spec/sidecars/*/image"]);
    config.image_fields.clear();
    assert_eq!(config.enforce_version, Some(Config::default().enforce_version()));
    assert_eq!(config.tmp_size.as_deref(), Some("64Mi"));
    // What has no default is shown as an example.
    (config.path, config.enforce_version, config.tmp_size) = (None, None, None);
    assert_eq!(config.signature_keys("registry.corp.example/team/web"), ["keys/release.pub"]);
    (config.workloads, config.writable_paths, config.signatures, config.allow) = Default::default();
    assert_eq!(config.registries.max_image_size, Some(crate::registry::Limits::default().layers));
    config.registries = Registries::default();
    assert_eq!(config.cluster.audit_webhook.take().unwrap(), "https://audit.corp.example/events");
    assert_eq!(config.pipeline.actions.len(), 1);
    config.pipeline = crate::pipeline::Pins::default();
    assert!(matches!(config.secrets.store, Some(Store::External(_))));
    config.secrets = Secrets::default();
    let network = &mut config.network;
    assert_eq!(network.dns.take().unwrap(), Network::default().dns_peer(Distribution::Generic));
    assert_eq!(network.dns_port.take().unwrap(), Network::default().dns_port(Distribution::Generic));
    assert_eq!(
        network.ingress_controllers.remove("nginx").unwrap(),
        Network::default().ingress_controller(Some("nginx"))
    );
    (network.node_local_dns, network.api_server, network.nodes) = Default::default();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

#[test]
fn the_example_shows_every_key_of_the_schema() {
    let example: toml::Table = toml::from_str(&uncommented_example()).unwrap();
    let schema = schema();
    let keys = |object: &Value| -> Vec<String> {
        let mut keys: Vec<_> = object["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let shown = |table: &toml::Table| -> Vec<String> {
        let mut keys: Vec<_> = table.keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(shown(&example), keys(&schema));
    for (key, definition) in [
        ("workload", "RawWorkload"),
        ("image-field", "RawImageField"),
        ("writable-path", "RawWritablePath"),
        ("signature", "RawSignature"),
        ("allow", "RawAllow"),
    ] {
        // Keys that exclude each other are shown in entries of their own.
        let entries = example[key].as_array().unwrap();
        let mut all: Vec<_> = entries.iter().flat_map(|entry| shown(entry.as_table().unwrap())).collect();
        all.sort();
        all.dedup();
        assert_eq!(all, keys(&schema["$defs"][definition]));
    }
    let registries = example["registries"].as_table().unwrap();
    assert_eq!(shown(registries), keys(&schema["$defs"]["RawRegistries"]));
    let namespaces = example["system-namespaces"].as_table().unwrap();
    assert_eq!(shown(namespaces), keys(&schema["$defs"]["RawSystemNamespaces"]));
}

#[test]
fn every_key_of_the_schema_says_what_it_means() {
    let schema = schema();
    let definitions = schema["$defs"].as_object().unwrap();
    for object in definitions.values().chain([&schema]).filter(|object| object["type"] == "object") {
        for (key, property) in object["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "`{key}` has no description");
        }
    }
}

#[test]
fn the_schema_accepts_the_example_and_refuses_what_parsing_refuses() {
    let schema = schema();
    let accepts = |text: &str| -> bool {
        let table: toml::Table = toml::from_str(text).unwrap();
        let mut value = serde_json::to_value(&table).unwrap();
        dates_as_strings(&mut value);
        schema_accepts(&schema, &schema, &value)
    };
    assert!(accepts(&uncommented_example()));
    for refused in [
        "slect = []",
        "level = 'bold'",
        "target-version = '1.37.1'",
        "profile = 'strict'",
        "max-file-size = 0",
        "select = 'pod'",
        "[[allow]]\nrule = 'pod'",
        "[[allow]]\nrule = 'pod'\nreason = ''",
        "[[workload]]\ngroup = 'x'\nkind = 'Y'\npod-spec = 'spec'",
        "[[image-field]]\ngroup = 'x'\nkind = 'Y'\npaths = ['spec']",
        "[[image-field]]\ngroup = 'x'\nkind = 'Y'\npaths = []",
    ] {
        assert!(!accepts(refused), "the schema accepts {refused}");
        assert!(Config::parse(refused, Path::new("c.toml"), KNOWN).is_err(), "parsing accepts {refused}");
    }
}

/// TOML dates are serialized as a map with one magic key; editors see them as strings.
fn dates_as_strings(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(date) = map.get("$__toml_private_datetime") {
                *value = date.clone();
            } else {
                map.values_mut().for_each(dates_as_strings);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(dates_as_strings),
        _ => {}
    }
}

/// A validator for the keywords our schema uses; any other one fails the test, so none goes unchecked.
fn schema_accepts(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(keywords) = schema.as_object() else { return schema != &Value::Bool(false) };
    keywords.iter().all(|(keyword, argument)| match keyword.as_str() {
        "$schema" | "$defs" | "title" | "description" | "default" => true,
        // Whole numbers and dates are checked by the types that read them.
        "format" => true,
        "$ref" => {
            let pointer = argument.as_str().unwrap().strip_prefix('#').unwrap();
            schema_accepts(root, root.pointer(pointer).unwrap(), value)
        }
        "anyOf" => argument.as_array().unwrap().iter().any(|option| schema_accepts(root, option, value)),
        "type" => match argument {
            Value::Array(types) => types.iter().any(|name| has_type(value, name)),
            name => has_type(value, name),
        },
        "enum" => argument.as_array().unwrap().contains(value),
        "required" => {
            argument.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some())
        }
        "additionalProperties" => {
            let unnamed = |key: &&String| schema["properties"].get(key.as_str()).is_none();
            let mut rest = value.as_object().into_iter().flat_map(|map| map.keys().filter(unnamed));
            rest.all(|key| schema_accepts(root, argument, &value[key]))
        }
        "properties" => argument
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, inner)| value.get(key).is_none_or(|value| schema_accepts(root, inner, value))),
        "items" => {
            value.as_array().is_none_or(|items| items.iter().all(|item| schema_accepts(root, argument, item)))
        }
        "oneOf" => {
            let schemas = argument.as_array().unwrap();
            schemas.iter().filter(|inner| schema_accepts(root, inner, value)).count() == 1
        }
        "const" => value == argument,
        "minimum" => value.as_f64().is_none_or(|number| number >= argument.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= argument.as_f64().unwrap()),
        "minLength" => value.as_str().is_none_or(|text| text.len() as u64 >= argument.as_u64().unwrap()),
        "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= argument.as_u64().unwrap()),
        "pattern" => value.as_str().is_none_or(|text| matches_pattern(argument.as_str().unwrap(), text)),
        other => panic!("the schema uses `{other}`, which this test does not know"),
    })
}

fn has_type(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("unknown type `{other}`"),
    }
}

fn matches_pattern(pattern: &str, text: &str) -> bool {
    match pattern {
        "^/" => text.starts_with('/'),
        "^https?://." => {
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            rest.is_some_and(|rest| !rest.is_empty())
        }
        "^unix:///." => text.strip_prefix("unix:///").is_some_and(|path| !path.is_empty()),
        "^v?1\\.(0|[1-9][0-9]*)$" => text.parse::<KubernetesVersion>().is_ok(),
        "^(latest|v?1\\.(0|[1-9][0-9]*))$" => text.parse::<crate::pss::Version>().is_ok(),
        "^(privileged|baseline|restricted)(@(latest|v?1\\.(0|[1-9][0-9]*)))?$" => {
            text.parse::<Profile>().is_ok()
        }
        other => panic!("the schema uses the pattern `{other}`, which this test does not know"),
    }
}

#[test]
fn distributions_are_spelled_as_they_are_read() {
    let schema = schema();
    for name in schema["$defs"]["Distribution"]["enum"].as_array().unwrap() {
        let text = format!("distribution = {name}");
        let config = Config::parse(&text, Path::new("c.toml"), KNOWN).unwrap();
        assert_eq!(config.distribution.as_str(), name);
    }
}

#[test]
fn the_nearest_file_up_to_the_git_root_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("home/repo");
    let start = root.join("apps/web");
    std::fs::create_dir_all(&start).unwrap();
    let outside = dir.path().join("home").join(FILE_NAME);
    std::fs::write(&outside, "").unwrap();
    assert_eq!(find(&start, None), None, "outside git only the folder itself counts");
    std::fs::create_dir(root.join(".git")).unwrap();
    assert_eq!(find(&start, None), None, "never above the git root");
    std::fs::write(root.join(FILE_NAME), "").unwrap();
    assert_eq!(find(&start, None), Some(root.join(FILE_NAME)));
    assert_eq!(find(&start, Some(&root)), None, "a home directory is passed over");
    assert_eq!(find(&root, Some(&root)), Some(root.join(FILE_NAME)), "unless it is what was asked for");
    std::fs::write(start.join(FILE_NAME), "").unwrap();
    assert_eq!(find(&start, None), Some(start.join(FILE_NAME)));
}

#[test]
fn an_unreadable_file_is_named() {
    let error = Config::load(Path::new("/nonexistent/c.toml"), KNOWN).unwrap_err();
    assert_eq!(error.to_string(), "/nonexistent/c.toml");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn registries_are_hosts_and_files_of_the_repo() {
    check("[registries]\nplain-http = ['reg:5000', '[::1]:5000']\nca = { 'r.io' = 'ca.pem' }", &[]);
    check("[registries]\nmirrors = { 'docker.io' = ['m.io/hub'] }", &[]);
    check(
        "[registries]\nplain-http = ['http://reg']\nca = { 'r.io/x' = 'ca.pem', 'r.io' = '../ca.pem' }",
        &[
            "c.toml:2:15: `http://reg` is not a host like `registry.example:5000`",
            "c.toml:3:8: `r.io/x` is not a host like `registry.example:5000`",
            "c.toml:3:38: `../ca.pem` may lie outside the repo",
            "  help: write a path relative to the repo, without `..`",
        ],
    );
    check(
        "[registries]\nmirrors = { 'docker.io' = ['https://m.io', 'm.io/a b'] }\nmax-image-size = 0",
        &[
            "c.toml:2:28: `https://m.io` is not a host, with or without a path, like `mirror.example/hub`",
            "c.toml:2:44: `m.io/a b` is not a host, with or without a path, like `mirror.example/hub`",
            "c.toml:3:18: `max-image-size` is a number of bytes above 0",
        ],
    );
}

#[test]
fn audit_logs_go_to_receivers_that_nobody_listens_to_on_the_way() {
    let receiver = |url: &str| {
        let text = format!("[cluster]\naudit-webhook = '{url}'");
        Config::parse(&text, Path::new("c.toml"), KNOWN).map(|config| config.cluster.audit_webhook)
    };
    for url in
        ["https://audit.example", "https://audit.example:8443/a?b=c", "http://127.0.0.1:9/", "http://[::1]/"]
    {
        assert_eq!(receiver(url).unwrap().as_deref(), Some(url));
    }
    for url in [
        "audit.example",
        "https://",
        "https:///events",
        "http://audit.example",
        "http://localhost.example/",
        "https://user:word@audit.example",
        "https://audit.example/a b",
    ] {
        assert!(receiver(url).is_err(), "{url} is a receiver");
    }
}
