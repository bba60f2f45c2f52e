//! Real registries on loopback, started and stopped by the tests.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const CANARY: &str = "canary-7f3a9c";
/// `htpasswd -Bbn reader canary-7f3a9c`.
const HTPASSWD: &str = "reader:$2y$05$ShXGfAFNWLveXSoiFTFZ3OYUlHm3VXd4h3CzkV92dElC84qArqi3C\n";
pub(crate) const AUTHORIZATION: &str = "Basic cmVhZGVyOmNhbmFyeS03ZjNhOWM=";

pub(crate) struct Registry {
    child: Child,
    pub(crate) host: String,
    pub(crate) place: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Folders of programs that tests/real/registry built. Where it is set, tests have to be complete.
pub(crate) const PROGRAMS: &str = "CASEHARDEN_GO_PROGRAMS";

/// Whether the programs are there; where tests have to be complete, that is a failure.
pub(crate) fn is_missing() -> bool {
    are_missing(&["docker-registry", "skopeo", "openssl"], "apt-get install docker-registry skopeo openssl")
}

/// The same for programs that are built from their Go modules.
pub(crate) fn is_missing_go(programs: &[&'static str]) -> bool {
    is_missing() || are_missing(programs, "tests/real/registry builds them")
}

pub(crate) fn are_missing(programs: &[&'static str], hint: &str) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|name| program(name).is_none()).collect();
    if missing.is_empty() {
        return false;
    }
    assert!(std::env::var_os(PROGRAMS).is_none(), "not installed: {missing:?}");
    writeln!(std::io::stderr(), "skipped: not installed: {missing:?} ({hint})").ok();
    true
}

/// Where a program is: tests/real/registry keeps what it builds in a folder of its own.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let built = std::env::var_os(PROGRAMS).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&built).chain(std::env::split_paths(&path));
    folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()))
}

impl Registry {
    pub(crate) fn start(secured: bool) -> Registry {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name).display().to_string();
        let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut config = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: {host}\n",
            at("data")
        );
        if secured {
            certificate(place.path());
            std::fs::write(at("htpasswd"), HTPASSWD).unwrap();
            let _ =
                writeln!(config, "  tls: {{certificate: {}, key: {}}}", at("server.pem"), at("server.key"));
            let _ = writeln!(config, "auth: {{htpasswd: {{realm: test, path: {}}}}}", at("htpasswd"));
        }
        std::fs::write(at("config.yml"), config).unwrap();
        let child = Command::new("docker-registry")
            .args(["serve", &at("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Registry { child, host, place }.when_ready()
    }

    /// The registry of go-containerregistry, which answers otherwise in places: any `Accept` will do for it.
    pub(crate) fn start_crane() -> Registry {
        let place = tempfile::tempdir().unwrap();
        let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let child = Command::new(program("crane").unwrap())
            .args(["registry", "serve", "--address", &host])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Registry { child, host, place }.when_ready()
    }

    fn when_ready(self) -> Registry {
        let start = Instant::now();
        while TcpStream::connect(&self.host).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "the registry did not start");
            std::thread::yield_now();
        }
        self
    }

    pub(crate) fn agent(&self) -> ureq::Agent {
        let mut config = ureq::Agent::config_builder().http_status_as_error(false);
        if let Ok(pem) = std::fs::read(self.place.path().join("ca.pem")) {
            let root = ureq::tls::Certificate::from_pem(&pem).unwrap();
            let roots = ureq::tls::RootCerts::new_with_certs(&[root]);
            config = config.tls_config(ureq::tls::TlsConfig::builder().root_certs(roots).build());
        }
        config.build().new_agent()
    }

    /// The digest that skopeo sees.
    pub(crate) fn skopeo(&self, image: &str) -> String {
        let mut command = Command::new("skopeo");
        command.args(["inspect", "--format", "{{.Digest}}"]);
        if self.place.path().join("ca.pem").is_file() {
            std::fs::create_dir_all(self.place.path().join("certs")).unwrap();
            std::fs::copy(self.place.path().join("ca.pem"), self.place.path().join("certs/ca.crt")).unwrap();
            command
                .arg("--cert-dir")
                .arg(self.place.path().join("certs"))
                .args(["--creds", &format!("reader:{CANARY}")]);
        } else {
            command.arg("--tls-verify=false");
        }
        let output = command.arg(format!("docker://{}/{image}", self.host)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// What a program prints, which has to succeed.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// An authority, and a certificate of its for this machine.
pub(crate) fn certificate(at: &Path) {
    let script = "set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 2 -subj '/CN=Test CA' \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign'
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr -subj '/CN=127.0.0.1'
printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem";
    let output = Command::new("sh").args(["-c", script]).current_dir(at).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
