//! The connection: TLS only, no redirect, no proxy, bounded bodies; and what a failure of it
//! means.

use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Identity, RequestBuilder, Response};
use rustls::{AlertDescription, CertificateError, InconsistentKeys};

use super::answer::Said;
use super::credentials::check_tls_key;
use super::pace::random;
use super::{SalesforceError, Usage, retry};
use crate::config::{Salesforce, TlsSecrets};
use crate::https;
use crate::privacy::printable;

/// By which an org's administrator recognises our own requests in its logs.
const REQUEST_ID: &str = "x-sfdc-request-id";
const LIMIT_INFO: &str = "sforce-limit-info";
const CONNECT_PATIENCE: Duration = Duration::from_secs(15);
/// Connections that nobody uses are closed after it.
const POOL_PATIENCE: Duration = Duration::from_secs(60);
/// A query may run for two minutes before its first byte comes, so that answers are waited for
/// longer than one pause of a download.
const QUERY_PATIENCE: f64 = 2.5;
/// What is read of an error, in bytes, and how long that may take.
const MAX_ERROR: usize = 64 << 10;
const ERROR_PATIENCE: Duration = Duration::from_secs(10);
/// Longest words of an error of the network, in characters.
const MAX_WORDS: usize = 200;
/// Largest answer in JSON, inflated.
const MAX_JSON: usize = 64 << 20;

/// Connections to one org.
#[derive(Debug)]
pub(super) struct Wire {
    /// For answers that come whole.
    pub whole: Client,
    /// For downloads: each pause is bounded.
    pub stream: Client,
    has_mtls: bool,
    idle: Duration,
}

impl Wire {
    pub(super) fn open(
        settings: &Salesforce,
        secrets: &TlsSecrets,
    ) -> Result<Self, SalesforceError> {
        let idle = Duration::from_secs(u64::from(settings.idle_timeout_seconds));
        let build = |patience| {
            let client = builder(settings, secrets)?.read_timeout(patience);
            client.build().map_err(|error| unusable_tls(&error))
        };
        Ok(Self {
            whole: build(idle.mul_f64(QUERY_PATIENCE))?,
            stream: build(idle)?,
            has_mtls: settings.mtls.is_some(),
            idle,
        })
    }

    /// Sends it, under a number of its own.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
        host: &str,
    ) -> Result<Response, SalesforceError> {
        let id = format!("{:016x}{:016x}", random(), random());
        let sent = request.header(REQUEST_ID, id).send().await;
        sent.map_err(|error| self.no_answer(&error, host))
    }

    /// The whole body of an answer, inflated.
    pub(super) async fn body(
        &self,
        mut response: Response,
        host: &str,
    ) -> Result<Vec<u8>, SalesforceError> {
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await;
            let Some(chunk) = chunk.map_err(|error| self.no_answer(&error, host))? else {
                return Ok(body);
            };
            if body.len() + chunk.len() > MAX_JSON {
                let most = MAX_JSON >> 20;
                let what = format!("an answer of {host} is larger than {most} MiB");
                return Err(SalesforceError::protocol(what));
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// No answer, or one that broke off.
    pub(super) fn no_answer(&self, error: &reqwest::Error, host: &str) -> SalesforceError {
        if let Some(tls) = tls_error(error)
            && let Some((what, fix)) = self.tls_trouble(tls, host)
        {
            return SalesforceError::Setup {
                what,
                fix: fix.into(),
            };
        }
        let (what, fix) = if error.is_timeout() && !error.is_connect() {
            let seconds = self.idle.as_secs();
            (
                format!("{host} fell silent: nothing came for {seconds} seconds or more"),
                FIX_SILENT,
            )
        } else if error.is_dns() {
            (format!("the name {host} cannot be resolved"), FIX_NAME)
        } else if error.is_connect() {
            let why = words_of(error);
            (format!("{host} cannot be reached: {why}"), FIX_REACH)
        } else {
            let why = words_of(error);
            (format!("the answer of {host} broke off: {why}"), FIX_LATER)
        };
        SalesforceError::Network {
            what,
            fix: fix.into(),
        }
    }

    /// What nothing but a change of settings or certificates will mend; None for the rest.
    fn tls_trouble(&self, error: &rustls::Error, host: &str) -> Option<(String, &'static str)> {
        use AlertDescription as Alert;
        match error {
            rustls::Error::InvalidCertificate(why) => {
                let why = match why {
                    CertificateError::UnknownIssuer => "comes from a CA that is not trusted here",
                    CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                        "has expired"
                    }
                    CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                        "is not valid yet"
                    }
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. } => "names another server",
                    CertificateError::Revoked => "is revoked",
                    _ => "cannot be trusted",
                };
                Some((format!("the certificate of {host} {why}"), FIX_TRUST))
            }
            rustls::Error::AlertReceived(
                alert @ (Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::CertificateRequired
                | Alert::DecryptError),
            ) => Some(match self.has_mtls {
                true => (
                    format!("{host} refuses the client certificate ({alert:?})"),
                    FIX_REFUSED,
                ),
                false => (
                    format!("{host} wants a client certificate ({alert:?})"),
                    FIX_WANTED,
                ),
            }),
            rustls::Error::AlertReceived(
                Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity,
            )
            | rustls::Error::PeerIncompatible(_) => Some((
                format!("{host} speaks no TLS that is safe: 1.2 or newer is needed"),
                FIX_OLD,
            )),
            _ => None,
        }
    }
}

const FIX_SILENT: &str =
    "the next run tries again; a slow line may need a longer `idle_timeout_seconds`";
const FIX_NAME: &str = "check `login_url`, and this machine's DNS";
const FIX_REACH: &str =
    "check `login_url`, and that a firewall lets this machine reach it; no proxy is used";
const FIX_LATER: &str = "the next run tries again";
const FIX_TRUST: &str = "check `login_url` and this machine's clock; behind a proxy that opens TLS, name its CA with `ca_file`";
const FIX_OLD: &str = "check `login_url`, and for a proxy in between";
const FIX_REFUSED: &str = "upload the certificate in Setup > Certificate and Key Management > Upload Mutual Authentication Certificate; it must come from a CA that Salesforce trusts, with the CA's own intermediate certificates behind it in `certificate_file`";
const FIX_WANTED: &str = "add [salesforce.mtls] with its certificate and key";

fn builder(settings: &Salesforce, secrets: &TlsSecrets) -> Result<ClientBuilder, SalesforceError> {
    let mut client = https::client(settings.plaintext)
        .connect_timeout(CONNECT_PATIENCE)
        .pool_idle_timeout(POOL_PATIENCE);
    if let Some(pem) = &secrets.ca {
        let certificates = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
        if certificates.is_empty() {
            return Err(SalesforceError::Setup {
                what: "`ca_file` of [salesforce] holds no certificate in PEM".to_owned(),
                fix: "write the CA's certificate there in PEM; `openssl x509 -inform DER -in FILE -out ca.pem` converts".into(),
            });
        }
        // The given CA instead of the system's, not beside it.
        client = client.tls_certs_only(certificates);
    }
    if let Some(pair) = &secrets.mtls {
        check_tls_key(&pair.key)?;
        let pem = format!("{}\n{}\n", pair.key.expose(), pair.certificate);
        let identity = Identity::from_pem(pem.as_bytes());
        client = client.identity(identity.map_err(|error| unusable_tls(&error))?);
    }
    Ok(client)
}

/// The error of a set-up of TLS.
fn unusable_tls(error: &reqwest::Error) -> SalesforceError {
    let (what, fix) = match tls_error(error) {
        Some(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => (
            "the certificate of [salesforce.mtls] does not belong to its key".to_owned(),
            "name the key that the certificate was asked for with",
        ),
        _ => (
            format!("TLS cannot be set up: {}", words_of(error)),
            "install the system's CA certificates, or name your own with `ca_file`; the key and certificate of [salesforce.mtls] must be in PEM",
        ),
    };
    SalesforceError::Setup {
        what,
        fix: fix.into(),
    }
}

/// The error of TLS that another one was caused by.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        // An error of I/O names its cause's cause as its own.
        let inner = error.downcast_ref::<io::Error>();
        cause = match inner.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The innermost words of an error, which do not hold the address.
fn words_of(error: &reqwest::Error) -> String {
    match https::innermost(error) {
        Some(words) => printable(&words, MAX_WORDS),
        None => "it could not be read".to_owned(),
    }
}

/// What an answer that is no success says. Its status is enough: a body that breaks off is an
/// answer.
pub(super) async fn said(mut response: Response, now: DateTime<Utc>) -> Said {
    let headers = response.headers();
    let now = server_time(headers).unwrap_or(now);
    let wish = text(headers, RETRY_AFTER.as_str()).and_then(|text| retry::wish(text, now));
    let status = response.status().as_u16();
    let location = text(headers, LOCATION.as_str()).map(str::to_owned);
    let mut body = Vec::new();
    let read = async {
        while body.len() < MAX_ERROR {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
    };
    // What has come by then is what there is.
    let _ = tokio::time::timeout(ERROR_PATIENCE, read).await;
    body.truncate(MAX_ERROR);
    Said {
        status,
        location: location.filter(|_| (300..400).contains(&status)),
        wish,
        body,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Of the header `Date`.
pub(super) fn server_time(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_rfc2822(text(headers, DATE.as_str())?).ok()?;
    Some(date.to_utc())
}

/// API calls of the org and of this app: `api-usage=18/5000; per-app-api-usage=17/250(appName=x)`.
pub(super) fn usage(headers: &HeaderMap) -> (Option<Usage>, Option<Usage>) {
    let info = text(headers, LIMIT_INFO).unwrap_or_default();
    let find = |key: &str| {
        let parts = info.split([';', ',']).map(str::trim);
        let counts = parts.filter_map(|part| part.strip_prefix(key));
        counts.filter_map(parse_usage).next()
    };
    (find("api-usage="), find("per-app-api-usage="))
}

fn parse_usage(text: &str) -> Option<Usage> {
    let (used, rest) = text.split_once('/')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    Some(Usage {
        used: used.parse().ok()?,
        allowed: rest[..digits].parse().ok().filter(|allowed| *allowed > 0)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(info: &str) -> (Option<Usage>, Option<Usage>) {
        let mut headers = HeaderMap::new();
        headers.insert(LIMIT_INFO, info.parse().unwrap());
        usage(&headers)
    }

    #[test]
    fn api_calls_are_counted_for_the_org_and_for_the_app() {
        let counted = |used, allowed| Some(Usage { used, allowed });
        assert_eq!(of("api-usage=18/5000"), (counted(18, 5000), None));
        assert_eq!(
            of("api-usage=25/5000; per-app-api-usage=17/250(appName=orgwatch)"),
            (counted(25, 5000), counted(17, 250))
        );
        for odd in [
            "",
            "api-usage=",
            "api-usage=1",
            "api-usage=1/0",
            "api-usage=-1/5",
            "x=1/2",
        ] {
            assert_eq!(of(odd), (None, None), "{odd}");
        }
    }

    #[test]
    fn the_servers_clock_is_read_from_its_header() {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, "Sat, 31 Jan 2026 03:00:00 GMT".parse().unwrap());
        let time: DateTime<Utc> = "2026-01-31T03:00:00Z".parse().unwrap();
        assert_eq!(server_time(&headers), Some(time));
        headers.insert(DATE, "yesterday".parse().unwrap());
        assert_eq!(server_time(&headers), None);
    }
}
