//! A check of the whole installation: what is in order, what to look at, and how to mend it.
//! Each check is a plain function of what it looks at; nothing here changes anything.

mod enrichment;
mod logs;
mod mail;
mod org;
mod places;
mod runs;
mod setup;

pub use enrichment::enrichment;
pub use logs::{data_sets, gaps, inputs};
pub use mail::{outbox, recipients, signature, way_out, webhook};
pub use org::{OrgSeen, Readable, org, sign_out, visitor};
pub use places::{output, places};
pub use runs::{lake, last_run};
pub use setup::{registry, rules, settings};

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    Pass,
    /// Nothing to look at yet.
    Skip,
    /// It works, and something is worth a look.
    Warn,
    /// It does not work, or not safely.
    Fail,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Skip => "SKIP",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `config`, `files`, `org`, `registry`, `enrich`, `inputs`, `lake`, `rules`, `mail` or `webhook`.
    pub area: &'static str,
    /// What was looked at.
    pub name: String,
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// What to do; empty where nothing is to be done.
    pub fix: String,
}

impl Check {
    pub fn pass(area: &'static str, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(area, name, Verdict::Pass, detail, "")
    }

    pub fn skip(
        area: &'static str,
        name: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(area, name, Verdict::Skip, detail, fix)
    }

    pub fn warn(
        area: &'static str,
        name: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(area, name, Verdict::Warn, detail, fix)
    }

    pub fn fail(
        area: &'static str,
        name: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(area, name, Verdict::Fail, detail, fix)
    }

    fn new(
        area: &'static str,
        name: impl Into<String>,
        verdict: Verdict,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            area,
            name: name.into(),
            verdict,
            detail: detail.into(),
            fix: fix.into(),
        }
    }
}
