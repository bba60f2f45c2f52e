//! Why a connection is allowed or denied, for people and for programs.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::super::{Style, escaped};
use super::json::{JsonNeed, JsonPolicy, JsonPorts, json_need, json_policy, ports};
use super::{shown_evidence, shown_foreign, shown_policy};
use crate::connections::Protocol;
use crate::network_policy::{
    Action, Direction, End, Foreign, Graph, Need, PortSet, Said, Side, Tier, Verdict,
};

/// What is asked, as it is shown.
#[derive(Debug, Clone)]
pub struct Question {
    pub from: String,
    pub to: String,
    /// The pod's port; none for all of them.
    pub port: Option<(Protocol, u16)>,
    /// How a Service's port became the pod's: words for people.
    pub by_service: Option<String>,
}

/// An answer, with the state of the repo that it is about.
#[derive(Debug)]
pub struct Explanation<'a, 'g> {
    pub graph: &'a Graph<'g>,
    pub from: End<'a>,
    pub to: End<'a>,
    pub verdict: Verdict,
    /// What says that the connection is needed.
    pub needs: Vec<&'a Need>,
}

impl Explanation<'_, '_> {
    /// Objects that decide as well and are not judged.
    pub fn foreign(&self) -> Vec<&Foreign> {
        let cluster = self.graph.cluster;
        let of = |end: &End<'_>| -> Vec<&Foreign> {
            match end {
                End::Workload(idx) => self.graph.foreign_of(*idx).collect(),
                End::Pods(pods) => cluster
                    .foreign
                    .iter()
                    .filter(|foreign| foreign.space.as_ref().is_none_or(|space| *space == pods.space))
                    .collect(),
                End::Address(_) | End::OwnNode => Vec::new(),
            }
        };
        let mut foreign = of(&self.from);
        foreign.extend(of(&self.to));
        foreign.sort();
        foreign.dedup();
        foreign
    }

    pub fn answer(&self, port: Option<(Protocol, u16)>) -> Answer {
        let holds = |set: &PortSet| match port {
            Some((protocol, port)) => set.contains(protocol, port),
            None => !set.is_empty(),
        };
        if !self.foreign().is_empty() {
            Answer::NotJudged
        } else if holds(&self.verdict.allowed) {
            Answer::Allowed
        } else if holds(&self.verdict.possible) {
            Answer::Depends
        } else {
            Answer::Denied
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Allowed,
    Denied,
    /// On what no manifest tells.
    Depends,
    NotJudged,
}

impl Answer {
    fn as_str(self) -> &'static str {
        match self {
            Answer::Allowed => "allowed",
            Answer::Denied => "denied",
            Answer::Depends => "depends",
            Answer::NotJudged => "not judged",
        }
    }
}

/// Shows the answer for the repo as it is and, where the fixes change it, after them.
pub fn explain_text(
    out: &mut dyn Write,
    question: &Question,
    before: &Explanation<'_, '_>,
    after: Option<&Explanation<'_, '_>>,
    style: Style,
) -> io::Result<()> {
    let bold = style.paint(anstyle::Style::new().bold());
    let (from, to) = (escaped(&question.from), escaped(&question.to));
    let port = question.port.map(|(protocol, port)| format!(" {} {port}", protocol.as_str()));
    let what = format!("{from} -> {to}{}", port.clone().unwrap_or_default());
    writeln!(out, "{bold}{what}: {}{bold:#}", words(before, question))?;
    if let Some(words) = &question.by_service {
        writeln!(out, "  {}", escaped(words))?;
    }
    sides(out, question, before)?;
    for need in &before.needs {
        let connection = before.graph.connection(need);
        writeln!(out, "  needed: {}", escaped(&shown_evidence(connection)))?;
    }
    let shown = |explanation: &Explanation<'_, '_>| -> io::Result<(String, Vec<u8>)> {
        let mut lines = Vec::new();
        sides(&mut lines, question, explanation)?;
        Ok((words(explanation, question), lines))
    };
    match after.map(shown).transpose()? {
        Some(later) if later != shown(before)? => {
            writeln!(out, "{bold}after the fixes: {}{bold:#}", later.0)?;
            out.write_all(&later.1)
        }
        _ => writeln!(out, "the fixes change nothing here"),
    }
}

fn words(explanation: &Explanation<'_, '_>, question: &Question) -> String {
    let verdict = &explanation.verdict;
    match (explanation.answer(question.port), question.port) {
        (Answer::Allowed, None) if !verdict.allowed.is_all() => format!("allowed on {}", verdict.allowed),
        (Answer::Allowed, None) => "allowed on any port".to_owned(),
        (Answer::Depends, _) => "depends on what no manifest tells".to_owned(),
        (Answer::NotJudged, _) => {
            let alone = if verdict.allowed.is_empty() { "deny it" } else { "allow it" };
            format!("not judged; the policies that are judged {alone}")
        }
        (answer, _) => answer.as_str().to_owned(),
    }
}

fn sides(out: &mut dyn Write, question: &Question, explanation: &Explanation<'_, '_>) -> io::Result<()> {
    for foreign in explanation.foreign() {
        writeln!(out, "  {}", escaped(&shown_foreign(foreign)))?;
    }
    let verdict = &explanation.verdict;
    side(out, Direction::Egress, &question.from, explanation.from, &verdict.egress, question, explanation)?;
    side(out, Direction::Ingress, &question.to, explanation.to, &verdict.ingress, question, explanation)
}

fn side(
    out: &mut dyn Write,
    direction: Direction,
    name: &str,
    end: End<'_>,
    side: &Side,
    question: &Question,
    explanation: &Explanation<'_, '_>,
) -> io::Result<()> {
    let (way, name) = (direction.as_str(), escaped(name));
    let graph = explanation.graph;
    let is_host = match end {
        End::Workload(idx) => graph.cluster.workloads[idx].host_network,
        End::Pods(pods) => pods.host_network,
        End::Address(_) | End::OwnNode => {
            return writeln!(out, "  {way} of {name}: no policy is about what is outside the cluster");
        }
    };
    if is_host {
        return writeln!(out, "  {way} of {name}: allowed, policies do not apply to the node's network");
    }
    if direction == Direction::Ingress && explanation.from == End::OwnNode {
        return writeln!(
            out,
            "  {way} of {name}: allowed, a pod's own node always reaches it (probes, exec, logs)"
        );
    }
    if side.selecting.is_empty() {
        return writeln!(out, "  {way} of {name}: allowed, no policy restricts it");
    }
    let about = |said: &&Said| match question.port {
        Some((protocol, port)) => said.ports.contains(protocol, port),
        None => true,
    };
    let is_allowed = match question.port {
        Some((protocol, port)) => side.allowed.contains(protocol, port),
        None => !side.allowed.is_empty(),
    };
    let word = if is_allowed { "allowed" } else { "denied" };
    writeln!(out, "  {way} of {name}: {word}")?;
    let is_whole = |said: &Said| said.is_sure && (question.port.is_some() || said.ports.is_all());
    for said in deciding(graph, direction, side, side.rules.iter().filter(about), &is_whole) {
        let policy = &graph.cluster.policies[said.policy];
        let verb = match said.action {
            Action::Allow => "allows",
            Action::Deny => "denies",
            Action::Pass => "passes on",
        };
        let perhaps = if said.is_sure { "" } else { ", if it is about this end" };
        let place = format!("{}:{}", policy.place.path, said.line);
        writeln!(out, "    {} {verb} {}{perhaps}", escaped(&format!("{policy}, {place},")), said.ports)?;
    }
    let isolating: Vec<String> = side
        .selecting
        .iter()
        .map(|policy| &graph.cluster.policies[*policy])
        .filter(|policy| policy.isolates(direction))
        .map(shown_policy)
        .collect();
    if !is_allowed && !isolating.is_empty() {
        writeln!(out, "    isolated by {}", escaped(&isolating.join(", ")))?;
    }
    Ok(())
}

/// The rules that an answer comes from: of those that are asked in turn, none behind one that decides.
fn deciding<'s>(
    graph: &Graph<'_>,
    direction: Direction,
    side: &Side,
    rules: impl Iterator<Item = &'s Said>,
    is_whole: &dyn Fn(&Said) -> bool,
) -> Vec<&'s Said> {
    let tier = |policy: usize| graph.cluster.policies[policy].tier;
    let is_isolated = side.selecting.iter().any(|policy| graph.cluster.policies[*policy].isolates(direction));
    let mut kept = Vec::new();
    let (mut is_passed, mut is_decided, mut is_allowed) = (false, false, false);
    for said in rules {
        let is_asked = match tier(said.policy) {
            Tier::Admin { .. } => !is_passed && !is_decided,
            // What several of them allow, each of them does.
            Tier::Namespaced => !is_decided && (!is_allowed || said.action == Action::Allow),
            Tier::Baseline => !is_decided && !is_isolated,
        };
        if is_asked {
            kept.push(said);
            let is_whole = is_whole(said);
            match (tier(said.policy), said.action) {
                (Tier::Admin { .. }, Action::Pass) => is_passed |= is_whole,
                (Tier::Namespaced, Action::Allow | Action::Pass) => is_allowed |= is_whole,
                _ => is_decided |= is_whole,
            }
        }
    }
    kept
}

/// The output of `caseharden network explain --format json`.
#[derive(Debug, Serialize, JsonSchema)]
struct ExplainReport {
    version: u32,
    from: String,
    to: String,
    protocol: Option<&'static str>,
    /// The pod's.
    port: Option<u16>,
    before: JsonState,
    /// After the fixes.
    after: JsonState,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonState {
    #[schemars(regex(pattern = "^(allowed|denied|depends|not judged)$"))]
    answer: &'static str,
    ports: Vec<JsonPorts>,
    /// What may be allowed as well, depending on what no manifest tells.
    possible_ports: Vec<JsonPorts>,
    egress: JsonExplainedSide,
    ingress: JsonExplainedSide,
    needs: Vec<JsonNeed>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonExplainedSide {
    restricted: bool,
    ports: Vec<JsonPorts>,
    rules: Vec<JsonRule>,
    /// Policies that select the pods, whether or not they speak of the other end.
    policies: Vec<JsonPolicy>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonRule {
    policy: JsonPolicy,
    #[schemars(regex(pattern = "^(allow|deny|pass)$"))]
    action: &'static str,
    ports: Vec<JsonPorts>,
    /// Whether the rule is certainly about the other end.
    sure: bool,
}

pub fn explain_json(
    out: &mut dyn Write,
    question: &Question,
    before: &Explanation<'_, '_>,
    after: Option<&Explanation<'_, '_>>,
) -> io::Result<()> {
    let report = ExplainReport {
        version: 1,
        from: question.from.clone(),
        to: question.to.clone(),
        protocol: question.port.map(|(protocol, _)| protocol.as_str()),
        port: question.port.map(|(_, port)| port),
        before: state(question, before),
        after: state(question, after.unwrap_or(before)),
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

fn state(question: &Question, explanation: &Explanation<'_, '_>) -> JsonState {
    let (graph, verdict) = (explanation.graph, &explanation.verdict);
    JsonState {
        answer: explanation.answer(question.port).as_str(),
        ports: ports(&verdict.allowed),
        possible_ports: ports(&verdict.possible),
        egress: json_side(graph, &verdict.egress),
        ingress: json_side(graph, &verdict.ingress),
        needs: explanation.needs.iter().map(|need| json_need(graph, need)).collect(),
    }
}

fn json_side(graph: &Graph<'_>, side: &Side) -> JsonExplainedSide {
    let rules = side.rules.iter().map(|said| JsonRule {
        policy: json_policy(graph, said.policy, said.line),
        action: match said.action {
            Action::Allow => "allow",
            Action::Deny => "deny",
            Action::Pass => "pass",
        },
        ports: ports(&said.ports),
        sure: said.is_sure,
    });
    JsonExplainedSide {
        restricted: !side.selecting.is_empty(),
        ports: ports(&side.allowed),
        rules: rules.collect(),
        policies: side
            .selecting
            .iter()
            .map(|policy| json_policy(graph, *policy, graph.cluster.policies[*policy].place.line))
            .collect(),
    }
}
