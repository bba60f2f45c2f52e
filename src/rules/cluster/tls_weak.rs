//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A component accepts old TLS versions or weak ciphers.
    ///
    /// ## Why
    /// TLS 1.0 and 1.1 and ciphers with RC4, 3DES or without forward secrecy can be broken or decrypted later.
    ///
    /// ## Fix
    /// Raises a `--tls-min-version` of 1.0 or 1.1 to `VersionTLS12`, and takes weak suites out of `--tls-cipher-suites`.
    /// What is not set is Go's choice, which is TLS 1.2 with good suites: left alone, though scanners ask for the flag
    /// (CIS 1.2.29).
    ///
    /// ## What could break
    /// Clients of ten years ago.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/>
    /// - <https://pkg.go.dev/crypto/tls#InsecureCipherSuites>
    {
        id: "tls-weak",
        area: Area::Cluster,
        severity: Severity::Medium,
        pss: None,
        known_as: &[
            ("CIS", "1.2.29"),
            ("kubescape", "C-0277"),
            ("checkov", "CKV_K8S_105"),
            ("trivy", "KCV-0029"),
        ],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let components =
        [Component::ApiServer, Component::ControllerManager, Component::Scheduler, Component::Kubelet];
    for plane in &context.planes {
        for component in components {
            if let Some(flag) = plane.flag(component, "tls-min-version")
                && matches!(&*flag.value, "VersionTLS10" | "VersionTLS11")
            {
                let message = format!("{} of {} accepts {}", component.binary(), subject(plane), flag.value);
                let finding = flag_finding(
                    plane,
                    component,
                    "tls-min-version",
                    "VersionTLS12",
                    message,
                    Safety::Review,
                );
                context.place_on(&RULE, plane, finding, found);
            }
            let Some(flag) = plane.flag(component, "tls-cipher-suites") else { continue };
            let suites = flag.value.split(',').map(str::trim).filter(|name| !name.is_empty());
            let (weak, good): (Vec<&str>, Vec<&str>) = suites.partition(|name| is_weak(name));
            if weak.is_empty() {
                continue;
            }
            let message = format!("{} of {} accepts {}", component.binary(), subject(plane), weak.join(", "));
            let finding = match good.is_empty() {
                true => Finding::new(plane.pointer(component, "tls-cipher-suites"), message)
                    .note("take the flag out: Go's own choice is better"),
                false => flag_finding(
                    plane,
                    component,
                    "tls-cipher-suites",
                    &good.join(","),
                    message,
                    Safety::Review,
                ),
            };
            context.place_on(&RULE, plane, finding, found);
        }
    }
}

/// Without forward secrecy, or with a broken cipher. The suites of TLS 1.3 name no key exchange.
fn is_weak(suite: &str) -> bool {
    let is_1_3 = ["TLS_AES_", "TLS_CHACHA20_"].iter().any(|start| suite.starts_with(start));
    let broken = ["RC4", "3DES", "CBC_SHA"].iter().any(|part| suite.contains(part));
    !is_1_3 && (broken || suite.starts_with("TLS_RSA_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_secrecy_and_sound_ciphers_are_not_weak() {
        for good in ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"] {
            assert!(!is_weak(good), "{good}");
        }
        for weak in [
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        ] {
            assert!(is_weak(weak), "{weak}");
        }
    }
}
