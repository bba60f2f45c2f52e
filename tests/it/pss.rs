//! The Pod Security evaluator against what others say of the same pods: upstream's fixtures, and upstream's code.

mod dice;
mod fixtures;
mod oracle;
pub(crate) mod random_pod;

pub(crate) use dice::Dice;
