//! What a valid registry still leaves to be wished for.

use chrono::{DateTime, Utc};

use crate::config::{Position, UserRef};
use crate::privacy::printable;

use super::Registry;
use super::model::{RegistryUser, Role, Validity, Window};
use super::resolution::Resolution;

/// One thing to look at, at its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// The entry in the registry file.
    pub at: Position,
    /// The user or the app that the entry is about.
    pub subject: String,
    /// What is the matter and what to do.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// No log has shown the user.
    UnresolvedUser,
    /// The logs know the username under other ids, or under several.
    AmbiguousUser,
    /// Another entry means the same user at the same time.
    SameUserTwice,
    /// The entry holds no longer, and no other continues it.
    ExpiredUser,
    ExpiredWindow,
    /// The window is for a user without entry.
    UnregisteredUser,
    NoOwner,
    NoNetworks,
    NoApps,
    NoFlows,
    /// A network of prefix 0.
    EveryAddress,
    NoTicket,
    /// The day by which somebody was to look at the entry has passed.
    ReviewPassed,
    /// A value of an entry that holds itself.
    ExpiredValue,
    /// The roster does not know the user.
    GoneUser,
    /// The roster says that the user is not active.
    DeactivatedUser,
    /// Known, but without login or call for all of the time that was looked at.
    SilentUser,
    UnusedNetwork,
    UnusedApp,
    UnusedFlow,
    UndeclaredAddress,
    UndeclaredApp,
    UndeclaredFlow,
}

impl ProblemKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ProblemKind::UnresolvedUser => "unresolved_user",
            ProblemKind::AmbiguousUser => "ambiguous_user",
            ProblemKind::SameUserTwice => "same_user_twice",
            ProblemKind::ExpiredUser => "expired_user",
            ProblemKind::ExpiredWindow => "expired_window",
            ProblemKind::UnregisteredUser => "unregistered_user",
            ProblemKind::NoOwner => "no_owner",
            ProblemKind::NoNetworks => "no_networks",
            ProblemKind::NoApps => "no_apps",
            ProblemKind::NoFlows => "no_flows",
            ProblemKind::EveryAddress => "every_address",
            ProblemKind::NoTicket => "no_ticket",
            ProblemKind::ReviewPassed => "review_passed",
            ProblemKind::ExpiredValue => "expired_value",
            ProblemKind::GoneUser => "gone_user",
            ProblemKind::DeactivatedUser => "deactivated_user",
            ProblemKind::SilentUser => "silent_user",
            ProblemKind::UnusedNetwork => "unused_network",
            ProblemKind::UnusedApp => "unused_app",
            ProblemKind::UnusedFlow => "unused_flow",
            ProblemKind::UndeclaredAddress => "undeclared_address",
            ProblemKind::UndeclaredApp => "undeclared_app",
            ProblemKind::UndeclaredFlow => "undeclared_flow",
        }
    }
}

impl Registry {
    /// Problems in the order of the file.
    pub fn check(&self, resolution: &Resolution, now: DateTime<Utc>) -> Vec<Problem> {
        let now_ms = now.timestamp_millis();
        let mut problems = vec![];
        for (n, user) in self.users.iter().enumerate() {
            let mut add = |kind, message: String| {
                let subject = user.name().to_owned();
                problems.push(Problem {
                    kind,
                    at: user.at,
                    subject,
                    message,
                });
            };
            self.check_identity(n, user, resolution, &mut add);
            if user.valid.to_ms <= now_ms {
                if !self.is_continued(user, resolution) {
                    let message = "the entry holds no longer: renew or remove it".to_owned();
                    add(ProblemKind::ExpiredUser, message);
                }
            } else {
                check_content(user, &mut add);
                if let Some(day) = user.review.filter(|day| *day < now.date_naive()) {
                    let message = format!(
                        "was to be reviewed by {day}: see that it still fits, and set a new `review`"
                    );
                    add(ProblemKind::ReviewPassed, message);
                }
                problems.extend(expired_values(user, now_ms));
            }
        }
        problems.extend(
            self.windows
                .iter()
                .flat_map(|w| self.check_window(w, resolution, now_ms)),
        );
        problems.sort_by_key(|problem| problem.at);
        problems
    }

    fn check_identity(
        &self,
        n: usize,
        user: &RegistryUser,
        resolution: &Resolution,
        add: &mut impl FnMut(ProblemKind, String),
    ) {
        let ids = user
            .username
            .as_deref()
            .and_then(|name| resolution.ids_of_username(name));
        match (&user.user_id, ids) {
            (None, None) => add(
                ProblemKind::UnresolvedUser,
                "no log has shown this username: check its spelling, or add its `id`".to_owned(),
            ),
            (_, Some(ids)) if ids.len() > 1 => {
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                let message = format!("the username belongs to several ids: {}", ids.join(", "));
                add(ProblemKind::AmbiguousUser, message);
            }
            _ => {}
        }
        let keys = resolution.keys(user);
        let twin = self.users[..n].iter().find(|other| {
            other.valid.intersection(&user.valid).is_some()
                && resolution.keys(other).iter().any(|key| keys.contains(key))
        });
        if let Some(twin) = twin {
            let line = twin.at.line;
            let message = format!(
                "the logs say that line {line} means the same user; that entry's role holds"
            );
            add(ProblemKind::SameUserTwice, message);
        }
    }

    fn is_continued(&self, user: &RegistryUser, resolution: &Resolution) -> bool {
        let keys = resolution.keys(user);
        self.users.iter().any(|other| {
            other.valid.to_ms > user.valid.to_ms
                && resolution.keys(other).iter().any(|key| keys.contains(key))
        })
    }

    fn check_window(&self, window: &Window, resolution: &Resolution, now_ms: i64) -> Vec<Problem> {
        let mut problems = vec![];
        let mut add = |kind, message: &str| {
            let subject = window.user.as_str().to_owned();
            problems.push(Problem {
                kind,
                at: window.at,
                subject,
                message: message.to_owned(),
            });
        };
        if window.valid.to_ms <= now_ms {
            add(
                ProblemKind::ExpiredWindow,
                "the window is closed: remove it, or keep it as record",
            );
        }
        if window.ticket.is_none() {
            add(
                ProblemKind::NoTicket,
                "an exception without a ticket: add `ticket`",
            );
        }
        if !self.is_registered(&window.user, window.valid, resolution) {
            add(
                ProblemKind::UnregisteredUser,
                "no [[user]] entry is for this user at that time",
            );
        }
        problems
    }

    fn is_registered(&self, user: &UserRef, when: Validity, resolution: &Resolution) -> bool {
        let keys = resolution.keys_of(user);
        self.users.iter().any(|entry| {
            entry.valid.intersection(&when).is_some()
                && resolution.keys(entry).iter().any(|key| keys.contains(key))
        })
    }
}

fn check_content(user: &RegistryUser, add: &mut impl FnMut(ProblemKind, String)) {
    let human = matches!(user.role, Role::Human | Role::HumanAdmin);
    if user.owner.is_none() && !human {
        add(
            ProblemKind::NoOwner,
            "nobody answers for this account: add `owner`".to_owned(),
        );
    }
    if matches!(user.role, Role::Integration | Role::Ci) {
        if user.networks.is_empty() {
            let message =
                "no `networks`: an unexpected address cannot be told from an expected one";
            add(ProblemKind::NoNetworks, message.to_owned());
        }
        if user.apps.is_empty() {
            let message = "no `apps`: a foreign app cannot be told from its own";
            add(ProblemKind::NoApps, message.to_owned());
        }
        if user.flows.is_empty() {
            let message = "no `flows`: a weaker login path cannot be told from its own";
            add(ProblemKind::NoFlows, message.to_owned());
        }
    }
    if let Some(net) = user.networks.iter().find(|net| net.value.prefix_len() == 0) {
        let message = format!("{} allows every address", net.value);
        add(ProblemKind::EveryAddress, message);
    }
}

/// What an entry that holds itself says in vain.
fn expired_values(user: &RegistryUser, now_ms: i64) -> Vec<Problem> {
    let mut problems = vec![];
    let mut look = |valid: Validity, at, what: String| {
        if valid.to_ms <= now_ms {
            problems.push(Problem {
                kind: ProblemKind::ExpiredValue,
                at,
                subject: user.name().to_owned(),
                message: format!("{what} holds no longer: renew or remove it"),
            });
        }
    };
    let nets = user.networks.iter().chain(&user.gateway_networks);
    nets.for_each(|own| look(own.valid, own.at, format!("network {}", own.value)));
    for own in &user.apps {
        let name = own.value.name.as_deref().or(own.value.id.as_deref());
        let name = printable(name.unwrap_or_default(), 60);
        look(own.valid, own.at, format!("app \"{name}\""));
    }
    for own in &user.flows {
        look(own.valid, own.at, format!("flow `{}`", own.value));
    }
    let texts = [
        ("tool", &user.tools),
        ("endpoint", &user.endpoints),
        ("UI path", &user.allow_ui_paths),
    ];
    for (what, list) in texts {
        for own in list {
            let value = printable(&own.value, 60);
            look(own.valid, own.at, format!("{what} \"{value}\""));
        }
    }
    for own in &user.hours {
        look(
            own.valid,
            own.at,
            format!("part of the week \"{}\"", own.value),
        );
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str, known: &[(&str, &str)]) -> Vec<(&'static str, usize)> {
        let registry = Registry::parse(text, "registry.toml").unwrap();
        let known = known
            .iter()
            .map(|(id, name)| ((*id).to_owned(), (*name).to_owned()));
        let resolution = Resolution::new(&registry, known);
        let now = "2026-01-31T03:00:00Z".parse().unwrap();
        let problems = registry.check(&resolution, now);
        assert!(
            problems
                .iter()
                .all(|p| !p.subject.is_empty() && !p.message.is_empty())
        );
        problems
            .into_iter()
            .map(|p| (p.kind.as_str(), p.at.line))
            .collect()
    }

    const COMPLETE: &str = r#"[[user]]
username = "erp@example.com"
role = "integration"
owner = "erp-team@example.com"
networks = ["198.51.100.0/28"]
apps = ["ERP Sync"]
flows = ["oauth_bearer"]
"#;
    const KNOWN: (&str, &str) = ("005000000000001AAA", "erp@example.com");

    #[test]
    fn a_complete_entry_of_a_known_user_has_no_problem() {
        assert_eq!(problems(COMPLETE, &[KNOWN]), []);
    }

    #[test]
    fn a_user_that_no_log_has_shown_is_reported() {
        assert_eq!(problems(COMPLETE, &[]), [("unresolved_user", 1)]);
        let by_id = COMPLETE.replace("username = \"erp@example.com\"", "id = \"005000000000001\"");
        assert_eq!(problems(&by_id, &[]), []);
    }

    #[test]
    fn what_an_entry_leaves_open_is_reported() {
        let bare = "[[user]]\nusername = \"erp@example.com\"\nrole = \"integration\"\n";
        assert_eq!(
            problems(bare, &[KNOWN]),
            [
                ("no_owner", 1),
                ("no_networks", 1),
                ("no_apps", 1),
                ("no_flows", 1)
            ]
        );
        assert_eq!(
            problems(&bare.replace("integration", "human"), &[KNOWN]),
            []
        );
        let all = COMPLETE.replace("198.51.100.0/28", "0.0.0.0/0");
        assert_eq!(problems(&all, &[KNOWN]), [("every_address", 1)]);
    }

    #[test]
    fn entries_and_windows_past_their_end_are_reported() {
        let old = format!("{COMPLETE}valid_to = 2026-01-31\n");
        assert_eq!(problems(&old, &[KNOWN]), [("expired_user", 1)]);
        let continued = format!("{old}\n{COMPLETE}valid_from = 2026-01-31\n");
        assert_eq!(problems(&continued, &[KNOWN]), []);
        let window = "[[window]]\nkind = \"consent\"\nuser = \"ERP@example.com\"\nfrom = 2026-01-01\nto = 2026-01-02\nticket = \"CHG-1\"\n";
        assert_eq!(
            problems(&format!("{COMPLETE}{window}"), &[KNOWN]),
            [("expired_window", 8)]
        );
        let open = window
            .replace("2026-01-02", "2026-03-02")
            .replace("ticket = \"CHG-1\"", "");
        assert_eq!(
            problems(&open, &[KNOWN]),
            [("no_ticket", 1), ("unregistered_user", 1)]
        );
    }

    #[test]
    fn a_review_that_was_missed_and_values_past_their_end_are_reported() {
        let due = format!("{COMPLETE}review = 2026-01-31\n");
        assert_eq!(problems(&due, &[KNOWN]), []);
        let missed = due.replace("2026-01-31", "2026-01-30");
        assert_eq!(problems(&missed, &[KNOWN]), [("review_passed", 1)]);
        let old = COMPLETE.replace(
            "flows = [\"oauth_bearer\"]",
            "flows = [\"oauth_bearer\",\n  { flow = \"soap_login\", valid_to = 2026-01-31 }]",
        );
        assert_eq!(problems(&old, &[KNOWN]), [("expired_value", 8)]);
        let gone = format!("{old}valid_to = 2026-01-31\nreview = 2026-01-01\n");
        assert_eq!(problems(&gone, &[KNOWN]), [("expired_user", 1)]);
    }

    #[test]
    fn a_user_whom_the_logs_show_under_two_names_or_ids_is_reported() {
        let twice = format!(
            "{COMPLETE}{}",
            COMPLETE.replace("username = \"erp@example.com\"", "id = \"005000000000001\"")
        );
        assert_eq!(problems(&twice, &[KNOWN]), [("same_user_twice", 8)]);
        let other = ("005000000000002AAA", "ERP@example.com");
        assert_eq!(problems(COMPLETE, &[KNOWN, other]), [("ambiguous_user", 1)]);
    }
}
