//! Rules about the allowing of findings itself. They are raised where findings are matched with allows.

use super::{Area, Check, Rule, Severity};

pub(super) const RULES: &[&Rule] = &[&ALLOW_WITHOUT_REASON, &ALLOW_UNMATCHED, &ALLOW_EXPIRED];

/// Stands in a finding until the rule that made it signs it.
pub(super) const UNSET: Rule = Rule {
    id: "",
    area: Area::Allow,
    severity: Severity::Low,
    pss: None,
    known_as: &[],
    check: Check::Notice,
    docs: "",
};

pub(crate) use self::expired::RULE as ALLOW_EXPIRED;
pub(crate) use self::unmatched::RULE as ALLOW_UNMATCHED;
pub(crate) use self::without_reason::RULE as ALLOW_WITHOUT_REASON;

mod without_reason {
    use super::{Area, Check, Severity};

    crate::rules::rule! {
        /// A finding is allowed without a reason.
        ///
        /// ## Why
        /// Nobody can tell later whether the exception still holds, or who decided it. A comment that names no
        /// known rule allows nothing, and hides that.
        ///
        /// ## Fix
        /// Write `# caseharden: allow RULE -- reason`, or give the entry of `[[allow]]` a `reason`. Only a person
        /// knows it: nothing is changed.
        ///
        /// ## What could break
        /// Nothing.
        ///
        /// ## Sources
        /// - The checklist item "audit each exception individually".
        {
            id: "allow-without-reason",
            area: Area::Allow,
            severity: Severity::Low,
            pss: None,
            known_as: &[],
            check: Check::Notice,
        }
    }
}

mod unmatched {
    use super::{Area, Check, Severity};

    crate::rules::rule! {
        /// An allow matches no finding any more.
        ///
        /// ## Why
        /// What it excused is gone. Left in place it will silently excuse the same problem when somebody brings
        /// it back.
        ///
        /// ## Fix
        /// Delete the comment, the entry of `[[allow]]` or the record in the exceptions file. Nothing is changed
        /// by the tool.
        ///
        /// ## What could break
        /// Nothing.
        ///
        /// ## Sources
        /// - ruff's RUF100 and cargo-deny's unmatched-skip are the same idea.
        {
            id: "allow-unmatched",
            area: Area::Allow,
            severity: Severity::Low,
            pss: None,
            known_as: &[],
            check: Check::Notice,
        }
    }
}

mod expired {
    use super::{Area, Check, Severity};

    crate::rules::rule! {
        /// An allow is past its end date.
        ///
        /// ## Why
        /// The exception was given for a time. From its end date on, the findings it excused are reported again.
        ///
        /// ## Fix
        /// Fix what it excused, or renew `expires` with a reason that still holds.
        ///
        /// ## What could break
        /// Nothing.
        ///
        /// ## Sources
        /// - The checklist item "audit each exception individually".
        {
            id: "allow-expired",
            area: Area::Allow,
            severity: Severity::Low,
            pss: None,
            known_as: &[],
            check: Check::Notice,
        }
    }
}
