//! What takes the place of a Secret, by the store that is configured.

use std::collections::BTreeSet;

use serde_json::Value;

use super::obstacles::{home, outline};
use super::secret_in_plain_manifest::{RULE, by_hand};
use super::to_seal::sealed_outline;
use super::{Context, csi, place};
use crate::config::{ExternalStore, Provider, Store, StoreKind, Vault};
use crate::model::Object;
use crate::rules::{Finding, NewFile, Placed, RepoFindings, Safety, Severity, Whole, placement};
use crate::sealing::Sealing;
use crate::secret::Entry;
use crate::template::{RemoteKey, RenderedFile, SecretOutline};

/// Adds to a finding what takes the Secret's place, and files it.
pub(super) fn propose(
    context: &mut Context<'_>,
    object: &Object,
    value: &Value,
    entries: &[Entry],
    finding: Finding,
    found: &mut RepoFindings,
) {
    let outline = outline(object, value, entries);
    let proposed = match &context.settings.config.secrets.store {
        None => Err("choose what keeps it: `[secrets] store` in caseharden.toml".to_owned()),
        Some(Store::External(store)) => external(context, object, &outline, store).map(Proposal::replaced),
        Some(store @ Store::Sealed { .. }) => sealed_outline(context.model, store, object, outline)
            .and_then(|_| encrypted(context, object))
            .map(|whole| Proposal { whole, notes: sealed_notes(), file: None }),
        Some(Store::Sops { .. }) => sops(context, object),
        Some(Store::Csi { vault, path }) => {
            return csi::propose(context, object, &outline, vault, path.as_deref(), finding, found);
        }
    };
    match proposed {
        Err(reason) => place(context.model, &RULE, object, by_hand(finding, reason), found),
        Ok(proposal) => proposal.file(context, object, finding, found),
    }
}

/// A way to keep a Secret.
struct Proposal {
    whole: Whole,
    notes: Vec<String>,
    /// What becomes a file of its own, and its path.
    file: Option<NewFile>,
}

impl Proposal {
    fn replaced((rendered, notes): (RenderedFile, Vec<String>)) -> Proposal {
        Proposal { whole: Whole::Replaced(rendered), notes, file: None }
    }

    fn file(self, context: &mut Context<'_>, object: &Object, finding: Finding, found: &mut RepoFindings) {
        let model = context.model;
        let mut finding = finding.safety(Safety::Review).whole(self.whole);
        for note in self.notes {
            finding = finding.note(note);
        }
        let Some(file) = self.file else { return place(model, &RULE, object, finding, found) };
        // The document goes, and a file of its own has the Secret: both or none.
        let fix = format!("secret {} {}", model.file(object).path, object.id);
        let path = file.path.clone();
        let message = format!("Secret/{} is encrypted in a file of its own", object.id.name);
        let mut created = Finding::new("/data", message).safety(Safety::Review).together(fix.clone());
        created.rule = &RULE;
        created.new_files.push(file);
        context.planned.insert(path.clone());
        found.new_files.push(Placed { object: object.clone(), finding: created, needs_file: None });
        for kustomization in model.builds.listing(&model.file(object).path) {
            placement::list_in(model, &kustomization.path, &path, &RULE, Some(&fix), found);
        }
        place(model, &RULE, object, finding.together(fix), found);
    }
}

/// The name of a secret in a store, for each key: one secret with properties, or one secret for each.
pub(super) fn remote_keys(
    context: &Context<'_>,
    object: &Object,
    secret: &SecretOutline,
    provider: Option<Provider>,
    path: Option<&str>,
) -> Result<Vec<RemoteKey>, String> {
    let pattern = path.unwrap_or_else(|| provider.unwrap_or(Provider::Vault).default_path());
    let namespaces = context.model.namespaces(object);
    let namespace = match namespaces.as_slice() {
        _ if !pattern.contains("{namespace}") => "",
        [one] => one.as_str(),
        [] => return Err(
            "nothing tells its namespace, which is a part of its name in the store: name it, or configure \
                          a `path` without `{namespace}`"
                .to_owned(),
        ),
        many => {
            return Err(format!(
                "builds put it into {}: one name in the store cannot stand for all of them",
                super::listed(many)
            ));
        }
    };
    let keys = secret.keys.iter().map(|key| {
        let text = pattern.replace("{namespace}", namespace).replace("{name}", &secret.name);
        let is_own = text.contains("{key}");
        let text = text.replace("{key}", &key.key);
        let text = match provider {
            // Letters, digits and dashes: <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates>.
            Some(Provider::Azure) => plain(&text, |c| c == '-', '-'),
            // And underscores: <https://cloud.google.com/secret-manager/docs/creating-and-accessing-secrets>.
            Some(Provider::Gcp) => plain(&text, |c| c == '-' || c == '_', '-'),
            _ => text,
        };
        RemoteKey { key: text, property: (!is_own).then(|| key.key.clone()) }
    });
    let keys: Vec<RemoteKey> = keys.collect();
    let distinct: BTreeSet<(&str, Option<&str>)> =
        keys.iter().map(|key| (key.key.as_str(), key.property.as_deref())).collect();
    if distinct.len() < keys.len() {
        return Err("two of its keys would have one name in the store".to_owned());
    }
    Ok(keys)
}

fn plain(text: &str, also: impl Fn(char) -> bool, other: char) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || also(c) { c } else { other }).collect()
}

fn external(
    context: &Context<'_>,
    object: &Object,
    secret: &SecretOutline,
    store: &ExternalStore,
) -> Result<(RenderedFile, Vec<String>), String> {
    let provider = store.vault.as_ref().map(|vault| vault.provider);
    let remote = remote_keys(context, object, secret, provider, store.path.as_deref())?;
    let rendered = context.settings.templates.external_secret(secret, store, &remote);
    let rendered = rendered.map_err(|error| error.to_string())?;
    let mut notes = vec![format!(
        "first put new values where {} `{}` finds them: {}",
        store.kind.as_str(),
        store.name,
        places(&remote)
    )];
    notes.extend(store.vault.as_ref().map(|vault| load_command(vault, &remote)));
    if secret.keys.iter().any(|key| key.is_binary) {
        notes.push("values that are no text go there as base64: the operator decodes them".to_owned());
    }
    Ok((rendered, notes))
}

/// Where the values of a Secret go.
pub(super) fn places(remote: &[RemoteKey]) -> String {
    let names: BTreeSet<&str> = remote.iter().map(|key| key.key.as_str()).collect();
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    let properties: Vec<String> = remote
        .iter()
        .filter_map(|key| key.property.as_ref())
        .map(|property| format!("`{property}`"))
        .collect();
    match properties.as_slice() {
        [] => super::listed(&names),
        properties => format!("{} with {}", super::listed(&names), properties.join(", ")),
    }
}

/// How values get into a store, typed by a person: no command line has them.
pub(super) fn load_command(vault: &Vault, remote: &[RemoteKey]) -> String {
    let name = remote.first().map_or("", |key| key.key.as_str());
    let input = match remote.iter().all(|key| key.property.is_some()) {
        true => "values.json (an object with the keys)",
        false => "value (once for each)",
    };
    let command = match vault.provider {
        Provider::Aws => {
            format!("aws secretsmanager create-secret --name {name} --secret-string file:///dev/stdin")
        }
        Provider::Gcp => format!("gcloud secrets create {name} --data-file=-"),
        Provider::Azure => format!("az keyvault secret set --name {name} --file /dev/stdin --vault-name …"),
        Provider::Vault => format!("vault kv put -mount={} {name} -", vault.mount),
    };
    format!("for example `{command}`, which reads {input} from standard input")
}

fn sealed_notes() -> Vec<String> {
    vec![
        "check that the certificate is that of the controller of this cluster: nobody else can decrypt it"
            .to_owned(),
        "encrypt new values once the old ones are replaced: `kubeseal --raw`, or the whole Secret again"
            .to_owned(),
    ]
}

/// What another program made of the Secret.
fn encrypted(context: &Context<'_>, object: &Object) -> Result<Whole, String> {
    match context.settings.sealing {
        Sealing::Later => Ok(Whole::ReplacedLater),
        Sealing::Done(done) => match done.get(&(object.file, object.document)) {
            Some(Ok(rendered)) => Ok(Whole::Replaced(rendered.clone())),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err("it is outside of this run".to_owned()),
        },
    }
}

/// SOPS encrypts whole files: a Secret that shares its file gets one of its own.
fn sops(context: &Context<'_>, object: &Object) -> Result<Proposal, String> {
    let whole = encrypted(context, object)?;
    let notes = vec![
        "whatever deploys the repo must decrypt it: Flux with `decryption`, Argo CD and kustomize with a plugin".to_owned(),
    ];
    let file = context.model.file(object);
    let is_alone =
        (0..file.stream.documents()).filter(|document| file.stream.root(*document).is_some()).count() == 1;
    let Whole::Replaced(rendered) = whole else { return Ok(Proposal { whole, notes, file: None }) };
    if is_alone && !file.path.ends_with(".json") {
        return Ok(Proposal { whole: Whole::Replaced(rendered), notes, file: None });
    }
    if is_alone {
        return Err("SOPS writes JSON only where it reads a file: `sops --encrypt --in-place`".to_owned());
    }
    let name = format!("{}.sops.yaml", object.id.name);
    let path =
        placement::free_path(&name, home(context.model, object), "secret", |path| context.is_taken(path))
            .ok_or("there is a file of its name already")?;
    let file = NewFile { path, text: rendered.text };
    Ok(Proposal { whole: Whole::Removed, notes, file: Some(file) })
}

/// The stores that ExternalSecrets of this run read from and that the repo does not have.
pub(super) fn missing_stores(context: &mut Context<'_>, found: &mut RepoFindings) {
    let Some(Store::External(store)) = &context.settings.config.secrets.store else { return };
    let Some(vault) = &store.vault else { return };
    let model = context.model;
    let mut served: BTreeSet<Option<String>> = BTreeSet::new();
    for object in model
        .objects()
        .filter(|object| *object.id.kind == *store.kind.as_str() && *object.id.name == *store.name)
    {
        served.extend(model.namespaces(object).into_iter().map(Some));
        served.insert(None);
    }
    let replaced = found.by_file.values().flatten().filter(|placed| placed.finding.rule.id == RULE.id);
    let replaced: Vec<Object> = replaced
        .filter(|placed| placed.finding.whole.is_some())
        .map(|placed| placed.object.clone())
        .collect();
    for object in replaced {
        let place = match store.kind {
            StoreKind::ClusterSecretStore => None,
            StoreKind::SecretStore => model.namespaces(&object).into_iter().next(),
        };
        if !served.insert(place.clone()) {
            continue;
        }
        let written = object.id.namespace.as_deref().filter(|_| store.kind == StoreKind::SecretStore);
        let folder = home(model, &object).to_owned();
        // By its name alone nobody would know which role of the vault is meant.
        let role = vault.role.clone().or_else(|| place.clone().filter(|_| vault.provider == Provider::Vault));
        let vault = Vault { role, ..vault.clone() };
        let Ok(rendered) = context.settings.templates.secret_store(written, store, &vault) else { continue };
        let name = place.as_deref().unwrap_or(&store.name);
        let Some(path) =
            placement::free_path("secret-store.yaml", &folder, name, |path| context.is_taken(path))
        else {
            continue;
        };
        context.planned.insert(path.clone());
        let kind = store.kind.as_str();
        let message = format!("{kind}/{}, which ExternalSecrets are to read, is not in the repo", store.name);
        let mut finding = Finding::new("", message)
            .safety(Safety::Review)
            .severe(Severity::Medium)
            .note("say how the operator logs in, if the identity of its pod is not enough");
        finding.rule = &RULE;
        finding.new_files.push(NewFile { path: path.clone(), text: rendered.text });
        found.new_files.push(Placed { object: object.clone(), finding, needs_file: None });
        placement::mention(model, &object, &folder, &path, &RULE, found);
    }
}
