//! The files of each engine, and what an engine cannot ask for.

use std::io::Read;

use super::super::output::Generated;
use super::{AdmissionArgs, Engine, State};
use crate::admission::{Exception, Group, Kept, SignedImages, Signer, variables};
use crate::cli::inputs::Inputs;
use crate::template::{
    Attestor, Templates, WantedAdmission, WantedAttestor, WantedSignatures, WantedValidation,
};

/// Larger than any file with one public key: a bound on what is read.
const LARGEST_KEY: u64 = 64 << 10;

/// The files, and what was left out with the reasons.
pub(super) fn files(
    inputs: &Inputs,
    state: &State,
    args: &AdmissionArgs,
) -> anyhow::Result<(Vec<Generated>, Vec<String>)> {
    let mut files = Vec::new();
    let mut left_out = Vec::new();
    if args.engine == Engine::PolicyController {
        left_out.push("everything but signatures: policy-controller looks at nothing else".to_owned());
    } else {
        for group in Group::ALL {
            if let Some(wanted) = wanted(state, group, args.enforce) {
                write_policy(&inputs.templates, args.engine, group, &wanted, &mut files)?;
            }
        }
        let reasons = state.judgement.left_out.iter();
        left_out.extend(reasons.map(|one| format!("{}: {}", one.requirement.id, one.reason)));
    }
    signatures(inputs, state, args, &mut files, &mut left_out)?;
    Ok((files, left_out))
}

fn wanted(state: &State, group: Group, enforce: bool) -> Option<WantedAdmission> {
    let judgement = &state.judgement;
    let kept: Vec<&Kept> = judgement.kept.iter().filter(|kept| kept.requirement.group == group).collect();
    if kept.is_empty() {
        return None;
    }
    let validations: Vec<WantedValidation> = kept.into_iter().map(validation).collect();
    let mut scope = judgement.scope.clone();
    if group == Group::Namespaces {
        // It is about the one namespace that no workload of the repo is in.
        scope.namespaces = vec!["default".to_owned()];
        scope.all_but = None;
    }
    Some(WantedAdmission {
        name: format!("caseharden-{}", group.id()),
        purpose: group.purpose().to_owned(),
        notes: vec![
            "All workloads of the repo meet it after their fixes, but for exceptions that say so.".to_owned(),
            "Written by `caseharden generate admission`; `--enforce` makes warnings refusals.".to_owned(),
        ],
        variables: variables(validations.iter().map(|validation| validation.expression.as_str())),
        validations,
        scope,
        enforce,
    })
}

fn validation(kept: &Kept) -> WantedValidation {
    let requirement = &kept.requirement;
    let note = |exception: &Exception| {
        let Exception { kind, name, place, .. } = exception;
        format!("Not for {kind}/{name}, for which it is allowed: {place}")
    };
    let mut expression = String::new();
    for exception in &kept.exceptions {
        expression.push_str(&format!("{} ||\n", exception.expression()));
    }
    match kept.exceptions.is_empty() {
        true => expression.push_str(&requirement.expression),
        false => expression.push_str(&format!("({})", requirement.expression)),
    }
    let message = match requirement.rules.first() {
        Some(rule) => format!("{} [{rule}]", requirement.message),
        None => requirement.message.to_owned(),
    };
    WantedValidation { notes: kept.exceptions.iter().map(note).collect(), expression, message }
}

fn write_policy(
    templates: &Templates,
    engine: Engine,
    group: Group,
    wanted: &WantedAdmission,
    files: &mut Vec<Generated>,
) -> anyhow::Result<()> {
    let name = group.id();
    let mut file = |path: String, text: String| files.push(Generated { path: path.into(), text });
    match engine {
        Engine::Vap => {
            let policy = templates.validating_admission_policy(wanted)?.text;
            let binding = templates.validating_admission_policy_binding(wanted)?.text;
            file(format!("{name}.yaml"), format!("{policy}---\n{binding}"));
        }
        Engine::Kyverno => file(format!("{name}.yaml"), templates.kyverno_policy(wanted)?.text),
        // Two files: a constraint can be applied only when its template has become a kind.
        Engine::Gatekeeper => {
            file(format!("templates/{name}.yaml"), templates.gatekeeper_template(wanted)?.text);
            file(format!("constraints/{name}.yaml"), templates.gatekeeper_constraint(wanted)?.text);
        }
        Engine::PolicyController => {}
    }
    Ok(())
}

fn signatures(
    inputs: &Inputs,
    state: &State,
    args: &AdmissionArgs,
    files: &mut Vec<Generated>,
    left_out: &mut Vec<String>,
) -> anyhow::Result<()> {
    let asked = args.select.select.is_empty() || !state.signed.is_empty();
    if !asked {
        return Ok(());
    }
    match args.engine {
        Engine::Vap => {
            left_out.push(
                "signatures: the API server verifies none; Kyverno and policy-controller do".to_owned(),
            );
            return Ok(());
        }
        Engine::Gatekeeper => {
            left_out.push(
                "signatures: Gatekeeper verifies none by itself (a provider like Ratify is needed); Kyverno and \
                 policy-controller do"
                    .to_owned(),
            );
            return Ok(());
        }
        Engine::Kyverno | Engine::PolicyController => {}
    }
    if state.signed.is_empty() {
        left_out.push(
            "signatures: no `[[signature]]` of caseharden.toml says who signs an image of the repo"
                .to_owned(),
        );
    }
    for (n, signed) in state.signed.iter().enumerate() {
        let name = match state.signed.len() {
            1 => "caseharden-signatures".to_owned(),
            _ => format!("caseharden-signatures-{}", n + 1),
        };
        if args.enforce
            && let Some(reason) = signed.unproved.first()
        {
            left_out.push(format!(
                "signatures of {}: {reason}; without `--enforce` it warns",
                signed.globs.join(", ")
            ));
            continue;
        }
        let wanted = wanted_signatures(inputs, state, signed, name.clone(), args.enforce)?;
        let text = match args.engine {
            Engine::Kyverno => inputs.templates.kyverno_image_policy(&wanted)?.text,
            _ => inputs.templates.cluster_image_policy(&wanted)?.text,
        };
        let file = name.trim_start_matches("caseharden-");
        files.push(Generated { path: format!("{file}.yaml").into(), text });
    }
    Ok(())
}

fn wanted_signatures(
    inputs: &Inputs,
    state: &State,
    signed: &SignedImages,
    name: String,
    enforce: bool,
) -> anyhow::Result<WantedSignatures> {
    let mut attestors = Vec::new();
    for (n, signer) in signed.signers.iter().enumerate() {
        let by = match signer {
            Signer::Key { file } => Attestor::Key(key(inputs, file)?),
            Signer::Keyless { issuer, subject } => Attestor::Keyless {
                issuer: issuer.clone(),
                subject: subject.clone(),
                pattern: Signer::subject_expression(subject),
            },
        };
        attestors.push(WantedAttestor { name: format!("signer{}", n + 1), by });
    }
    let unproved = signed.unproved.iter().map(|reason| format!("Not known to be signed: {reason}"));
    Ok(WantedSignatures {
        name,
        purpose:
            "Images are signed by one of those who may sign them: see `[[signature]]` in caseharden.toml."
                .to_owned(),
        notes: unproved.collect(),
        globs: signed.globs.clone(),
        attestors,
        scope: state.judgement.scope.clone(),
        enforce,
    })
}

/// The text of a public key, checked to be one.
fn key(inputs: &Inputs, file: &str) -> anyhow::Result<String> {
    let path = inputs.root.folder.join(crate::repo::native(file));
    let failed = |error: String| anyhow::anyhow!("{file}: {error}");
    let mut bytes = Vec::new();
    let mut opened = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?.take(LARGEST_KEY);
    opened.read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    crate::signature::PublicKey::read(file, &bytes).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("not UTF-8".to_owned()))?;
    Ok(text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"))
}
