//! What the checks read of a pod, taken from its value in one pass the way Kubernetes' decoder would: exact key
//! names, `null` as unset, `null` in a list as an empty element. Knows no check.

use json_patch::jsonptr::{PointerBuf, Token};
use serde_json::{Map, Value};

/// A pod, or the pod template of a workload, ready to be judged as often as wanted.
#[derive(Debug, Clone)]
pub struct Pod<'a> {
    pub(super) annotations: Option<&'a Map<String, Value>>,
    pub(super) host_network: bool,
    pub(super) host_pid: bool,
    pub(super) host_ipc: bool,
    pub(super) host_users: Option<bool>,
    pub(super) os: &'a str,
    pub(super) security: SecurityContext<'a>,
    /// All three lists, in upstream's order: init, plain, ephemeral.
    pub(super) containers: Vec<Container<'a>>,
    pub(super) volumes: &'a [Value],
    pub(super) default_volumes: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Container<'a> {
    list: &'static str,
    index: usize,
    pub(super) name: &'a str,
    pub(super) security: SecurityContext<'a>,
    pub(super) ports: &'a [Value],
    /// One for each of [`HANDLERS`].
    pub(super) handlers: [Option<&'a Map<String, Value>>; HANDLERS.len()],
}

/// Where a container can name a host to call, below the container.
pub(super) const HANDLERS: [&[&str]; 5] = [
    &["livenessProbe"],
    &["readinessProbe"],
    &["startupProbe"],
    &["lifecycle", "postStart"],
    &["lifecycle", "preStop"],
];

/// The fields of a pod's and of a container's security context. Some exist at one of the two levels only: a check
/// reads no others.
#[derive(Debug, Clone, Default)]
pub(super) struct SecurityContext<'a> {
    pub(super) allow_privilege_escalation: Option<bool>,
    /// Type of the profile: empty when there is a profile that names none.
    pub(super) app_armor: Option<&'a str>,
    pub(super) add: &'a [Value],
    pub(super) drop: &'a [Value],
    pub(super) privileged: Option<bool>,
    pub(super) proc_mount: Option<&'a str>,
    pub(super) run_as_non_root: Option<bool>,
    pub(super) run_as_user: Option<i64>,
    pub(super) se_linux: SeLinuxOptions<'a>,
    /// As [`SecurityContext::app_armor`].
    pub(super) seccomp: Option<&'a str>,
    pub(super) sysctls: &'a [Value],
    pub(super) host_process: Option<bool>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct SeLinuxOptions<'a> {
    pub(super) user: &'a str,
    pub(super) role: &'a str,
    pub(super) kind: &'a str,
}

impl<'a> Pod<'a> {
    /// Reads a pod from `metadata.annotations` of the pod (of the template, for a workload) and its spec.
    pub fn new(annotations: Option<&'a Map<String, Value>>, spec: &'a Value) -> Self {
        let mut pod = Pod {
            annotations,
            host_network: false,
            host_pid: false,
            host_ipc: false,
            host_users: None,
            os: "",
            security: SecurityContext::default(),
            containers: Vec::new(),
            volumes: &[],
            default_volumes: false,
        };
        let (mut init, mut plain, mut ephemeral): (&[Value], &[Value], &[Value]) = (&[], &[], &[]);
        for (key, value) in entries(spec) {
            match key.as_str() {
                "containers" => plain = items(value),
                "ephemeralContainers" => ephemeral = items(value),
                "hostIPC" => pod.host_ipc = value == &Value::Bool(true),
                "hostNetwork" => pod.host_network = value == &Value::Bool(true),
                "hostPID" => pod.host_pid = value == &Value::Bool(true),
                "hostUsers" => pod.host_users = value.as_bool(),
                "initContainers" => init = items(value),
                "os" => pod.os = text(value.get("name")),
                "securityContext" => pod.security = SecurityContext::new(value),
                "volumes" => pod.volumes = items(value),
                _ => {}
            }
        }
        pod.containers.reserve_exact(init.len() + plain.len() + ephemeral.len());
        for (list, values) in
            [("initContainers", init), ("containers", plain), ("ephemeralContainers", ephemeral)]
        {
            let containers = values.iter().enumerate();
            pod.containers.extend(containers.map(|(index, value)| Container::new(list, index, value)));
        }
        pod
    }

    /// Takes a volume without a known source (`emptyDir:` with nothing behind it is one) as the `emptyDir` that the
    /// API server makes of it, so that restricted does not refuse it. Nothing else that the server fills in changes
    /// what a level allows.
    #[must_use]
    pub fn with_default_volumes(mut self) -> Self {
        self.default_volumes = true;
        self
    }

    /// The API server admits Windows pods only without the Linux fields that some checks demand.
    pub(super) fn is_windows(&self) -> bool {
        self.os == "windows"
    }

    /// Root in the pod is nobody on its node.
    pub(super) fn has_user_namespace(&self) -> bool {
        self.host_users == Some(false)
    }
}

impl<'a> Container<'a> {
    fn new(list: &'static str, index: usize, value: &'a Value) -> Self {
        let mut container = Container {
            list,
            index,
            name: "",
            security: SecurityContext::default(),
            ports: &[],
            handlers: [None; HANDLERS.len()],
        };
        for (key, value) in entries(value) {
            match key.as_str() {
                "name" => container.name = text(Some(value)),
                "ports" => container.ports = items(value),
                "securityContext" => container.security = SecurityContext::new(value),
                "livenessProbe" => container.handlers[0] = value.as_object(),
                "readinessProbe" => container.handlers[1] = value.as_object(),
                "startupProbe" => container.handlers[2] = value.as_object(),
                "lifecycle" => {
                    container.handlers[3] = value.get("postStart").and_then(Value::as_object);
                    container.handlers[4] = value.get("preStop").and_then(Value::as_object);
                }
                _ => {}
            }
        }
        container
    }

    /// The place of a field below this container.
    pub(super) fn field(&self, path: &[&str]) -> PointerBuf {
        let container = [Token::new(self.list), Token::from(self.index)];
        PointerBuf::from_tokens(container.into_iter().chain(path.iter().copied().map(Token::new)))
    }

    /// Tells containers apart that have the same name.
    pub(super) fn position(&self) -> (&'static str, usize) {
        (self.list, self.index)
    }
}

impl<'a> SecurityContext<'a> {
    fn new(value: &'a Value) -> Self {
        let mut security = SecurityContext::default();
        for (key, value) in entries(value) {
            match key.as_str() {
                "allowPrivilegeEscalation" => security.allow_privilege_escalation = value.as_bool(),
                "appArmorProfile" => security.app_armor = profile_type(value),
                "capabilities" => {
                    security.add = value.get("add").map_or(&[], items);
                    security.drop = value.get("drop").map_or(&[], items);
                }
                "privileged" => security.privileged = value.as_bool(),
                "procMount" => security.proc_mount = value.as_str(),
                "runAsNonRoot" => security.run_as_non_root = value.as_bool(),
                "runAsUser" => security.run_as_user = integer(value),
                "seLinuxOptions" => {
                    security.se_linux = SeLinuxOptions {
                        user: text(value.get("user")),
                        role: text(value.get("role")),
                        kind: text(value.get("type")),
                    };
                }
                "seccompProfile" => security.seccomp = profile_type(value),
                "sysctls" => security.sysctls = items(value),
                "windowsOptions" => {
                    security.host_process = value.get("hostProcess").and_then(Value::as_bool);
                }
                _ => {}
            }
        }
        security
    }
}

fn profile_type(profile: &Value) -> Option<&str> {
    profile.as_object().map(|fields| text(fields.get("type")))
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A string that may be left out.
pub(super) fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

/// A whole number. `8080.0` is one: `kubectl` turns YAML into JSON, and that writes it as `8080`.
pub(super) fn integer(value: &Value) -> Option<i64> {
    let whole = |number: f64| number.fract() == 0.0 && number.abs() < 2_f64.powi(63);
    // The range was just checked, so the conversion keeps the number.
    value.as_i64().or_else(|| value.as_f64().filter(|&number| whole(number)).map(|number| number as i64))
}
