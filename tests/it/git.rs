//! Branches and reads, judged by the real git.

mod branches;
mod dirty;
mod filters;
mod pushes;
mod reading;
mod roads;
mod sandbox;
