//! What a change makes of connections, for people and for programs.

use std::collections::BTreeSet;
use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::super::text::plural;
use super::super::{Style, escaped};
use super::json::{
    JsonNamed, JsonNeed, JsonOuterNeed, JsonPods, JsonPorts, JsonSpan, addresses, json_need, named,
    other_pods, outer_need, ports,
};
use super::lines::{self, Line};
use super::{shown_evidence, shown_peer};
use crate::network_policy::{Diff, Direction, Graph, PairChange, SideChange};

pub fn diff_text(
    out: &mut dyn Write,
    before: &Graph<'_>,
    diff: &Diff,
    shows: &dyn Fn(usize) -> bool,
    style: Style,
) -> io::Result<()> {
    let changed: BTreeSet<usize> = diff
        .sides
        .iter()
        .map(|side| side.workload)
        .chain(diff.pairs.iter().flat_map(|pair| [pair.from, pair.to]))
        .filter(|workload| shows(*workload))
        .collect();
    let bold = style.paint(anstyle::Style::new().bold());
    for workload in &changed {
        let (name, of) = (before.names.of(*workload), &before.cluster.workloads[*workload]);
        writeln!(out, "{bold}{}{bold:#}  {}  {}", escaped(name), of.kind, escaped(&of.place.to_string()))?;
        for direction in [Direction::Egress, Direction::Ingress] {
            side(out, before, diff, *workload, direction)?;
        }
        writeln!(out)?;
    }
    for need in &diff.lost {
        let connection = before.connection(need);
        let ends = (shown_peer(&before.names, &connection.from), shown_peer(&before.names, &connection.to));
        let port = connection.port.as_ref().map(|port| format!(" {port}")).unwrap_or_default();
        let (what, why) = (format!("{} -> {}{port}", ends.0, ends.1), shown_evidence(connection));
        writeln!(out, "denied although it is needed: {}", escaped(&what))?;
        writeln!(out, "  {}", escaped(&why))?;
    }
    let closed = |direction| {
        let sides = diff.sides.iter().filter(|side| side.direction == direction && shows(side.workload));
        sides.filter(|side| side.is_restricted && !side.was_restricted).count()
    };
    if changed.is_empty() {
        writeln!(out, "the fixes change no connection")
    } else {
        writeln!(
            out,
            "connections of {} change; newly restricted: the ingress of {}, the egress of {}; needed and denied: {}",
            plural(changed.len(), "workload"),
            closed(Direction::Ingress),
            closed(Direction::Egress),
            diff.lost.len()
        )
    }
}

fn side(
    out: &mut dyn Write,
    before: &Graph<'_>,
    diff: &Diff,
    workload: usize,
    direction: Direction,
) -> io::Result<()> {
    let of = |side: &&SideChange| side.workload == workload && side.direction == direction;
    let change = diff.sides.iter().find(of);
    let end = |pair: &PairChange| match direction {
        Direction::Egress => (pair.from == workload).then_some(pair.to),
        Direction::Ingress => (pair.to == workload).then_some(pair.from),
    };
    let pairs: Vec<(usize, &PairChange)> =
        diff.pairs.iter().filter_map(|pair| Some((end(pair)?, pair))).collect();
    let (way, word) = (direction.as_str(), if direction == Direction::Egress { "to" } else { "from" });
    let line = |out: &mut dyn Write, sign: &str, name: &str, ports: &str, why: &str| {
        let text = format!("    {sign} {word:<4}  {:<34}  {ports:<14}  {}", escaped(name), escaped(why));
        writeln!(out, "{}", text.trim_end())
    };
    let near = |other: usize| before.names.beside(before.cluster, workload, other);
    let why = |pair: &PairChange| {
        let need = pair.needs.first().map(|need| shown_evidence(before.connection(need)));
        need.map(|words| format!("needed: {words}")).unwrap_or_default()
    };
    match change {
        Some(change) if change.was_restricted != change.is_restricted => {
            let now = match change.is_restricted {
                true if change.after.is_everything() => "stays open to everything, a policy says so now",
                true => "was open to everything, now only",
                false => "was restricted, is open to everything now",
            };
            writeln!(out, "  {way} {now}")?;
            let mut is_nothing = true;
            if change.is_restricted && !change.after.is_everything() {
                for (other, pair) in pairs.iter().filter(|(_, pair)| !pair.after.is_empty()) {
                    is_nothing = false;
                    line(out, " ", near(*other), &pair.after.to_string(), &why(pair))?;
                }
                for of in lines::outside(&change.after) {
                    is_nothing = false;
                    line(out, " ", &of.ends, &of.ports, "")?;
                }
                if is_nothing {
                    line(out, " ", "nothing", "", "")?;
                }
            }
        }
        _ => {
            let (gone, come) = change.map(outside_lines).unwrap_or_default();
            if pairs.is_empty() && gone.is_empty() && come.is_empty() {
                return Ok(());
            }
            writeln!(out, "  {way}")?;
            for (other, pair) in &pairs {
                let (lost, gained) = (pair.before.without(&pair.after), pair.after.without(&pair.before));
                let name = near(*other);
                if !lost.is_empty() {
                    line(out, "-", name, &lost.to_string(), &why(pair))?;
                }
                if !gained.is_empty() {
                    line(out, "+", name, &gained.to_string(), &why(pair))?;
                }
            }
            for of in &gone {
                line(out, "-", &of.ends, &of.ports, "")?;
            }
            for of in &come {
                line(out, "+", &of.ends, &of.ports, "")?;
            }
        }
    }
    Ok(())
}

/// Lines that are gone, and lines that are new.
fn outside_lines(change: &SideChange) -> (Vec<Line>, Vec<Line>) {
    let (before, after) = (lines::outside(&change.before), lines::outside(&change.after));
    let missing = |of: &[Line], from: &[Line]| -> Vec<Line> {
        of.iter()
            .filter(|line| !from.contains(line))
            .map(|line| Line { ends: line.ends.clone(), ports: line.ports.clone() })
            .collect()
    };
    (missing(&before, &after), missing(&after, &before))
}

/// The output of `caseharden network diff --format json`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "caseharden network diff")]
struct DiffReport {
    version: u32,
    /// Directions of workloads that policies restrict now and did not, or the other way round, or that exchange
    /// other things with what is outside the repo.
    sides: Vec<JsonSideChange>,
    /// Pairs of workloads that policies name in either state. A pair that is not listed and whose workloads are not
    /// restricted before may be denied after: see `sides`.
    connections: Vec<JsonPairChange>,
    /// Needed, allowed before, denied after.
    lost_needs: Vec<JsonOuterNeed>,
    /// Needed, denied before, allowed after.
    gained_needs: Vec<JsonOuterNeed>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonSideChange {
    workload: String,
    #[schemars(regex(pattern = "^(egress|ingress)$"))]
    direction: &'static str,
    restricted_before: bool,
    restricted_after: bool,
    addresses_before: Vec<JsonSpan>,
    addresses_after: Vec<JsonSpan>,
    other_pods_before: Vec<JsonPods>,
    other_pods_after: Vec<JsonPods>,
    named_before: Vec<JsonNamed>,
    named_after: Vec<JsonNamed>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonPairChange {
    from: String,
    to: String,
    newly_allowed: Vec<JsonPorts>,
    newly_denied: Vec<JsonPorts>,
    allowed_after: Vec<JsonPorts>,
    needs: Vec<JsonNeed>,
}

pub fn diff_json(
    out: &mut dyn Write,
    before: &Graph<'_>,
    diff: &Diff,
    shows: &dyn Fn(usize) -> bool,
) -> io::Result<()> {
    let sides = diff.sides.iter().filter(|side| shows(side.workload));
    let pairs = diff.pairs.iter().filter(|pair| shows(pair.from) || shows(pair.to));
    let report = DiffReport {
        version: 1,
        sides: sides
            .map(|side| JsonSideChange {
                workload: before.names.of(side.workload).to_owned(),
                direction: side.direction.as_str(),
                restricted_before: side.was_restricted,
                restricted_after: side.is_restricted,
                addresses_before: addresses(&side.before),
                addresses_after: addresses(&side.after),
                other_pods_before: other_pods(&side.before),
                other_pods_after: other_pods(&side.after),
                named_before: named(&side.before),
                named_after: named(&side.after),
            })
            .collect(),
        connections: pairs
            .map(|pair| JsonPairChange {
                from: before.names.of(pair.from).to_owned(),
                to: before.names.of(pair.to).to_owned(),
                newly_allowed: ports(&pair.after.without(&pair.before)),
                newly_denied: ports(&pair.before.without(&pair.after)),
                allowed_after: ports(&pair.after),
                needs: pair.needs.iter().map(|need| json_need(before, need)).collect(),
            })
            .collect(),
        lost_needs: diff.lost.iter().map(|need| outer_need(before, need)).collect(),
        gained_needs: diff.gained.iter().map(|need| outer_need(before, need)).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}
