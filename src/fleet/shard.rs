//! Divides a fleet between machines that know nothing of each other.

use std::str::FromStr;

use crate::git;

/// One part of `of`; the first is 0, as the index of a pod in an Indexed Job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl Shard {
    /// Whether a repo is in this part. Only its name decides: a longer list moves no repo to another shard.
    pub fn has(self, name: &str) -> bool {
        let start: String = git::blob_id(name.as_bytes()).chars().take(8).collect();
        u32::from_str_radix(&start, 16).unwrap_or(0) % self.of == self.index
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parts =
            text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((index, of)) if index < of => Ok(Shard { index, of }),
            Some((_, of)) if of > 0 => Err(format!("the shards are 0/{of} to {}/{of}", of - 1)),
            _ => Err("write it as `0/3`, the first of three".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_repo_is_in_one_shard_and_the_shards_are_of_like_size() {
        let shards: Vec<Shard> = (0..4).map(|index| format!("{index}/4").parse().unwrap()).collect();
        let mut sizes = [0; 4];
        for name in (0..1000).map(|n| format!("https://forge/acme/repo-{n}")) {
            let homes: Vec<usize> = (0..4).filter(|&idx| shards[idx].has(&name)).collect();
            let [home] = homes[..] else { panic!("{name}: {homes:?}") };
            sizes[home] += 1;
        }
        assert!(sizes.iter().all(|size| (200..300).contains(size)), "{sizes:?}");
    }

    #[test]
    fn what_is_no_shard_is_said_to_be_none() {
        let error = |text: &str| text.parse::<Shard>().unwrap_err();
        assert_eq!(error("3/3"), "the shards are 0/3 to 2/3");
        assert_eq!(error("1"), "write it as `0/3`, the first of three");
        assert_eq!(error("0/0"), "write it as `0/3`, the first of three");
    }
}
