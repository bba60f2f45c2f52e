//! `rbac`: who may do what by the roles and bindings of a repo, before and after its fixes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::hardened::hardened;
use super::inputs::{Inputs, Select};
use super::{Global, Outcome};
use crate::config;
use crate::model::Model;
use crate::rbac::difference::lost;
use crate::rbac::{Access, Grant, Policy, PolicyRule, Request, Scope, Subject};
use crate::render::{escaped, json_line};

/// Tell who may do what, before and after the fixes
///
/// Decides as the API server does, with the roles and bindings of the repo and those that every server of the target
/// version has.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    caseharden rbac who-can get secrets -n shop    everybody who may, and through which binding\n  \
    caseharden rbac show shop/web                  what the account may do, and what the fixes take away\n  \
    caseharden rbac graph --format markdown        accounts, bindings and roles as a picture")]
pub(super) struct RbacArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    WhoCan(WhoCan),
    Show(Show),
    Graph(Graph),
}

/// List everybody who may do something
#[derive(Debug, Args)]
struct WhoCan {
    /// `get`, `list`, `create`, `impersonate` …
    verb: String,
    /// `secrets`, `deployments.apps`, `pods/log`, or a path: `/metrics`
    resource: String,
    /// Files and folders to read
    paths: Vec<PathBuf>,
    /// In this namespace; without it, in all namespaces at once
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only for the object of this name
    #[arg(long, value_name = "OBJECT")]
    name: Option<String>,
    #[command(flatten)]
    shared: Shared,
}

/// Show what somebody may do, and through which bindings
#[derive(Debug, Args)]
struct Show {
    /// `shop/web` for a service account; `User/jane`, `Group/devs`
    subject: String,
    /// Files and folders to read
    paths: Vec<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

/// Draw who is bound to what
#[derive(Debug, Args)]
struct Graph {
    /// Files and folders to read
    paths: Vec<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Args)]
struct Shared {
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// The least trusted fixes that count as made: `safe` cannot change what runs, `review` may
    #[arg(long, value_name = "LEVEL")]
    level: Option<config::Level>,
    /// Treat generated and vendored files as one's own
    #[arg(long)]
    include_generated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: one object
    Json,
    /// For a pull request or a wiki
    Markdown,
}

/// Somebody who may do it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Able {
    subject: String,
    binding: String,
    role: String,
    before: bool,
    after: bool,
}

/// A rule that somebody has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Held {
    binding: String,
    role: String,
    /// `null` for the whole cluster.
    namespace: Option<String>,
    rule: PolicyRule,
    before: bool,
    after: bool,
}

/// An edge of the graph.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Edge {
    subject: String,
    binding: String,
    role: String,
    before: bool,
    after: bool,
}

pub(super) fn run(args: &RbacArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::WhoCan(who) => {
            with_states(&who.paths, &who.shared, global, |before, after| who_can(who, before, after, out))
        }
        Command::Show(show) => with_states(&show.paths, &show.shared, global, |before, after| {
            self::show(show, before, after, out)
        }),
        Command::Graph(graph) => with_states(&graph.paths, &graph.shared, global, |before, after| {
            self::graph(graph, before, after, out)
        }),
    }
}

/// Reads the repo, plans its fixes, and reads what they make of it.
fn with_states(
    paths: &[PathBuf],
    shared: &Shared,
    global: &Global,
    act: impl FnOnce(&Access<'_>, &Access<'_>) -> anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
    let select =
        Select { level: shared.level, include_generated: shared.include_generated, ..Select::default() };
    let inputs = Inputs::from_disk(paths, &select, global)?;
    let hardened = hardened(&inputs, &select)?;
    let config = &inputs.config;
    let model = |repo| Model::new(repo, &config.workloads);
    let (before, after) = (model(&inputs.repo), model(hardened.as_ref().unwrap_or(&inputs.repo)));
    let version = config.target_version;
    act(&Access::new(&before, version), &Access::new(&after, version))
}

fn who_can(
    args: &WhoCan,
    before: &Access<'_>,
    after: &Access<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let request = request(args, before)?;
    let mut able: BTreeMap<(String, String, String), (bool, bool)> = BTreeMap::new();
    let (old, new) = (before.policy(), after.policy());
    for (policy, is_after) in [(&old, false), (&new, true)] {
        for grant in policy.who_can(&request) {
            let key = (grant.subject.to_string(), grant.binding.to_string(), grant.role.key.to_string());
            let when = able.entry(key).or_default();
            if is_after { when.1 = true } else { when.0 = true }
        }
    }
    let able: Vec<Able> = able
        .into_iter()
        .map(|((subject, binding, role), (before, after))| Able { subject, binding, role, before, after })
        .collect();
    let rows = able.iter().map(|able| {
        [
            when(able.before, able.after).to_owned(),
            able.subject.clone(),
            able.binding.clone(),
            able.role.clone(),
        ]
    });
    let what = format!("{} {}", args.verb, args.resource);
    match args.shared.format {
        Format::Json => json(
            out,
            &serde_json::json!({"verb": args.verb, "resource": args.resource, "namespace": args.namespace, "who": able}),
        )?,
        Format::Markdown => table(out, ["", "who", "through", "role"], rows.collect())?,
        Format::Text if able.is_empty() => writeln!(out, "nobody may {}", escaped(&what))?,
        Format::Text => columns(out, rows.collect())?,
    }
    Ok(Outcome::Done)
}

fn request(args: &WhoCan, access: &Access<'_>) -> anyhow::Result<Request> {
    let verb = args.verb.to_ascii_lowercase();
    if args.resource.starts_with('/') {
        return Ok(Request::path(&verb, &args.resource));
    }
    let (group, resource) = access.resources.find(&args.resource).ok_or_else(|| super::Helped {
        message: format!("no resource is called `{}`", args.resource),
        help: Some(
            "write it as kubectl takes it: `secrets`, `deployments.apps`, `shops.example.com`".to_owned(),
        ),
    })?;
    let is_cluster_wide = access.resources.is_namespaced(&group, &resource) == Some(false);
    let namespace = args.namespace.as_deref().filter(|_| !is_cluster_wide).unwrap_or_default();
    let request = Request::resource(&verb, &group, &resource, namespace);
    Ok(match &args.name {
        Some(name) => request.named(name),
        None => request,
    })
}

fn show(
    args: &Show,
    before: &Access<'_>,
    after: &Access<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let subject = Subject::parse(&args.subject).ok_or_else(|| super::Helped {
        message: format!("`{}` names nobody", args.subject),
        help: Some("write a service account as NAMESPACE/NAME, others as User/NAME or Group/NAME".to_owned()),
    })?;
    let identity = subject.identity();
    let (old, new) = (before.policy(), after.policy());
    let (old_grants, new_grants): (Vec<Grant<'_>>, Vec<Grant<'_>>) =
        (old.grants(&identity).collect(), new.grants(&identity).collect());
    let mut held: Vec<Held> = Vec::new();
    for (grants, is_after) in [(&old_grants, false), (&new_grants, true)] {
        for grant in grants {
            let rule = Held::of(grant);
            let known = held.iter_mut().find(|known| known.is_same(&rule));
            let known = match known {
                Some(known) => known,
                None => {
                    held.push(rule);
                    held.last_mut().expect("it was just pushed")
                }
            };
            if is_after { known.after = true } else { known.before = true }
        }
    }
    let users: BTreeSet<String> = before
        .users_of(&subject)
        .map(|user| format!("{}/{}", user.object.id.kind, user.object.id.name))
        .collect();
    let losses: Vec<String> = lost(&scoped(&old_grants), &scoped(&new_grants), &before.resources)
        .iter()
        .map(ToString::to_string)
        .collect();
    let rows = held.iter().map(|held| {
        let place = held.namespace.clone().unwrap_or_else(|| "*".to_owned());
        [
            when(held.before, held.after).to_owned(),
            place,
            rule_text(&held.rule),
            format!("{} → {}", held.binding, held.role),
        ]
    });
    match args.shared.format {
        Format::Json => json(
            out,
            &serde_json::json!({"subject": subject.to_string(), "workloads": users, "rules": held, "lost": losses}),
        )?,
        Format::Markdown => {
            writeln!(out, "## {}\n", escaped(&subject.to_string()))?;
            table(out, ["", "namespace", "may", "through"], rows.collect())?;
            for loss in &losses {
                writeln!(out, "\n- the fixes take away: {}", escaped(loss))?;
            }
        }
        Format::Text => {
            writeln!(out, "{}", escaped(&subject.to_string()))?;
            for user in &users {
                writeln!(out, "  {} runs as it", escaped(user))?;
            }
            if held.is_empty() {
                writeln!(out, "  may do nothing")?;
            }
            columns(out, rows.collect())?;
            for loss in &losses {
                writeln!(out, "the fixes take away: {}", escaped(loss))?;
            }
        }
    }
    Ok(Outcome::Done)
}

impl Held {
    fn of(grant: &Grant<'_>) -> Held {
        Held {
            binding: grant.binding.to_string(),
            role: grant.role.key.to_string(),
            namespace: grant.binding.namespace.clone(),
            rule: grant.rule.clone(),
            before: false,
            after: false,
        }
    }

    fn is_same(&self, other: &Held) -> bool {
        (&self.binding, &self.role, &self.namespace, &self.rule)
            == (&other.binding, &other.role, &other.namespace, &other.rule)
    }
}

fn scoped<'g>(grants: &[Grant<'g>]) -> Vec<(Scope, &'g PolicyRule)> {
    grants.iter().map(|grant| (grant.binding.scope(), grant.rule)).collect()
}

fn graph(
    args: &Graph,
    before: &Access<'_>,
    after: &Access<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let mut edges: BTreeMap<(String, String, String), (bool, bool)> = BTreeMap::new();
    for (access, is_after) in [(before, false), (after, true)] {
        for edge in edges_of(access) {
            let when = edges.entry(edge).or_default();
            if is_after { when.1 = true } else { when.0 = true }
        }
    }
    let edges: Vec<Edge> = edges
        .into_iter()
        .map(|((subject, binding, role), (before, after))| Edge { subject, binding, role, before, after })
        .collect();
    match args.shared.format {
        Format::Json => json(out, &serde_json::json!({"edges": edges}))?,
        Format::Text => {
            let rows = edges.iter().map(|edge| {
                [
                    when(edge.before, edge.after).to_owned(),
                    edge.subject.clone(),
                    edge.binding.clone(),
                    edge.role.clone(),
                ]
            });
            columns(out, rows.collect())?;
        }
        Format::Markdown => mermaid(out, &edges)?,
    }
    Ok(Outcome::Done)
}

/// What the repo itself binds; what every server binds is the same everywhere.
fn edges_of(access: &Access<'_>) -> Vec<(String, String, String)> {
    let policy: Policy = access.policy();
    let own: BTreeSet<&str> = access.bindings.iter().map(|binding| &*binding.object.id.name).collect();
    let bindings = policy.bindings().iter().filter(|binding| own.contains(binding.name.as_str()));
    bindings
        .flat_map(|binding| {
            binding
                .subjects
                .iter()
                .map(|subject| (subject.to_string(), binding.to_string(), binding.role.to_string()))
        })
        .collect()
}

/// A picture that forges draw: <https://mermaid.js.org/syntax/flowchart.html>.
fn mermaid(out: &mut dyn Write, edges: &[Edge]) -> anyhow::Result<()> {
    let nodes: BTreeSet<&String> = edges.iter().flat_map(|edge| [&edge.subject, &edge.role]).collect();
    let number: BTreeMap<&String, usize> = nodes.iter().enumerate().map(|(idx, name)| (*name, idx)).collect();
    let label = |text: &str| escaped(text).replace('"', "'").replace(['<', '>'], "");
    writeln!(out, "```mermaid\nflowchart LR")?;
    for (name, idx) in &number {
        writeln!(out, "  n{idx}[\"{}\"]", label(name))?;
    }
    for edge in edges {
        let arrow = if edge.after { "-->" } else { "-.->" };
        let note = match when(edge.before, edge.after) {
            "" => String::new(),
            "-" => " (the fixes remove it)".to_owned(),
            _ => " (the fixes add it)".to_owned(),
        };
        let (from, to) = (number[&edge.subject], number[&edge.role]);
        writeln!(out, "  n{from} {arrow}|\"{}{note}\"| n{to}", label(&edge.binding))?;
    }
    writeln!(out, "```")?;
    Ok(())
}

/// As a diff marks it.
fn when(before: bool, after: bool) -> &'static str {
    match (before, after) {
        (true, false) => "-",
        (false, true) => "+",
        _ => "",
    }
}

/// `get, list on pods, deployments.apps called a`.
fn rule_text(rule: &PolicyRule) -> String {
    let groups: Vec<&str> =
        rule.api_groups.iter().map(|group| if group.is_empty() { "core" } else { group }).collect();
    let mut text = rule.verbs.join(", ");
    if rule.is_about_resources() {
        text.push_str(&format!(" on {}", rule.resources.join(", ")));
        if groups != ["core"] {
            text.push_str(&format!(" of {}", groups.join(", ")));
        }
    }
    if !rule.non_resource_urls.is_empty() {
        text.push_str(&format!(" on {}", rule.non_resource_urls.join(", ")));
    }
    if !rule.resource_names.is_empty() {
        text.push_str(&format!(" called {}", rule.resource_names.join(", ")));
    }
    text
}

fn json(out: &mut dyn Write, value: &serde_json::Value) -> anyhow::Result<()> {
    Ok(json_line(out, value)?)
}

fn columns(out: &mut dyn Write, rows: Vec<[String; 4]>) -> anyhow::Result<()> {
    let rows: Vec<[String; 4]> =
        rows.into_iter().map(|row| row.map(|cell| escaped(&cell).into_owned())).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    for [mark, second, third, last] in &rows {
        writeln!(out, "{mark:<0$} {second:<1$}  {third:<2$}  {last}", widths[0], widths[1], widths[2])?;
    }
    Ok(())
}

fn table(out: &mut dyn Write, head: [&str; 4], rows: Vec<[String; 4]>) -> anyhow::Result<()> {
    writeln!(out, "| {} |\n|---|---|---|---|", head.join(" | "))?;
    for row in rows {
        let cells = row.map(|cell| escaped(&cell).replace('|', "\\|"));
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}
