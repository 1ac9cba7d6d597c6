//! One org: its session, and requests below `/services/data`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::address::{self, Login};
use super::answer::{self, Asked, Said, Words};
use super::credentials::{Certificate, Purpose, SigningKey};
use super::hidden::Hidden;
use super::http::{self, Wire};
use super::oauth::{self, Grant, MOST_SKEW};
use super::session::Sessions;
use super::{Pace, SalesforceError, retry};
use crate::catalog::sf_id18;
use crate::config::{Flow, LoginSecrets, Salesforce, SalesforceSecrets, TlsSecrets};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The status of a body that should be something else.
const SUCCESS: Said = Said {
    status: 200,
    location: None,
    wish: None,
    body: Vec::new(),
};

/// API calls of 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub used: u64,
    pub allowed: u64,
}

/// An answer with status 200.
#[derive(Debug)]
pub(in crate::salesforce) struct Answer {
    pub json: Value,
    /// Of the header `Date`.
    pub server_time: Option<DateTime<Utc>>,
}

/// One org. Shared by reference; one session for all.
pub struct Client {
    pub(super) wire: Wire,
    pub(super) login: Login,
    pub(super) client_id: String,
    pub(super) grant: Grant,
    /// Who is expected: the org's id, 18 characters, and the user, where they are known.
    pub(super) org_id: Option<String>,
    pub(super) username: Option<String>,
    api_version: u32,
    /// To be downloaded; all where empty.
    event_types: Vec<String>,
    usage_share: f64,
    certificates: Vec<Certificate>,
    pub(super) sessions: Sessions,
    heard: Mutex<Heard>,
    pub(super) hidden: Hidden,
    pub(super) pace: Arc<dyn Pace>,
}

/// What the last answers said beside their content.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    org: Option<Usage>,
    app: Option<Usage>,
    skew: Option<TimeDelta>,
}

impl Client {
    /// Signs in by itself, as the settings say. Reads nothing; checks keys, certificates and
    /// addresses.
    pub fn new(
        settings: &Salesforce,
        org_id: Option<&str>,
        secrets: SalesforceSecrets,
        pace: Arc<dyn Pace>,
    ) -> Result<Self, SalesforceError> {
        let mut app_certificate = None;
        let grant = match &settings.flow {
            Flow::Jwt { username, .. } => {
                let key = SigningKey::read(&secrets.credential)?;
                if let Some(pem) = &secrets.certificate {
                    let certificate = Certificate::read(pem, Purpose::App)?;
                    certificate.check_key(&key)?;
                    certificate.check_time(pace.now())?;
                    app_certificate = Some(certificate);
                }
                let audience = settings.audience.clone();
                let of_login = || settings.login_url.origin().ascii_serialization();
                Grant::Jwt {
                    key,
                    username: username.clone(),
                    audience: audience.unwrap_or_else(of_login),
                }
            }
            Flow::ClientCredentials { .. } => Grant::Secret(secrets.credential),
            Flow::Undecided => {
                return Err(SalesforceError::Setup {
                    what: "[salesforce] does not say as whom this program signs in".to_owned(),
                    fix: "set `username` and `key_file`, or flow = \"client_credentials\"".into(),
                });
            }
        };
        let mut client = Self::with(grant, settings, org_id, &secrets.tls, pace)?;
        client.certificates.extend(app_certificate);
        client.username = settings.flow.username().map(str::to_owned);
        // A key that cannot sign is told before anything leaves.
        let now = client.pace.now();
        client.grant.form(&client.client_id, now, &client.hidden)?;
        Ok(client)
    }

    /// Signs in as whoever approves it in a browser, by [`Client::sign_in_with`]. Checks the same.
    pub fn for_person(
        settings: &Salesforce,
        org_id: Option<&str>,
        secrets: LoginSecrets,
        pace: Arc<dyn Pace>,
    ) -> Result<Self, SalesforceError> {
        let grant = Grant::person(secrets.client_secret);
        Self::with(grant, settings, org_id, &secrets.tls, pace)
    }

    /// Whoever may sign in by this grant.
    fn with(
        grant: Grant,
        settings: &Salesforce,
        org_id: Option<&str>,
        tls: &TlsSecrets,
        pace: Arc<dyn Pace>,
    ) -> Result<Self, SalesforceError> {
        let org_id = org_id.map(|text| {
            sf_id18(text).ok_or_else(|| SalesforceError::Setup {
                what: "`id` of [org] is no id of an org".to_owned(),
                fix: "copy it from Setup > Company Information".into(),
            })
        });
        let org_id = org_id.transpose()?;
        let mut certificates = Vec::new();
        if let Some(pair) = &tls.mtls {
            let certificate = Certificate::read(&pair.certificate, Purpose::Tls)?;
            certificate.check_time(pace.now())?;
            certificates.push(certificate);
        }
        let hidden = Hidden::default();
        grant.hide(&hidden);
        Ok(Self {
            wire: Wire::open(settings, tls)?,
            login: Login::new(&settings.login_url, settings.mtls.is_some()),
            client_id: settings.client_id.clone(),
            grant,
            org_id,
            username: None,
            api_version: settings.api_version,
            event_types: settings.event_types.clone(),
            usage_share: settings.usage_share,
            certificates,
            sessions: Sessions::default(),
            heard: Mutex::default(),
            hidden,
            pace,
        })
    }

    /// Versions that the org serves, ascending; needs no sign-in.
    pub async fn api_versions(&self) -> Result<Vec<u32>, SalesforceError> {
        let url = self.login.at("/services/data/");
        self.retrying(async || {
            let request = self.wire.whole.get(url.clone()).header(ACCEPT, JSON);
            let response = self.wire.send(request, self.login.host()).await?;
            self.hear(response.headers());
            if response.status() != StatusCode::OK {
                let said = http::said(response, self.pace.now()).await;
                let words = Words::of(&said.body);
                return Err(self.refused(&said, words, Asked::Data));
            }
            let body = self.wire.body(response, self.login.host()).await?;
            let json = self.json(&body)?;
            let versions = json.as_array().map(Vec::as_slice).unwrap_or_default();
            let number = |entry: &Value| {
                let text = entry.get("version")?.as_str()?;
                text.strip_suffix(".0")?.parse().ok()
            };
            let mut versions: Vec<u32> = versions.iter().filter_map(number).collect();
            versions.sort_unstable();
            match versions.is_empty() {
                true => Err(SalesforceError::protocol(
                    "the org names no version of its API",
                )),
                false => Ok(versions),
            }
        })
        .await
    }

    /// API calls used and allowed, of the last answer.
    pub fn usage(&self) -> Option<Usage> {
        self.heard().org
    }

    /// How far the org's clock is ahead of this machine's, by the last answer.
    pub fn clock_skew(&self) -> Option<TimeDelta> {
        self.heard().skew
    }

    /// When the first of the certificates that were given expires.
    pub fn certificate_expires(&self) -> Option<DateTime<Utc>> {
        self.certificates.iter().map(|one| one.expires).min()
    }

    /// What works still and should be looked at: a certificate about to expire, a clock that
    /// differs.
    pub fn remarks(&self) -> Vec<String> {
        let now = self.pace.now();
        let certificates = self.certificates.iter();
        let certificates = certificates.filter_map(|one| one.remark(now));
        certificates.chain(self.clock_remark()).collect()
    }

    /// That this machine's clock differs from the org's, where it does.
    pub fn clock_remark(&self) -> Option<String> {
        let skew = self.clock_skew().filter(|skew| skew.abs() > MOST_SKEW)?;
        let told = oauth::told_skew(skew);
        Some(format!("set this machine's clock, best by NTP: {told}"))
    }

    /// GET `path`, which begins with `/`, below `{instance}/services/data/vNN.0`.
    pub(in crate::salesforce) async fn get_json(
        &self,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Result<Answer, SalesforceError> {
        self.retrying(async || {
            let response = self
                .open(&self.wire.whole, path, query, headers, Asked::Data)
                .await?;
            let server_time = http::server_time(response.headers());
            let body = self.wire.body(response, self.login.host()).await?;
            let json = self.json(&body)?;
            match self.refusal_of(&json) {
                Some(error) => Err(error),
                None => Ok(Answer { json, server_time }),
            }
        })
        .await
    }

    /// The open body of one attempt with status 200; for [`Client::retrying`]. What goes wrong
    /// while the body is read is [`Client::broken`].
    pub(in crate::salesforce) async fn get_stream(
        &self,
        path: &str,
    ) -> Result<Response, SalesforceError> {
        self.open(&self.wire.stream, path, &[], &[], Asked::LogFile)
            .await
    }

    /// A body that broke off: worth another attempt.
    pub(in crate::salesforce) fn broken(&self, error: &reqwest::Error) -> SalesforceError {
        self.wire.no_answer(error, self.login.host())
    }

    /// The error that a body of status 200 is, where it should be something else: JSON with an
    /// `errorCode`, a page of HTML, XML. None where it is neither.
    pub(in crate::salesforce) fn refusal_in(&self, body: &[u8]) -> Option<SalesforceError> {
        let text = text_of(body);
        match text.first() {
            Some(b'<') => {
                let words = Words::of(text);
                if words.code.is_some() {
                    return Some(self.refused(&SUCCESS, words, Asked::Data));
                }
                let what = answer::told(&SUCCESS, &words, &self.hidden);
                Some(SalesforceError::protocol(what))
            }
            Some(b'[' | b'{') => self.refusal_of(&serde_json::from_slice(text).ok()?),
            _ => None,
        }
    }

    /// The same of a body that is JSON.
    fn refusal_of(&self, json: &Value) -> Option<SalesforceError> {
        json.get(0).unwrap_or(json).get("errorCode")?;
        let words = Words::of_json(json)?;
        Some(self.refused(&SUCCESS, words, Asked::Data))
    }

    /// Runs an attempt until it succeeds, or the retry table allows no more.
    pub(in crate::salesforce) async fn retrying<T>(
        &self,
        attempt: impl AsyncFnMut() -> Result<T, SalesforceError>,
    ) -> Result<T, SalesforceError> {
        retry::retrying(&*self.pace, attempt).await
    }

    /// Event types that the settings name; all where empty.
    pub(in crate::salesforce) fn event_types(&self) -> &[String] {
        &self.event_types
    }

    /// Time since some moment before, as the client's own waits count it.
    pub fn elapsed(&self) -> Duration {
        self.pace.elapsed()
    }

    pub(in crate::salesforce) fn pace(&self) -> &dyn Pace {
        &*self.pace
    }

    /// One request with the session, and with the next one where that is over.
    async fn open(
        &self,
        client: &reqwest::Client,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        asked: Asked,
    ) -> Result<Response, SalesforceError> {
        let mut over = 0;
        loop {
            let session = self.session(over).await?;
            self.check_share()?;
            let url = address::data(&session.instance, self.api_version, path);
            let url = url.ok_or_else(|| {
                SalesforceError::protocol("an answer leads out of the data of the org")
            })?;
            let mut request = client
                .get(url)
                .query(query)
                .header(AUTHORIZATION, session.bearer.clone());
            if asked == Asked::Data {
                request = request.header(ACCEPT, JSON);
            }
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = self.wire.send(request, self.login.host()).await?;
            self.hear(response.headers());
            if response.status() == StatusCode::OK {
                return Ok(response);
            }
            let said = http::said(response, self.pace.now()).await;
            let words = Words::of(&said.body);
            if over == 0 && answer::is_session_over(&said, &words) {
                over = session.number;
                continue;
            }
            return Err(self.refused(&said, words, asked));
        }
    }

    fn refused(&self, said: &Said, words: Words, asked: Asked) -> SalesforceError {
        answer::refused(said, words, asked, &self.hidden)
    }

    fn json(&self, body: &[u8]) -> Result<Value, SalesforceError> {
        serde_json::from_slice(text_of(body)).map_err(|_| {
            let odd = self.refusal_in(body);
            odd.unwrap_or_else(|| {
                SalesforceError::protocol(match text_of(body) {
                    [] => "the org answers 200 without a word",
                    _ => "the org answers 200 with something that is no JSON",
                })
            })
        })
    }

    /// The polite stop.
    fn check_share(&self) -> Result<(), SalesforceError> {
        let heard = self.heard();
        for (usage, whose) in [(heard.org, "the org"), (heard.app, "the app")] {
            if let Some(Usage { used, allowed }) = usage
                && used as f64 >= allowed as f64 * self.usage_share
            {
                return Err(SalesforceError::Share {
                    used,
                    allowed,
                    whose,
                });
            }
        }
        Ok(())
    }

    pub(super) fn hear(&self, headers: &HeaderMap) {
        let (org, app) = http::usage(headers);
        let skew = http::server_time(headers).map(|time| time - self.pace.now());
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.org = org.or(heard.org);
        heard.app = app.or(heard.app);
        heard.skew = skew.or(heard.skew);
    }

    fn heard(&self) -> Heard {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body without what may stand before it.
fn text_of(body: &[u8]) -> &[u8] {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    text.trim_ascii_start()
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("host", &self.login.host())
            .finish_non_exhaustive()
    }
}
