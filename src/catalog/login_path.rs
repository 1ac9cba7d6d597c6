//! Which door a login came through.
//!
//! LOGIN_TYPE alone does not tell: OAuth username-password logins are written with the type of a
//! browser login. So the decision is a table, `data/login_paths.csv`, read from the top: the first
//! row whose every cell holds decides. Cells: empty = any value, `-` = none recorded, `a|b` = one
//! of these, `x*` = begins with x, `@group` = a login type of that group in `login_types.csv`.
//! `SOAP` in `api_type` is any SOAP flavour, `page` in `uri` a page rather than a service.
//!
//! A type or sub-type that is not in the lists, and a combination that no row covers, is
//! [`LoginPath::Unmapped`]: nobody passes by writing an odd value.

use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

use super::codes;

/// The doors, in the words of the `login_path` column and of the registry's `flows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginPath {
    UiPassword,
    UiSso,
    UiPasswordless,
    UiOther,
    Portal,
    SoapLogin,
    OauthWebServer,
    OauthUserAgent,
    OauthUsernamePassword,
    OauthRefresh,
    OauthClientCredentials,
    OauthTokenExchange,
    OauthOtp,
    /// OAuth 2 with no flow recorded: JWT or SAML bearer, asset token or device flow.
    OauthBearer,
    Oauth1,
    SamlWebAssertion,
    Certificate,
    Internal,
    Unmapped,
}

impl LoginPath {
    pub const ALL: [LoginPath; 19] = [
        LoginPath::UiPassword,
        LoginPath::UiSso,
        LoginPath::UiPasswordless,
        LoginPath::UiOther,
        LoginPath::Portal,
        LoginPath::SoapLogin,
        LoginPath::OauthWebServer,
        LoginPath::OauthUserAgent,
        LoginPath::OauthUsernamePassword,
        LoginPath::OauthRefresh,
        LoginPath::OauthClientCredentials,
        LoginPath::OauthTokenExchange,
        LoginPath::OauthOtp,
        LoginPath::OauthBearer,
        LoginPath::Oauth1,
        LoginPath::SamlWebAssertion,
        LoginPath::Certificate,
        LoginPath::Internal,
        LoginPath::Unmapped,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            LoginPath::UiPassword => "ui_password",
            LoginPath::UiSso => "ui_sso",
            LoginPath::UiPasswordless => "ui_passwordless",
            LoginPath::UiOther => "ui_other",
            LoginPath::Portal => "portal",
            LoginPath::SoapLogin => "soap_login",
            LoginPath::OauthWebServer => "oauth_web_server",
            LoginPath::OauthUserAgent => "oauth_user_agent",
            LoginPath::OauthUsernamePassword => "oauth_username_password",
            LoginPath::OauthRefresh => "oauth_refresh",
            LoginPath::OauthClientCredentials => "oauth_client_credentials",
            LoginPath::OauthTokenExchange => "oauth_token_exchange",
            LoginPath::OauthOtp => "oauth_otp",
            LoginPath::OauthBearer => "oauth_bearer",
            LoginPath::Oauth1 => "oauth1",
            LoginPath::SamlWebAssertion => "saml_web_assertion",
            LoginPath::Certificate => "certificate",
            LoginPath::Internal => "internal",
            LoginPath::Unmapped => "unmapped",
        }
    }

    /// The path of a word, if it is one.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == word)
    }

    /// A person at a page: browser, portal, certificate in a browser.
    pub fn is_ui(self) -> bool {
        use LoginPath::*;
        matches!(
            self,
            UiPassword | UiSso | UiPasswordless | UiOther | Portal | Certificate
        )
    }

    /// A connected app or External Client App stands between caller and org.
    pub fn is_connected_app(self) -> bool {
        use LoginPath::*;
        matches!(
            self,
            OauthWebServer
                | OauthUserAgent
                | OauthUsernamePassword
                | OauthRefresh
                | OauthClientCredentials
                | OauthTokenExchange
                | OauthOtp
                | OauthBearer
                | Oauth1
        )
    }

    /// The caller showed the user's long-lived password.
    pub fn is_password_based(self) -> bool {
        use LoginPath::*;
        matches!(self, UiPassword | SoapLogin | OauthUsernamePassword)
    }

    /// Salesforce has announced its end, or it is a predecessor kept for old clients.
    pub fn is_deprecated(self) -> bool {
        use LoginPath::*;
        matches!(self, SoapLogin | OauthUsernamePassword | Oauth1)
    }
}

impl fmt::Display for LoginPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How well a verdict is founded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// Real rows, or documentation and a real row that agree.
    Sure,
    /// Documentation only, or a real row and one inference.
    Likely,
    /// By elimination.
    Guess,
}

impl Certainty {
    pub fn as_str(self) -> &'static str {
        match self {
            Certainty::Sure => "sure",
            Certainty::Likely => "likely",
            Certainty::Guess => "guess",
        }
    }
}

/// What a login row says of its door, as written in ELF Login (codes) or LoginHistory (labels or
/// API names). Empty text and `N/A` count as nothing recorded.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoginFacts<'a> {
    pub login_type: Option<&'a str>,
    pub login_sub_type: Option<&'a str>,
    /// Raw URI or its template.
    pub uri: Option<&'a str>,
    pub api_type: Option<&'a str>,
    pub use_api_token: Option<&'a str>,
    /// LoginHistory's Application.
    pub application: Option<&'a str>,
    /// ELF's BROWSER_TYPE or LoginHistory's Browser.
    pub browser_type: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginVerdict {
    pub path: LoginPath,
    pub certainty: Certainty,
}

const UNMAPPED: LoginVerdict = LoginVerdict {
    path: LoginPath::Unmapped,
    certainty: Certainty::Guess,
};

/// The door of a login.
pub fn decide(facts: &LoginFacts) -> LoginVerdict {
    let Some(known) = Known::of(facts) else {
        return UNMAPPED;
    };
    TABLE
        .iter()
        .find(|row| row.covers(&known))
        .map_or(UNMAPPED, |row| LoginVerdict {
            path: row.path,
            certainty: row.certainty,
        })
}

/// Facts with codes and labels replaced by API names.
struct Known<'a> {
    sub_type: Option<&'static str>,
    login_type: Option<&'static codes::LoginType>,
    uri: Option<&'a str>,
    api_type: Option<&'a str>,
    api_token: Option<&'a str>,
    application: Option<&'a str>,
    client: &'static str,
}

impl<'a> Known<'a> {
    /// `None` when the type or the sub-type is not in the lists.
    fn of(facts: &LoginFacts<'a>) -> Option<Self> {
        let login_type = match recorded(facts.login_type) {
            Some(raw) => Some(codes::login_type(raw)?),
            None => None,
        };
        let sub_type = match recorded(facts.login_sub_type) {
            Some(raw) => Some(codes::login_sub_type(raw)?),
            None => None,
        };
        Some(Self {
            sub_type,
            login_type,
            uri: recorded(facts.uri),
            api_type: recorded(facts.api_type),
            api_token: recorded(facts.use_api_token),
            application: recorded(facts.application),
            client: codes::ua_family(facts.browser_type),
        })
    }
}

fn recorded(cell: Option<&str>) -> Option<&str> {
    cell.map(str::trim)
        .filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("N/A"))
}

#[derive(Deserialize)]
struct Row {
    sub_type: String,
    #[serde(rename = "type")]
    login_type: String,
    uri: String,
    api_type: String,
    api_token: String,
    application: String,
    client: String,
    path: LoginPath,
    certainty: Certainty,
}

static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
    csv::Reader::from_reader(include_str!("data/login_paths.csv").as_bytes())
        .into_deserialize()
        // The table is compiled in; every test of this module reads it.
        .map(|row| row.expect("compiled-in login_paths.csv is valid"))
        .collect()
});

impl Row {
    fn covers(&self, known: &Known) -> bool {
        holds(&self.sub_type, known.sub_type, str::eq)
            && holds(
                &self.login_type,
                known.login_type,
                |cell, login_type| match cell.strip_prefix('@') {
                    Some(group) => login_type.group == group,
                    None => login_type.api_name == cell,
                },
            )
            && holds(&self.uri, known.uri, uri_is)
            && holds(&self.api_type, known.api_type, |cell, raw| {
                cell == raw || (cell == "SOAP" && is_soap(raw))
            })
            && holds(&self.api_token, known.api_token, str::eq)
            && holds(&self.application, known.application, |cell, raw| {
                cell.eq_ignore_ascii_case(raw)
            })
            && holds(&self.client, Some(known.client), str::eq)
    }
}

/// Whether a cell of the table holds for a value.
fn holds<T: Copy>(cell: &str, value: Option<T>, is: impl Fn(&str, T) -> bool) -> bool {
    match (cell, value) {
        ("", _) | ("-", None) => true,
        ("-", Some(_)) | (_, None) => false,
        (_, Some(value)) => cell.split('|').any(|one| is(one, value)),
    }
}

fn uri_is(cell: &str, uri: &str) -> bool {
    match cell.strip_suffix('*') {
        Some(prefix) => uri.starts_with(prefix),
        None if cell == "page" => uri.starts_with('/') && !uri.starts_with("/services/"),
        None => uri == cell,
    }
}

/// Letters of SOAP flavours (case matters: `p` and `f` are none of them) and their labels.
fn is_soap(api_type: &str) -> bool {
    matches!(api_type, "P" | "E" | "M" | "T" | "S" | "I" | "O" | "D")
        || api_type.to_ascii_uppercase().contains("SOAP")
}

#[cfg(test)]
#[path = "login_path_tests.rs"]
mod tests;
