//! Whether a version fits a constraint, as Sprig's `semverCompare` says
//! (<https://github.com/Masterminds/semver#checking-version-constraints>).

/// Numbers, how many of them are written, and whether it is a release rather than something before it.
struct Version {
    numbers: [u64; 3],
    written: usize,
    is_release: bool,
}

/// `None` for what is not understood.
pub(super) fn fits(constraint: &str, version: &str) -> Option<bool> {
    let version = parse(version)?;
    // What comes before a release fits by rules of its own.
    if !version.is_release {
        return None;
    }
    let mut any = false;
    for alternative in constraint.split("||") {
        let mut all = true;
        for part in parts(alternative) {
            all &= fits_part(&part, &version)?;
        }
        any |= all;
    }
    Some(any)
}

/// Single comparisons, each with its operator.
fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        match parts.last_mut() {
            Some(last) if last.ends_with(['<', '>', '=', '~', '^', '!']) => last.push_str(word),
            _ => parts.push(word.to_owned()),
        }
    }
    parts
}

fn fits_part(part: &str, version: &Version) -> Option<bool> {
    let split = part.find(|c: char| !"<>=~^!".contains(c)).unwrap_or(part.len());
    let (operator, text) = part.split_at(split);
    if matches!(text, "*" | "x" | "X") {
        return Some(operator.is_empty() || operator.contains('='));
    }
    let wanted = parse(text)?;
    let order = (version.numbers, version.is_release).cmp(&(wanted.numbers, wanted.is_release));
    let same = |count: usize| version.numbers[..count] == wanted.numbers[..count];
    Some(match operator {
        "" | "=" | "==" if wanted.written < 3 => same(wanted.written),
        "" | "=" | "==" => order.is_eq(),
        "!=" if wanted.written < 3 => !same(wanted.written),
        "!=" => order.is_ne(),
        ">=" | "=>" => order.is_ge(),
        "<" => order.is_lt(),
        ">" if wanted.written < 3 && wanted.is_release => order.is_gt() && !same(wanted.written),
        ">" => order.is_gt(),
        "<=" | "=<" if wanted.written < 3 => order.is_le() || same(wanted.written),
        "<=" | "=<" => order.is_le(),
        "~" | "~>" => order.is_ge() && same(wanted.written.min(2)),
        "^" => {
            let fixed = wanted.numbers[..wanted.written].iter().position(|number| *number > 0);
            order.is_ge() && same(fixed.map_or(wanted.written, |idx| idx + 1))
        }
        _ => return None,
    })
}

fn parse(text: &str) -> Option<Version> {
    let text = text.trim().trim_start_matches('v');
    let text = text.split('+').next()?;
    let (numbers, before) = match text.split_once('-') {
        Some((numbers, before)) => (numbers, Some(before)),
        None => (text, None),
    };
    // Only the lowest of all that come before a release has a place that is known here.
    if before.is_some_and(|before| before != "0") {
        return None;
    }
    let mut version = Version { numbers: [0; 3], written: 0, is_release: before.is_none() };
    for part in numbers.split('.') {
        if matches!(part, "x" | "X" | "*") {
            break;
        }
        *version.numbers.get_mut(version.written)? = part.parse().ok()?;
        version.written += 1;
    }
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(constraint: &str, version: &str, expected: bool) {
        assert_eq!(fits(constraint, version), Some(expected), "{constraint} {version}");
    }

    #[test]
    fn constraints_are_read_as_masterminds_does() {
        check(">=1.33.0-0", "v1.33.0", true);
        check(">= 1.33-0", "v1.33.0", true);
        check(">1.21-0", "1.33.0", true);
        check("<1.19-0", "v1.33.0", false);
        check("^1.2.3", "1.9.0", true);
        check("^0.2.3", "0.3.0", false);
        check("~1.2", "1.2.9", true);
        check("~1.2.3", "1.3.0", false);
        check(">=1.19 <1.22", "1.33.0", false);
        check("<1.19 || >=1.30, <2", "1.33.0", true);
        check("1.x", "1.33.0", true);
        check("*", "1.33.0", true);
        check(">1", "1.33.0", false);
        assert_eq!(fits(">=1.2.3-beta.1", "1.2.3"), None);
        assert_eq!(fits(">=1.2.3", "1.2.3-gke.1"), None);
    }
}
