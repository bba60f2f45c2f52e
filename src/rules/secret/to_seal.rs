//! Which Secrets are to be encrypted, with their values: the one place where values leave the model.

use super::obstacles::{obstacle, outline};
use crate::config::{Config, Scope, Store};
use crate::model::{Model, Object};
use crate::sealing::ToSeal;
use crate::secret::{entries, holds_real_values, is_secret_object};
use crate::template::SecretOutline;

/// The Secrets that take part in [`crate::sealing`]; none where nothing is encrypted.
pub fn secrets_to_seal(model: &Model<'_>, config: &Config, wanted: &dyn Fn(&Object) -> bool) -> Vec<ToSeal> {
    let Some(store) = &config.secrets.store else { return Vec::new() };
    if matches!(store, Store::External(_) | Store::Csi { .. }) {
        return Vec::new();
    }
    let secrets = model.objects().filter(|object| is_secret_object(&object.id) && wanted(object));
    secrets
        .filter_map(|object| {
            let value = model.value(object)?;
            let entries = entries(&value);
            let is_account = value["type"] == "kubernetes.io/service-account-token";
            if is_account
                || !holds_real_values(&entries)
                || obstacle(model, object, &value, &entries).is_some()
            {
                return None;
            }
            let outline = sealed_outline(model, store, object, outline(object, &value, &entries)).ok()?;
            let values = entries.into_iter().map(|entry| entry.value).collect();
            Some(ToSeal { place: (object.file, object.document), outline, values })
        })
        .collect()
}

/// What is encrypted of a Secret: where its namespace is a part of the encryption, it must be known.
pub(super) fn sealed_outline(
    model: &Model<'_>,
    store: &Store,
    object: &Object,
    outline: SecretOutline,
) -> Result<SecretOutline, String> {
    let needs_namespace = match store {
        Store::Sealed { scope, .. } => *scope != Scope::ClusterWide,
        _ => false,
    };
    if !needs_namespace {
        return Ok(outline);
    }
    match model.namespaces(object).as_slice() {
        [namespace] => Ok(SecretOutline { namespace: Some(namespace.clone()), ..outline }),
        [] => {
            Err("nothing tells its namespace, which is a part of what is encrypted: name it, or configure \
                   `scope = \"cluster-wide\"`"
                .to_owned())
        }
        many => Err(format!(
            "builds put it into {}: encrypt it for each, or configure `scope = \"cluster-wide\"`",
            super::listed(many)
        )),
    }
}
