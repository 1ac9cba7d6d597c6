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
    pub(super) fn authorize_url(&self, login_url: &Url, client_id: &str) -> Url {
        let challenge = Sha256::digest(self.verifier.expose());
        let mut url = address::for_people(login_url);
        url.set_path(AUTHORIZE_PATH);
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", client_id),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            redirect_uri: "http://localhost:1717/OauthRedirect".parse().unwrap(),
            state: Secret::new("a-state".to_owned()),
            verifier: Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned()),
            hidden: Hidden::default(),
        }
    }

    fn parameter(url: &Url, name: &str) -> Option<String> {
        let mut pairs = url.query_pairs();
        let found = pairs.find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    }

    // RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_that_of_the_standards_own_example_and_the_verifier_stays_here() {
        let question = question();
        let login_url = "https://example.my.salesforce.com".parse().unwrap();
        let url = question.authorize_url(&login_url, "3MVG9+key&x");
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(
            parameter(&url, "code_challenge").as_deref(),
            Some(challenge)
        );
        assert_eq!(parameter(&url, "client_id").as_deref(), Some("3MVG9+key&x"));
        let back = "http://localhost:1717/OauthRedirect";
        assert_eq!(parameter(&url, "redirect_uri").as_deref(), Some(back));
        assert!(!url.as_str().contains(question.verifier.expose()));
    }

    #[test]
    fn the_browser_is_never_sent_to_the_port_of_mutual_tls() {
        for (login_url, port) in [
            ("https://example.my.salesforce.com:8443", None),
            ("https://example.my.salesforce.com", None),
            ("https://localhost:9443", Some(9443)),
        ] {
            let url = question().authorize_url(&login_url.parse().unwrap(), "key");
            assert_eq!(url.port(), port, "{login_url}");
        }
    }

    #[test]
    fn each_question_has_its_own_state_and_the_longest_verifier_that_there_may_be() {
        let (one, other) = (Question::new(1717).unwrap(), Question::new(1717).unwrap());
        for secret in ["state", "verifier"] {
            let of = |question: &Question| match secret {
                "state" => question.state.expose().to_owned(),
                _ => question.verifier.expose().to_owned(),
            };
            assert_ne!(of(&one), of(&other));
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
            assert!(of(&one).bytes().all(fits));
        }
        assert_eq!(one.verifier.expose().len(), 128);
        assert_eq!(one.state.expose().len(), 43);
    }

    #[test]
    fn a_code_counts_with_its_state_alone_and_is_taken_as_it_was_meant() {
        let form = |query: &str| match question().judge(query) {
            Brought::Approval(approval) => Some(approval.form("key", &Hidden::default())),
            _ => None,
        };
        let form = form("state=a-state&code=aPrx.x%3D%3D&sfdc_community_url=x").unwrap();
        let field = |name: &str| {
            let found = form.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(field("code"), Some("aPrx.x=="));
        assert_eq!(field("client_secret"), None);
        let verifier = question().verifier;
        assert_eq!(field("code_verifier"), Some(verifier.expose()));
        for query in [
            "code=x",
            "state=&code=x",
            "state=a-stat&code=x",
            "state=A-state&code=x",
            "state=a-state2&code=x",
            "state=a-state&state=a-state&code=x",
            "state=a-state&code=x&code=y",
            "state=a-state&code=",
            "state=a-state&code=x&error=y",
            "state=a-state",
            "state=other&error=access_denied",
        ] {
            assert!(
                matches!(question().judge(query), Brought::Nothing),
                "{query}"
            );
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_org_without_what_is_secret() {
        let question = Question::new(1717).unwrap();
        let state = question.state.expose();
        let refusal = |description: &str| {
            let query =
                format!("error=access_denied&error_description={description}&state={state}");
            match question.judge(&query) {
                Brought::Refusal(error) => error,
                _ => panic!("a refusal"),
            }
        };
        let error = refusal("end-user+denied+authorization");
        assert_eq!(error.code(), Some("access_denied"));
        let told =
            "no sign-in: the browser came back with access_denied: end-user denied authorization";
        assert_eq!(error.to_string(), told);
        assert!(error.fix().contains("choose Allow"), "{}", error.fix());
        let repeated = refusal(state).to_string();
        assert!(!repeated.contains(state), "{repeated}");
    }
}
