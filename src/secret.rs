//! What is secret in a repo: names that promise a secret, values that are one by their form, the contents of Secrets,
//! and the lines of a text that show any of it.
//!
//! Knows the shape of Secrets, ConfigMaps and environments, and nothing of findings or files. Nothing in here prints
//! or keeps a value.

mod content;
mod lines;
mod settings;
mod text;

pub use self::content::{Entry, Nature, entries, holds_real_values, is_secret_object};
pub use self::lines::{SecretLines, secret_values};
pub use self::settings::{SecretArgument, SecretLine, argument, file_content};
pub use self::text::{Token, is_secret_name, is_secret_value, known_token, literal};
