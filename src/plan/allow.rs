//! Which rules and objects a run is about, and which findings somebody allowed: by a comment in the file
//! (`# caseharden: allow RULE -- reason`) or by `[[allow]]` in the configuration.

use std::collections::BTreeSet;

use super::{Fate, Judged, Planner};
use crate::config::{AllowIndex, Allowable, Config, Date};
use crate::model::{Model, Object};
use crate::pointer::{token, within};
use crate::rules::{self, ALLOW_EXPIRED, ALLOW_UNMATCHED, ALLOW_WITHOUT_REASON, Finding, Rule};
use crate::yaml::{Comment, Position, Stream};

/// What the command line and the configuration select.
#[derive(Debug)]
pub struct Selection<'a> {
    pub config: &'a Config,
    pub today: Date,
    /// Rule or area ids; empty: all.
    pub select: Vec<String>,
    pub ignore: Vec<String>,
    /// An empty one takes the objects that no namespace is known of.
    pub namespace: Option<String>,
    /// `(kind, name)`, compared without regard to the kind's case.
    pub object: Option<(String, String)>,
    /// The only findings whose fixes are made, by [`Judged::key`]; all without it.
    pub chosen: Option<&'a BTreeSet<String>>,
}

/// Allows of the configuration that matched something.
#[derive(Debug, Default)]
pub struct AllowUse {
    pub config: BTreeSet<AllowIndex>,
}

impl Selection<'_> {
    pub fn takes_rule(&self, rule: &Rule) -> bool {
        let names = |list: &[String]| list.iter().any(|id| id == rule.id || id == rule.area.id());
        let selected = if self.select.is_empty() {
            self.config.is_selected(rule.id, rule.area.id())
        } else {
            names(&self.select)
        };
        selected && !names(&self.ignore)
    }

    pub fn takes_object(&self, model: &Model<'_>, object: &Object) -> bool {
        let namespace = self.namespace.as_ref().is_none_or(|wanted| {
            let namespaces = model.namespaces(object);
            match &*object.id.kind {
                "Namespace" => *object.id.name == **wanted,
                _ if wanted.is_empty() => namespaces.is_empty(),
                _ => namespaces.contains(wanted),
            }
        });
        let named = self.object.as_ref().is_none_or(|(kind, name)| {
            object.id.kind.eq_ignore_ascii_case(kind) && *object.id.name == **name
        });
        namespace && named
    }

    /// Whether somebody picked findings, and not this one.
    pub(super) fn leaves_out(&self, key: impl FnOnce() -> String) -> bool {
        self.chosen.is_some_and(|chosen| !chosen.contains(&key()))
    }

    /// Whether the run sees everything, so that an allow without a match is really unmatched.
    pub(super) fn is_complete(&self) -> bool {
        self.select.is_empty()
            && self.ignore.is_empty()
            && self.config.select.is_empty()
            && self.config.ignore.is_empty()
            && self.namespace.is_none()
            && self.object.is_none()
    }

    pub(super) fn config_allow(
        &self,
        model: &Model<'_>,
        object: &Object,
        finding: &Finding,
    ) -> Option<AllowIndex> {
        if self.config.allow.is_empty() {
            return None;
        }
        let namespaces = model.namespaces(object);
        let path = &model.file(object).path;
        let mut candidates: Vec<Option<&str>> = namespaces.iter().map(|name| Some(name.as_str())).collect();
        if candidates.is_empty() {
            candidates.push(None);
        }
        let (kind, name) = (&*object.id.kind, &*object.id.name);
        candidates
            .into_iter()
            .find_map(|namespace| self.config_allow_at(path, (kind, name, namespace), finding))
    }

    /// The same where kind, name and namespace are all that is known of the object.
    pub(super) fn config_allow_at(
        &self,
        path: &str,
        (kind, name, namespace): (&str, &str, Option<&str>),
        finding: &Finding,
    ) -> Option<AllowIndex> {
        let (rule, area) = (finding.rule.id, finding.rule.area.id());
        self.config.allows(&Allowable { rule, area, path, kind, name, namespace }, self.today)
    }

    /// Findings about the entries of `[[allow]]`: path of the configuration, line, finding.
    pub(super) fn notices(&self, used: &AllowUse, today: Date) -> Vec<(String, usize, Finding)> {
        let path =
            self.config.path.as_ref().map_or("caseharden.toml".to_owned(), |path| path.display().to_string());
        let mut notices = Vec::new();
        let mut notice = |line: usize, rule: &'static Rule, message: String| {
            if self.takes_rule(rule) {
                let mut finding = Finding::new("", message);
                finding.rule = rule;
                notices.push((path.clone(), line, finding));
            }
        };
        for (_, allow) in self.config.expired_allows(today) {
            notice(allow.line, &ALLOW_EXPIRED, format!("the allow of `{}` is past its end date", allow.rule));
        }
        if self.is_complete() {
            for (_, allow) in
                self.config.unused_allows(&used.config).filter(|(_, allow)| !allow.has_expired(today))
            {
                notice(
                    allow.line,
                    &ALLOW_UNMATCHED,
                    format!("the allow of `{}` matches no finding", allow.rule),
                );
            }
        }
        notices
    }
}

/// A comment that allows rules.
struct AllowComment<'a> {
    comment: &'a Comment,
    rules: Vec<&'a str>,
    reason: &'a str,
}

/// Quick: most files have no such comment.
pub(super) fn mentions(stream: &Stream) -> bool {
    memchr::memmem::find(stream.text().as_bytes(), MARK.as_bytes()).is_some()
}

const MARK: &str = "caseharden:";

/// The comments of a file that allow findings.
pub(super) struct FileAllows<'a> {
    comments: Vec<AllowComment<'a>>,
}

impl<'a> FileAllows<'a> {
    pub(super) fn read(stream: &'a Stream) -> FileAllows<'a> {
        let comments = if mentions(stream) { stream.comments() } else { &[] };
        FileAllows { comments: comments.iter().filter_map(|comment| parse(stream, comment)).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.comments.is_empty()
    }

    pub(super) fn allow(&self, stream: &Stream, judged: &Judged) -> bool {
        self.comments
            .iter()
            .any(|comment| comment.names(judged.finding.rule) && comment.covers(stream, judged))
    }

    /// Findings about the comments themselves: those without a reason, and those that match nothing.
    pub(super) fn notices(
        &self,
        planner: &Planner<'_>,
        file: usize,
        position: &dyn Fn(usize) -> Position,
        findings: &[Judged],
    ) -> Vec<Judged> {
        let stream = &planner.model.repo().files[file].stream;
        let mut notices = Vec::new();
        for comment in &self.comments {
            let unknown = comment.rules.iter().find(|id| !is_known(id));
            let (rule, message) = if let Some(unknown) = unknown {
                (&ALLOW_UNMATCHED, format!("`{unknown}` is no rule: `caseharden rules` lists them"))
            } else if comment.reason.is_empty() || comment.rules.is_empty() {
                (&ALLOW_WITHOUT_REASON, "write `# caseharden: allow RULE -- reason`".to_owned())
            } else {
                let matched = findings
                    .iter()
                    .any(|judged| comment.names(judged.finding.rule) && comment.covers(stream, judged));
                if matched || !planner.selection.is_complete() {
                    continue;
                }
                (&ALLOW_UNMATCHED, format!("the allow of `{}` matches no finding", comment.rules.join(", ")))
            };
            if planner.selection.takes_rule(rule) {
                notices.push(notice(planner, file, position, comment.comment, rule, message));
            }
        }
        notices
    }
}

fn parse<'a>(stream: &'a Stream, comment: &'a Comment) -> Option<AllowComment<'a>> {
    let text = stream.text()[comment.range.clone()].trim_start_matches('#').trim();
    let directive = text.strip_prefix(MARK)?.trim();
    let directive = directive.strip_prefix("allow").unwrap_or(directive);
    let (rules, reason) = directive.split_once("--").unwrap_or((directive, ""));
    let rules = rules.split([',', ' ']).map(str::trim).filter(|rule| !rule.is_empty()).collect();
    Some(AllowComment { comment, rules, reason: reason.trim() })
}

impl AllowComment<'_> {
    fn names(&self, rule: &Rule) -> bool {
        !self.reason.is_empty() && self.rules.iter().any(|id| *id == rule.id || *id == rule.area.id())
    }

    /// Whether it stands on or above what the finding is about.
    fn covers(&self, stream: &Stream, judged: &Judged) -> bool {
        if self.comment.document != judged.document {
            return false;
        }
        let about = self.comment.about.as_str();
        let pointer = judged.document_pointer();
        let line = stream.position(self.comment.range.start).line;
        within(&pointer, about)
            || line == judged.line
            || !self.comment.trailing && self.heads_object(stream, judged)
    }

    /// A comment above the first key of an object speaks of the whole object.
    fn heads_object(&self, stream: &Stream, judged: &Judged) -> bool {
        let object = stream.root(judged.document).and_then(|root| root.at(&judged.prefix));
        let first = object.and_then(|object| object.entries().next());
        first
            .and_then(|(key, _)| key.as_str())
            .is_some_and(|key| self.comment.about.as_str() == format!("{}/{}", judged.prefix, token(&key)))
    }
}

fn is_known(id: &str) -> bool {
    rules::all().any(|rule| rule.id == id || rule.area.id() == id)
}

fn notice(
    planner: &Planner<'_>,
    file: usize,
    position: &dyn Fn(usize) -> Position,
    comment: &Comment,
    rule: &'static Rule,
    message: String,
) -> Judged {
    let position = position(comment.range.start);
    let mut finding = Finding::new("", message);
    finding.rule = rule;
    let owner = planner.model.objects_of(file).iter().find(|object| object.document == comment.document);
    Judged {
        finding,
        object: owner.map_or_else(crate::model::ObjectId::unknown, |object| object.id.clone()),
        document: comment.document,
        prefix: String::new(),
        line: position.line,
        column: position.column,
        fate: Fate::Manual,
        part_of: Vec::new(),
        turn: 0,
    }
}
