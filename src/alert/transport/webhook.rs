//! A post to a webhook: one conversation over HTTPS for each alert.
//!
//! Nothing leaves before the server has proved who it is, no redirect is followed, no proxy of the
//! environment is asked, and no answer is repeated as it came. What an answer means:
//!
//! ```text
//! 2xx                        accepted
//! 408, 425, 429, 5xx         not now: the alert waits, and the next run posts it first
//! 3xx, 401, 403, 407         the address or the secret is wrong, not the alert: it waits
//! any other 4xx              refused for good
//! ```
//! An alert whose answer was lost goes again under the same `Idempotency-Key`.

use std::io;
use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, StatusCode};
use tokio::runtime::{Builder, Runtime};

use super::{Letter, MAX_ANSWER, Trouble, verdicts};
use crate::alert::AlertError;
use crate::config::{HookUrl, Webhook};
use crate::https;
use crate::lake::{MailState, Verdict};
use crate::privacy::{Secret, printable};

/// The header by which a receiver knows an alert that it has already.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What is read of an answer, in bytes, and how long one waits for it.
const MAX_BODY: usize = 16 << 10;
const BODY_PATIENCE: Duration = Duration::from_secs(2);
/// What is looked at of it, in bytes: the rest is there to know a secret that begins in it.
const MAX_SHOWN: usize = 600;
/// Longest `Retry-After` that is waited for, once.
const SHORT_WAIT: Duration = Duration::from_secs(5);
/// Pieces of a secret that are shorter betray nothing, and are words that any answer may hold.
const SHORTEST_PIECE: usize = 6;

pub struct WebhookTransport {
    name: String,
    url: HookUrl,
    header: Option<(HeaderName, HeaderValue)>,
    /// What no answer may show: the secret, the path of the address, and their longer pieces.
    hidden: Vec<String>,
    client: Client,
    runtime: Runtime,
    timeout: Duration,
}

/// What a server said.
struct Answer {
    status: StatusCode,
    /// How long it asks one to wait, in its words.
    retry_after: Option<String>,
    body: Vec<u8>,
}

impl WebhookTransport {
    /// Reads the CA and checks what can be checked without the server.
    pub fn open(
        webhook: &Webhook,
        url: HookUrl,
        secret: Option<&Secret>,
    ) -> Result<Self, AlertError> {
        let section = format!("[[alert.webhook]] {}", webhook.name);
        let timeout = Duration::from_secs(u64::from(webhook.timeout_seconds));
        let mut client = https::client(webhook.plaintext)
            .no_gzip()
            .http1_only()
            .pool_max_idle_per_host(0)
            .connect_timeout(timeout)
            .timeout(timeout);
        if let Some(path) = &webhook.ca_file {
            // The given CA instead of the system's, not beside it.
            client = client.tls_certs_only(certificates(path, &section)?);
        }
        let client = client.build().map_err(|error| AlertError::Tls {
            section: section.clone(),
            what: printable(&words_of(&error), MAX_ANSWER),
        })?;
        let header = match (&webhook.secret_header, secret) {
            (Some(name), Some(secret)) => Some(header(name, secret, section)?),
            _ => None,
        };
        Ok(Self {
            name: webhook.name.clone(),
            hidden: hidden(&url, secret),
            url,
            header,
            client,
            runtime: Builder::new_current_thread().enable_all().build()?,
            timeout,
        })
    }

    /// Its server, in a few printable words.
    pub fn describe(&self) -> String {
        let tls = match self.url.expose().scheme() {
            "https" => "tls",
            _ => "plaintext",
        };
        let server = printable(&self.url.server(), MAX_ANSWER);
        format!("{server} ({tls})")
    }

    /// One attempt. Without a verdict the alert waits on.
    pub fn deliver(&self, letter: &Letter<'_>) -> Result<Vec<Verdict>, Trouble> {
        let mut answer = self.post(letter)?;
        if answer.status == StatusCode::TOO_MANY_REQUESTS
            && let Some(wait) = answer.seconds().filter(|wait| *wait <= SHORT_WAIT)
        {
            std::thread::sleep(wait);
            answer = self.post(letter)?;
        }
        let said = self.said(&answer);
        match Meaning::of(answer.status) {
            Meaning::Accepted => Ok(verdicts(letter.to, MailState::Sent, &said)),
            Meaning::Refused => Ok(verdicts(letter.to, MailState::Failed, &said)),
            Meaning::Later { is_passing } => {
                let what = match answer.wish() {
                    Some(wish) => format!("{said}; it asks to wait {wish}"),
                    None => said,
                };
                Err(self.trouble(&what, FIX_LATER, is_passing))
            }
            Meaning::WrongSecret => Err(self.trouble(&said, FIX_SECRET, false)),
            Meaning::WrongAddress => Err(self.trouble(&said, FIX_ADDRESS, false)),
        }
    }

    fn post(&self, letter: &Letter<'_>) -> Result<Answer, Trouble> {
        let id = HeaderValue::from_bytes(letter.message_id.as_bytes());
        let id = id.map_err(|error| self.trouble(&error.to_string(), FIX_LATER, true))?;
        let mut request = self
            .client
            .post(self.url.expose().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, id)
            .body(letter.bytes.to_vec());
        if let Some((name, value)) = &self.header {
            request = request.header(name, value);
        }
        let answer = self.runtime.block_on(async {
            let response = request.send().await?;
            Ok(Answer::of(response).await)
        });
        answer.map_err(|error: reqwest::Error| self.no_answer(&error))
    }

    /// Nobody spoke.
    fn no_answer(&self, error: &reqwest::Error) -> Trouble {
        let words = words_of(error);
        if error.is_connect() {
            return self.trouble(&words, FIX_CONNECT, false);
        }
        if error.is_timeout() {
            let seconds = self.timeout.as_secs();
            let what = format!("no answer within {seconds} seconds");
            return self.trouble(&what, FIX_LATER, true);
        }
        self.trouble(&words, FIX_LATER, true)
    }

    fn trouble(&self, what: &str, fix: &str, is_passing: bool) -> Trouble {
        let what = printable(&self.without_secrets(what), MAX_ANSWER);
        let (name, server) = (&self.name, self.url.server());
        Trouble {
            what: format!("webhook {name} at {server}: {what}"),
            fix: fix.to_owned(),
            is_passing,
        }
    }

    fn said(&self, answer: &Answer) -> String {
        let status = answer.status.as_u16();
        let all = String::from_utf8_lossy(&answer.body);
        if self.betrays(&all) {
            return format!("{status} (an answer that repeats the secret or the address)");
        }
        let start = &answer.body[..answer.body.len().min(MAX_SHOWN)];
        let start = String::from_utf8_lossy(start);
        let words: Vec<&str> = start.split_whitespace().collect();
        let said = format!("{status} {}", words.join(" "));
        printable(said.trim_end(), MAX_ANSWER)
    }

    fn betrays(&self, text: &str) -> bool {
        self.hidden.iter().any(|piece| text.contains(piece))
    }

    fn without_secrets(&self, text: &str) -> String {
        match self.betrays(text) {
            true => "(words that repeat the secret or the address)".to_owned(),
            false => text.to_owned(),
        }
    }
}

const FIX_CONNECT: &str = "nothing was sent; check the address, and that the server can be reached from here; its certificate must be in date, name that server, and come from a CA that this machine trusts or `ca_file` holds";
const FIX_SECRET: &str =
    "check the secret and `secret_header` of the webhook; `orgwatch alert test` tries them";
const FIX_ADDRESS: &str = "no redirect is followed; set `url` to where the service is now";
const FIX_LATER: &str = "the next run tries again under the same key";

/// What a status says of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Accepted,
    Later { is_passing: bool },
    WrongSecret,
    WrongAddress,
    Refused,
}

impl Meaning {
    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Accepted,
            300..=399 => Self::WrongAddress,
            401 | 403 | 407 => Self::WrongSecret,
            // Whoever has had too much wants no more of the others either.
            429 => Self::Later { is_passing: false },
            408 | 425 => Self::Later { is_passing: true },
            400..=499 => Self::Refused,
            _ => Self::Later { is_passing: true },
        }
    }
}

impl Answer {
    /// The status decides: an answer of which the rest never comes is an answer.
    async fn of(mut response: Response) -> Self {
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(|value| value.trim().to_owned());
        let status = response.status();
        let mut body = Vec::new();
        let read = async {
            while body.len() < MAX_BODY {
                match response.chunk().await {
                    Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                    Ok(None) | Err(_) => break,
                }
            }
        };
        let _ = tokio::time::timeout(BODY_PATIENCE, read).await;
        body.truncate(MAX_BODY);
        Self {
            status,
            retry_after,
            body,
        }
    }

    fn seconds(&self) -> Option<Duration> {
        let seconds = self.retry_after.as_ref()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// Its wish, where it is one: seconds, or a date.
    fn wish(&self) -> Option<String> {
        if let Some(wait) = self.seconds() {
            return Some(format!("{} seconds", wait.as_secs()));
        }
        let date = DateTime::parse_from_rfc2822(self.retry_after.as_ref()?).ok()?;
        Some(format!("until {}", date.to_rfc3339()))
    }
}

fn header(
    name: &str,
    secret: &Secret,
    section: String,
) -> Result<(HeaderName, HeaderValue), AlertError> {
    let wrong = |_| AlertError::Header { section };
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
    let value = HeaderValue::from_str(secret.expose()).ok();
    let (name, mut value) = parsed.zip(value).ok_or(()).map_err(wrong)?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The secret and the path of the address, whole and in pieces.
fn hidden(url: &HookUrl, secret: Option<&Secret>) -> Vec<String> {
    let url = url.expose();
    let mut hidden: Vec<&str> = url.path().split('/').collect();
    hidden.push(url.path());
    if let Some(query) = url.query() {
        hidden.extend(query.split(['&', '=']));
    }
    if let Some(secret) = secret {
        hidden.push(secret.expose());
        hidden.extend(secret.expose().split_whitespace());
    }
    hidden.retain(|piece| piece.len() >= SHORTEST_PIECE);
    hidden.into_iter().map(str::to_owned).collect()
}

fn certificates(path: &Path, section: &str) -> Result<Vec<Certificate>, AlertError> {
    let unreadable = |source| AlertError::CaFile {
        section: section.to_owned(),
        path: path.to_owned(),
        source,
    };
    let pem = std::fs::read(path).map_err(unreadable)?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(unreadable(io::Error::other(
            "it holds no certificate in PEM",
        ))),
    }
}

/// The innermost words of an error, which do not hold the address.
fn words_of(error: &reqwest::Error) -> String {
    https::innermost(error).unwrap_or_else(|| "the request could not be made".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_an_alert_has_arrived_waits_or_is_refused() {
        let meaning = |code: u16| Meaning::of(StatusCode::from_u16(code).unwrap());
        for code in [200, 202, 204] {
            assert_eq!(meaning(code), Meaning::Accepted);
        }
        for code in [301, 302, 304, 307, 308] {
            assert_eq!(meaning(code), Meaning::WrongAddress);
        }
        for code in [401, 403, 407] {
            assert_eq!(meaning(code), Meaning::WrongSecret);
        }
        for code in [400, 404, 405, 410, 413, 422, 451] {
            assert_eq!(meaning(code), Meaning::Refused);
        }
        for code in [408, 425, 500, 501, 502, 503, 504, 599] {
            assert_eq!(meaning(code), Meaning::Later { is_passing: true });
        }
        assert_eq!(meaning(429), Meaning::Later { is_passing: false });
    }

    #[test]
    fn what_a_server_wishes_is_told_only_where_it_is_a_time() {
        let wish = |text: &str| {
            let answer = Answer {
                status: StatusCode::TOO_MANY_REQUESTS,
                retry_after: Some(text.to_owned()),
                body: Vec::new(),
            };
            answer.wish()
        };
        assert_eq!(wish("120"), Some("120 seconds".to_owned()));
        let date = wish("Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(date, Some("until 2026-10-21T07:28:00+00:00".to_owned()));
        for nonsense in ["-1", "soon", "<script>", ""] {
            assert_eq!(wish(nonsense), None);
        }
    }
}
