//! What the user decided, as plain values for rules.

use serde_json::{Map, Value};

use crate::config::Config;
use crate::pss;
use crate::template::{TemplateError, Templates};

/// Everything rules depend on beside the model.
#[derive(Debug)]
pub struct Settings<'a> {
    pub config: &'a Config,
    pub templates: &'a Templates,
    /// The level and version that rules ask for.
    pub level: pss::Level,
    pub version: pss::Version,
    pub standard: Standard,
}

/// The security contexts that the templates render for the profile: what a hardened pod has.
#[derive(Debug, Clone, Default)]
pub struct Standard {
    pub pod: Map<String, Value>,
    pub container: Map<String, Value>,
}

impl<'a> Settings<'a> {
    pub fn new(config: &'a Config, templates: &'a Templates) -> Result<Settings<'a>, TemplateError> {
        let (level, version) = (config.profile.level, config.profile.version);
        let standard = Standard::render(templates, config)?;
        Ok(Settings { config, templates, level, version, standard })
    }
}
