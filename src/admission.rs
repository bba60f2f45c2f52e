//! Admission policies that keep a hardened repo hardened: what a cluster may ask of every new object because all
//! workloads of the repo already meet it.
//!
//! ```text
//! repo as its fixes make it ──> judge ──> kept, with exceptions · left out, with reasons ──> policies
//! ```
//!
//! - `expression`: what each requirement says, in CEL; one text for every engine that speaks it.
//! - `judge`: which requirements the repo meets, and for whom it knowingly makes an exception.
//! - `exception`: how an exception names a workload and what its controllers make.
//! - `signatures`: which images have to be signed, and by whom.
//!
//! Knows the model, settings and what was allowed; nothing of engines, templates or files.

mod exception;
mod expression;
mod judge;
mod signatures;

pub use exception::Exception;
pub use expression::{Group, KINDS, Requirement, Variable, requirements, variables};
pub use judge::{Allowed, Judgement, Kept, LeftOut, Scope, judge};
pub use signatures::{SignedImages, Signer, signed_images};
