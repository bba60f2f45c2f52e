//! "Did you mean …": the nearest of some known names. Knows nothing of what they name.

/// Returns the candidate nearest to `word`, if one is near enough that a typing mistake explains it.
///
/// Of several equally near ones the first is taken, so the answer follows the order of `candidates`.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance in which case and the choice of `-` or `_` cost nothing.
fn distance(a: &str, b: &str) -> usize {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    strsim::damerau_levenshtein(&plain(a), &plain(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        assert_eq!(nearest(word, ["runs-as-root", "host-port", "rules", "tag"]), expected);
    }

    #[test]
    fn finds_a_mistyped_name_and_nothing_far_away() {
        check("runs-as-rot", Some("runs-as-root"));
        check("Runs_As_Root", Some("runs-as-root"));
        check("hsot-port", Some("host-port"));
        check("tga", Some("tag"));
        check("privileged", None);
        check("", None);
    }
}
