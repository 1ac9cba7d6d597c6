//! The approval of a person: what the browser is sent to the org with, and what it comes back with
//! (the authorization code of RFC 6749, proved by the key of RFC 7636).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::answer::Words;
use super::hidden::Hidden;
use super::oauth::{self, Form};
use super::{SalesforceError, address};
use crate::config::Salesforce;
use crate::privacy::{Secret, random_bytes};

const AUTHORIZE_PATH: &str = "/services/oauth2/authorize";
/// Where the browser comes back to. Salesforce compares addresses letter by letter, so that port
/// and path are those that apps for its own command line name as well.
pub const CALLBACK_PORT: u16 = 1717;
pub(super) const CALLBACK_PATH: &str = "/OauthRedirect";
/// Nothing that outlives the session: a refresh token is not asked for.
const SCOPE: &str = "api";
const STATE_BYTES: usize = 32;
/// 128 characters, the most that the standard takes.
const VERIFIER_BYTES: usize = 96;

/// One question to one person.
pub(super) struct Question {
    redirect_uri: Url,
    state: Secret,
    verifier: Secret,
    hidden: Hidden,
}

/// What a callback holds.
pub(super) enum Brought {
    Approval(Approval),
    Refusal(SalesforceError),
    /// It does not belong to this question, or is no answer to it.
    Nothing,
}

/// What a person approved: good for one request for a token.
#[derive(Debug)]
pub struct Approval {
    code: Secret,
    verifier: Secret,
    redirect_uri: String,
}

impl Question {
    /// A new one, whose answer comes to this port of this machine.
    pub(super) fn new(port: u16) -> Result<Self, SalesforceError> {
        let state = secret::<STATE_BYTES>()?;
        let verifier = secret::<VERIFIER_BYTES>()?;
        let hidden = Hidden::default();
        hidden.add(state.expose());
        hidden.add(verifier.expose());
        let redirect_uri = format!("http://localhost:{port}{CALLBACK_PATH}").parse();
        Ok(Self {
            redirect_uri: redirect_uri
                .map_err(|_| SalesforceError::protocol("the callback has no address"))?,
            state,
            verifier,
            hidden,
        })
    }

    pub(super) fn redirect_uri(&self) -> &str {
        self.redirect_uri.as_str()
    }

    /// Where the browser goes. Not the port of mutual TLS: people have no client certificate.
    pub(super) fn address(&self, settings: &Salesforce) -> Url {
        let challenge = Sha256::digest(self.verifier.expose());
        let mut url = address::with_path(&settings.login_url, AUTHORIZE_PATH);
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &settings.client_id),
            ("redirect_uri", self.redirect_uri()),
            ("scope", SCOPE),
            ("state", self.state.expose()),
            ("code_challenge", &URL_SAFE_NO_PAD.encode(challenge)),
            ("code_challenge_method", "S256"),
        ]);
        url
    }

    /// What the query of a callback means. Each value may stand in it once.
    pub(super) fn judge(&self, query: &str) -> Brought {
        let mut url = self.redirect_uri.clone();
        url.set_query(Some(query));
        let one = |wanted: &str| {
            let mut values = url.query_pairs().filter(|(key, _)| key == wanted);
            let value = values.next().map(|(_, value)| value.into_owned());
            value.filter(|value| !value.is_empty() && values.next().is_none())
        };
        let is_ours = one("state").is_some_and(|state| {
            // Of digests, how long a comparison takes tells nothing.
            Sha256::digest(state) == Sha256::digest(self.state.expose())
        });
        match (is_ours, one("code"), one("error")) {
            (true, Some(code), None) => Brought::Approval(Approval {
                code: Secret::new(code),
                verifier: self.verifier.clone(),
                redirect_uri: self.redirect_uri().to_owned(),
            }),
            (true, None, Some(error)) => {
                let description = one("error_description");
                let body = json!({"error": error, "error_description": description});
                match Words::of_json(&body) {
                    Some(words) => Brought::Refusal(oauth::denied(words, &self.hidden)),
                    None => Brought::Nothing,
                }
            }
            _ => Brought::Nothing,
        }
    }
}

impl Approval {
    /// The fields of the request for its token; code and verifier are hidden from now on.
    pub(super) fn form(self, client_id: &str, hidden: &Hidden) -> Form {
        hidden.add(self.code.expose());
        hidden.add(self.verifier.expose());
        vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", self.code.expose().to_owned()),
            ("redirect_uri", self.redirect_uri),
            ("client_id", client_id.to_owned()),
            ("code_verifier", self.verifier.expose().to_owned()),
        ]
    }
}

/// So many random bytes in characters that need no escape in an address.
fn secret<const N: usize>() -> Result<Secret, SalesforceError> {
    let bytes: [u8; N] = random_bytes().map_err(|error| SalesforceError::Setup {
        what: format!("this machine gives no random bytes: {error}"),
        fix: "check that this user may read /dev/urandom".into(),
    })?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}
