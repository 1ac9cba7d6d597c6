//! The token endpoint: what is asked, and what its refusals mean.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize};

use super::answer::{self, Asked, Said, Words};
use super::authorize::Approval;
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
    /// What a person approved in a browser.
    Person {
        client_secret: Option<Secret>,
        /// Good for one request.
        approval: Mutex<Option<Approval>>,
    },
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
    /// Never asked for; an app may give it nevertheless.
    pub refresh_token: Option<String>,
}

/// Who the token is.
#[derive(Deserialize)]
pub(super) struct UserInfo {
    pub organization_id: String,
    pub user_id: String,
    pub preferred_username: String,
}

impl Grant {
    pub(super) fn person(client_secret: Option<Secret>) -> Self {
        Self::Person {
            client_secret,
            approval: Mutex::default(),
        }
    }

    /// What is secret of it, and known from the start, is hidden from now on.
    pub(super) fn hide(&self, hidden: &Hidden) {
        let secret = match self {
            Self::Jwt { .. } => None,
            Self::Secret(secret) => Some(secret),
            Self::Person { client_secret, .. } => client_secret.as_ref(),
        };
        if let Some(secret) = secret {
            hidden.add(secret.expose());
        }
    }

    /// The next request is for the token of this approval; nothing where no person signs in.
    pub(super) fn approve(&self, given: Approval) {
        if let Self::Person { approval, .. } = self {
            *approval.lock().unwrap_or_else(PoisonError::into_inner) = Some(given);
        }
    }

    /// Whether it may be asked for more than once.
    pub(super) fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Person { .. })
    }

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
            Self::Person {
                client_secret,
                approval,
            } => {
                let mut approval = approval.lock().unwrap_or_else(PoisonError::into_inner);
                let mut form = match approval.take() {
                    Some(approval) => approval.form(client_id, hidden),
                    None => return Err(over()),
                };
                let secret = client_secret.iter();
                form.extend(secret.map(|it| ("client_secret", it.expose().to_owned())));
                Ok(form)
            }
        }
    }
}

/// A code is good for one session.
fn over() -> SalesforceError {
    SalesforceError::SignIn {
        class: Class::Config,
        what: "the session that was opened in the browser is over".to_owned(),
        code: None,
        fix: "look at the app's session policies, and run `orgwatch login` again".into(),
        retry: Retry::Never,
    }
}

/// The refusal that a browser came back with.
pub(super) fn denied(words: Words, hidden: &Hidden) -> SalesforceError {
    let (class, _, fix) = meaning(400, &words, &Grant::person(None), None);
    let code = words.code.as_deref().unwrap_or("an unknown error");
    let what = match hidden.shown(&words.message) {
        message if message.is_empty() => code.to_owned(),
        message => format!("{code}: {message}"),
    };
    SalesforceError::SignIn {
        class,
        what: format!("no sign-in: the browser came back with {what}"),
        code: words.code,
        fix: fix.into(),
        retry: Retry::Never,
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
    match (grant, of_table(status, words, grant, skew)) {
        // A code is good once, and no next run goes on.
        (Grant::Person { .. }, (Class::Passing, ..)) => {
            (Class::Passing, Retry::Never, FIX_AGAIN.to_owned())
        }
        (_, other) => other,
    }
}

fn of_table(
    status: u16,
    words: &Words,
    grant: &Grant,
    skew: Option<TimeDelta>,
) -> (Class, Retry, String) {
    use Class::{Config, Passing, Throttled};
    let message = words.message.to_ascii_lowercase();
    let says = |part: &str| message.contains(part);
    let config = |fix: &str| (Config, Retry::Never, fix.to_owned());
    if let Grant::Person { client_secret, .. } = grant
        && let Some(fix) = fix_for_person(words, client_secret.is_some())
    {
        return config(fix);
    }
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
            Grant::Secret(_) | Grant::Person { .. } => FIX_SECRET,
        }),
        "unsupported_grant_type" => config(match grant {
            Grant::Jwt { .. } => FIX_JWT,
            Grant::Secret(_) => FIX_CREDENTIALS,
            Grant::Person { .. } => FIX_WEB_SERVER,
        }),
        "inactive_user" => config(FIX_USER),
        "inactive_org" => config(FIX_ORG),
        "rate_limit_exceeded" | "LOGIN_RATE_EXCEEDED" => later(FIX_RATE),
        "invalid_scope" => config(FIX_SCOPE),
        "redirect_uri_mismatch" | "invalid_request" => config(FIX_REQUEST),
        "MUTUAL_AUTHENTICATION_FAILED" => config(FIX_MTLS),
        // A callback has no status that would tell.
        "temporarily_unavailable" | "server_error" if !grant.is_repeatable() => {
            (Passing, Retry::Never, FIX_AGAIN.to_owned())
        }
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

/// What is different where a person signs in; None for what means the same to all.
fn fix_for_person(words: &Words, has_secret: bool) -> Option<&'static str> {
    let message = words.message.to_ascii_lowercase();
    let says = |part: &str| message.contains(part);
    Some(match words.code.as_deref()? {
        // Salesforce's own page of errors spells it with a hyphen.
        "access_denied" | "access-denied" => FIX_DENIED,
        "invalid_grant" if says("code verifier") => FIX_VERIFIER,
        "invalid_grant" if says("authorization code") => FIX_OLD_CODE,
        "invalid_grant" if says("redirect_uri") => FIX_CALLBACK,
        "redirect_uri_mismatch" => FIX_CALLBACK,
        "invalid_client" if says("installed") => FIX_INSTALL,
        "invalid_client" if !has_secret => FIX_NO_SECRET,
        "invalid_app_access" | "OAUTH_APP_ACCESS_DENIED" => FIX_VISITOR,
        "invalid_grant" if says("approved this consumer") => FIX_VISITOR,
        "unsupported_response_type" => FIX_WEB_SERVER,
        "invalid_scope" => FIX_API_SCOPE,
        _ => return None,
    })
}

const FIX_DENIED: &str = "run `orgwatch login` again and choose Allow; who was not asked may not use the app: add it to a permission set or profile of the user that signs in";
const FIX_VERIFIER: &str = "run `orgwatch login` again: the code was asked for by another program";
const FIX_OLD_CODE: &str = "run `orgwatch login` again: a code is good once, for 15 minutes, and for the program and the app that asked for it";
const FIX_CALLBACK: &str = "add the callback URL that was shown to the app, letter by letter. Changes take up to 10 minutes";
const FIX_NO_SECRET: &str = "the app demands its secret: give it in ORGWATCH_SALESFORCE_SECRET or the systemd credential `salesforce_secret`, or no longer require a secret for the web server flow in the app's OAuth settings";
const FIX_INSTALL: &str = "install the app in the org (Setup > Connected Apps OAuth Usage), or give the user that signs in the permission Approve Uninstalled Connected Apps";
const FIX_VISITOR: &str = "add the app to a permission set or profile of the user that signs in (Setup > Permission Sets, or the policies of the External Client App). Changes take up to 10 minutes";
const FIX_WEB_SERVER: &str =
    "enable the authorization code flow (web server flow) of the app, with PKCE";
const FIX_API_SCOPE: &str = "give the app the scope api (Manage user data via APIs)";
const FIX_AGAIN: &str =
    "run `orgwatch login` again; https://status.salesforce.com tells of outages and maintenance";
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
        Grant::Secret(_) | Grant::Person { .. } => "none",
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
    let refresh = granted.refresh_token.iter();
    refresh.for_each(|token| hidden.add(token));
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
