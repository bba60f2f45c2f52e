//! Real registries on loopback, started and stopped by the tests.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const CANARY: &str = "canary-7f3a9c";
/// `htpasswd -Bbn reader canary-7f3a9c`.
const HTPASSWD: &str = "reader:$2y$05$ShXGfAFNWLveXSoiFTFZ3OYUlHm3VXd4h3CzkV92dElC84qArqi3C\n";
pub(crate) const AUTHORIZATION: &str = "Basic cmVhZGVyOmNhbmFyeS03ZjNhOWM=";

pub(crate) struct Registry {
    // Ends before its place goes.
    #[expect(dead_code, reason = "lives as long as the registry")]
    started: Started,
    pub(crate) host: String,
    pub(crate) place: tempfile::TempDir,
}

/// A program that ends with its test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Started {
    /// The program when it answers at an address; nothing when it ended.
    fn answers(mut self, host: &str) -> Option<Started> {
        let start = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(60), "the registry did not start");
            if is_http(host).unwrap_or(false) {
                return Some(self);
            }
            std::thread::yield_now();
        }
        None
    }
}

/// Whether HTTP is spoken at an address: a connection alone may have met itself, on a port nobody listens on. Servers
/// with TLS say in plain text that they want it.
fn is_http(host: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(b"GET /v2/ HTTP/1.0\r\n\r\n")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"HTTP")
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
        let mut secrets = String::new();
        if secured {
            certificate(place.path());
            std::fs::write(at("htpasswd"), HTPASSWD).unwrap();
            let _ =
                writeln!(secrets, "  tls: {{certificate: {}, key: {}}}", at("server.pem"), at("server.key"));
            let _ = writeln!(secrets, "auth: {{htpasswd: {{realm: test, path: {}}}}}", at("htpasswd"));
        }
        let (file, data) = (at("config.yml"), at("data"));
        Registry::serving(place, |host| {
            let config = format!(
                "version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\nstorage: {{filesystem: {{rootdirectory: {data}}}}}\nhttp:\n  addr: {host}\n{secrets}"
            );
            std::fs::write(&file, config).unwrap();
            let mut command = Command::new("docker-registry");
            command.args(["serve", &file]);
            command
        })
    }

    /// The registry of go-containerregistry, which answers otherwise in places: any `Accept` will do for it.
    pub(crate) fn start_crane() -> Registry {
        Registry::serving(tempfile::tempdir().unwrap(), |host| {
            let mut command = Command::new(program("crane").unwrap());
            command.args(["registry", "serve", "--address", host]);
            command
        })
    }

    /// A port that was free may be another's when the program asks for it: then the next one is tried.
    fn serving(place: tempfile::TempDir, command: impl Fn(&str) -> Command) -> Registry {
        let ready = (0..5).find_map(|_| {
            let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
            let child = command(&host).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            Started(child).answers(&host).map(|started| (started, host))
        });
        let (started, host) = ready.expect("the registry starts");
        Registry { started, host, place }
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
