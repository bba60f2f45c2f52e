//! Connections as a picture for pages: a band for each namespace, callers to the left of what they call.
//!
//! Carries no style of its own but names of classes, which the page gives a look.

use std::collections::BTreeMap;

use super::super::escaped;
use super::super::markdown_text::html;
use super::drawing::{Arrow, Drawing};
use crate::network_policy::{Direction, Edge, Graph};

/// More than that is no picture any more.
const MOST_NODES: usize = 120;
/// With more arrows their labels would cover each other: they are in the titles then.
const MOST_LABELS: usize = 30;
const WIDTH: i32 = 158;
const HEIGHT: i32 = 36;
const COLUMN: i32 = WIDTH + 92;
const ROW: i32 = HEIGHT + 18;
const MARGIN: i32 = 14;
const TITLE: i32 = 24;
/// Chains of callers longer than that are folded.
const DEEPEST: usize = 5;

#[derive(Clone, Copy)]
struct Spot {
    x: i32,
    y: i32,
}

/// The picture; `shows` picks the workloads.
pub fn graph_svg(graph: &Graph<'_>, shows: &dyn Fn(usize) -> bool) -> String {
    let drawing = Drawing::of(graph, shows);
    let n_nodes = drawing.spaces.values().map(Vec::len).sum::<usize>() + drawing.ends.len();
    if n_nodes > MOST_NODES {
        return format!(
            "<svg viewBox=\"0 0 600 40\" width=\"600\" height=\"40\"><text x=\"10\" y=\"25\">{n_nodes} ends are too many \
             for a picture: caseharden network graph lists them</text></svg>"
        );
    }
    Picture::new(graph, &drawing, shows).draw()
}

struct Picture<'a> {
    graph: &'a Graph<'a>,
    drawing: &'a Drawing,
    edges: Vec<&'a Edge>,
    workloads: BTreeMap<usize, Spot>,
    /// Ends that connect to workloads are on the left, those they connect to on the right.
    ends: BTreeMap<(usize, bool), Spot>,
    bands: Vec<(String, i32, i32)>,
    columns: usize,
    height: i32,
}

impl<'a> Picture<'a> {
    fn new(graph: &'a Graph<'a>, drawing: &'a Drawing, shows: &'a dyn Fn(usize) -> bool) -> Picture<'a> {
        let edges: Vec<&Edge> = graph.edges.iter().filter(|edge| is_drawn(graph, edge, shows)).collect();
        let depths = depths(&edges);
        let columns = depths.values().max().map_or(1, |deepest| deepest + 1);
        let has_sources = drawing.arrows.iter().any(|arrow| arrow.direction == Direction::Ingress);
        let left = MARGIN + if has_sources { COLUMN } else { 0 } + MARGIN;
        let mut picture = Picture {
            graph,
            drawing,
            edges,
            workloads: BTreeMap::new(),
            ends: BTreeMap::new(),
            bands: Vec::new(),
            columns,
            height: MARGIN,
        };
        for (space, workloads) in &drawing.spaces {
            let top = picture.height;
            let mut rows: BTreeMap<usize, i32> = BTreeMap::new();
            for idx in workloads {
                let depth = depths.get(idx).copied().unwrap_or(0);
                let row = rows.entry(depth).or_default();
                let spot = Spot { x: left + depth as i32 * COLUMN, y: top + TITLE + *row * ROW };
                picture.workloads.insert(*idx, spot);
                *row += 1;
            }
            let height = TITLE + rows.values().max().copied().unwrap_or(1) * ROW;
            picture.bands.push((space.clone(), top, height));
            picture.height = top + height + MARGIN;
        }
        picture.place_ends(left);
        picture
    }

    /// Each end beside the first workload it has to do with, and below those that are there already.
    fn place_ends(&mut self, left: i32) {
        let mut below = [MARGIN + TITLE; 2];
        for Arrow { workload, direction, end, .. } in &self.drawing.arrows {
            let is_source = *direction == Direction::Ingress;
            if self.ends.contains_key(&(*end, is_source)) {
                continue;
            }
            let beside = self.workloads.get(workload).map_or(0, |spot| spot.y);
            let free = &mut below[usize::from(is_source)];
            let y = beside.max(*free);
            *free = y + ROW;
            let x = if is_source { MARGIN } else { left + self.columns as i32 * COLUMN };
            self.ends.insert((*end, is_source), Spot { x, y });
            self.height = self.height.max(y + ROW + MARGIN);
        }
    }

    fn draw(&self) -> String {
        let right = self.workloads.values().chain(self.ends.values()).map(|spot| spot.x + WIDTH).max();
        let width = right.unwrap_or(300) + 2 * MARGIN;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">",
            height = self.height
        );
        let xs = || self.workloads.values().map(|spot| spot.x);
        let (from, to) = (xs().min().unwrap_or(0) - MARGIN, xs().max().unwrap_or(0) + WIDTH + MARGIN);
        for (space, top, height) in &self.bands {
            let (x, y) = (from + 10, top + 16);
            svg.push_str(&format!(
                "<rect class=\"space\" x=\"{from}\" y=\"{top}\" width=\"{}\" height=\"{height}\" rx=\"9\"/>\
                 <text class=\"dim\" x=\"{x}\" y=\"{y}\">{}</text>",
                to - from,
                shown(space, 60)
            ));
        }
        self.arrows(&mut svg);
        for (idx, spot) in &self.workloads {
            let workload = &self.graph.cluster.workloads[*idx];
            let is_open = !self.graph.is_restricted(*idx, Direction::Ingress);
            let class = if is_open { "node is-open" } else { "node" };
            let what =
                if is_open { "anything may connect to it" } else { "policies say who may connect to it" };
            node(&mut svg, *spot, class, &workload.name, &workload.kind, what);
        }
        let names: BTreeMap<usize, &String> =
            self.drawing.ends.iter().map(|(name, number)| (*number, name)).collect();
        for ((end, is_source), spot) in &self.ends {
            let name = names.get(end).map_or("", |name| name);
            let direction = if *is_source { Direction::Ingress } else { Direction::Egress };
            let ports = self.ports_of(*end, direction).unwrap_or("outside of the manifests");
            node(&mut svg, *spot, "end", name, ports, "outside of the manifests");
        }
        svg.push_str("</svg>");
        svg
    }

    /// The ports of an end that has the same ones with everybody: they stand in its box.
    fn ports_of(&self, end: usize, direction: Direction) -> Option<&str> {
        let mut arrows =
            self.drawing.arrows.iter().filter(|arrow| arrow.end == end && arrow.direction == direction);
        let first = arrows.next()?.ports.as_str();
        arrows.all(|arrow| arrow.ports == first).then_some(first)
    }

    fn arrows(&self, svg: &mut String) {
        let mut lines = Vec::new();
        for edge in &self.edges {
            let class = match (edge.ports.is_empty(), edge.needs.is_empty()) {
                (true, _) => "edge is-denied",
                (false, true) => "edge",
                (false, false) => "edge is-needed",
            };
            let ports = if edge.ports.is_empty() { "denied".to_owned() } else { edge.ports.to_string() };
            lines.push((self.workloads.get(&edge.from), self.workloads.get(&edge.to), class, ports, true));
        }
        for Arrow { workload, direction, end, ports } in &self.drawing.arrows {
            let is_source = *direction == Direction::Ingress;
            let (inner, outer) = (self.workloads.get(workload), self.ends.get(&(*end, is_source)));
            let (from, to) = if is_source { (outer, inner) } else { (inner, outer) };
            let has_label = self.ports_of(*end, *direction).is_none();
            lines.push((from, to, "edge", ports.clone(), has_label));
        }
        let has_labels = lines.iter().filter(|line| line.4).count() <= MOST_LABELS;
        for (from, to, class, ports, has_label) in lines {
            if let (Some(from), Some(to)) = (from, to) {
                line(svg, *from, *to, class, &ports, has_label && has_labels);
            }
        }
    }
}

/// Whether an arrow tells more than the look of its ends: that anything may connect to an open workload does not.
fn is_drawn(graph: &Graph<'_>, edge: &Edge, shows: &dyn Fn(usize) -> bool) -> bool {
    let tells = !edge.needs.is_empty() || graph.is_restricted(edge.to, Direction::Ingress);
    tells && shows(edge.from) && shows(edge.to)
}

/// How many callers stand in front of each workload.
fn depths(edges: &[&Edge]) -> BTreeMap<usize, usize> {
    let mut depths: BTreeMap<usize, usize> = BTreeMap::new();
    // Circles would grow for ever: they stop at the deepest column.
    for _ in 0..DEEPEST {
        for edge in edges.iter().filter(|edge| edge.from != edge.to) {
            let from = depths.get(&edge.from).copied().unwrap_or(0);
            let to = depths.entry(edge.to).or_default();
            *to = (*to).max(from + 1).min(DEEPEST);
        }
    }
    depths
}

fn node(svg: &mut String, Spot { x, y }: Spot, class: &str, name: &str, below: &str, title: &str) {
    svg.push_str(&format!(
        "<g><title>{}: {}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         rx=\"7\"/><text x=\"{}\" y=\"{}\">{}</text><text class=\"dim\" x=\"{}\" y=\"{}\">{}</text></g>",
        shown(name, 200),
        shown(title, 200),
        x + 10,
        y + 16,
        shown(name, 22),
        x + 10,
        y + 29,
        shown(below, 24),
    ));
}

fn line(svg: &mut String, from: Spot, to: Spot, class: &str, ports: &str, has_label: bool) {
    let (x1, y1, y2) = (from.x + WIDTH, from.y + HEIGHT / 2, to.y + HEIGHT / 2);
    let title = shown(ports, 200);
    let is_forward = to.x > x1;
    // Back, or within a column: around the right side.
    let x2 = if is_forward { to.x - 5 } else { to.x + WIDTH + 5 };
    let (bend, tip) = if is_forward { ((x2 - x1) / 2, 1) } else { (40, -1) };
    svg.push_str(&format!(
        "<g><title>{title}</title><path class=\"{class}\" d=\"M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}\"/>\
         <path class=\"tip\" d=\"M{} {y2}l{} -4v8z\"/>",
        x1.max(if is_forward { x1 } else { x2 }) + bend,
        if is_forward { x2 - bend } else { x1.max(x2) + bend },
        x2 + 5 * tip,
        -7 * tip,
    ));
    if has_label {
        let x = if is_forward { (x1 + x2) / 2 } else { x1.max(x2) + 34 };
        let y = (y1 + y2) / 2 - 5;
        let label = shown(ports, 16);
        svg.push_str(&format!(
            "<text class=\"dim\" text-anchor=\"middle\" x=\"{x}\" y=\"{y}\">{label}</text>"
        ));
    }
    svg.push_str("</g>");
}

/// Text that is no markup, cut to so many characters.
fn shown(text: &str, most: usize) -> String {
    let text = escaped(text);
    if text.chars().count() <= most {
        return html(&text);
    }
    let cut: String = text.chars().take(most - 1).collect();
    html(&format!("{cut}…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        assert_eq!(shown("<b>\"&\u{1b}", 20), "&lt;b&gt;&quot;&amp;\\u{1b}");
        assert_eq!(shown("abcdef", 4), "abc…");
    }
}
