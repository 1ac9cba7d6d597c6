//! Tells from a header row which kind of file this is.

use super::lookup::{Catalog, SETUP_AUDIT_TRAIL};
use super::{EventType, roster, threat_events, trimmed_heading};

/// What a header row says about its file.
#[derive(Debug)]
pub enum Identified<'a> {
    /// EventLogFile: the type is in the EVENT_TYPE cell of the first row
    /// (see [`Catalog::elf_event_type`]).
    EventLogFile,
    /// LoginHistory, SetupAuditTrail, VerificationHistory, events of Threat Detection or a roster
    /// data set, to be read by these columns.
    Export(&'a EventType),
    /// Not to be read. The reason names expected headings, never what stands in the file: a file
    /// without a header row has data there.
    Refused { reason: String },
}

/// Columns of the OauthToken object that are live secrets.
const TOKEN_HEADINGS: [&str; 3] = ["AccessToken", "RequestToken", "DeleteToken"];

const EXPECTED: &str = "expected an EventLogFile CSV (with EVENT_TYPE and TIMESTAMP), a \
     LoginHistory CSV (with LoginTime, LoginType, Status and UserId or Username), a \
     SetupAuditTrail CSV (with Date or CreatedDate, Action and Section), a VerificationHistory \
     CSV (with VerificationTime, VerificationMethod, Status and UserId or Username), events of \
     Threat Detection (an EventStore object, with EventDate and Score) or a roster export (User, \
     UserLogin, Profile, PermissionSet, PermissionSetAssignment, PermissionSetLicenseAssign, \
     ConnectedApplication, SetupEntityAccess, OauthToken or profile login IP ranges)";

impl Catalog {
    /// Which kind of file has these headings, in whatever order.
    pub fn identify(&self, headings: &[&str]) -> Identified<'_> {
        if let Some(secret) = TOKEN_HEADINGS.iter().find(|t| has(headings, t)) {
            return Identified::Refused {
                reason: format!(
                    "column {secret} holds live OAuth tokens; export the file without \
                     AccessToken, RequestToken and DeleteToken, and delete this one"
                ),
            };
        }
        if has(headings, "EVENT_TYPE") {
            return if has(headings, "TIMESTAMP") || has(headings, "TIMESTAMP_DERIVED") {
                Identified::EventLogFile
            } else {
                refused("it has EVENT_TYPE but neither TIMESTAMP nor TIMESTAMP_DERIVED")
            };
        }
        if let Some(reason) = roster::secret_column(headings) {
            return Identified::Refused { reason };
        }
        let history = self.login_history();
        let named = |event: &EventType, name: &str| {
            headings
                .iter()
                .any(|h| event.column(h).is_some_and(|c| c.heading == name))
        };
        if named(history, "LoginTime") && named(history, "LoginType") {
            return if !named(history, "Status") {
                refused("a LoginHistory export without Status does not tell who got in")
            } else if !named(history, "UserId") && !named(history, "Username") {
                refused("a LoginHistory export without UserId and Username does not tell who")
            } else {
                Identified::Export(history)
            };
        }
        let on_page = &self.audit_page;
        if has(headings, "Section") && has(headings, "Action") {
            let by_api = self.event_type(SETUP_AUDIT_TRAIL).unwrap_or(on_page);
            if has(headings, "CreatedDate") {
                return Identified::Export(by_api);
            }
            if has(headings, "Date") {
                return Identified::Export(on_page);
            }
        }
        match threat_events::recognise(self, headings).or_else(|| roster::recognise(self, headings))
        {
            Some(Ok(event)) => Identified::Export(event),
            Some(Err(reason)) => Identified::Refused { reason },
            None => refused("its header row is not that of a known log"),
        }
    }
}

fn has(headings: &[&str], name: &str) -> bool {
    headings
        .iter()
        .any(|h| trimmed_heading(h).eq_ignore_ascii_case(name))
}

fn refused(what: &str) -> Identified<'static> {
    Identified::Refused {
        reason: format!("{what}; {EXPECTED}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Treatment;

    fn reason(headings: &[&str]) -> String {
        match Catalog::embedded().identify(headings) {
            Identified::Refused { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_event_log_file_is_known_by_its_headings_not_their_order() {
        let catalog = Catalog::embedded();
        let found = catalog.identify(&["TIMESTAMP", "USER_ID", "\u{feff}EVENT_TYPE"]);
        assert!(matches!(found, Identified::EventLogFile));
    }

    #[test]
    fn login_history_is_known_in_each_spelling() {
        let catalog = Catalog::embedded();
        for headings in [
            &[
                "Username",
                "Login Time",
                "Source IP",
                "Location",
                "Login Type",
                "Status",
            ][..],
            &["UserId", "LoginTime", "LoginType", "Status"],
            &["USERID", "LOGINTIME", "LOGINTYPE", "STATUS", "SOURCEIP"],
            &["User.Username", "LoginTime", "LoginType", "Status"],
            &["Users.Username", "LoginTime", "LoginType", "Status"],
        ] {
            match catalog.identify(headings) {
                Identified::Export(event) => assert_eq!(event.name, "LoginHistory"),
                other => panic!("{headings:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn every_heading_of_the_setup_pages_download_is_known() {
        let catalog = Catalog::embedded();
        for heading in [
            "Username",
            "Login Time",
            "Source IP",
            "Forwarded For IP",
            "Location",
            "Login Type",
            "Login Subtype",
            "Status",
            "Browser",
            "Platform",
            "Application",
            "Client Version",
            "API Type",
            "API Version",
            "Login URL",
            "TLS Protocol",
            "TLS Cipher Suite",
            "Cipher Suite",
            "HTTP Method",
            "Community",
            "Country",
            "Country Code",
            "Authentication Method Reference",
        ] {
            assert!(
                catalog.login_history().column(heading).is_some(),
                "{heading}"
            );
        }
    }

    #[test]
    fn a_file_of_live_tokens_is_refused() {
        for heading in ["AccessToken", "ACCESSTOKEN", "RequestToken", "DeleteToken"] {
            let reason = reason(&["UserId", "AppName", heading]);
            assert!(reason.contains("live OAuth tokens"), "{reason}");
        }
    }

    #[test]
    fn of_the_audit_pages_sentence_only_usernames_count_and_the_api_code_is_kept() {
        let catalog = Catalog::embedded();
        let action = |headings: &[&str]| match catalog.identify(headings) {
            Identified::Export(event) => event.column("Action").unwrap().treatment,
            other => panic!("{other:?}"),
        };
        let page = [
            "Date",
            "User",
            "Source Namespace Prefix",
            "Action",
            "Section",
            "Delegate User",
        ];
        assert_eq!(action(&page), Treatment::Mentions);
        assert_eq!(
            action(&["CreatedDate", "Action", "Section", "Display"]),
            Treatment::Cut
        );
    }

    #[test]
    fn a_refusal_says_what_was_expected_and_repeats_no_heading() {
        let reason = reason(&["CANARY-1", "CANARY-2"]);
        assert!(
            reason.contains("EVENT_TYPE") && reason.contains("LoginHistory"),
            "{reason}"
        );
        assert!(!reason.contains("CANARY"), "{reason}");
    }

    #[test]
    fn login_history_that_does_not_tell_the_outcome_or_the_user_is_refused() {
        assert!(reason(&["UserId", "LoginTime", "LoginType"]).contains("Status"));
        assert!(reason(&["Status", "LoginTime", "LoginType"]).contains("UserId"));
    }
}
