//! What the program says by its exit code.

use std::process::ExitCode;

/// Exit codes, a contract with schedulers and scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, nothing at or above the threshold.
    Done = 0,
    /// Done, findings at or above `--fail-on`.
    Findings = 1,
    /// The command line, the config, a registry or a rule file is wrong; nothing was done.
    Usage = 2,
    /// Partial: input rejected or quarantined beyond the limit, the org not fetched whole, a rule
    /// failed, or a rule went blind that could see before; or the report or the metrics could not
    /// be written.
    Partial = 3,
    /// Alerts not delivered; they wait in the outbox.
    NotDelivered = 4,
    /// A fault of the program or of the machine (disk full, no permission).
    Internal = 70,
    /// Another run holds the lock.
    Locked = 75,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The code of a night to which several apply: the numerically largest. The summary lists
    /// them all.
    pub fn merge(reasons: impl IntoIterator<Item = Exit>) -> Exit {
        reasons.into_iter().max().unwrap_or(Exit::Done)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_numbers_do_not_change() {
        let codes = [
            (Exit::Done, 0),
            (Exit::Findings, 1),
            (Exit::Usage, 2),
            (Exit::Partial, 3),
            (Exit::NotDelivered, 4),
            (Exit::Internal, 70),
            (Exit::Locked, 75),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code);
        }
    }

    #[test]
    fn of_findings_partial_and_not_delivered_the_largest_wins() {
        use Exit::*;
        assert_eq!(Exit::merge([]), Done);
        assert_eq!(Exit::merge([Findings]), Findings);
        assert_eq!(Exit::merge([Partial, Findings]), Partial);
        assert_eq!(Exit::merge([Findings, NotDelivered, Partial]), NotDelivered);
        assert_eq!(Exit::merge([Done, Findings]), Findings);
    }
}
