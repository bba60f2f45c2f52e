//! Puts another value in place of a node, keeping anchor, comments and, where it fits, style.

use std::ops::Range;

use serde_json::Value;

use super::super::arena::{Shape, Tag};
use super::super::render::{BlockStyle, is_literal, literal_lines};
use super::super::resolve::{resolve, to_value};
use super::super::scalar::{Quotes, inline, is_plain, string};
use super::super::source::{column, line_end, line_start, next_line, skip_blanks, starts_line};
use super::super::value::same;
use super::{Editor, Place, Site};

impl Editor<'_> {
    pub(super) fn replace(&mut self, node: u32, site: Site, wanted: &Value) {
        let is_scalar = !wanted.is_array() && !wanted.is_object();
        if self.shape(node).is_scalar() && is_scalar && self.rewrite(node, wanted) {
            return;
        }
        if site.place == Place::Flow || self.stays_flow(node, site, wanted) {
            self.replace_in_flow(node, wanted);
        } else {
            self.replace_in_block(node, site, wanted);
        }
    }

    /// Whether a flow collection outside of flow context gets flow text again.
    fn stays_flow(&self, node: u32, site: Site, wanted: &Value) -> bool {
        let shape = self.shape(node);
        // `{}` alone in a text may be JSON; below a key or in a stream of documents it is YAML.
        let is_json = site.place == Place::Root && self.stream.text.trim_start().starts_with(['{', '[']);
        let is_filled = self.stream.arena.children(node).next().is_some();
        shape.is_flow_collection()
            && match wanted {
                Value::Object(map) => is_json || is_filled && shape.is_mapping() && !map.is_empty(),
                Value::Array(items) => is_json || is_filled && shape.is_sequence() && !items.is_empty(),
                _ => is_json,
            }
    }

    /// The properties a replaced node keeps, as they are written in front of the new value.
    fn kept_properties(&self, node: u32, wanted: &Value) -> String {
        let stream = self.stream;
        let Some(properties) = stream.arena.properties(node) else { return String::new() };
        let text = |range: &Range<u32>| &stream.text[range.start as usize..range.end as usize];
        let shape = self.shape(node);
        // go-yaml does not look at the tags of collections, other tools do.
        let keeps_tag = shape.is_mapping() && wanted.is_object() || shape.is_sequence() && wanted.is_array();
        let tag = if keeps_tag { text(&properties.tag_range) } else { "" };
        let parts = [text(&properties.anchor), tag];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn replace_in_flow(&mut self, node: u32, wanted: &Value) {
        let stream = self.stream;
        let tight = stream.arena.range(node);
        let properties = self.kept_properties(node, wanted);
        let start = stream.arena.outer_start(node);
        let line = line_start(&stream.text, start);
        let indent = stream.text[line..skip_blanks(&stream.text, line)].to_owned();
        let mut text = self.flow_style(node).value(wanted, &indent, self.eol);
        if !properties.is_empty() {
            text = format!("{properties} {text}");
        }
        if start == tight.end {
            // A value that is not there, behind `key:` or a key alone.
            let has_colon = stream.text[..start].trim_end().ends_with(':');
            text.insert_str(0, if has_colon { " " } else { ": " });
        }
        let mut separator = " ";
        for comment in stream.comments_within(start..tight.end) {
            text.push_str(separator);
            text.push_str(&stream.text[comment]);
            text.push_str(self.eol);
            separator = &indent;
        }
        if separator != " " {
            text.push_str(&indent);
        }
        self.change(start..tight.end, text);
    }

    fn replace_in_block(&mut self, node: u32, site: Site, wanted: &Value) {
        let stream = self.stream;
        let text = &stream.text;
        let tight = stream.arena.range(node);
        let end = line_end(text, tight.end);
        let properties = self.kept_properties(node, wanted);
        let same_line = !text[site.lead..tight.start].contains('\n');
        let mut style = self.block_style(None);
        let comments = Comments::of(self, site.lead, node, end);
        let outer = match site.place {
            Place::Value { column } | Place::Item { column } => column,
            Place::Root | Place::Flow => 0,
        };
        style.literals =
            site.place != Place::Root && comments.own_lines.is_empty() && self.takes_literal(end, outer);
        let is_block = style.is_block(wanted);

        if is_block && !same_line && starts_line(text, tight.start) && stream.arena.properties(node).is_none()
        {
            self.replace_lines_below(&style, site, tight, wanted);
            return;
        }
        let compact = is_block && properties.is_empty() && self.may_be_compact(node, site, same_line);
        let below = match site.place {
            Place::Item { .. } if compact && self.shape(node) != Shape::Omitted => column(text, tight.start),
            Place::Root if compact => column(text, stream.arena.outer_start(node)),
            _ => self.column_below(&style, site, wanted),
        };
        let mut lines = style.value(wanted, below, outer);
        let first =
            if is_block && !compact { String::new() } else { lines.remove(0).trim_start().to_owned() };
        let (start, gap) = self.gap(node, site, same_line);
        let mut new = gap;
        let head = [properties.as_str(), &first, comments.head.as_deref().unwrap_or_default()];
        let head: Vec<&str> = head.into_iter().filter(|part| !part.is_empty()).collect();
        new.push_str(&head.join(" "));
        if head.is_empty() {
            new.truncate(new.trim_end_matches([' ', '\t']).len());
        }
        for (own, comment) in &comments.own_lines {
            new.push_str(self.eol);
            new.push_str(&" ".repeat(own.unwrap_or(below)));
            new.push_str(comment);
        }
        new.push_str(&self.lines(&lines));
        self.change(start..end, new);
    }

    /// Lines below an indicator become other lines.
    fn replace_lines_below(&mut self, style: &BlockStyle, site: Site, tight: Range<usize>, wanted: &Value) {
        let stream = self.stream;
        let text = &stream.text;
        let column = self.column_below(style, site, wanted);
        let start = line_end(text, line_start(text, tight.start).saturating_sub(1));
        let end = line_end(text, tight.end);
        let lines = style.value(wanted, column, column);
        let comments = self.comment_lines(stream.comments_within(tight.start..end), column);
        if line_start(text, tight.start) <= start {
            // The first line of the text has none above.
            let comments = comments.strip_prefix(self.eol).map(|lines| format!("{lines}{}", self.eol));
            self.change(start..end, comments.unwrap_or_default() + &lines.join(self.eol));
        } else {
            self.change(start..end, comments + &self.lines(&lines));
        }
    }

    fn lines(&self, lines: &[String]) -> String {
        lines.iter().flat_map(|line| [self.eol, line]).collect()
    }

    /// Whether a collection may start on the line of what is in front of it: `- key: value`.
    fn may_be_compact(&self, node: u32, site: Site, same_line: bool) -> bool {
        let text = &self.stream.text;
        match site.place {
            Place::Item { .. } => {
                let gap = site.lead..self.stream.arena.range(node).start;
                same_line && self.stream.arena.properties(node).is_none() && !text[gap].contains('\t')
            }
            Place::Root => starts_line(text, self.stream.arena.outer_start(node)),
            Place::Value { .. } | Place::Flow => false,
        }
    }

    fn column_below(&self, style: &BlockStyle, site: Site, wanted: &Value) -> usize {
        match site.place {
            Place::Value { column } if wanted.is_array() => column + style.dash.offset,
            Place::Value { column } => column + style.step,
            Place::Item { column } => column + style.dash.width,
            Place::Root | Place::Flow => 0,
        }
    }

    /// Where the new text starts, and what stands in front of its first word.
    fn gap(&self, node: u32, site: Site, same_line: bool) -> (usize, String) {
        let text = &self.stream.text;
        let start = self.stream.arena.outer_start(node);
        if site.place == Place::Root && starts_line(text, start) {
            return (start, String::new());
        }
        if let Place::Value { column } = site.place
            && !text[..site.lead].ends_with(':')
        {
            // `? key` without a value.
            return (site.lead, format!("{}{}: ", self.eol, " ".repeat(column)));
        }
        let written = &text[site.lead..start];
        let is_gap = same_line && !written.is_empty() && !written.contains(['#', '\n']);
        (site.lead, if is_gap { written.to_owned() } else { " ".to_owned() })
    }

    /// Changes a scalar in place, its quotes and the lines around it kept. False: it has to be replaced.
    fn rewrite(&mut self, node: u32, wanted: &Value) -> bool {
        let stream = self.stream;
        let shape = self.shape(node);
        if shape == Shape::Omitted {
            return false;
        }
        let tag = stream.arena.tag(node);
        let has_bang = tag == Tag::None
            && stream.arena.properties(node).is_some_and(|properties| !properties.tag_range.is_empty());
        let range = stream.arena.range(node);
        let in_flow = self.ancestors.last().is_some_and(|parent| self.shape(*parent).is_flow_collection());
        if shape.is_block_scalar() {
            return tag == Tag::None && !has_bang && self.rewrite_block_scalar(node, wanted);
        }
        let quotes = match shape {
            Shape::Single => Quotes::Single,
            Shape::Double => Quotes::Double,
            _ => Quotes::Plain,
        };
        let literal = wanted.as_str().is_some_and(is_literal) && !in_flow;
        if literal && tag == Tag::None && quotes == Quotes::Plain && !has_bang {
            return false;
        }
        let is_json = quotes == Quotes::Plain && in_flow && self.flow_style(node).quoted_keys;
        let quotes = if is_json { Quotes::Double } else { quotes };
        // Quotes that only the syntax of the old text needed (`'*'`) say nothing of how others are written here.
        let written = stream.text[range.clone()].trim_matches(['"', '\'']);
        let needed = quotes != Quotes::Plain && written.starts_with(['*', '&', '!', '%', '@', '`']);
        let is_free = !(in_flow && self.flow_style(node).quoted_keys);
        let quotes = match wanted.as_str() {
            Some(text) if needed && is_free && is_plain(text, in_flow) => {
                let is_item = self.ancestors.last().is_some_and(|parent| self.shape(*parent).is_sequence());
                let beside = is_item.then(|| self.quotes_of_lists_beside(in_flow)).flatten();
                beside.unwrap_or(Quotes::Plain)
            }
            _ => quotes,
        };
        let new = match wanted {
            Value::String(text) if tag == Tag::Str && quotes == Quotes::Plain => {
                plain_or_double(text, in_flow)
            }
            other => inline(other, quotes, in_flow),
        };
        let is_plain = !new.starts_with(['"', '\'']);
        let means = match wanted.as_str() {
            Some(text) => resolve(text, is_plain || has_bang, tag),
            None => resolve(&new, is_plain || has_bang, tag),
        };
        let text = wanted.as_str().map_or(new.as_str().into(), Into::into);
        if !to_value(means, text).is_ok_and(|value| same(&value, wanted)) {
            return false;
        }
        if stream.text[range.clone()].contains('\n') && stream.comments_within(range.clone()).next().is_some()
        {
            return false;
        }
        self.change(range, new);
        true
    }

    /// Replaces only the lines of a literal that differ, or the one line of a folded scalar.
    fn rewrite_block_scalar(&mut self, node: u32, wanted: &Value) -> bool {
        let stream = self.stream;
        let text = &stream.text;
        let range = stream.arena.range(node);
        let (Some(wanted), old) = (wanted.as_str(), stream.arena.scalar(text, node)) else { return false };
        let header_end = line_end(text, range.start);
        let indicators = text[range.start + 1..header_end].bytes();
        let indicators: Vec<u8> =
            indicators.take_while(|byte| !matches!(byte, b' ' | b'\t' | b'#')).collect();
        if !indicators.iter().all(|byte| *byte == b'-') || header_end >= range.end {
            return false;
        }
        let ending = |text: &str| text.len() - text.trim_end_matches('\n').len();
        if ending(wanted) != ending(&old) || ending(wanted) > 1 {
            return false;
        }
        let wanted = wanted.trim_end_matches('\n');
        let is_one_line = !wanted.contains('\n') && !wanted.is_empty() && !wanted.starts_with([' ', '\t']);
        let is_writable = is_literal(wanted) || is_one_line && is_literal(&format!("x\n{wanted}"));
        if !is_writable || wanted.lines().any(|line| line.starts_with(['\t'])) {
            return false;
        }
        let content = next_line(text, header_end);
        let body = &text[content..range.end];
        let old_lines: Vec<&str> =
            body.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
        if self.shape(node) == Shape::Folded && (old_lines.len() != 1 || !is_one_line) {
            return false;
        }
        let indent = old_lines[0].len() - old_lines[0].trim_start_matches(' ').len();
        let mut new_lines = Vec::new();
        literal_lines(wanted, indent, &mut new_lines);
        let first = old_lines.iter().zip(&new_lines).take_while(|(old, new)| *old == new).count();
        let most = old_lines.len().min(new_lines.len()) - first;
        let last = old_lines.iter().rev().zip(new_lines.iter().rev()).take(most);
        let last = last.take_while(|(old, new)| *old == new).count();
        if old_lines[0].is_empty() || indent == 0 {
            return false;
        }
        // Behind the line break of the last line that stays in front, so that any number of lines fits.
        let before: usize = body.split('\n').take(first).map(|line| line.len() + 1).sum();
        let after: usize = body.split('\n').rev().take(last).map(|line| line.len() + 1).sum();
        let start = line_end(text, content + before - 1);
        let end = range.end - after;
        let end = if last > 0 && text[..end].ends_with('\r') { end - 1 } else { end };
        let new: String =
            new_lines[first..new_lines.len() - last].iter().flat_map(|line| [self.eol, line]).collect();
        if end < start {
            return false;
        }
        self.change(start..end, new);
        true
    }
}

/// The comments around and in a value that is replaced, and where they go.
struct Comments {
    /// On the line of the new value's start.
    head: Option<String>,
    /// On lines of their own: the column they had, if they had such a line before.
    own_lines: Vec<(Option<usize>, String)>,
}

impl Comments {
    fn of(editor: &Editor<'_>, lead: usize, node: u32, end: usize) -> Self {
        let stream = editor.stream;
        let text = &stream.text;
        let all: Vec<Range<usize>> = stream.comments_within(lead..end).collect();
        // A lone comment behind a scalar of several lines follows its new line.
        let value_end = stream.arena.raw(node).end as usize;
        let is_lone = editor.shape(node).is_scalar() && all.len() == 1 && all[0].start >= value_end;
        let mut comments = Comments { head: None, own_lines: Vec::new() };
        for comment in all {
            let words = text[comment.clone()].to_owned();
            if comments.head.is_none() && (is_lone || !text[lead..comment.start].contains('\n')) {
                comments.head = Some(words);
            } else {
                let own = starts_line(text, comment.start).then(|| column(text, comment.start));
                comments.own_lines.push((own, words));
            }
        }
        comments
    }
}

fn plain_or_double(text: &str, in_flow: bool) -> String {
    // Behind `!!str` a word like `yes` needs no quotes, but syntax does.
    if is_plain(&format!("a{text}"), in_flow) && text.starts_with(|char: char| char.is_alphanumeric()) {
        return text.to_owned();
    }
    string(text, Quotes::Plain, in_flow)
}
