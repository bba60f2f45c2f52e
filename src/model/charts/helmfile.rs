//! What helmfiles install.

use super::Afterwards;
use super::elsewhere::{Home, known};
use super::sets::stand_in;
use crate::model::{Model, Object, ObjectId};
use crate::repo::{HelmfileRelease, HelmfileValues};

/// A release of a helmfile.
#[derive(Debug)]
pub(super) struct OfHelmfile {
    /// Index of the helmfile.
    pub(super) file: usize,
    pub(super) release: HelmfileRelease,
    /// Index of what it gives.
    pub(super) given: usize,
}

impl OfHelmfile {
    /// How a user finds it.
    pub(super) fn place(&self, model: &Model<'_>) -> String {
        format!("{}: {}", model.repo().files[self.file].path, self.release.name)
    }

    /// Where it has values of its own: the last mapping of its list, or a new item.
    pub(super) fn home(&self) -> Home {
        let release = &self.release;
        let id = ObjectId {
            namespace: release.namespace.as_deref().map(Into::into),
            ..ObjectId::named("", "HelmfileRelease", &release.name)
        };
        let own = release.values.iter().rposition(|values| matches!(values, HelmfileValues::Inline(_)));
        Home {
            object: Object { document: release.document, ..stand_in(self.file, id) },
            outer: format!("{}/values/{}", release.pointer, own.unwrap_or(release.values.len())),
            is_text: false,
            is_new_item: own.is_none(),
            release: known(Some(release.name.clone()), release.namespace.clone()),
            afterwards: Afterwards::of_helmfile(release),
        }
    }
}
