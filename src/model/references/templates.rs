//! Images that a chart's templates name without any value: nothing but an edit of the template can change them.
//!
//! A template is no YAML before it is rendered, so this looks at lines: `image:` with a whole reference behind it.

use super::{Class, ImageUse};
use crate::model::{Image, Model};
use crate::repo::Template;

pub(super) fn find(model: &Model<'_>, uses: &mut Vec<ImageUse>) {
    for chart in &model.repo().charts {
        // One without an action is a manifest, and judged as such.
        let is_asked = |template: &&Template| !template.context_only && template.text.contains("{{");
        for template in chart.templates.iter().filter(is_asked) {
            for (line, text) in images(&template.text) {
                uses.push(ImageUse {
                    path: template.path.clone(),
                    document: 0,
                    pointer: String::new(),
                    inner: None,
                    line,
                    class: Class::Template,
                    target: model.builders.target(text),
                    text: text.to_owned(),
                });
            }
        }
    }
}

/// References that stand alone behind `image:`, with their lines.
fn images(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_comment = false;
    for (idx, line) in text.lines().enumerate() {
        // `{{/* … */}}` comments things out.
        let was_in_comment = in_comment;
        if let Some(at) = line.rfind("/*") {
            in_comment = !line[at..].contains("*/");
        } else if line.contains("*/") {
            in_comment = false;
        }
        let line = line.trim();
        let line = line.strip_prefix("- ").unwrap_or(line).trim_start();
        let Some(value) = line.strip_prefix("image:").filter(|_| !was_in_comment) else { continue };
        let value = value.split(" #").next().unwrap_or(value).trim();
        let value = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
            .unwrap_or(value);
        // `image: web` may be the name of anything; so may what holds an action.
        let is_reference = Image::parse(value)
            .is_some_and(|image| image.tag.is_some() || image.digest.is_some() || image.name().contains('/'));
        if is_reference && !value.contains("{{") {
            found.push((idx + 1, value));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_references_are_found() {
        let text = "spec:\n  containers:\n  - image: nginx:1.25\n  - name: a\n    image: \"r.io/a/b:2\" # why\n    image: {{ .Values.image }}\n    image: nginx:{{ .Values.tag }}\n    image: web\n    # image: old:1\n  {{- /*\n    image: gone:1\n  */}}\n    image: 'r.io/c@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'\n    imagePullPolicy: Always\n";
        let expected = [
            (3, "nginx:1.25"),
            (5, "r.io/a/b:2"),
            (13, "r.io/c@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
        ];
        assert_eq!(images(text), expected);
    }
}
