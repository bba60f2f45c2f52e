//! Many repos in one run: which they are, which of them are this shard's, and what is known of each already.
//!
//! Knows names and outcomes. What is done to a repo is the command line's; nothing here starts a process or asks a forge.

mod journal;
mod list;
mod shard;

pub use journal::{Entry, Journal, JournalError, Status};
pub use list::{Place, Target, targets};
pub use shard::Shard;
