//! `lock`: resolve images against their registries into caseharden.lock.

mod charts;
mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::inputs::{Inputs, Select};
use super::{Global, Helped, Outcome, say};
use crate::apply;
use crate::config::{Config, Registries};
use crate::image::Reference;
use crate::image_facts::cache::Cache;
use crate::lock::{self, Contradiction, Lock, Locked, Verdict, Wanted, resolve, signatures};
use crate::model::Model;
use crate::model::charts::{Gifts, ReleaseElsewhere, elsewhere};
use crate::model::references::{ImageUse, references};
use crate::registry::credentials::Places;
use crate::registry::{Client, Credentials, Failure, Limits, Settings};
use crate::render::{escaped, plural};
use crate::signature::PublicKey;

/// Larger than any file with keys or certificates: a bound on what is read.
const LARGEST_KEY: u64 = 1 << 20;

/// Ask the registries which content each image is, and what it needs to run
///
/// Writes caseharden.lock at the root of the repo: for each image its digest, and what the image itself says of its
/// user, ports, volumes and special files; for each chart that HelmReleases and Applications name at a fixed version its
/// digest, the workloads it renders with their values, and which values decide their security. What is locked already is
/// not asked for again. The only command that talks to registries; the others work from the lock.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden lock\n  \
    caseharden lock --update                   every tag as it is today\n  \
    caseharden lock --update nginx:1.27 redis  only these\n  \
    caseharden lock --check                    for CI: has a tag moved, does a pin contradict the lock?\n\n\
    Logins are those of docker, podman and skopeo (REGISTRY_AUTH_FILE, DOCKER_CONFIG, auth.json).\n\n\
    Exit codes: 0 done, 1 `--check` found a difference, 2 an image could not be resolved (the rest was still done)")]
pub(super) struct LockArgs {
    /// Files and folders whose images are locked
    paths: Vec<PathBuf>,
    /// Resolve again what is locked already: these images, or all. Paths go in front of it
    #[arg(long, value_name = "IMAGE", num_args = 0.., value_delimiter = ',', default_missing_value = "")]
    update: Option<Vec<String>>,
    /// Write nothing; say what differs between the lock, the registries and the repo
    #[arg(long, conflicts_with = "update")]
    check: bool,
}

pub(super) fn run(args: &LockArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    if global.offline {
        return Err(Helped {
            message: "`lock` asks registries, and `--offline` refuses the network".to_owned(),
            help: Some("the other commands work offline from caseharden.lock".to_owned()),
        }
        .into());
    }
    let inputs = Inputs::from_disk(&args.paths, &Select::default(), global)?;
    anyhow::ensure!(!inputs.stdin, "`lock` reads a repo, not standard input");
    let folder = inputs.root.folder.clone();
    let before = read(&folder)?;
    let old = match &before {
        Some(text) => Lock::parse(text, Path::new(lock::FILE_NAME)).map_err(mistakes)?,
        None => Lock::default(),
    };
    let of_repo = |path: &str| read_small(&folder.join(crate::repo::native(path)));
    with_run(args, global, &inputs, &of_repo, |run| {
        if args.check {
            return run.check(&old, out);
        }
        let (new, failed) = run.resolve(&old, out)?;
        let text = new.render();
        let before = before.as_deref();
        if before != Some(text.as_str()) && !(before.is_none() && new.is_empty()) {
            let path = Path::new(lock::FILE_NAME);
            apply::write(&folder, path, text.as_bytes(), before.map(str::as_bytes))?;
        }
        Ok(if failed { Outcome::Failed } else { Outcome::Done })
    })
}

/// The lock of what was read, with what it did not know asked for, and whether something could not be resolved.
/// `of_repo` reads the small files that the configuration names.
pub(super) fn renewed(
    inputs: &Inputs,
    of_repo: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    global: &Global,
) -> anyhow::Result<(Lock, bool)> {
    with_run(&LockArgs::default(), global, inputs, of_repo, |run| run.resolve(&inputs.lock, &mut io::sink()))
}

fn with_run<T>(
    args: &LockArgs,
    global: &Global,
    inputs: &Inputs,
    of_repo: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    act: impl FnOnce(&Run<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let model = Model::new(&inputs.repo, &inputs.config.workloads);
    let uses = references(&model, &inputs.config.workloads, &inputs.config.image_fields);
    let gifts = Gifts::new(&model);
    let releases = elsewhere(&model, &gifts);
    act(&Run {
        args,
        global,
        uses: &uses,
        releases: &releases,
        whole: is_whole(inputs, &model),
        client: client(of_repo, &inputs.config.registries)?,
        config: &inputs.config,
        keys: keys(of_repo, &inputs.config)?,
    })
}

/// Whether all references of the repo are known, so that an entry without one is of no use.
fn is_whole(inputs: &Inputs, model: &Model<'_>) -> bool {
    let everything = inputs.root.wanted.iter().any(String::is_empty) || inputs.root.wanted.is_empty();
    let mut skipped = inputs.repo.skipped.iter().chain(&model.skipped);
    everything && !skipped.any(|skip| skip.reason.is_failure())
}

struct Run<'a> {
    args: &'a LockArgs,
    global: &'a Global,
    uses: &'a [ImageUse],
    /// What gives values to charts that are not in the repo.
    releases: &'a [ReleaseElsewhere],
    whole: bool,
    client: Client,
    config: &'a Config,
    /// All keys that the configuration names, by their files.
    keys: BTreeMap<String, PublicKey>,
}

impl Run<'_> {
    /// Asks for what the old lock does not know; says whether something could not be resolved.
    fn resolve(&self, old: &Lock, out: &mut dyn Write) -> anyhow::Result<(Lock, bool)> {
        let (wanted, contradictions) = self.wanted(old);
        let update = self.update(&wanted)?;
        let asked: Vec<&Wanted> = wanted
            .iter()
            .filter(|wanted| {
                let known = old.get(&wanted.reference);
                update.contains(&wanted.reference)
                    || known.is_none_or(|known| !self.is_verified_as_asked(&wanted.reference, known))
            })
            .collect();
        let cache = Cache::of_environment();
        let answers = self.each(&asked, &|wanted| {
            let keys = self.keys_of(&wanted.reference);
            match old.get(&wanted.reference).filter(|_| !update.contains(&wanted.reference)) {
                // Its digest stays; who signed it has to be known by other keys than before.
                Some(known) => {
                    let mut locked = known.clone();
                    signatures::look(&self.client, &wanted.reference, &mut locked, &keys).map(|()| locked)
                }
                None => resolve::image(&self.client, &cache, wanted, &keys),
            }
        });
        let mut new = old.clone();
        let (mut added, mut moved, mut failed) = (0, 0, 0);
        for (wanted, answer) in asked.iter().zip(answers) {
            match answer {
                Ok(locked) => {
                    self.say_evidence(&wanted.reference, &locked);
                    match old.get(&wanted.reference) {
                        None => added += 1,
                        Some(before) if before.digest != locked.digest => {
                            moved += 1;
                            writeln!(out, "{}: {} -> {}", wanted.reference, before.digest, locked.digest)?;
                        }
                        Some(_) => {}
                    }
                    new.insert(wanted.reference.clone(), locked);
                }
                Err(failure) => {
                    failed += 1;
                    self.say_failure(&wanted.reference, &failure);
                }
            }
        }
        let used: BTreeSet<&Reference> = wanted.iter().map(|wanted| &wanted.reference).collect();
        let gone = if self.whole { new.retain(|reference| used.contains(reference)) } else { Vec::new() };
        self.say_contradictions(&contradictions);
        let charts = self.lock_charts(old, &mut new, out)?;
        if !self.global.quiet {
            let mut summary = format!("{} locked: {added} new, {moved} moved", plural(new.len(), "image"));
            if !gone.is_empty() {
                summary.push_str(&format!(", {} no longer used", gone.len()));
            }
            if failed > 0 {
                summary.push_str(&format!(", {failed} failed"));
            }
            say(&format!("{summary}\n"));
            charts.say(new.charts());
            self.say_skipped();
        }
        Ok((new, failed > 0 || charts.failed > 0))
    }

    /// The keys one of which has to have signed an image, ordered by their files.
    fn keys_of(&self, reference: &Reference) -> Vec<PublicKey> {
        let files = self.config.signature_keys(&reference.name());
        files.into_iter().filter_map(|file| self.keys.get(file)).cloned().collect()
    }

    /// Whether an entry says what the repo's keys, as they are now, make of its signatures.
    fn is_verified_as_asked(&self, reference: &Reference, locked: &Locked) -> bool {
        let keys = signatures::names(&self.keys_of(reference));
        locked.verification.as_ref().map_or(&[][..], |verification| &verification.keys) == keys.as_slice()
    }

    /// What was found of an image and should not wait for a `check`.
    fn say_evidence(&self, reference: &Reference, locked: &Locked) {
        if let Some(index) = &locked.index {
            say(&format!(
                "warning: {}: {reference}: {} is one platform only of what the tag has, {index}\n",
                self.place(reference),
                locked.digest
            ));
        }
        if let Some(Verdict::Invalid(fault)) =
            locked.verification.as_ref().map(|verification| &verification.verdict)
        {
            let place = self.place(reference);
            say(&format!(
                "warning: {place}: {reference}: its signature does not count: {}\n",
                escaped(fault)
            ));
        }
    }

    fn wanted(&self, lock: &Lock) -> (Vec<Wanted>, Vec<Contradiction>) {
        lock::wanted(self.uses.iter().filter_map(|place| place.target.as_ref().ok()), lock)
    }

    /// The entries that `--update` names.
    fn update(&self, wanted: &[Wanted]) -> anyhow::Result<BTreeSet<Reference>> {
        let Some(names) = &self.args.update else { return Ok(BTreeSet::new()) };
        if names.iter().all(String::is_empty) {
            return Ok(wanted.iter().map(|wanted| wanted.reference.clone()).collect());
        }
        let mut update = BTreeSet::new();
        for name in names {
            let asked =
                Reference::parse(name).map_err(|error| anyhow::anyhow!("`--update {name}`: {error}"))?;
            // A name without a tag means all of its tags.
            let is_bare = crate::model::Image::parse(name)
                .is_some_and(|image| image.tag.is_none() && image.digest.is_none());
            let matching = wanted.iter().map(|wanted| &wanted.reference).filter(|reference| match is_bare {
                true => reference.name() == asked.name(),
                false => **reference == asked || Some(*reference) == asked.tagged().as_ref(),
            });
            let before = update.len();
            update.extend(matching.cloned());
            if update.len() == before {
                return Err(Helped {
                    message: format!("`--update {name}`: nothing in the repo uses this image"),
                    help: Some(
                        "write it as the manifests do, or leave the tag out for all of its tags; paths go in \
                         front of `--update`"
                            .to_owned(),
                    ),
                }
                .into());
            }
        }
        Ok(update)
    }

    fn each<Q: Sync, A: Send>(&self, questions: &[Q], ask: &(dyn Fn(&Q) -> A + Sync)) -> Vec<A> {
        let bar = progress(questions.len(), self.global);
        let answers = resolve::each(questions, self.client.limits().width, ask, &|_| bar.inc(1));
        bar.finish_and_clear();
        answers
    }

    /// Where a reference is used, for a message.
    fn place(&self, reference: &Reference) -> String {
        let used = |place: &&ImageUse| {
            place
                .target
                .as_ref()
                .is_ok_and(|target| target == reference || target.tagged().as_ref() == Some(reference))
        };
        match self.uses.iter().find(used) {
            Some(place) => format!("{}:{}", escaped(&place.path), place.line),
            None => lock::FILE_NAME.to_owned(),
        }
    }

    fn say_failure(&self, reference: &Reference, failure: &Failure) {
        let shown = failure.to_string();
        say(&format!("error: {}: {reference}: {}\n", self.place(reference), escaped(&shown)));
        if let Some(help) = failure.help() {
            say(&format!("  help: {help}\n"));
        }
    }

    fn say_contradictions(&self, contradictions: &[Contradiction]) {
        for Contradiction { reference, locked } in contradictions {
            say(&format!(
                "warning: {}: {reference} is pinned to another digest than the lock's {locked}\n",
                self.place(reference)
            ));
        }
    }

    /// What was not asked for: a count, and with `-v` each of them.
    fn say_skipped(&self) {
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for place in self.uses {
            let Err(skipped) = &place.target else { continue };
            *reasons.entry(skipped.to_string()).or_default() += 1;
            if self.global.verbose {
                say(&format!(
                    "skipped: {}:{}: {}: {skipped}\n",
                    escaped(&place.path),
                    place.line,
                    escaped(&place.text)
                ));
            }
        }
        let total: usize = reasons.values().sum();
        if total > 0 && !self.global.verbose {
            say(&format!("{} without an image to pull; -v lists them\n", plural(total, "reference")));
        }
    }
}

fn read(folder: &Path) -> anyhow::Result<Option<String>> {
    let path = folder.join(lock::FILE_NAME);
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(anyhow::Error::new(error).context(lock::FILE_NAME)),
    };
    let mut bytes = Vec::new();
    file.take(lock::LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(
        bytes.len() as u64 <= lock::LARGEST_FILE,
        "{}: larger than {} bytes",
        lock::FILE_NAME,
        lock::LARGEST_FILE
    );
    String::from_utf8(bytes).map(Some).map_err(|_| anyhow::anyhow!("{}: not UTF-8", lock::FILE_NAME))
}

fn mistakes(mistakes: Vec<crate::config::Mistake>) -> Helped {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    Helped { message: lines.join("\nerror: "), help: mistakes.into_iter().find_map(|mistake| mistake.help) }
}

/// Reads every key that the configuration names: one that cannot be read would silently check nothing.
fn keys(
    of_repo: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    config: &Config,
) -> anyhow::Result<BTreeMap<String, PublicKey>> {
    let mut keys = BTreeMap::new();
    for file in config.signatures.iter().flat_map(|entry| &entry.keys) {
        let bytes = of_repo(file).map_err(|error| anyhow::anyhow!("{file}: {error}"))?;
        let key = PublicKey::read(file, &bytes).map_err(|error| anyhow::anyhow!("{file}: {error}"))?;
        keys.insert(file.clone(), key);
    }
    Ok(keys)
}

fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LARGEST_KEY).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn client(of_repo: &dyn Fn(&str) -> io::Result<Vec<u8>>, registries: &Registries) -> anyhow::Result<Client> {
    let mut limits = Limits::default();
    if let Some(size) = registries.max_image_size {
        limits.layers = size;
        limits.unpacked = size.saturating_mul(4);
    }
    let mut settings = Settings { limits, ..Settings::default() };
    settings.plain_http.extend(registries.plain_http.iter().cloned());
    settings.mirrors.extend(registries.mirrors.iter().cloned());
    for (host, file) in &registries.ca {
        let pem = of_repo(file).map_err(|error| anyhow::anyhow!("{file}: {error}"))?;
        settings.authorities.insert(host.clone(), pem);
    }
    let credentials = Credentials::load(&Places::of_environment());
    for problem in &credentials.problems {
        say(&format!("warning: {}\n", escaped(problem)));
    }
    Client::new(settings, credentials).map_err(|failure| anyhow::anyhow!("{failure}"))
}

/// A bar on a terminal: registries are never quick enough to go without.
fn progress(images: usize, global: &Global) -> ProgressBar {
    if images == 0 || global.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(images as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("asking registries {pos}/{len} images {wide_bar} {eta}");
    bar.set_style(style.expect("the template names only fields that exist"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
