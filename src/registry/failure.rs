//! Why a registry did not give what was asked for, in words for whoever runs the tool. Never holds a secret: no
//! credential, no token, no query of a URL.

use crate::image::Digest;

/// What went wrong with one image. The others go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// 401 with what credentials there are.
    #[error("{registry} wants a login (401): {looked_at}")]
    Unauthorized { registry: String, looked_at: String },
    #[error("{registry} refuses access (403)")]
    Forbidden { registry: String },
    #[error("{registry} has no such image (404)")]
    NotFound { registry: String },
    /// 429 after all attempts, or with a wait longer than we do.
    #[error("{registry} limits the rate of requests (429){}", wait_text(.wait))]
    RateLimited { registry: String, wait: Option<u64> },
    #[error("{registry} answers with status {status}")]
    Status { registry: String, status: u16 },
    #[error("{registry} does not answer in time ({while_doing})")]
    Timeout { registry: String, while_doing: String },
    #[error("{registry}: no such host")]
    Dns { registry: String },
    #[error("{registry}: {detail}")]
    Tls { registry: String, detail: String },
    #[error("{registry}: {detail}")]
    Connection { registry: String, detail: String },
    /// The content is not what its digest says.
    #[error("the registry sent {found} for {expected}: refused")]
    Mismatch { expected: Digest, found: Digest },
    #[error("the {what} has more than {limit} bytes")]
    TooLarge { what: &'static str, limit: u64 },
    /// An answer leads where we do not go.
    #[error("{registry} sends its {what} to {host} {reason}: refused")]
    Refused { registry: String, what: &'static str, host: String, reason: &'static str },
    #[error("{registry} wants a login over plain HTTP: credentials are not sent there")]
    PlainLogin { registry: String },
    #[error("the registry sent a {what} that cannot be read")]
    Malformed { what: &'static str },
    #[error("{0}")]
    Unsupported(String),
    #[error("{name}: {detail}")]
    Authority { name: String, detail: String },
    #[error("{detail}")]
    Layer { detail: String },
}

fn wait_text(wait: &Option<u64>) -> String {
    wait.map_or_else(String::new, |seconds| format!(" and asks to wait for {seconds} s"))
}

impl Failure {
    /// Whether the same question may get another answer soon.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Failure::RateLimited { .. }
                | Failure::Timeout { .. }
                | Failure::Connection { .. }
                | Failure::Malformed { .. }
        ) || matches!(self, Failure::Status { status, .. } if matches!(status, 500 | 502 | 503 | 504))
    }

    /// Whether every question to the same host would fail the same way.
    pub(super) fn is_of_the_host(&self) -> bool {
        matches!(
            self,
            Failure::Timeout { .. } | Failure::Dns { .. } | Failure::Tls { .. } | Failure::Connection { .. }
        )
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Failure::Unauthorized { .. } => "log in with `docker login`, `podman login` or `skopeo login`",
            Failure::Forbidden { .. } => "ask for read access, or check which account the login is for",
            Failure::NotFound { .. } => {
                "check its name; some registries answer so for images that need a login"
            }
            Failure::RateLimited { .. } => "log in, add a mirror under `[registries.mirrors]`, or try later",
            Failure::Tls { .. } => {
                "a registry with its own authority needs `[registries.ca]` in caseharden.toml"
            }
            Failure::PlainLogin { .. } => {
                "give the registry a certificate, and name its authority under `[registries.ca]`"
            }
            Failure::Mismatch { .. } => "do not use this image before it is clear who changed it",
            _ => return None,
        })
    }
}
