//! Whom the roles of a repo let read a Secret.

use std::collections::BTreeSet;

use super::Settings;
use crate::model::Model;
use crate::rbac::subject::MASTERS;
use crate::rbac::{Access, Policy, Request, Subject};

pub(super) struct Readers<'a> {
    settings: &'a Settings<'a>,
    policy: Policy,
}

impl<'a> Readers<'a> {
    pub(super) fn new(model: &'a Model<'a>, settings: &'a Settings<'a>) -> Readers<'a> {
        Readers { settings, policy: Access::new(model, settings.config.target_version).policy() }
    }

    /// Everybody but the system itself, each once.
    pub(super) fn of(&self, namespaces: &[String], name: &str) -> Vec<String> {
        let mut readers = BTreeSet::new();
        for namespace in namespaces {
            // To list Secrets shows what is in them.
            for verb in ["get", "list"] {
                let request = Request::resource(verb, "", "secrets", namespace);
                let request = if verb == "get" { request.named(name) } else { request };
                let able = self.policy.who_can(&request);
                let subjects =
                    able.iter().map(|grant| grant.subject).filter(|subject| !self.is_system(subject));
                readers.extend(subjects.map(ToString::to_string));
            }
        }
        readers.into_iter().collect()
    }

    fn is_system(&self, subject: &Subject) -> bool {
        match subject {
            Subject::ServiceAccount { namespace, .. } => self.settings.config.is_system_namespace(namespace),
            Subject::User(name) => name.starts_with("system:") && name != crate::rbac::subject::ANONYMOUS,
            Subject::Group(name) => name == MASTERS || name.starts_with("system:nodes"),
        }
    }
}
