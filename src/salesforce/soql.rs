//! The questions that are put to the org, and the columns that are never asked for.
//!
//! Nothing is percent-encoded here: that is the business of whoever makes the address.

use chrono::{DateTime, Utc};

/// Most values of an `IN` list: a query is part of an address, which holds 16,384 bytes.
pub(super) const IN_MAX: usize = 100;

/// What OauthToken and its kin hold beside names of secrets: whoever has one of these is in.
const SECRETS: [&str; 9] = [
    "accesstoken",
    "requesttoken",
    "deletetoken",
    "refreshtoken",
    "authtoken",
    "bearertoken",
    "sessionid",
    "sharedkey",
    "privatekey",
];

/// Begins of the names of settings *about* secrets and passwords. A capital must follow.
const SETTINGS: [&str; 6] = [
    "Permissions",
    "UserPermissions",
    "UserPreferences",
    "Options",
    "Is",
    "LastPassword",
];

/// Whether a column may be asked for: it is a name (no function, no sub-query), and no part of it
/// names a secret. A flag about secrets (`PermissionsResetPasswords`, `IsPasswordLocked`) or the
/// time of a change (`LastPasswordChangeDate`) is none.
pub(super) fn is_askable(field: &str) -> bool {
    field
        .split('.')
        .all(|part| is_name(part) && !is_secret(part))
}

fn is_name(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_alphabetic())
        && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_secret(part: &str) -> bool {
    let is_setting = SETTINGS.iter().any(|begin| {
        part.strip_prefix(begin)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    });
    let lower = part.to_ascii_lowercase();
    !is_setting
        && (lower.contains("secret")
            || lower.contains("password")
            || SECRETS.iter().any(|secret| lower == *secret))
}

/// A query in the making. Values reach it through the methods that write literals, never as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Soql {
    select: String,
    from: &'static str,
    conditions: Vec<String>,
    order: Vec<&'static str>,
    most: Option<u32>,
}

impl Soql {
    /// Asks for columns. One that is not askable is left out, whoever lists it.
    pub fn select<'a>(fields: impl IntoIterator<Item = &'a str>, from: &'static str) -> Self {
        let fields: Vec<&str> = fields.into_iter().filter(|f| is_askable(f)).collect();
        Self::new(fields.join(","), from)
    }

    /// Asks only how many rows there are.
    pub fn count(from: &'static str) -> Self {
        Self::new("COUNT()".to_owned(), from)
    }

    fn new(select: String, from: &'static str) -> Self {
        Self {
            select,
            from,
            conditions: vec![],
            order: vec![],
            most: None,
        }
    }

    /// At or after a time, to the millisecond below.
    pub fn since(self, field: &'static str, at: DateTime<Utc>) -> Self {
        self.with(format!("{field} >= {}", time_literal(at)))
    }

    /// Before a time, to the millisecond below.
    pub fn before(self, field: &'static str, at: DateTime<Utc>) -> Self {
        self.with(format!("{field} < {}", time_literal(at)))
    }

    /// One of at most [`IN_MAX`] texts; more must be asked in several queries. Of none there is
    /// nothing to ask.
    pub fn one_of(self, field: &'static str, values: &[impl AsRef<str>]) -> Self {
        debug_assert!((1..=IN_MAX).contains(&values.len()));
        let values: Vec<String> = values.iter().map(|v| text_literal(v.as_ref())).collect();
        self.with(format!("{field} IN ({})", values.join(",")))
    }

    pub fn equal(self, field: &'static str, value: &str) -> Self {
        self.with(format!("{field} = {}", text_literal(value)))
    }

    pub fn unlike(self, field: &'static str, value: &str) -> Self {
        self.with(format!("{field} != {}", text_literal(value)))
    }

    /// At most so many rows.
    pub fn limit(mut self, most: u32) -> Self {
        self.most = Some(most);
        self
    }

    fn with(mut self, condition: String) -> Self {
        self.conditions.push(condition);
        self
    }

    pub fn order_by(mut self, fields: &[&'static str]) -> Self {
        self.order.extend(fields);
        self
    }

    /// The object that is asked for.
    pub fn object(&self) -> &'static str {
        self.from
    }

    /// The query as the org reads it.
    pub fn text(&self) -> String {
        let mut text = format!("SELECT {} FROM {}", self.select, self.from);
        for (at, condition) in self.conditions.iter().enumerate() {
            text.push_str(if at == 0 { " WHERE " } else { " AND " });
            text.push_str(condition);
        }
        if !self.order.is_empty() {
            text.push_str(" ORDER BY ");
            text.push_str(&self.order.join(","));
        }
        if let Some(most) = self.most {
            text.push_str(&format!(" LIMIT {most}"));
        }
        text
    }
}

/// Times stand without quotes; `Z` rather than `+0000`, whose plus some orgs read as a blank.
fn time_literal(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn text_literal(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('\'');
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn what_opens_a_door_is_never_asked_for() {
        for field in [
            "AccessToken",
            "RequestToken",
            "DeleteToken",
            "deletetoken",
            "RefreshToken",
            "ConsumerSecret",
            "AuthProvider.ConsumerSecret",
            "Client_Secret__c",
            "Secret__r.Name",
            "Password",
            "NewPassword",
            "ConfirmPassword__c",
            "issuedPassword",
            "optionsPassword",
            "SharedKey",
            "PrivateKey",
            "SessionId",
            "FIELDS(ALL)",
            "(SELECT Id FROM Tokens)",
            "Id FROM OauthToken",
            "Id,AccessToken",
            "",
            "Profile.",
            "1Id",
        ] {
            assert!(!is_askable(field), "{field}");
            let text = Soql::select(["Id", field], "OauthToken").text();
            assert_eq!(text, "SELECT Id FROM OauthToken");
        }
    }

    #[test]
    fn settings_about_secrets_may_be_asked_for() {
        for field in [
            "Id",
            "LastPasswordChangeDate",
            "IsPasswordLocked",
            "PermissionsResetPasswords",
            "PermissionsPasswordNeverExpires",
            "PermissionsManagePasswordPolicies",
            "OptionsConsumerSecretOptional",
            "OptionsRefreshTokenValidityMetric",
            "RefreshTokenValidityPeriod",
            "OptionsAppIssueJwtTokenEnabled",
            "Profile.UserLicense.Name",
            "AppMenuItemId",
        ] {
            assert!(is_askable(field), "{field}");
        }
    }

    #[test]
    fn a_hostile_text_stays_inside_its_quotes() {
        let hostile = "a' OR Id != '\\\n\r\t\"\u{8}\u{c}";
        let text = Soql::select(["Id"], "User").equal("Name", hostile).text();
        assert_eq!(
            text,
            "SELECT Id FROM User WHERE Name = 'a\\' OR Id != \\'\\\\\\n\\r\\t\\\"\\b\\f'"
        );
    }

    #[test]
    fn times_are_written_in_utc_with_milliseconds_and_without_quotes() {
        let from = Utc.timestamp_opt(1_782_781_200, 1_999_999).unwrap();
        let to = Utc.timestamp_opt(1_782_784_800, 0).unwrap();
        let text = Soql::select(["Id"], "LoginHistory")
            .since("LoginTime", from)
            .before("LoginTime", to)
            .order_by(&["LoginTime"])
            .text();
        assert_eq!(
            text,
            "SELECT Id FROM LoginHistory WHERE LoginTime >= 2026-06-30T01:00:00.001Z \
             AND LoginTime < 2026-06-30T02:00:00.000Z ORDER BY LoginTime"
        );
    }

    #[test]
    fn the_longest_list_of_ids_fits_into_an_address() {
        let ids = vec!["005000000000001AAA"; IN_MAX];
        let text = Soql::count("OauthToken").one_of("UserId", &ids).text();
        assert!(text.starts_with("SELECT COUNT() FROM OauthToken WHERE UserId IN ('005"));
        // Quotes and commas may each become three bytes.
        assert!(text.len() * 3 < 16_384);
    }
}
