//! What can go wrong between this machine and the org, by what it means for the night.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why there is no answer. Texts of the org in it are printable, cut, and never hold a secret or
/// the request.
#[derive(Debug, thiserror::Error)]
pub enum SalesforceError {
    /// A setting, a key or a certificate cannot be used.
    #[error("{what}")]
    Setup {
        what: String,
        fix: Cow<'static, str>,
    },
    /// The token endpoint said no, or the session is not the one that was asked for.
    #[error("{what}")]
    SignIn {
        class: Class,
        what: String,
        /// `error` of the answer, as `invalid_grant`.
        code: Option<String>,
        fix: Cow<'static, str>,
        retry: Retry,
    },
    /// The org answered with an error.
    #[error("{what}")]
    Refused {
        class: Class,
        status: u16,
        what: String,
        /// `errorCode` of the answer, as `INVALID_FIELD`.
        code: Option<String>,
        fix: Cow<'static, str>,
        retry: Retry,
    },
    /// No answer, or only a part of one.
    #[error("{what}")]
    Network {
        what: String,
        fix: Cow<'static, str>,
    },
    /// An answer that makes no sense.
    #[error("{what}")]
    Protocol {
        what: String,
        fix: Cow<'static, str>,
    },
    /// Our polite share of the org's API calls is used up.
    #[error(
        "{used} of {allowed} API calls of {whose} are used, which is more than `usage_share` leaves to this program"
    )]
    Share {
        used: u64,
        allowed: u64,
        /// `the org` or `the app`.
        whose: &'static str,
    },
    /// This machine's own disk.
    #[error("cannot write `{}`: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
}

/// What an error means for the night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Settings, keys, rights to sign in: nothing will change by itself.
    Config,
    /// The org's limit, or our polite share of it: the next run goes on.
    Throttled,
    /// This one data set or file cannot be read: a missing permission, object or licence.
    Unreadable,
    /// The query took too long: halve the window.
    TooLarge,
    /// 404 of a log file.
    Gone,
    /// Network, 5xx, maintenance; after all retries.
    Passing,
    /// An answer that makes no sense.
    Protocol,
    /// This machine's disk.
    Local,
}

/// How often one may ask again, and how long one waits before that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Never,
    /// 1 s doubled each time up to 60 s, and of that a random part.
    Backoff {
        most: u32,
    },
    /// As the server wishes.
    After {
        most: u32,
        wait: Duration,
    },
    /// Too many requests at one time: 30 to 120 s.
    Crowded,
}

impl SalesforceError {
    pub fn class(&self) -> Class {
        match self {
            Self::Setup { .. } => Class::Config,
            Self::SignIn { class, .. } | Self::Refused { class, .. } => *class,
            Self::Network { .. } => Class::Passing,
            Self::Protocol { .. } => Class::Protocol,
            Self::Share { .. } => Class::Throttled,
            Self::Disk { .. } => Class::Local,
        }
    }

    /// Whether the disk, or the user's share of it, has no room for a file.
    pub fn is_no_room(&self) -> bool {
        let Self::Disk { source, .. } = self else {
            return false;
        };
        matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }

    /// What to do about it.
    pub fn fix(&self) -> &str {
        match self {
            Self::Setup { fix, .. }
            | Self::SignIn { fix, .. }
            | Self::Refused { fix, .. }
            | Self::Network { fix, .. }
            | Self::Protocol { fix, .. } => fix,
            Self::Share { .. } => {
                "the next run goes on where this one stopped; raise `usage_share` if the org can spare more"
            }
            Self::Disk { .. } => "make room, and check that this user may write there",
        }
    }

    /// Salesforce's own word for it: `errorCode`, or `error` of the token endpoint.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::SignIn { code, .. } | Self::Refused { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// An answer that makes no sense, in a word of ours.
    pub(in crate::salesforce) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol {
            what: what.into(),
            fix: Cow::Borrowed(
                "the next run tries again; if it stays, a proxy or a new release of Salesforce changes the answers",
            ),
        }
    }

    /// The same error once more, where a second attempt is not worth it; None for those that may
    /// pass.
    pub(in crate::salesforce) fn lasting(&self) -> Option<Self> {
        match self {
            Self::Setup { what, fix } => Some(Self::Setup {
                what: what.clone(),
                fix: fix.clone(),
            }),
            Self::SignIn {
                class: class @ (Class::Config | Class::Throttled),
                what,
                code,
                fix,
                ..
            } => Some(Self::SignIn {
                class: *class,
                what: what.clone(),
                code: code.clone(),
                fix: fix.clone(),
                retry: Retry::Never,
            }),
            Self::Refused {
                class: class @ (Class::Config | Class::Throttled),
                status,
                what,
                code,
                fix,
                ..
            } => Some(Self::Refused {
                class: *class,
                status: *status,
                what: what.clone(),
                code: code.clone(),
                fix: fix.clone(),
                retry: Retry::Never,
            }),
            _ => None,
        }
    }

    pub(in crate::salesforce) fn retry(&self) -> Retry {
        match self {
            Self::SignIn { retry, .. } | Self::Refused { retry, .. } => *retry,
            Self::Network { .. } => Retry::Backoff { most: 5 },
            _ => Retry::Never,
        }
    }
}
