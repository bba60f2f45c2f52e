//! What a forge knows of a repo: who owns which file, and which pull requests ask for which branch.
//!
//! Speaks to GitHub, GitLab, Gitea (Forgejo) and Bitbucket Cloud by their REST APIs. A token goes to the API of its own
//! forge and nowhere else: redirects are not followed, plain HTTP is for this machine only, and no text of ours has it.
//! Knows nothing of manifests, rules or findings, and pushes nothing: that is [`crate::git`]'s.

mod api;
mod bitbucket;
mod gitea;
mod github;
mod gitlab;
mod http;
mod marker;
mod org;
mod owners;
mod place;
mod token;

pub use api::{Forge, Pull, State, WantedPull};
pub use http::Failure;
pub use marker::Marker;
pub use org::Organisation;
pub use owners::CodeOwners;
pub use place::{Kind, Place};
pub use token::Token;
