//! How the changes of a run are divided into branches: the groups there are, and what each is called.

use crate::forge::CodeOwners;
use crate::plan::{Judged, Planner};
use crate::{repo, rules};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Per {
    /// One branch for everything
    Run,
    /// One for each area of rules
    Area,
    /// One for each rule
    Rule,
    /// One for each namespace that workloads land in
    Namespace,
    /// One for each folder with changes
    Directory,
    /// One for each set of owners in CODEOWNERS, of GitHub's or GitLab's form
    Owner,
}

/// A branch to be, and which findings it is about.
pub(super) struct Group {
    pub(super) name: String,
    /// A line for people.
    pub(super) title: String,
    /// A rule or an area.
    pub(super) rule: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) folder: Option<String>,
    /// Names with spaces between; empty for what nobody owns.
    pub(super) owner: Option<String>,
    /// What tells it from the other groups.
    pub(super) key: String,
}

impl Per {
    /// The groups a planned finding belongs to.
    pub(super) fn keys(
        self,
        planner: &Planner<'_>,
        owners: &CodeOwners,
        path: &str,
        judged: &Judged,
    ) -> Vec<String> {
        match self {
            Per::Run => vec![String::new()],
            Per::Area => vec![judged.finding.rule.area.id().to_owned()],
            Per::Rule => vec![judged.finding.rule.id.to_owned()],
            Per::Directory => {
                let new = judged.finding.new_files.iter().map(|file| repo::folder(&file.path).to_owned());
                std::iter::once(repo::folder(path).to_owned()).chain(new).collect()
            }
            Per::Owner => {
                let new = judged.finding.new_files.iter().map(|file| file.path.as_str());
                let paths = std::iter::once(path).chain(new).chain(judged.part_of.iter().map(String::as_str));
                paths.map(|path| owners.of(path).join(" ")).collect()
            }
            Per::Namespace if &*judged.object.kind == "Namespace" => vec![judged.object.name.to_string()],
            Per::Namespace => {
                let namespaces = planner.model.namespaces_at(path, &judged.object);
                if namespaces.is_empty() { vec![String::new()] } else { namespaces }
            }
        }
    }

    pub(super) fn group(self, prefix: &str, key: String) -> Group {
        let (name, title) = match self {
            Per::Run => ("harden".to_owned(), "Harden workloads and namespaces".to_owned()),
            Per::Area => (key.clone(), format!("Harden: {key} rules")),
            Per::Rule => {
                let summary = rules::find(&key).map_or("", rules::Rule::summary);
                (key.clone(), format!("Harden: {summary}"))
            }
            Per::Namespace if key.is_empty() => {
                ("no-namespace".to_owned(), "Harden objects without a namespace".to_owned())
            }
            Per::Namespace => (format!("namespace-{}", slug(&key)), format!("Harden namespace {key}")),
            Per::Directory if key.is_empty() => {
                ("directory-root".to_owned(), "Harden the root folder".to_owned())
            }
            Per::Directory => (format!("directory-{}", slug(&key)), format!("Harden {key}")),
            Per::Owner if key.is_empty() => ("no-owner".to_owned(), "Harden what nobody owns".to_owned()),
            Per::Owner => (format!("owner-{}", slug(&key)), format!("Harden what {key} owns")),
        };
        let of = |per: &[Per]| per.contains(&self).then(|| key.clone());
        Group {
            name: format!("{prefix}{name}"),
            title,
            rule: of(&[Per::Area, Per::Rule]),
            namespace: of(&[Per::Namespace]),
            folder: of(&[Per::Directory]),
            owner: of(&[Per::Owner]),
            key,
        }
    }
}

/// Letters that every forge takes in a branch name; long ones keep a hash of what is cut.
fn slug(text: &str) -> String {
    let slug: String = text
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || char == '.' { char } else { '-' })
        .collect();
    let slug = slug.trim_matches(['-', '.']).replace("..", "-");
    if slug == text.replace('/', "-") && slug.len() <= 60 {
        return slug;
    }
    let id = crate::git::blob_id(text.as_bytes());
    format!("{}-{}", slug.chars().take(50).collect::<String>(), &id[..8])
}
