//! Findings → merged changes → new text, proved, one file at a time.
//!
//! Rules about the repo as a whole come first. Then the survey judges every workload to learn which Pod Security level it
//! meets before and after its fixes; what a namespace may enforce follows from that. Then comes the report of each file,
//! which is let go again, so that memory does not grow with the number of findings. A run that only shows reports has them
//! shown during the survey and keeps what they look like: only files of which what the survey learns wants more are judged
//! once more.
//!
//! Knows no disk, git or output format. Nothing leaves a report that was not proved.

mod allow;
mod alone;
mod builds;
mod document;
mod exceptions;
mod exposure;
mod merge;
mod object_patch;
mod together;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};

use json_patch::PatchOperation;
use rayon::prelude::*;
use serde_json::Value;

pub use self::allow::{AllowUse, Selection};
pub use self::exceptions::Exceptions;
pub use self::object_patch::ObjectPatch;
use crate::config;
use crate::contained::contained;
use crate::model::{Model, Object, ObjectId};
use crate::pss;
use crate::repo::Skip;
use crate::rules::{self, Finding, NewFile, RepoFindings, Safety, Settings};
use crate::secret::secret_values;
use crate::yaml::{Edit, Stream};

/// Plans the files of a run.
pub struct Planner<'a> {
    pub model: &'a Model<'a>,
    pub settings: &'a Settings<'a>,
    pub selection: &'a Selection<'a>,
    pub exceptions: &'a Exceptions,
    /// The least trusted fixes that are planned.
    pub level: Safety,
    pub purpose: Purpose,
    /// Files that are left alone, each with the reason.
    pub held: &'a BTreeMap<String, String>,
    /// How a file's report is shown, in a run that does nothing else with it.
    show: Option<&'a Show<'a>>,
    /// What the survey showed already, by file.
    drafts: Vec<Draft>,
    /// What the first pass learnt about the repo as a whole.
    survey: RepoFindings,
    used: Mutex<AllowUse>,
    /// Records of exceptions that nothing needs.
    unmatched: Vec<Finding>,
    refused: Vec<Skip>,
    /// The level after the fixes of each workload that a build renders, or that is applied as it stands.
    renders: Vec<pss::Level>,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To say what is found. No new text is made, so there is none to prove.
    Findings,
    /// To hand over new texts, each of them proved.
    Changes,
    /// To show what hands over new texts, without a line that holds a secret: not even one that goes, or that stands
    /// beside a change.
    Diff,
    /// To show the values that are written, and no line of a text: what would write a secret stays out.
    Values,
}

/// Shows the report of a file.
pub type Show<'s> = dyn Fn(&FileReport<'_>) -> Vec<u8> + Sync + 's;

/// A report as it is shown, and what it counted.
#[derive(Debug, Clone)]
pub struct Shown {
    pub output: Box<[u8]>,
    pub tally: Tally,
}

/// How far the survey came with showing a file's report.
#[derive(Debug, Default)]
enum Draft {
    /// Not looked at yet.
    #[default]
    Open,
    /// There is nothing to say.
    Silent,
    Shown(Box<Shown>),
}

/// What reports count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub findings: usize,
    pub fixable: usize,
    pub below_level: usize,
    /// Fixes that a diff would show along with a secret.
    pub hidden: usize,
    pub changed_files: usize,
    pub defects: usize,
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
    /// How many lines around a change can be shown without showing a secret.
    pub context: usize,
    /// Ordered by place.
    pub findings: Vec<Judged>,
    /// Failed proofs: bugs of ours. The file is left as it is.
    pub defects: Vec<String>,
    /// What its changes are parts of that findings of other files speak for, as in [`Judged::part_of`].
    pub part_of: Vec<String>,
    stream: &'r Stream,
    model: &'r Model<'r>,
    /// Of the documents that were judged, as they are.
    values: Vec<(usize, Value)>,
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
    /// What its fix is a part of: a name shared by all parts, or the new file it is of use with. Empty for a fix of
    /// its own.
    pub part_of: Vec<String>,
    /// When its fix is made, among those of its file: what is appended to lists comes in this order.
    pub turn: usize,
}

/// How far the fixes of a run reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Workloads that builds render, each as often as it is rendered, and those that are applied as they stand.
    pub workloads: usize,
    /// Those of them that meet the level of the profile after the fixes.
    pub hardened: usize,
    /// What charts render beside those.
    pub charts: rules::Rendered,
    /// Builds that take more than the repo holds, by the paths of their kustomizations: what they fetch is not judged.
    pub unread: Vec<String>,
}

impl Reach {
    /// All workloads that the run knows of, and those of them that meet the level after the fixes.
    pub fn total(&self) -> (usize, usize) {
        (self.workloads + self.charts.workloads, self.hardened + self.charts.hardened)
    }
}

/// New files, and the findings they answer.
#[derive(Debug, Clone)]
pub struct Planned<'r> {
    /// Of what the findings are about.
    pub path: &'r str,
    pub findings: Vec<Judged>,
    pub files: Vec<NewFile>,
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
    /// The fix is made, but not shown: a secret stands on its lines or beside them.
    Hidden,
}

/// Files handled at once: enough to keep all threads busy, few enough to keep memory flat.
const WINDOW: usize = 256;

/// Parts of a secret that are shorter are in too many other words.
const SHORTEST_SECRET: usize = 6;

/// Bytes of shown reports that the survey keeps. What comes after is shown when its turn comes.
const MOST_KEPT: usize = 64 << 20;

impl<'a> Planner<'a> {
    #[expect(clippy::too_many_arguments, reason = "each is a field, and there is one caller")]
    pub fn new(
        model: &'a Model<'a>,
        settings: &'a Settings<'a>,
        selection: &'a Selection<'a>,
        exceptions: &'a Exceptions,
        level: Safety,
        purpose: Purpose,
        held: &'a BTreeMap<String, String>,
        show: Option<&'a Show<'a>>,
    ) -> Planner<'a> {
        let survey = RepoFindings::default();
        let used = Mutex::new(AllowUse::default());
        let (unmatched, refused, renders) = (Vec::new(), Vec::new(), Vec::new());
        let mut planner = Planner {
            model,
            settings,
            selection,
            exceptions,
            level,
            purpose,
            held,
            show,
            drafts: Vec::new(),
            survey,
            used,
            unmatched,
            refused,
            renders,
        };
        planner.survey();
        planner
    }

    fn survey(&mut self) {
        let selected = |rule: &rules::Rule| self.selection.takes_rule(rule);
        // First, so that what the survey shows of a file is nearly always all there is to show.
        let of_repo = rules::check_repo(self.model, self.settings, &selected);
        let surveyed = self.survey_files(&of_repo);
        let mut verdicts = Vec::new();
        let (mut built, mut patches) = (RepoFindings::default(), Vec::new());
        for surveyed in surveyed {
            for (of_workload, verdict) in surveyed.built.into_iter().zip(&surveyed.verdicts) {
                if of_workload.renders.is_empty() {
                    self.renders.push(verdict.after);
                }
                self.renders.extend(of_workload.renders);
                patches.extend(of_workload.patches);
                for (file, placed) in of_workload.placed {
                    built.by_file.entry(file).or_default().push(placed);
                }
            }
            verdicts.extend(surveyed.verdicts);
            self.refused.extend(surveyed.refused);
            self.drafts.push(surveyed.draft);
        }
        let mut repo = rules::check_namespaces(self.model, self.settings, &verdicts, &selected);
        repo.append(built);
        builds::place_patches(self, patches, &mut repo);
        self.open_drafts(repo.by_file.keys().copied());
        repo.append(of_repo);
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

    /// What was shown of these files is not all that there is to show.
    fn open_drafts(&mut self, files: impl IntoIterator<Item = usize>) {
        for file in files {
            self.drafts[file] = Draft::Open;
        }
    }

    fn survey_files(&self, of_repo: &RepoFindings) -> Vec<document::Surveyed> {
        let kept = AtomicUsize::new(0);
        let files = (0..self.model.repo().files.len()).into_par_iter();
        files
            .map(|file| {
                let keeps = kept.load(Ordering::Relaxed) < MOST_KEPT;
                let show = self.show.filter(|_| keeps);
                let placed = of_repo.by_file.get(&file).map_or(&[][..], Vec::as_slice);
                let surveyed = contained(|| document::survey(self, file, placed, show));
                let surveyed = surveyed.unwrap_or_else(|_| document::unknown_verdicts(self.model, file));
                if let Draft::Shown(shown) = &surveyed.draft {
                    kept.fetch_add(shown.output.len(), Ordering::Relaxed);
                }
                surveyed
            })
            .collect()
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
        for placed in &mut repo.new_files {
            let mut files = placed.finding.new_files.iter();
            if let Some(reason) = files.find_map(|file| self.held.get(&file.path)) {
                placed.finding.make_manual(reason.clone());
            }
        }
        // A template's objects are not known: they are left out where only some are asked for, and the configuration
        // allows them by their path.
        let is_about_all = self.selection.namespace.is_none() && self.selection.object.is_none();
        repo.in_templates.retain(|(path, _, finding)| {
            let allowed = self.selection.config_allow_at(path, ("", "", None), finding);
            !self.is_use(allowed) && is_about_all
        });
        if self.selection.chosen.is_some() {
            repo.new_files.retain(|placed| {
                let path = &self.model.repo().files[placed.object.file].path;
                let judged = document::placed_judged(self, placed, Fate::Planned);
                !self.selection.leaves_out(|| judged.key(path))
            });
        }
        self.survey = repo;
        self.keep_wanted_mentions();
        together::settle(self, &parts);
        self.keep_wanted_mentions();
    }

    /// Takes out what is of use only along with a new file that is not made.
    fn keep_wanted_mentions(&mut self) {
        let mut repo = std::mem::take(&mut self.survey);
        let wanted: HashSet<String> = repo
            .new_files
            .iter()
            .filter(|placed| placed.finding.safety >= self.level && !placed.finding.hidden)
            .flat_map(|placed| placed.finding.new_files.iter().map(|file| file.path.clone()))
            .collect();
        let mut touched = Vec::new();
        for (file, list) in &mut repo.by_file {
            let before = list.len();
            list.retain(|placed| match &placed.needs_file {
                Some(path) => wanted.contains(path),
                None => self.selection.takes_object(self.model, &placed.object),
            });
            let mut is_touched = list.len() < before;
            if let Some(marker) = self.model.repo().files[*file].marker {
                for placed in list.iter_mut().filter(|placed| placed.finding.has_changes()) {
                    placed.finding.make_manual(format!("not edited: {}", marker.detail()));
                    is_touched = true;
                }
            }
            touched.extend(is_touched.then_some(*file));
        }
        self.survey = repo;
        self.open_drafts(touched);
    }

    fn is_allowed_by_config(&self, object: &Object, finding: &Finding) -> bool {
        self.is_use(self.selection.config_allow(self.model, object, finding))
    }

    /// Whether something is allowed; which entry allowed it is remembered.
    fn is_use(&self, allowed: Option<config::AllowIndex>) -> bool {
        if let Some(index) = allowed {
            self.used.lock().expect("no thread panics while it holds the list").config.insert(index);
        }
        allowed.is_some()
    }

    /// The reports of all files that have something to say, in the order of their paths. Not to be called from a
    /// thread of the pool, which has to work meanwhile.
    pub fn reports(&self, mut each: impl FnMut(FileReport<'a>)) {
        self.in_order(|file| self.report(file), |_, report| report.into_iter().for_each(&mut each));
    }

    /// The same reports as the planner's [`Show`] shows them; none without one.
    pub fn shown(&self, mut each: impl FnMut(&Shown)) {
        let Some(show) = self.show else { return };
        let shown_late = |file: usize| match &self.drafts[file] {
            Draft::Open => self.report(file).map(|report| report.shown(show)),
            Draft::Silent | Draft::Shown(_) => None,
        };
        self.in_order(shown_late, |file, late| match &self.drafts[file] {
            Draft::Open => late.iter().for_each(&mut each),
            Draft::Silent => {}
            Draft::Shown(shown) => each(shown),
        });
    }

    /// Makes something of every file in parallel, and hands it on in the order of the files. While `each` has one
    /// window, the threads make the next one, and no more than that.
    fn in_order<T: Send>(&self, make: impl Fn(usize) -> T + Sync, mut each: impl FnMut(usize, T)) {
        let (send, receive) = mpsc::sync_channel::<Vec<T>>(0);
        rayon::in_place_scope(|scope| {
            let make = &make;
            scope.spawn(move |_| {
                let files = self.model.repo().files.len();
                for start in (0..files).step_by(WINDOW) {
                    let window = start..files.min(start + WINDOW);
                    if send.send(window.into_par_iter().map(make).collect()).is_err() {
                        return;
                    }
                }
            });
            receive.into_iter().flatten().enumerate().for_each(|(file, made)| each(file, made));
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
                context: exposure::CONTEXT_LINES,
                findings: Vec::new(),
                defects: vec![failure],
                part_of: Vec::new(),
                stream: &source.stream,
                model: self.model,
                values: Vec::new(),
            })
        })
    }

    /// Findings whose fix is a new file: the path they are about, those of one fix together, and the files, in the order
    /// of the paths.
    pub fn new_files(&self) -> Vec<Planned<'a>> {
        let mut planned: Vec<Planned<'a>> = Vec::new();
        for placed in &self.survey.new_files {
            let is_wanted = placed.finding.safety >= self.level && !placed.finding.new_files.is_empty();
            let wanted = is_wanted && !placed.finding.hidden;
            let fate = match placed.finding.safety {
                _ if wanted => Fate::Planned,
                _ if is_wanted => Fate::Hidden,
                Safety::Manual => Fate::Manual,
                _ => Fate::BelowLevel,
            };
            let files = if wanted { placed.finding.new_files.clone() } else { Vec::new() };
            let path = self.model.repo().files[placed.object.file].path.as_str();
            let judged = document::placed_judged(self, placed, fate);
            match planned.last_mut().filter(|last| wanted && last.path == path && last.files == files) {
                Some(last) => last.findings.push(judged),
                None => planned.push(Planned { path, findings: vec![judged], files }),
            }
        }
        for planned in &mut planned {
            planned.findings.sort_by_key(|judged| judged.line);
        }
        let line = |planned: &Planned<'_>| planned.findings.first().map(|judged| judged.line);
        planned.sort_by(|a, b| (a.path, line(a)).cmp(&(b.path, line(b))));
        planned
    }

    /// How many of the workloads that reach a cluster the fixes bring to the level that the profile asks for.
    pub fn reach(&self) -> Reach {
        let builds = &self.model.builds;
        let unread = builds.outermost_builds().filter(|top| builds.fetched_by(top).is_some());
        Reach {
            workloads: self.renders.len(),
            hardened: self.renders.iter().filter(|level| **level >= self.settings.level).count(),
            charts: self.survey.rendered.clone(),
            unread: unread.map(str::to_owned).collect(),
        }
    }

    /// The findings that somebody allowed, each with the path of its file, in the order of the paths. Not to be called
    /// from a thread of the pool.
    pub fn allowed(&self) -> Vec<(&'a str, Judged)> {
        let mut all = Vec::new();
        self.in_order(
            |file| contained(|| document::allowed(self, file)).unwrap_or_default(),
            |file, found| {
                let path = self.model.repo().files[file].path.as_str();
                all.extend(found.into_iter().map(|judged| (path, judged)));
            },
        );
        all
    }

    /// Workloads whose values Kubernetes' decoder refuses, so that nothing can be said of them.
    pub fn refused(&self) -> &[Skip] {
        &self.refused
    }

    /// What the run can say about each namespace.
    pub fn namespaces(&self) -> &[rules::NamespaceVerdict] {
        &self.survey.namespaces
    }

    /// What became of workloads that charts render.
    pub fn rendered(&self) -> &rules::Rendered {
        &self.survey.rendered
    }

    /// Findings in templates of charts, and about allows themselves; complete only after [`Planner::reports`].
    pub fn notices(&self, today: config::Date) -> Vec<(String, usize, Finding)> {
        let used = self.used.lock().expect("no thread panics while it holds the list");
        let mut notices = self.survey.in_templates.clone();
        notices.extend(self.selection.notices(&used, today));
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

impl FileReport<'_> {
    pub fn tally(&self) -> Tally {
        Tally {
            changed_files: usize::from(self.after.is_some()),
            defects: self.defects.len(),
            ..Tally::of(&self.findings)
        }
    }

    /// The changes of one of its findings as RFC 6902, from the object.
    pub fn operations(&self, judged: &Judged) -> Vec<PatchOperation> {
        let Some(object) = self.object(judged) else { return Vec::new() };
        match &judged.finding.whole {
            Some(whole) => whole.operations(),
            None => judged.finding.changes.iter().flat_map(|change| change.operations(object, "")).collect(),
        }
    }

    /// Where the object of a finding lands, as far as the repo tells.
    pub fn namespaces(&self, judged: &Judged) -> Vec<String> {
        match &*judged.object.kind {
            "Namespace" => vec![judged.object.name.to_string()],
            _ => self.model.namespaces_at(self.path, &judged.object),
        }
    }

    /// The object that a finding is about, as it is.
    pub fn object(&self, judged: &Judged) -> Option<&Value> {
        self.value(judged.document)?.pointer(&judged.prefix)
    }

    fn value(&self, document: usize) -> Option<&Value> {
        self.values.iter().find(|(of, _)| *of == document).map(|(_, value)| value)
    }

    /// Texts of the file that nothing but the file itself may show.
    pub fn secrets(&self) -> Vec<String> {
        secrets_of(self.stream)
    }

    fn shown(&self, show: &Show<'_>) -> Shown {
        Shown { output: show(self).into(), tally: self.tally() }
    }
}

/// Texts of a file that nothing but the file itself may show.
fn secrets_of(stream: &Stream) -> Vec<String> {
    let roots = (0..stream.documents()).filter_map(|document| stream.root(document));
    let values: BTreeSet<String> = roots.flat_map(secret_values).collect();
    let lines = values.iter().flat_map(|value| value.lines()).map(str::trim);
    lines.filter(|line| line.len() >= SHORTEST_SECRET).map(str::to_owned).collect()
}

/// Whether a value has one of some secrets in it.
fn shows_secret(value: &Value, secrets: &[String]) -> bool {
    let text = value.to_string();
    secrets.iter().any(|secret| text.contains(Value::from(secret.as_str()).to_string().trim_matches('"')))
}

impl Tally {
    /// Of findings alone.
    pub fn of(findings: &[Judged]) -> Tally {
        let with = |fate: &Fate| findings.iter().filter(|judged| judged.fate == *fate).count();
        Tally {
            findings: findings.len(),
            fixable: with(&Fate::Planned),
            below_level: with(&Fate::BelowLevel),
            hidden: with(&Fate::Hidden),
            ..Tally::default()
        }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.findings += other.findings;
        self.fixable += other.fixable;
        self.below_level += other.below_level;
        self.hidden += other.hidden;
        self.changed_files += other.changed_files;
        self.defects += other.defects;
    }
}

impl Judged {
    /// A finding that is about no object that could be read.
    pub fn of_no_object(finding: Finding, line: usize) -> Judged {
        Judged {
            finding,
            object: ObjectId::unknown(),
            document: 0,
            prefix: String::new(),
            line,
            column: 1,
            fate: Fate::Manual,
            part_of: Vec::new(),
            turn: 0,
        }
    }

    /// Names a finding of a file within runs over the same files.
    pub fn key(&self, path: &str) -> String {
        let rule = self.finding.rule.id;
        let container = self.finding.container.as_deref().unwrap_or_default();
        format!("{rule}\0{path}\0{}\0{}\0{container}", self.document, self.document_pointer())
    }

    /// Where the finding is in the document.
    pub fn document_pointer(&self) -> String {
        format!("{}{}", self.prefix, self.finding.pointer)
    }
}
