//! The parts of foreign types that templates write. What they do not know is an error.
//!
//! ExternalSecret, SecretStore: apis/externalsecrets/v1 of <https://github.com/external-secrets/external-secrets>;
//! SealedSecret: pkg/apis/sealedsecrets/v1alpha1 of <https://github.com/bitnami-labs/sealed-secrets>;
//! SecretProviderClass: apis/v1 of <https://github.com/kubernetes-sigs/secrets-store-csi-driver>.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

type Strings = BTreeMap<String, String>;

macro_rules! strict {
    ($($name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {
        $(
            #[derive(Debug, Serialize, Deserialize)]
            #[serde(rename_all = "camelCase", deny_unknown_fields)]
            pub(super) struct $name {
                $(pub(super) $field: $type,)+
            }
        )+
    };
}

strict! {
    ExternalSecret { api_version: String, kind: ExternalSecretKind, metadata: ObjectMeta, spec: ExternalSecretSpec }
    ExternalSecretSpec {
        refresh_interval: Option<String>,
        refresh_policy: Option<String>,
        secret_store_ref: StoreReference,
        target: Target,
        data: Vec<ExternalData>,
    }
    StoreReference { kind: StoreKind, name: String }
    Target {
        name: String,
        creation_policy: Option<CreationPolicy>,
        deletion_policy: Option<DeletionPolicy>,
        immutable: Option<bool>,
        template: Option<TargetTemplate>,
    }
    TargetTemplate {
        r#type: Option<String>,
        engine_version: Option<String>,
        merge_policy: Option<String>,
        metadata: Option<TemplateMetadata>,
    }
    TemplateMetadata { labels: Option<Strings>, annotations: Option<Strings> }
    ExternalData { secret_key: String, remote_ref: RemoteReference }
    RemoteReference {
        key: String,
        property: Option<String>,
        version: Option<String>,
        metadata_policy: Option<String>,
        conversion_strategy: Option<String>,
        decoding_strategy: Option<DecodingStrategy>,
    }
    SecretStore { api_version: String, kind: StoreKind, metadata: ObjectMeta, spec: SecretStoreSpec }
    SecretStoreSpec {
        provider: BTreeMap<ProviderKind, serde_json::Value>,
        controller: Option<String>,
        refresh_interval: Option<i64>,
        retry_settings: Option<serde_json::Value>,
        conditions: Option<Vec<serde_json::Value>>,
    }
    SealedSecret { api_version: String, kind: SealedSecretKind, metadata: ObjectMeta, spec: SealedSecretSpec }
    SealedSecretSpec { encrypted_data: Strings, template: Option<SealedTemplate> }
    SealedTemplate {
        metadata: Option<ObjectMeta>,
        r#type: Option<String>,
        immutable: Option<bool>,
        data: Option<Strings>,
    }
    SecretProviderClass {
        api_version: String,
        kind: SecretProviderClassKind,
        metadata: ObjectMeta,
        spec: SecretProviderClassSpec,
    }
    SecretProviderClassSpec { provider: String, parameters: Strings, secret_objects: Vec<SecretObject> }
    SecretObject {
        secret_name: String,
        r#type: String,
        labels: Option<Strings>,
        annotations: Option<Strings>,
        data: Vec<SecretObjectData>,
    }
    SecretObjectData { object_name: String, key: String }
}

macro_rules! words {
    ($($name:ident { $($word:ident),+ $(,)? })+) => {
        $(
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
            pub(super) enum $name {
                $($word,)+
            }
        )+
    };
}

words! {
    ExternalSecretKind { ExternalSecret }
    SealedSecretKind { SealedSecret }
    SecretProviderClassKind { SecretProviderClass }
    StoreKind { SecretStore, ClusterSecretStore }
    CreationPolicy { Owner, Orphan, Merge, None }
    DeletionPolicy { Delete, Merge, Retain }
    DecodingStrategy { Auto, Base64, Base64URL, None }
}

/// The providers that are known here; a template of one's own may have any other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ProviderKind(String);
