//! A branch on its remote: put there if nobody else has touched what stands in its place.

use super::helped;
use crate::git::{ObjectId, Repository, Standing};
use crate::render::branches::{Branch, Delivered, Delivery};

/// A remote, for branches that stand on one base.
#[derive(Clone, Copy)]
pub(super) struct Remote<'a> {
    pub(super) repository: &'a Repository,
    pub(super) name: &'a str,
    pub(super) base: ObjectId,
}

/// A branch that a run made, or would make, with what its pull request says.
pub(super) struct Draft {
    pub(super) branch: Branch,
    /// None of a dry run.
    pub(super) commit: Option<ObjectId>,
    pub(super) body: String,
    pub(super) labels: Vec<String>,
    /// The branch it stands on, in a stack.
    pub(super) below: Option<String>,
}

/// What the remote holds now.
pub(super) enum Placed {
    /// Others have committed to it.
    Touched,
    /// The commit that is there, and whether it had to be pushed.
    There(ObjectId, bool),
}

pub(super) const TOUCHED: &str = "others have committed to it on the remote";

impl Remote<'_> {
    pub(super) fn standing(&self, branch: &str) -> anyhow::Result<Standing> {
        self.repository.standing(self.name, branch, self.base).map_err(helped)
    }

    /// Puts a commit where `standing` is.
    pub(super) fn place(&self, branch: &str, commit: ObjectId, standing: Standing) -> anyhow::Result<Placed> {
        let seen = match standing {
            Standing::Touched => return Ok(Placed::Touched),
            Standing::Absent => None,
            Standing::Ours(tip) => Some(tip),
        };
        // What stands there with the same files on the same commit is as good as ours, and its own commit stays.
        if let Some(tip) = seen
            && self.repository.is_same(tip, commit).map_err(helped)?
        {
            return Ok(Placed::There(tip, false));
        }
        self.repository.publish(self.name, branch, seen).map_err(helped)?;
        Ok(Placed::There(commit, true))
    }

    /// Pushes a branch that gets no pull request.
    pub(super) fn deliver(&self, draft: &Draft) -> anyhow::Result<Delivery> {
        let Some(commit) = draft.commit else { return Ok(Delivery::new(Delivered::WouldPush)) };
        let name = &draft.branch.name;
        Ok(match self.place(name, commit, self.standing(name)?)? {
            Placed::Touched => Delivery::because(Delivered::LeftAlone, TOUCHED),
            Placed::There(_, true) => Delivery::new(Delivered::Pushed),
            Placed::There(_, false) => Delivery::new(Delivered::UpToDate),
        })
    }
}
