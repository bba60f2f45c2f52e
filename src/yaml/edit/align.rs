//! Which old items of a sequence are which wanted items.
//!
//! Sees values only.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::super::value::same;

/// Above this many comparisons items are paired by position.
const MOST_COMPARISONS: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// An old item is a wanted one.
    Keep(usize),
    /// An old item becomes a wanted one (which may be equal).
    Pair(usize, usize),
    Delete(usize),
    Insert(usize),
}

/// Equal items stay; between them the rest is paired in order, what remains is deleted or inserted.
pub(super) fn align(old: &[Value], new: &[Value]) -> Vec<Step> {
    let prefix = old.iter().zip(new).take_while(|(old, new)| same(old, new)).count();
    let suffix = old[prefix..].iter().rev().zip(new[prefix..].iter().rev());
    let suffix = suffix.take_while(|(old, new)| same(old, new)).count();
    let (old_middle, new_middle) = (prefix..old.len() - suffix, prefix..new.len() - suffix);
    let equal = common(&old[old_middle.clone()], &new[new_middle.clone()]);

    let mut steps: Vec<Step> = (0..prefix).map(Step::Keep).collect();
    let (mut from_old, mut from_new) = (prefix, prefix);
    let ends = (old_middle.end - prefix, new_middle.end - prefix);
    for (at_old, at_new) in equal.into_iter().chain([ends]) {
        run(&mut steps, (old, from_old..at_old + prefix), (new, from_new..at_new + prefix));
        (from_old, from_new) = (at_old + prefix, at_new + prefix);
        if (at_old, at_new) != ends {
            steps.push(Step::Pair(from_old, from_new));
            from_old += 1;
            from_new += 1;
        }
    }
    steps.extend((0..suffix).map(|index| Step::Keep(old_middle.end + index)));
    steps
}

/// Pairs as many items as there are on the shorter side, in order, those that have most in common.
fn run(
    steps: &mut Vec<Step>,
    (old, old_range): (&[Value], std::ops::Range<usize>),
    (new, new_range): (&[Value], std::ops::Range<usize>),
) {
    let shared = |old_idx: usize, new_idx: usize| in_common(&old[old_idx], &new[new_idx]);
    let skipped = if old_range.len() <= new_range.len() {
        let spare =
            spare(old_range.len(), new_range.len(), |s, l| shared(old_range.start + s, new_range.start + l));
        (Vec::new(), spare)
    } else {
        let spare =
            spare(new_range.len(), old_range.len(), |s, l| shared(old_range.start + l, new_range.start + s));
        (spare, Vec::new())
    };
    let (mut at_old, mut at_new) = (old_range.start, new_range.start);
    while at_old < old_range.end || at_new < new_range.end {
        if skipped.0.contains(&(at_old - old_range.start)) {
            steps.push(Step::Delete(at_old));
            at_old += 1;
        } else if skipped.1.contains(&(at_new - new_range.start)) {
            steps.push(Step::Insert(at_new));
            at_new += 1;
        } else {
            steps.push(Step::Pair(at_old, at_new));
            (at_old, at_new) = (at_old + 1, at_new + 1);
        }
    }
}

/// The items of the longer side that stay without a partner.
fn spare(short: usize, long: usize, shared: impl Fn(usize, usize) -> u32) -> Vec<usize> {
    let room = long - short;
    if short == 0 || room == 0 || short.saturating_mul(room + 1) > MOST_COMPARISONS {
        return (short..long).collect();
    }
    // best[s][k]: of the pairs from `s` on, when `k` of the longer side were passed over before it.
    let width = room + 1;
    let mut best = vec![0u32; (short + 1) * width];
    for s in (0..short).rev() {
        for k in (0..=room).rev() {
            let here = shared(s, s + k) + best[(s + 1) * width + k];
            let later = if k < room { best[s * width + k + 1] } else { 0 };
            best[s * width + k] = here.max(later);
        }
    }
    let (mut k, mut passed) = (0, Vec::new());
    for s in 0..short {
        // The earliest of equally good partners.
        while k < room && best[s * width + k] > shared(s, s + k) + best[(s + 1) * width + k] {
            passed.push(s + k);
            k += 1;
        }
    }
    passed.extend(short + k..long);
    passed
}

/// How many entries two mappings share.
fn in_common(old: &Value, new: &Value) -> u32 {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return 0 };
    let same =
        old.iter().filter(|(key, value)| new.get(*key).is_some_and(|other| hash(value) == hash(other)));
    u32::try_from(same.count()).unwrap_or(u32::MAX)
}

/// Pairs of a longest common subsequence.
fn common(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let comparisons = old.len().saturating_mul(new.len());
    // A single pair is compared already.
    if comparisons <= 1 || comparisons > MOST_COMPARISONS {
        return Vec::new();
    }
    let old: Vec<u64> = old.iter().map(hash).collect();
    let new: Vec<u64> = new.iter().map(hash).collect();
    let width = new.len() + 1;
    let mut lengths = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i * width + j] = if old[i] == new[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// Equal values have equal hashes: keys in any order, numbers by value.
fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        Value::Null => 0u8.hash(&mut hasher),
        Value::Bool(bool) => (1u8, bool).hash(&mut hasher),
        Value::Number(number) => (2u8, number.as_f64().map(f64::to_bits)).hash(&mut hasher),
        Value::String(text) => (3u8, text).hash(&mut hasher),
        Value::Array(items) => {
            4u8.hash(&mut hasher);
            items.iter().map(hash).for_each(|item| item.hash(&mut hasher));
        }
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| {
                let mut entry = DefaultHasher::new();
                (key, hash(value)).hash(&mut entry);
                entry.finish()
            });
            (5u8, entries.fold(0u64, u64::wrapping_add)).hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Step::{Delete, Insert, Keep, Pair};
    use super::*;

    #[track_caller]
    fn check(old: Value, new: Value, expected: &[Step]) {
        assert_eq!(align(old.as_array().unwrap(), new.as_array().unwrap()), expected);
    }

    #[test]
    fn equal_items_stay() {
        check(json!([1, 2, 3]), json!([1, 3]), &[Keep(0), Delete(1), Keep(2)]);
        check(json!([1, 3]), json!([1, 2, 3]), &[Keep(0), Insert(1), Keep(1)]);
        check(json!([{"a": 1, "b": 2}]), json!([0, {"b": 2, "a": 1}]), &[Insert(0), Keep(0)]);
    }

    #[test]
    fn different_runs_are_paired_in_order() {
        check(json!([1, 2, 3]), json!([4, 5, 3, 6]), &[Pair(0, 0), Pair(1, 1), Pair(2, 2), Insert(3)]);
        check(json!([1, 9, 2]), json!([3, 9]), &[Pair(0, 0), Pair(1, 1), Delete(2)]);
        check(json!([1, 2, 3]), json!([4, 2, 5]), &[Pair(0, 0), Pair(1, 1), Pair(2, 2)]);
    }

    #[test]
    fn mappings_are_paired_with_what_they_share_most_with() {
        let (a, b) = (json!({"g": "", "r": 1, "v": 1}), json!({"g": "", "r": 2, "v": 2}));
        let changed = json!({"g": "", "r": 3, "v": 2});
        check(json!([a, b]), json!([changed]), &[Delete(0), Pair(1, 0)]);
        check(json!([changed]), json!([a, b]), &[Insert(0), Pair(0, 1)]);
        check(json!([a, b]), json!([{"g": ""}]), &[Pair(0, 0), Delete(1)]);
    }

    #[test]
    fn huge_sequences_are_paired_by_position() {
        let old: Vec<Value> = (0..5000).map(Value::from).collect();
        let new: Vec<Value> = (0..5000).map(|index| Value::from(index * 2 + 1)).collect();
        assert_eq!(align(&old, &new).len(), 5000);
    }
}
