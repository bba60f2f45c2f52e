//! See the rule's own docs below.

use crate::model::Image;
use crate::rules::{Area, Check, Finding, Severity, Workload};

crate::rules::rule! {
    /// An image is the latest, whatever that is.
    ///
    /// ## Why
    /// `latest`, and a reference without a tag means it, names another image after every push. Two nodes may run
    /// different programs under one name, nobody can tell which one ran yesterday, and a push into the registry is a
    /// release into the cluster. A tag also decides the default of `imagePullPolicy`: `Always` for `latest`.
    ///
    /// ## Fix
    /// Write the version that runs today, best with its digest. Which one that is, a manifest does not tell: nothing is
    /// changed.
    ///
    /// ## What could break
    /// Nothing, if it is the version that runs. Updates have to be made on purpose from then on.
    ///
    /// ## Sources
    /// - Images: <https://kubernetes.io/docs/concepts/containers/images/#image-names>
    {
        id: "image-tag-latest",
        area: Area::Image,
        severity: Severity::High,
        pss: None,
        known_as: &[
            ("kube-linter", "latest-tag"),
            ("kubescape", "C-0075"),
            ("polaris", "tagNotSpecified"),
            ("checkov", "CKV_K8S_14"),
            ("trivy", "KSV-0013"),
            ("kubeaudit", "ImageTagMissing"),
        ],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for container in workload.pods.iter().flat_map(|pod| &pod.containers) {
        let Some(image) = container.image().and_then(Image::parse) else { continue };
        let subject = workload.container(container);
        let message = match image.tag {
            Some("latest") => format!("{subject} runs the latest `{}`", image.name()),
            None if image.digest.is_none() => {
                format!("{subject} runs the latest `{}`: there is no tag", image.name())
            }
            _ => continue,
        };
        let mut finding = Finding::new(format!("{}/image", container.pointer), message).container(container);
        if image.digest.is_some() {
            finding = finding.note("its digest decides what runs, and does not say which version that is");
        }
        if let Some(tag) = workload.locked(container).and_then(|locked| locked.version_tag.as_ref()) {
            finding = finding.note(format!("the tag `{tag}` has the same digest"));
        }
        findings.push(finding);
    }
}
