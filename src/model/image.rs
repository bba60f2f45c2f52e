//! Image references: registry, repository, tag, digest.
//!
//! Grammar: <https://pkg.go.dev/github.com/distribution/reference>. Knows no registry.

/// A reference as it is written, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    name: &'a str,
    pub tag: Option<&'a str>,
    /// With its algorithm: `sha256:…`.
    pub digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// `None` for text that is no reference: empty, with blanks, or with a variable that some tool fills in later.
    pub fn parse(text: &'a str) -> Option<Image<'a>> {
        let is_part = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '[' | ']' | '+')
        };
        if text.is_empty() || !text.chars().all(is_part) {
            return None;
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if digest.contains(':') && !digest.contains('@') => (rest, Some(digest)),
            Some(_) => return None,
            None => (text, None),
        };
        // A colon in front of the last slash belongs to the port of the registry.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let is_whole = !name.is_empty() && !name.ends_with('/') && tag != Some("");
        is_whole.then_some(Image { name, tag, digest })
    }

    /// Registry and repository, without tag and digest.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Host, with its port, when one is written; else the runtime decides, usually for Docker Hub.
    pub fn registry(&self) -> Option<&'a str> {
        let (first, _) = self.name.split_once('/')?;
        (first.contains(['.', ':']) || first == "localhost").then_some(first)
    }

    /// The name without its registry.
    pub fn repository(&self) -> &'a str {
        match self.registry() {
            Some(registry) => &self.name[registry.len() + 1..],
            None => self.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = (Option<&'a str>, &'a str, Option<&'a str>, Option<&'a str>);

    #[track_caller]
    fn check(text: &str, expected: Option<Parts<'_>>) {
        let parts =
            Image::parse(text).map(|image| (image.registry(), image.repository(), image.tag, image.digest));
        assert_eq!(parts, expected, "{text}");
    }

    #[test]
    fn takes_references_apart() {
        check("nginx", Some((None, "nginx", None, None)));
        check("nginx:1.27", Some((None, "nginx", Some("1.27"), None)));
        check("team/app", Some((None, "team/app", None, None)));
        check("ghcr.io/team/app:v1", Some((Some("ghcr.io"), "team/app", Some("v1"), None)));
        check("localhost:5000/app", Some((Some("localhost:5000"), "app", None, None)));
        check("localhost/app:1", Some((Some("localhost"), "app", Some("1"), None)));
        check("[::1]:5000/app:1", Some((Some("[::1]:5000"), "app", Some("1"), None)));
        check("app@sha256:00ff", Some((None, "app", None, Some("sha256:00ff"))));
        check("r.io:443/a/b:1@sha256:00ff", Some((Some("r.io:443"), "a/b", Some("1"), Some("sha256:00ff"))));
    }

    #[test]
    fn text_with_variables_is_no_reference() {
        for text in [
            "",
            "${IMAGE}",
            "$(IMAGE):1",
            "app:{{ tag }}",
            "app: 1",
            "<image>",
            "app:",
            "@sha256:00",
            "app/",
            "a@b",
            "#{x}#",
        ] {
            check(text, None);
        }
    }
}
