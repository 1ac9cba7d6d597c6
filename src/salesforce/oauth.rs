//! The token endpoint: what is asked, and what its refusals mean.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize};

use super::answer::{self, Asked, Said, Words};
use super::credentials::SigningKey;
use super::hidden::Hidden;
use super::{Class, Retry, SalesforceError};
use crate::privacy::Secret;

pub(super) const TOKEN_PATH: &str = "/services/oauth2/token";
pub(super) const REVOKE_PATH: &str = "/services/oauth2/revoke";
pub(super) const USERINFO_PATH: &str = "/services/oauth2/userinfo";
/// How long a signature holds. Salesforce takes no more than three minutes.
const VALIDITY: TimeDelta = TimeDelta::seconds(120);
/// Clocks that differ by more are spoken of.
pub(super) const MOST_SKEW: TimeDelta = TimeDelta::seconds(30);

/// How to ask for a token.
pub(super) enum Grant {
    Jwt {
        key: SigningKey,
        username: String,
        audience: String,
    },
    Secret(Secret),
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    /// In seconds since 1970.
    exp: i64,
}

/// A form's fields. `Debug` is not derived: it holds what opens the org.
pub(super) type Form = Vec<(&'static str, String)>;

/// The answer of a success. Everything else in it varies from org to org.
#[derive(Deserialize)]
pub(super) struct Granted {
    pub access_token: String,
    pub instance_url: String,
}

/// Who the token is.
#[derive(Deserialize)]
pub(super) struct UserInfo {
    pub organization_id: String,
    pub user_id: String,
    pub preferred_username: String,
}

impl Grant {
    /// The fields of a request for a token; what is secret in them is hidden from now on.
    pub(super) fn form(
        &self,
        client_id: &str,
        now: DateTime<Utc>,
        hidden: &Hidden,
    ) -> Result<Form, SalesforceError> {
        match self {
            Self::Jwt {
                key,
                username,
                audience,
            } => {
                let claims = Claims {
                    iss: client_id,
                    sub: username,
                    aud: audience,
                    exp: (now + VALIDITY).timestamp(),
                };
                let header = Header::new(Algorithm::RS256);
                let assertion = jsonwebtoken::encode(&header, &claims, &key.key);
                // The library's own words could speak of the key.
                let assertion = assertion.map_err(|_| SalesforceError::Setup {
                    what: "the key of [salesforce] cannot sign".to_owned(),
                    fix: "make a new one: `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out orgwatch.key`".into(),
                })?;
                hidden.add(&assertion);
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned();
                Ok(vec![("grant_type", grant), ("assertion", assertion)])
            }
            Self::Secret(secret) => Ok(vec![
                ("grant_type", "client_credentials".to_owned()),
                ("client_id", client_id.to_owned()),
                ("client_secret", secret.expose().to_owned()),
            ]),
        }
    }
}

/// The refusal of a token, with what to do about it.
pub(super) fn refused(
    said: &Said,
    words: Words,
    grant: &Grant,
    skew: Option<TimeDelta>,
    hidden: &Hidden,
) -> SalesforceError {
    let (class, retry, fix) = meaning(said.status, &words, grant, skew);
    SalesforceError::SignIn {
        class,
        what: format!("no sign-in: {}", answer::told(said, &words, hidden)),
        code: words.code,
        fix: fix.into(),
        retry: retry.wishing(said.wish),
    }
}

fn meaning(
    status: u16,
    words: &Words,
    grant: &Grant,
    skew: Option<TimeDelta>,
) -> (Class, Retry, String) {
    use Class::{Config, Passing, Throttled};
    let message = words.message.to_ascii_lowercase();
    let says = |part: &str| message.contains(part);
    let config = |fix: &str| (Config, Retry::Never, fix.to_owned());
    let later = |fix: &str| (Throttled, Retry::Never, fix.to_owned());
    if says("rate exceeded") || says("login_rate_exceeded") {
        return later(FIX_RATE);
    }
    match words.code.as_deref().unwrap_or_default() {
        "invalid_grant" if says("approved this consumer") => config(FIX_APPROVE),
        "invalid_grant" if says("audience") => (Config, Retry::Never, fix_audience(grant)),
        "invalid_grant" if says("expired authorization code") => {
            (Config, Retry::Never, fix_clock(skew))
        }
        "invalid_grant" if says("invalid assertion") => config(FIX_ASSERTION),
        "invalid_grant" if says("invalid authorization code") => config(FIX_CODE),
        "invalid_grant" if says("ip restricted") => config(FIX_ADDRESS),
        "invalid_grant" if says("refresh token") => config(FIX_REFRESH),
        "invalid_grant" if says("no client credentials user") => config(FIX_RUN_AS),
        "invalid_grant" if says("not supported on this domain") => config(FIX_DOMAIN),
        "invalid_grant" if says("authentication failure") => config(FIX_USER),
        "invalid_app_access" | "OAUTH_APP_ACCESS_DENIED" => config(FIX_ASSIGN),
        "invalid_client_id" => config(FIX_CLIENT_ID),
        "invalid_client" => config(match grant {
            Grant::Jwt { .. } => FIX_ASSERTION,
            Grant::Secret(_) => FIX_SECRET,
        }),
        "unsupported_grant_type" => config(match grant {
            Grant::Jwt { .. } => FIX_JWT,
            Grant::Secret(_) => FIX_CREDENTIALS,
        }),
        "inactive_user" => config(FIX_USER),
        "inactive_org" => config(FIX_ORG),
        "rate_limit_exceeded" | "LOGIN_RATE_EXCEEDED" => later(FIX_RATE),
        "invalid_scope" => config(FIX_SCOPE),
        "redirect_uri_mismatch" | "invalid_request" => config(FIX_REQUEST),
        "MUTUAL_AUTHENTICATION_FAILED" => config(FIX_MTLS),
        // A wrong host, or a true blip: one more attempt tells.
        "unknown_error" => (Passing, Retry::Backoff { most: 1 }, FIX_HOST.to_owned()),
        "invalid_grant" => config(FIX_HISTORY),
        _ => match status {
            300..=399 => config(FIX_DOMAIN),
            404 => config(FIX_HOST),
            406 | 408 | 502..=504 => (Passing, Retry::Backoff { most: 5 }, FIX_LATER.to_owned()),
            420 => (Passing, Retry::Backoff { most: 2 }, FIX_LATER.to_owned()),
            429 => (Throttled, Retry::Backoff { most: 5 }, FIX_LATER.to_owned()),
            500..=599 => (Passing, Retry::Backoff { most: 3 }, FIX_LATER.to_owned()),
            _ => config(FIX_HISTORY),
        },
    }
}

const FIX_APPROVE: &str = "the app is not approved for `username`: in the app's policies set Permitted Users to \"Admin approved users are pre-authorized\", and add the app to a permission set of that user; check the spelling of `username` too. Changes take up to 10 minutes";
const FIX_ASSIGN: &str = "add the app to a permission set or profile of `username` (Setup > Permission Sets > Assigned Connected Apps, or the policies of the External Client App). Changes take up to 10 minutes";
const FIX_CLIENT_ID: &str = "check `client_id`: it is the consumer key of the app, and the app must be in the org of `login_url`. A new app takes up to 10 minutes";
const FIX_SECRET: &str =
    "check the client secret: it is the consumer secret of the app of `client_id`";
const FIX_ASSERTION: &str = "upload the certificate that belongs to `key_file` to the app (\"Use digital signatures\"), and name it in `certificate_file` so that both are compared before each run";
const FIX_CODE: &str = "run again: the org knows this signature already";
const FIX_ADDRESS: &str = "add the address of this machine to the login IP ranges of the user's profile, or relax the IP restrictions of the app for it";
const FIX_REFRESH: &str = "run again; this program keeps no refresh token";
const FIX_RUN_AS: &str =
    "name a Run-As user in the app's policies (Client Credentials Flow); give it API access only";
const FIX_DOMAIN: &str = "set `login_url` to the org's My Domain, as in https://example.my.salesforce.com; Setup > My Domain shows it. No redirect is followed";
const FIX_USER: &str = "look at the user: it must be active and not frozen, within its login hours, and its profile must allow this machine's address; Setup > Login History tells which";
const FIX_ORG: &str = "the org is not active: its administrator must ask Salesforce";
const FIX_JWT: &str = "enable the JWT bearer flow of the app (\"Use digital signatures\"); if the org blocks it, ask its administrator";
const FIX_CREDENTIALS: &str =
    "enable the Client Credentials Flow of the app, and name a Run-As user";
const FIX_RATE: &str = "too many sign-ins of this user: the next run goes on; look in Setup > Login History who else signs in as it";
const FIX_SCOPE: &str = "give the app the scopes api (Manage user data via APIs), refresh_token (Perform requests at any time) and openid";
const FIX_REQUEST: &str = "check `client_id`, and the app's OAuth settings";
const FIX_MTLS: &str = "the user must sign in with a client certificate: add [salesforce.mtls]";
const FIX_HOST: &str =
    "check `login_url`: it is the org's My Domain, which Setup > My Domain shows";
const FIX_LATER: &str =
    "the next run tries again; https://status.salesforce.com tells of outages and maintenance";
const FIX_HISTORY: &str =
    "look at the user's row in Setup > Login History, and at the app's policies";

fn fix_audience(grant: &Grant) -> String {
    let sent = match grant {
        Grant::Jwt { audience, .. } => audience.as_str(),
        Grant::Secret(_) => "none",
    };
    format!(
        "the audience sent was {sent}; set `audience` to \"https://login.salesforce.com\", or to \"https://test.salesforce.com\" for a sandbox"
    )
}

fn fix_clock(skew: Option<TimeDelta>) -> String {
    let skew = skew.filter(|skew| skew.abs() > MOST_SKEW);
    let told = skew.map(|skew| format!(": {}", told_skew(skew)));
    format!(
        "the signature had expired when it came: set this machine's clock, best by NTP{}",
        told.unwrap_or_default()
    )
}

/// `it is 600 seconds behind the org's`.
pub(super) fn told_skew(skew: TimeDelta) -> String {
    let direction = match skew > TimeDelta::zero() {
        true => "behind",
        false => "ahead of",
    };
    let seconds = skew.num_seconds().abs();
    format!("it is {seconds} seconds {direction} the org's")
}

/// A token answer of status 200.
pub(super) fn granted(body: &[u8], hidden: &Hidden) -> Result<Granted, SalesforceError> {
    let Ok(granted) = serde_json::from_slice::<Granted>(body) else {
        // The body may hold a token: none of it is shown.
        let what = match Words::of(body) {
            Words {
                code: Some(code),
                message,
            } => {
                format!("{code}: {}", hidden.shown(&message))
            }
            _ if body.trim_ascii().starts_with(b"<") => "a page of HTML or XML".to_owned(),
            _ => "something that is no token".to_owned(),
        };
        return Err(SalesforceError::Protocol {
            what: format!("no sign-in: the org answers 200 with {what}"),
            fix: FIX_HOST.into(),
        });
    };
    hidden.add(&granted.access_token);
    let fits = |b: u8| b.is_ascii_graphic();
    if granted.access_token.is_empty() || !granted.access_token.bytes().all(fits) {
        return Err(SalesforceError::Protocol {
            what: "no sign-in: the org answers 200 with an unusable token".to_owned(),
            fix: FIX_HOST.into(),
        });
    }
    Ok(granted)
}

/// A session that the org does not say the user of.
pub(super) fn unidentified(said: &Said, hidden: &Hidden) -> SalesforceError {
    let words = Words::of(&said.body);
    let code = words.code.as_deref();
    if !matches!(said.status, 300..=399 | 401 | 403 | 404)
        || code == Some("MUTUAL_AUTHENTICATION_FAILED")
    {
        return answer::refused(said, words, Asked::Data, hidden);
    }
    SalesforceError::SignIn {
        class: Class::Config,
        what: format!(
            "the org does not say who signed in: {}",
            answer::told(said, &words, hidden)
        ),
        code: words.code,
        fix: match said.status {
            300..=399 => FIX_DOMAIN.into(),
            _ => FIX_SCOPE.into(),
        },
        retry: Retry::Never,
    }
}

#[cfg(test)]
#[path = "oauth_tests.rs"]
mod tests;
