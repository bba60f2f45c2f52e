//! Findings → merged changes → new text, proved, one file at a time.
//!
//! Two passes over the files. The survey judges every workload to learn which Pod Security level it meets before
//! and after its fixes; what a namespace may enforce follows from that. The second pass makes the report of each
//! file and lets it go again, so memory does not grow with the number of findings.
//!
//! Knows no disk, git or output format. Nothing leaves a report that was not proved.

mod allow;
mod document;
mod exceptions;
mod merge;
mod together;

use std::sync::{Mutex, mpsc};

use json_patch::PatchOperation;
use rayon::prelude::*;

pub use self::allow::{AllowUse, Selection};
pub use self::exceptions::Exceptions;
use crate::contained::contained;
use crate::model::{Model, Object, ObjectId};
use crate::repo::Skip;
use crate::rules::{self, Finding, NewFile, RepoFindings, Safety, Settings, WorkloadVerdict};
use crate::yaml::Edit;

/// Plans the files of a run.
pub struct Planner<'a> {
    pub model: &'a Model<'a>,
    pub settings: &'a Settings<'a>,
    pub selection: &'a Selection<'a>,
    pub exceptions: &'a Exceptions,
    /// The least trusted fixes that are planned.
    pub level: Safety,
    pub purpose: Purpose,
    /// What the first pass learnt about the repo as a whole.
    survey: RepoFindings,
    used: Mutex<AllowUse>,
    /// Records of exceptions that nothing needs.
    unmatched: Vec<Finding>,
    refused: Vec<Skip>,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To say what is found. No new text is made, so there is none to prove.
    Findings,
    /// To hand over new texts, each of them proved.
    Changes,
}

/// What a run says and wants of one file.
#[derive(Debug)]
pub struct FileReport<'r> {
    pub path: &'r str,
    pub before: &'r str,
    /// The new text, when there is one.
    pub after: Option<String>,
    /// What makes it of the old one, in the order of the text.
    pub edits: Vec<Edit>,
    /// Ordered by place.
    pub findings: Vec<Judged>,
    /// Failed proofs: bugs of ours. The file is left as it is.
    pub defects: Vec<String>,
}

/// A finding with its place and what became of its fix.
#[derive(Debug, Clone)]
pub struct Judged {
    pub finding: Finding,
    pub object: ObjectId,
    pub document: usize,
    /// Pointer of the object in its document.
    pub prefix: String,
    pub line: usize,
    pub column: usize,
    pub fate: Fate,
    /// RFC 6902, from the object.
    pub operations: Vec<PatchOperation>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// In the plan.
    Planned,
    /// There is no fix to plan.
    Manual,
    /// Somebody allowed it: it is not shown.
    Allowed,
    /// The fix is less trusted than the level asks for.
    BelowLevel,
    /// The fix cannot be made in this file; why.
    Held(String),
}

/// Files handled at once: enough to keep all threads busy, few enough to keep memory flat.
const WINDOW: usize = 256;

impl<'a> Planner<'a> {
    pub fn new(
        model: &'a Model<'a>,
        settings: &'a Settings<'a>,
        selection: &'a Selection<'a>,
        exceptions: &'a Exceptions,
        level: Safety,
        purpose: Purpose,
    ) -> Planner<'a> {
        let survey = RepoFindings::default();
        let used = Mutex::new(AllowUse::default());
        let (unmatched, refused) = (Vec::new(), Vec::new());
        let mut planner = Planner {
            model,
            settings,
            selection,
            exceptions,
            level,
            purpose,
            survey,
            used,
            unmatched,
            refused,
        };
        planner.survey();
        planner
    }

    fn survey(&mut self) {
        let surveyed: Vec<document::Surveyed> = (0..self.model.repo().files.len())
            .into_par_iter()
            .map(|file| {
                let surveyed = contained(|| document::verdicts(self, file));
                surveyed.unwrap_or_else(|_| document::unknown_verdicts(self.model, file))
            })
            .collect();
        let (verdicts, refused): (Vec<_>, Vec<_>) =
            surveyed.into_iter().map(|surveyed| (surveyed.verdicts, surveyed.refused)).unzip();
        let verdicts: Vec<WorkloadVerdict> = verdicts.into_iter().flatten().collect();
        self.refused = refused.into_iter().flatten().collect();
        let selected = |rule: &rules::Rule| self.selection.takes_rule(rule);
        let mut repo = rules::check_repo(self.model, self.settings, &verdicts, &selected);
        let records = exceptions::records(self, &verdicts);
        if selected(&rules::EXCEPTION_NOT_RECORDED) {
            repo.new_files.extend(self.exceptions.findings(self, &records));
        }
        if selected(&rules::ALLOW_UNMATCHED) && self.selection.is_complete() {
            self.unmatched = self.exceptions.unmatched(&records);
        }
        self.survey = repo;
        self.settle_repo_findings();
    }

    /// Keeps what the run is about, and decides which new files are wanted before the files that must mention
    /// them are planned.
    fn settle_repo_findings(&mut self) {
        let parts = together::count(&self.survey);
        let mut repo = std::mem::take(&mut self.survey);
        repo.new_files.retain(|placed| {
            let object = &placed.object;
            self.selection.takes_object(self.model, object)
                && !self.is_allowed_by_config(object, &placed.finding)
        });
        self.survey = repo;
        self.keep_wanted_mentions();
        together::settle(self, &parts);
        self.keep_wanted_mentions();
    }

    /// Takes out what is of use only along with a new file that is not made.
    fn keep_wanted_mentions(&mut self) {
        let mut repo = std::mem::take(&mut self.survey);
        let wanted: Vec<String> = repo
            .new_files
            .iter()
            .filter(|placed| placed.finding.safety >= self.level)
            .flat_map(|placed| placed.finding.new_files.iter().map(|file| file.path.clone()))
            .collect();
        for list in repo.by_file.values_mut() {
            list.retain(|placed| match &placed.needs_file {
                Some(path) => wanted.contains(path),
                None => self.selection.takes_object(self.model, &placed.object),
            });
        }
        self.survey = repo;
    }

    fn is_allowed_by_config(&self, object: &Object, finding: &Finding) -> bool {
        let allowed = self.selection.config_allow(self.model, object, finding);
        if let Some(index) = allowed {
            self.used.lock().expect("no thread panics while it holds the list").config.insert(index);
        }
        allowed.is_some()
    }

    /// The reports of all files that have something to say, in the order of their paths. Not to be called from a
    /// thread of the pool, which has to work meanwhile.
    pub fn reports(&self, mut each: impl FnMut(FileReport<'a>)) {
        // While `each` has one window, the threads make the next one, and no more than that.
        let (send, receive) = mpsc::sync_channel::<Vec<Option<FileReport<'a>>>>(0);
        rayon::in_place_scope(|scope| {
            scope.spawn(move |_| {
                let files = self.model.repo().files.len();
                for start in (0..files).step_by(WINDOW) {
                    let window = start..files.min(start + WINDOW);
                    let reports = window.into_par_iter().map(|file| self.report(file)).collect();
                    if send.send(reports).is_err() {
                        return;
                    }
                }
            });
            receive.into_iter().flatten().flatten().for_each(&mut each);
        });
    }

    fn report(&self, file: usize) -> Option<FileReport<'a>> {
        contained(|| document::report(self, file)).unwrap_or_else(|failure| {
            let source = &self.model.repo().files[file];
            Some(FileReport {
                path: &source.path,
                before: source.stream.text(),
                after: None,
                edits: Vec::new(),
                findings: Vec::new(),
                defects: vec![failure],
            })
        })
    }

    /// Findings whose fix is a new file, each with the path it is about and the files, in the order of the paths.
    pub fn new_files(&self) -> Vec<(&'a str, Judged, Vec<NewFile>)> {
        let mut planned = Vec::new();
        for placed in &self.survey.new_files {
            let wanted = placed.finding.safety >= self.level && !placed.finding.new_files.is_empty();
            let fate = match placed.finding.safety {
                _ if wanted => Fate::Planned,
                Safety::Manual => Fate::Manual,
                _ => Fate::BelowLevel,
            };
            let files = if wanted { placed.finding.new_files.clone() } else { Vec::new() };
            let path = self.model.repo().files[placed.object.file].path.as_str();
            planned.push((path, document::placed_judged(self, placed, fate), files));
        }
        planned.sort_by(|a, b| (a.0, a.1.line).cmp(&(b.0, b.1.line)));
        planned
    }

    /// Workloads whose values Kubernetes' decoder refuses, so that nothing can be said of them.
    pub fn refused(&self) -> &[Skip] {
        &self.refused
    }

    /// What the run can say about each namespace.
    pub fn namespaces(&self) -> &[rules::NamespaceVerdict] {
        &self.survey.namespaces
    }

    /// Findings about allows themselves; complete only after [`Planner::reports`].
    pub fn notices(&self, today: crate::config::Date) -> Vec<(String, usize, Finding)> {
        let used = self.used.lock().expect("no thread panics while it holds the list");
        let mut notices = self.selection.notices(&used, today);
        let path = &self.settings.config.exceptions_file;
        notices.extend(self.unmatched.iter().map(|finding| (path.clone(), 1, finding.clone())));
        notices
    }

    /// The evaluator's verdict on each workload as it is, in the order of their paths.
    pub fn workloads(&self, mut each: impl FnMut(&Object, &[crate::pss::Violation], crate::pss::Level)) {
        for object in self.model.objects().filter(|object| object.layout.is_some()) {
            let Some(value) = self.model.value(object) else { continue };
            let Some(workload) = rules::Workload::new(self.settings, self.model, object, &value) else {
                continue;
            };
            let (level, version) = (self.settings.level, self.settings.version);
            let mut violations = Vec::new();
            let mut meets = crate::pss::Level::Restricted;
            for pod in &workload.pods {
                violations.extend(crate::pss::evaluate(&pod.judged(), level, version));
                meets = meets.min(crate::pss::highest_level(&pod.judged(), version));
            }
            each(object, &violations, meets);
        }
    }
}

impl Judged {
    /// Where the finding is in the document.
    pub fn document_pointer(&self) -> String {
        format!("{}{}", self.prefix, self.finding.pointer)
    }
}
