//! Puts another value in place of a node, keeping anchor, comments and, where it fits, style.

use std::ops::Range;

use serde_json::Value;

use super::super::arena::{Shape, Tag};
use super::super::render::{is_literal, literal_lines};
use super::super::resolve::{resolve, to_value};
use super::super::scalar::{Quotes, inline, is_plain, string};
use super::super::source::{column, is_blank, line_end, line_start, next_line};
use super::super::value::same;
use super::{Editor, Place, Site};

impl Editor<'_> {
    pub(super) fn replace(&mut self, node: u32, site: Site, wanted: &Value) {
        if self.shape(node).is_scalar()
            && !wanted.is_array()
            && !wanted.is_object()
            && self.rewrite(node, wanted)
        {
            return;
        }
        let stream = self.stream;
        // What stands between the indicator and the value: an anchor stays, a tag that does not fit goes.
        let mut lead = site.lead;
        let mut lead_text = String::new();
        if let Some(properties) = stream.arena.properties(node) {
            let range = properties.range.start as usize..properties.range.end as usize;
            if properties.tag_range.is_empty() {
                lead = range.end;
            } else {
                let anchor = properties.anchor.start as usize..properties.anchor.end as usize;
                stream.text[anchor].clone_into(&mut lead_text);
                // The blanks in front of the properties are written anew.
                lead = stream.text[..range.start].trim_end_matches([' ', '\t']).len().max(site.lead);
            }
        }
        let replaced = lead_text_range(&stream.text, lead, stream.arena.range(node), !lead_text.is_empty());
        let old = Old { tight: stream.arena.range(node), lead, lead_text, same_line: replaced };
        match site.place {
            Place::Flow => self.replace_in_flow(node, &old, wanted),
            Place::Root
                if self.shape(node).is_flow_collection()
                    && !stream.text[..old.tight.start].contains("---") =>
            {
                self.replace_in_flow(node, &old, wanted);
            }
            _ => self.replace_in_block(node, site, &old, wanted),
        }
    }

    fn replace_in_flow(&mut self, node: u32, old: &Old, wanted: &Value) {
        let stream = self.stream;
        let mut style = self.flow_style(node);
        if style.lines.is_none() && !self.shape(node).is_flow_collection() {
            style.lines = None;
        }
        let indent_at = line_start(&stream.text, old.tight.start);
        let indent =
            stream.text[indent_at..super::super::source::skip_blanks(&stream.text, indent_at)].to_owned();
        let mut text = style.value(wanted, &indent, self.eol);
        let comments: Vec<Range<usize>> = stream.comments_within(old.tight.clone()).collect();
        if !comments.is_empty() {
            let lines = self.comment_lines(comments.into_iter(), indent.len());
            text.push_str(&lines.replacen(self.eol, " ", 1).replacen(&" ".repeat(indent.len() + 1), " ", 1));
            text.push_str(self.eol);
            text.push_str(&indent);
        }
        if self.shape(node) == Shape::Omitted {
            let has_colon = stream.text[..old.tight.start].trim_end().ends_with(':');
            let is_key_alone =
                !has_colon && old.lead_text.is_empty() && stream.arena.properties(node).is_none();
            let space = if is_key_alone { ": " } else { " " };
            text.insert_str(0, space);
        }
        if old.lead_text.is_empty() && old.lead == old.tight.start {
            self.change(old.tight.clone(), text);
        } else {
            let gap = if old.lead_text.is_empty() { String::new() } else { format!("{} ", old.lead_text) };
            let start = if stream.arena.properties(node).is_some_and(|found| !found.tag_range.is_empty()) {
                stream.arena.outer_start(node)
            } else {
                old.tight.start
            };
            self.change(start..old.tight.end, format!("{gap}{}", text.trim_start()));
            if self.shape(node) == Shape::Omitted && start == old.tight.start {
                self.edits.last_mut().expect("pushed above").replacement = text;
            }
        }
    }

    fn replace_in_block(&mut self, node: u32, site: Site, old: &Old, wanted: &Value) {
        let stream = self.stream;
        let text = &stream.text;
        let style = self.block_style(None);
        let is_block = style.is_block(wanted);
        let has_properties = old.lead != site.lead || !old.lead_text.is_empty();
        let (outer, below) = match site.place {
            Place::Value { column } if wanted.is_array() => (column, column + style.dash.offset),
            Place::Value { column } => (column, column + style.step),
            Place::Item { column } => (column, column + style.dash.width),
            Place::Root | Place::Flow => (0, 0),
        };
        let stays_on_line = !is_block
            || matches!(site.place, Place::Item { .. }) && !has_properties && old.same_line
            || site.place == Place::Root
                && !has_properties
                && super::super::source::starts_line(text, old.tight.start);
        // An item keeps the column it has behind its dash.
        let below = match site.place {
            Place::Item { .. } if stays_on_line && self.shape(node) != Shape::Omitted => {
                column(text, old.tight.start)
            }
            Place::Root if stays_on_line => column(text, old.tight.start),
            _ => below,
        };
        let mut lines = style.value(wanted, below, outer);
        if matches!(site.place, Place::Root) && !is_block && lines.len() > 1 {
            lines = vec![inline(wanted, style.quotes, false)];
        }
        if stays_on_line && (old.same_line || site.place == Place::Root && is_block) {
            self.replace_on_line(old, lines, below);
        } else if !is_block {
            self.replace_lines_by_inline(old, lines, below);
        } else if old.same_line {
            self.replace_inline_by_lines(node, old, &lines, below);
        } else {
            self.replace_lines_by_lines(old, &lines, below);
        }
    }

    /// `key: old # comment` → `key: new # comment`, further lines behind the comment.
    fn replace_on_line(&mut self, old: &Old, lines: Vec<String>, column: usize) {
        let stream = self.stream;
        let text = &stream.text;
        let mut lines = lines.into_iter();
        let mut first = lines.next().unwrap_or_default();
        first = first.trim_start().to_owned();
        if !old.lead_text.is_empty() {
            first = format!(" {} {first}", old.lead_text);
        } else if old.lead == old.tight.start || old.lead_gap_goes(text) {
            let is_bare = old.lead > 0 && !text[..old.lead].ends_with(['\n', ' ', super::super::source::BOM]);
            first = format!("{}{first}", if is_bare { " " } else { "" });
        }
        let start =
            if old.lead_text.is_empty() && !old.lead_gap_goes(text) { old.tight.start } else { old.lead };
        let rest: Vec<String> = lines.collect();
        let comments: Vec<Range<usize>> = stream.comments_within(start..old.tight.end).collect();
        let line = line_end(text, old.tight.end);
        if text[old.tight.clone()].contains('\n') {
            // Comments of old lines become lines of their own, but one on the first line may stay there.
            let all: Vec<Range<usize>> = stream.comments_within(start..line).collect();
            let (on_first, others): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|comment| !text[start..comment.start].contains('\n'));
            for comment in on_first {
                first.push(' ');
                first.push_str(&text[comment]);
            }
            first.push_str(&self.comment_lines(others.into_iter(), column));
            first.extend(rest.iter().flat_map(|line| [self.eol, line]));
            self.change(start..line, first);
            return;
        }
        debug_assert!(comments.is_empty(), "a comment ends its line");
        self.change(start..old.tight.end, first);
        if !rest.is_empty() {
            let lines: String = rest.iter().flat_map(|line| [self.eol, line]).collect();
            self.insert(line, lines);
        }
    }

    /// `key:` with lines below → `key: new`.
    fn replace_lines_by_inline(&mut self, old: &Old, lines: Vec<String>, column: usize) {
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or_default();
        self.write_behind_lead(old, &first);
        let at = line_end(&self.stream.text, old.lead);
        let rest: String = lines.flat_map(|line| [self.eol.to_owned(), line]).collect();
        self.insert(at, rest);
        self.remove_lines(old, String::new(), column);
    }

    /// `key: {} # comment` → `key: # comment` and lines below.
    fn replace_inline_by_lines(&mut self, node: u32, old: &Old, lines: &[String], column: usize) {
        let stream = self.stream;
        let text = &stream.text;
        let end = old.tight.end;
        let line = line_end(text, end);
        let mut new: String = String::new();
        let inner: Vec<Range<usize>> = stream.comments_within(old.lead..end).collect();
        let (on_first, others): (Vec<_>, Vec<_>) =
            inner.into_iter().partition(|comment| !text[old.lead..comment.start].contains('\n'));
        let mut head = if old.lead_text.is_empty() { String::new() } else { format!(" {}", old.lead_text) };
        for comment in on_first {
            head.push(' ');
            head.push_str(&text[comment]);
        }
        new.push_str(&self.comment_lines(others.into_iter(), column));
        new.extend(lines.iter().flat_map(|line| [self.eol, line]));
        let ends_line = is_blank(&text.as_bytes()[end..line]);
        if ends_line {
            // A null that is not there has no bytes to remove.
            let start = if self.shape(node) == Shape::Omitted && head.is_empty() { line } else { old.lead };
            self.change(start..line, format!("{head}{new}"));
        } else {
            if !(self.shape(node) == Shape::Omitted && head.is_empty()) {
                self.change(old.lead..end, head);
            }
            self.insert(line, new);
        }
    }

    fn replace_lines_by_lines(&mut self, old: &Old, lines: &[String], column: usize) {
        if !old.lead_text.is_empty() || old.lead_gap_goes(&self.stream.text) {
            self.write_behind_lead(old, "");
        }
        let new: String = lines.iter().flat_map(|line| [self.eol, line]).collect();
        self.remove_lines(old, new, column);
    }

    fn write_behind_lead(&mut self, old: &Old, value: &str) {
        let text = &self.stream.text;
        let parts: Vec<&str> =
            [old.lead_text.as_str(), value].into_iter().filter(|part| !part.is_empty()).collect();
        let space = if parts.is_empty() { "" } else { " " };
        // Behind a tag that goes, up to where its line's comment or end is.
        let end = old.properties_end(text);
        self.change(old.lead..end, format!("{space}{}", parts.join(" ")));
    }

    /// Replaces the lines of a value that starts below its indicator; comments stay.
    fn remove_lines(&mut self, old: &Old, new: String, column: usize) {
        let stream = self.stream;
        let text = &stream.text;
        let first = line_start(text, old.tight.start);
        let start = line_end(text, first.saturating_sub(1));
        let end = line_end(text, old.tight.end);
        let comments = self.comment_lines(stream.comments_within(old.tight.start..end), column);
        self.change(start..end, comments + &new);
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

/// What is replaced.
struct Old {
    /// The value's own bytes.
    tight: Range<usize>,
    /// Offset behind the last thing in front of it that stays.
    lead: usize,
    /// An anchor to write behind `lead`, when the properties are written anew.
    lead_text: String,
    /// Whether the value starts on the line of its indicator.
    same_line: bool,
}

impl Old {
    /// Whether something between `lead` and the value (a tag) has to go.
    fn lead_gap_goes(&self, text: &str) -> bool {
        let gap = &text[self.lead..self.tight.start];
        gap.split(['\n', '#']).next().is_some_and(|head| !head.trim().is_empty())
    }

    fn properties_end(&self, text: &str) -> usize {
        let gap = &text[self.lead..self.tight.start];
        let head = gap.split('\n').next().unwrap_or_default();
        let head = head.find(" #").map_or(head, |comment| &head[..comment]);
        self.lead + head.trim_end().len()
    }
}

fn lead_text_range(text: &str, lead: usize, tight: Range<usize>, _has_text: bool) -> bool {
    !text[lead..tight.start].contains('\n')
}

fn plain_or_double(text: &str, in_flow: bool) -> String {
    // Behind `!!str` a word like `yes` needs no quotes, but syntax does.
    if is_plain(&format!("a{text}"), in_flow) && text.starts_with(|char: char| char.is_alphanumeric()) {
        return text.to_owned();
    }
    string(text, Quotes::Plain, in_flow)
}
