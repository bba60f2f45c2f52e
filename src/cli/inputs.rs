//! What check, diff, apply and branch share: which files, rules and objects a run is about, and reading them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Read};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::evidence::EvidenceArgs;
use super::{Global, Helped, say};
use crate::audit_log;
use crate::config::{self, Config, ConfigError, Profile};
use crate::connections::{FlowReader, Flows};
use crate::git;
use crate::lock::{self, Lock};
use crate::model::{Model, Object};
use crate::plan::{Exceptions, FileReport, Planned, Planner, Purpose, Selection, Show, Tally};
use crate::render::{Counts, Created, Ending, Renderer, escaped, workload_lines};
use crate::repo::{self, Disk, Entry, Listing, Repo, Root, Skip, Source, StandardInput};
use crate::rules::{self, Safety, Settings};
use crate::sealing::{self, Sealing};
use crate::suggestion;
use crate::template::Templates;

/// Selection, the same for every command that judges.
#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Selection")]
pub(super) struct Select {
    /// Only these rules or areas (repeat, or separate by commas)
    #[arg(long, value_name = "RULE|AREA", value_delimiter = ',')]
    pub(super) select: Vec<String>,
    /// All but these rules or areas
    #[arg(long, value_name = "RULE|AREA", value_delimiter = ',')]
    pub(super) ignore: Vec<String>,
    /// The least trusted fixes to make: `safe` cannot change what runs, `review` may
    #[arg(long, value_name = "LEVEL")]
    pub(super) level: Option<config::Level>,
    /// Only objects of this namespace
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
    /// Only this object
    #[arg(long, value_name = "KIND/NAME")]
    pub(super) object: Option<String>,
    /// Pod Security level that rules ask for, and the version it is judged by
    #[arg(long, value_name = "LEVEL[@VERSION]")]
    pub(super) profile: Option<Profile>,
    /// Observed flows: Hubble's JSON, Calico's flow logs, or plain CSV or JSON lines; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) flow_log: Vec<PathBuf>,
    /// Treat generated and vendored files as one's own
    #[arg(long)]
    pub(super) include_generated: bool,
    #[command(flatten)]
    pub(super) evidence: EvidenceArgs,
    /// What somebody took hunk by hunk.
    #[arg(skip)]
    pub(super) chosen: Option<BTreeSet<String>>,
}

/// Everything that was read before a run.
pub(super) struct Inputs {
    pub(super) root: Root,
    pub(super) config: Config,
    pub(super) templates: Templates,
    pub(super) exceptions: Exceptions,
    pub(super) lock: Lock,
    pub(super) audit: Option<audit_log::Evidence>,
    pub(super) flows: Flows,
    pub(super) repo: Repo,
    pub(super) stdin: bool,
    /// Files that are left alone, each with the reason.
    pub(super) held: BTreeMap<String, String>,
}

impl Inputs {
    /// Reads what the paths name, from the disk or, for `-`, from standard input.
    pub(super) fn from_disk(paths: &[PathBuf], select: &Select, global: &Global) -> anyhow::Result<Inputs> {
        if paths.iter().any(|path| path == Path::new("-")) {
            anyhow::ensure!(paths.len() == 1, "`-` stands for standard input and goes with no other path");
            return Inputs::from_stdin(select, global);
        }
        let root = Root::find(paths)?;
        let (config, templates) = decide(&root.folder, select, global)?;
        let disk = Disk::new(root.folder.clone());
        let listing = disk.list(&root.wanted);
        let flows = flows(&select.flow_log)?;
        let audit = select.evidence.read(global)?;
        Ok(Inputs { flows, audit, ..Inputs::read(root, config, templates, &disk, listing, global)? })
    }

    fn from_stdin(select: &Select, global: &Global) -> anyhow::Result<Inputs> {
        let twice = select.flow_log.iter().any(|path| path == Path::new("-"));
        anyhow::ensure!(!twice, "standard input is either the manifests or the flow log");
        anyhow::ensure!(
            !select.evidence.reads_stdin(),
            "standard input is either the manifests or the audit log"
        );
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        let folder = std::env::current_dir()?;
        let (config, templates) = decide(&folder, select, global)?;
        let input = StandardInput::new(bytes);
        let root = Root { folder, wanted: Vec::new(), git: false };
        let listing = input.list();
        let mut inputs = Inputs::read(root, config, templates, &input, listing, global)?;
        inputs.exceptions = Exceptions::default();
        inputs.stdin = true;
        inputs.flows = flows(&select.flow_log)?;
        inputs.audit = select.evidence.read(global)?;
        Ok(inputs)
    }

    pub(super) fn read(
        root: Root,
        config: Config,
        templates: Templates,
        source: &dyn Source,
        mut listing: Listing,
        global: &Global,
    ) -> anyhow::Result<Inputs> {
        if root.git {
            listing.remotes = git::remotes(&root.folder);
        }
        let exceptions = exceptions(source, &config)?;
        let lock = lock(source)?;
        let progress = progress(listing.entries.len(), global);
        let repo = repo::read(source, listing, &config, &|| progress.inc(1));
        progress.finish_and_clear();
        Ok(Inputs {
            root,
            config,
            templates,
            exceptions,
            lock,
            audit: None,
            flows: Flows::default(),
            repo,
            stdin: false,
            held: BTreeMap::new(),
        })
    }

    /// Builds the model, plans, and hands the planner on.
    pub(super) fn plan<T>(
        &self,
        select: &Select,
        purpose: Purpose,
        act: impl FnOnce(&Planner<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let selection = self.selection(select)?;
        self.plan_selected(&selection, purpose, act)
    }

    /// Plans, shows all of it, and hands on the planner with what the run went through.
    pub(super) fn show<T>(
        &self,
        select: &Select,
        purpose: Purpose,
        renderer: &dyn Renderer,
        out: &mut dyn io::Write,
        act: impl FnOnce(&Planner<'_>, &Counts) -> T,
    ) -> anyhow::Result<T> {
        let selection = self.selection(select)?;
        let show = |report: &FileReport<'_>| {
            let mut shown = Vec::new();
            renderer.file(&mut shown, report).expect("memory takes all that is written");
            shown
        };
        // Nothing comes after what is shown: to take all this apart would only keep the user waiting.
        let model = ManuallyDrop::new(Model::new(&self.repo, &self.config.workloads));
        let sealing = self.seal(&model, &selection, purpose);
        let reads_new_files = renderer.wants_new_texts();
        let settings = Settings { sealing: &sealing, reads_new_files, ..self.settings()? };
        let planner = ManuallyDrop::new(self.planner(&model, &settings, &selection, purpose, Some(&show)));
        let counts = show_plan(self, &planner, renderer, out)?;
        out.flush()?;
        Ok(act(&planner, &counts))
    }

    pub(super) fn plan_selected<T>(
        &self,
        selection: &Selection<'_>,
        purpose: Purpose,
        act: impl FnOnce(&Planner<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.plan_model(&Model::new(&self.repo, &self.config.workloads), selection, purpose, act)
    }

    /// As [`Inputs::plan_selected`], for another state of the repo.
    pub(super) fn plan_model<T>(
        &self,
        model: &Model<'_>,
        selection: &Selection<'_>,
        purpose: Purpose,
        act: impl FnOnce(&Planner<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let sealing = self.seal(model, selection, purpose);
        let settings = Settings { sealing: &sealing, ..self.settings()? };
        act(&self.planner(model, &settings, selection, purpose, None))
    }

    /// Has Secrets encrypted, if the run makes new texts and the configuration says how.
    fn seal(&self, model: &Model<'_>, selection: &Selection<'_>, purpose: Purpose) -> Sealing {
        let rule = rules::find("secret-in-plain-manifest").expect("there is a rule of this name");
        let is_asked = purpose != Purpose::Findings
            && self.config.level == config::Level::Review
            && selection.takes_rule(rule);
        let Some(store) = self.config.secrets.store.as_ref().filter(|_| is_asked) else {
            return Sealing::Later;
        };
        let wanted = |object: &Object| selection.takes_object(model, object);
        let secrets = rules::secrets_to_seal(model, &self.config, &wanted);
        sealing::seal(store, &self.root.folder, &self.templates, &secrets)
    }

    fn settings(&self) -> anyhow::Result<Settings<'_>> {
        let settings = Settings::new(&self.config, &self.templates, &self.lock, &self.flows)?;
        Ok(Settings { audit: self.audit.as_ref(), ..settings })
    }

    fn planner<'a>(
        &'a self,
        model: &'a Model<'a>,
        settings: &'a Settings<'a>,
        selection: &'a Selection<'a>,
        purpose: Purpose,
        show: Option<&'a Show<'a>>,
    ) -> Planner<'a> {
        let level = match self.config.level {
            config::Level::Safe => Safety::Safe,
            config::Level::Review => Safety::Review,
        };
        Planner::new(model, settings, selection, &self.exceptions, level, purpose, &self.held, show)
    }

    pub(super) fn selection<'a>(&'a self, select: &'a Select) -> anyhow::Result<Selection<'a>> {
        let object = match &select.object {
            None => None,
            Some(text) => match text.split_once('/') {
                Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {
                    Some((kind.to_owned(), name.to_owned()))
                }
                _ => anyhow::bail!("`--object {text}`: write it as KIND/NAME, like Deployment/web"),
            },
        };
        Ok(Selection {
            config: &self.config,
            today: jiff::Zoned::now().date(),
            select: select.select.clone(),
            ignore: select.ignore.clone(),
            namespace: select.namespace.clone(),
            object,
            chosen: select.chosen.as_ref(),
        })
    }

    /// All that was skipped, from reading and from the model.
    pub(super) fn skipped(&self, planner: &Planner<'_>) -> Vec<Skip> {
        let marked = self.repo.manifests().filter_map(|file| {
            let marker = file.marker?;
            Some(Skip {
                path: file.path.clone(),
                line: None,
                column: None,
                reason: marker.reason(),
                detail: marker.detail().to_owned(),
            })
        });
        let read = self.repo.skipped.iter().chain(&planner.model.skipped).chain(planner.refused());
        let mut skipped: Vec<Skip> = read.cloned().chain(marked).collect();
        skipped.sort();
        skipped
    }
}

/// Reads the configuration and the templates, and checks the selection against them.
pub(super) fn decide(folder: &Path, select: &Select, global: &Global) -> anyhow::Result<(Config, Templates)> {
    configured(configuration(folder, global)?, select, global)
}

/// As [`decide`], with a configuration that was read already.
pub(super) fn configured(
    mut config: Config,
    select: &Select,
    global: &Global,
) -> anyhow::Result<(Config, Templates)> {
    let known: Vec<&str> = known_ids();
    for id in select.select.iter().chain(&select.ignore) {
        if !known.contains(&id.as_str()) {
            return Err(unknown_rule(id).into());
        }
    }
    if let Some(profile) = select.profile {
        config.profile = profile;
    }
    if let Some(level) = select.level {
        config.level = level;
    }
    config.include_generated |= select.include_generated;
    Ok((config, templates(global)?))
}

/// The configuration of the repo at `folder`, or the one that is asked for.
pub(super) fn configuration(folder: &Path, global: &Global) -> Result<Config, ConfigError> {
    let home = std::env::home_dir();
    match global.config.clone().or_else(|| config::find(folder, home.as_deref())) {
        Some(path) => Config::load(&path, &known_ids()),
        None => Ok(Config::default()),
    }
}

pub(super) fn templates(global: &Global) -> anyhow::Result<Templates> {
    match &global.templates {
        None => Ok(Templates::builtin()),
        Some(dir) => Templates::with_overrides(dir).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}", lines.join("\n"))
        }),
    }
}

pub(super) fn known_ids() -> Vec<&'static str> {
    rules::all().map(|rule| rule.id).chain(rules::Area::ALL.iter().map(|area| area.id())).collect()
}

pub(super) fn unknown_rule(id: &str) -> Helped {
    let known = known_ids();
    let nearest = suggestion::nearest(id, known.iter().copied());
    Helped {
        message: format!("unknown rule `{id}`"),
        help: Some(match nearest {
            Some(nearest) => format!("did you mean `{nearest}`? `caseharden rules` lists all of them"),
            None => "`caseharden rules` lists all of them".to_owned(),
        }),
    }
}

/// Reads flow logs as they come; what no format reads is said, and the rest counts.
pub(super) fn flows(logs: &[PathBuf]) -> anyhow::Result<Flows> {
    let mut reader = FlowReader::default();
    for path in logs {
        let shown = path.display().to_string();
        let read = if path == Path::new("-") {
            reader.read("stdin", io::stdin().lock())
        } else {
            let file = std::fs::File::open(path).with_context(|| shown.clone())?;
            reader.read(&shown, io::BufReader::new(file))
        };
        read.with_context(|| shown)?;
    }
    let flows = reader.finish();
    if let Some((path, line)) = &flows.first_unread {
        let path = escaped(path);
        say(&format!("warning: {path}:{line}: {} lines are no flows of a known format\n", flows.unread));
    }
    if !logs.is_empty() && flows.is_empty() {
        say("warning: the flow logs show no flow\n");
    }
    Ok(flows)
}

fn exceptions(source: &dyn Source, config: &Config) -> anyhow::Result<Exceptions> {
    let path = &config.exceptions_file;
    let Some(text) = text_if_there(source, path, config.max_file_size)? else {
        return Ok(Exceptions::default());
    };
    Exceptions::read(text).map_err(|error| anyhow::anyhow!("{path}:{error}"))
}

fn lock(source: &dyn Source) -> anyhow::Result<Lock> {
    let Some(text) = text_if_there(source, lock::FILE_NAME, lock::LARGEST_FILE)? else {
        return Ok(Lock::default());
    };
    Lock::parse(&text, Path::new(lock::FILE_NAME)).map_err(|mistakes| ConfigError::Invalid(mistakes).into())
}

/// The text of a file of ours, when the repo has it.
fn text_if_there(source: &dyn Source, path: &str, limit: u64) -> anyhow::Result<Option<String>> {
    let entry = Entry { path: path.to_owned(), context_only: true };
    let bytes = match source.read(&entry, limit) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => anyhow::bail!("{path}: larger than {limit} bytes"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(anyhow::Error::new(error).context(path.to_owned())),
    };
    let text = String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("{path}: not UTF-8"))?;
    Ok(Some(text))
}

/// A bar on a terminal, for work long enough to wonder about.
fn progress(files: usize, global: &Global) -> ProgressBar {
    if files < 2_000 || global.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(files as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("reading {pos}/{len} files {wide_bar} {eta}");
    bar.set_style(style.expect("the template names only fields that exist"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Shows a whole run with a renderer; returns what it went through.
fn show_plan(
    inputs: &Inputs,
    planner: &Planner<'_>,
    renderer: &dyn Renderer,
    out: &mut dyn io::Write,
) -> anyhow::Result<Counts> {
    let mut counts = counts(inputs, planner);
    renderer.begin(out)?;
    let mut failure = None;
    planner.shown(|shown| {
        if failure.is_none() {
            counts.tally += shown.tally;
            failure = renderer.shown(out, &shown.output).err();
        }
    });
    if let Some(error) = failure {
        return Err(error.into());
    }
    for Planned { path, findings, files } in planner.new_files() {
        counts.tally += Tally::of(&findings);
        counts.tally.changed_files += files.len();
        let created: Vec<Created<'_>> =
            files.iter().map(|file| Created { file, before: before(inputs, &file.path) }).collect();
        renderer.created(out, path, &findings, &created)?;
    }
    let notices = planner.notices(planner.selection.today);
    counts.tally.findings += notices.len();
    let skipped = inputs.skipped(planner);
    let ending = Ending {
        workloads: if renderer.wants_workloads() { workload_lines(planner) } else { Vec::new() },
        namespaces: planner.namespaces(),
        skipped: &skipped,
        notices,
        reach: planner.reach(),
        level: Some(planner.settings.level),
        counts: counts.clone(),
    };
    renderer.end(out, &ending)?;
    if inputs.repo.files.iter().all(|file| file.context_only) && skipped.is_empty() {
        say("warning: no Kubernetes manifest was found; nothing was judged\n");
    }
    Ok(counts)
}

/// The text that a file to be written whole has today: only the exceptions file can have one.
pub(super) fn before<'a>(inputs: &'a Inputs, path: &str) -> Option<&'a str> {
    if path == inputs.config.exceptions_file { inputs.exceptions.text() } else { None }
}

pub(super) fn counts(inputs: &Inputs, planner: &Planner<'_>) -> Counts {
    Counts {
        files: inputs.repo.manifests().count(),
        objects: planner.model.objects().count(),
        workloads: planner.model.objects().filter(|object| object.layout.is_some()).count(),
        others: inputs.repo.others,
        rendered: planner.rendered().clone(),
        ..Counts::default()
    }
}

/// Counts a file's report for the commands that show no findings, and says which file a bug of ours leaves alone.
pub(super) fn count_report(counts: &mut Counts, report: &FileReport<'_>) {
    counts.tally += report.tally();
    for defect in &report.defects {
        say(&format!("error: {}: left alone: {defect} (a bug of caseharden)\n", escaped(report.path)));
    }
}

/// Whether something of the run failed, so that the exit code must say so.
pub(super) fn has_failed(inputs: &Inputs, planner: &Planner<'_>, counts: &Counts) -> bool {
    let is_missing = say_template_failures(inputs);
    is_missing
        || counts.tally.defects > 0
        || inputs.skipped(planner).iter().any(|skip| skip.reason.is_failure())
}

/// Says which templates failed, so that nobody takes what they were for for unnecessary. Returns whether any did.
pub(super) fn say_template_failures(inputs: &Inputs) -> bool {
    let failures = inputs.templates.failures();
    for error in &failures {
        say(&format!(
            "error: {}: what it was to add is missing\n",
            crate::render::escaped(&error.to_string())
        ));
        if let Some(help) = &error.help {
            say(&format!("help: {}\n", crate::render::escaped(help)));
        }
    }
    !failures.is_empty()
}
