//! What the user decided, as plain values for rules.

use serde_json::{Map, Value};

use crate::audit_log;
use crate::config::Config;
use crate::connections::Flows;
use crate::lock::Lock;
use crate::pss;
use crate::sealing::Sealing;
use crate::template::{self, TemplateError, Templates};

/// Everything rules depend on beside the model.
#[derive(Debug)]
pub struct Settings<'a> {
    pub config: &'a Config,
    pub templates: &'a Templates,
    /// The level and version that rules ask for.
    pub level: pss::Level,
    pub version: pss::Version,
    pub standard: Standard,
    /// What is known of images; empty without a lock file.
    pub lock: &'a Lock,
    /// What accounts were seen to do; `None` without an audit log.
    pub audit: Option<&'a audit_log::Evidence>,
    /// What flow logs show; empty without one.
    pub flows: &'a Flows,
    /// Whether anybody reads the texts of new files; only then they have to be made.
    pub reads_new_files: bool,
    /// What became of Secrets that are to be encrypted.
    pub sealing: &'a Sealing,
}

/// The security contexts that the templates render for the profile: what a hardened pod has.
#[derive(Debug, Clone, Default)]
pub struct Standard {
    pub pod: Map<String, Value>,
    /// With the fields that a container only needs where its pod cannot carry them.
    pub container: Map<String, Value>,
}

impl<'a> Settings<'a> {
    pub fn new(
        config: &'a Config,
        templates: &'a Templates,
        lock: &'a Lock,
        flows: &'a Flows,
    ) -> Result<Settings<'a>, TemplateError> {
        let (level, version) = (config.profile.level, config.profile.version);
        let standard = Standard::render(templates, config)?;
        let (sealing, reads_new_files) = (&Sealing::Later, true);
        Ok(Settings {
            config,
            templates,
            level,
            version,
            standard,
            lock,
            flows,
            audit: None,
            sealing,
            reads_new_files,
        })
    }
}

impl Standard {
    fn render(templates: &Templates, config: &Config) -> Result<Standard, TemplateError> {
        let inputs = template::Standard::from(config);
        let map = |value: &Value| value.as_object().cloned().unwrap_or_default();
        Ok(Standard {
            pod: map(&*templates.pod_security_context(&inputs)?),
            container: map(&*templates.container_security_context(&inputs, true)?),
        })
    }
}
