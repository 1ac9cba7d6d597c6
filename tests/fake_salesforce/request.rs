//! A request, taken apart.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;

use super::journal::Listener;

#[derive(Debug)]
pub struct Request {
    pub listener: Listener,
    pub method: String,
    pub path: String,
    /// As it came, without the question mark.
    pub raw_query: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Names of the certificate that the client showed.
    pub client: Option<String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn query_value(&self, key: &str) -> Option<&str> {
        value(&self.query, key)
    }

    /// The body as a form; None where its type is another.
    pub fn form(&self) -> Option<Vec<(String, String)>> {
        let kind = self.header("content-type")?;
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
            .then(|| form_decode(&String::from_utf8_lossy(&self.body)))
    }

    /// The session token of `Authorization: Bearer …` or `OAuth …`.
    pub fn token(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        let known = ["bearer", "oauth"].contains(&scheme.to_ascii_lowercase().as_str());
        known.then(|| token.trim())
    }

    /// Name and password of `Authorization: Basic …`.
    pub fn basic(&self) -> Option<(String, String)> {
        let (scheme, coded) = self.header("authorization")?.split_once(' ')?;
        let plain = STANDARD.decode(coded.trim()).ok()?;
        let plain = String::from_utf8(plain).ok()?;
        let (name, password) = plain.split_once(':')?;
        scheme
            .eq_ignore_ascii_case("basic")
            .then(|| (percent_decode(name), percent_decode(password)))
    }

    pub fn accepts_gzip(&self) -> bool {
        let accepted = self.header("accept-encoding").unwrap_or_default();
        accepted.to_ascii_lowercase().contains("gzip")
    }
}

pub fn value<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(name, _)| name == key);
    found.map(|(_, value)| value.as_str())
}

/// Pairs of a query or form: `+` is a space.
pub fn form_decode(text: &str) -> Vec<(String, String)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    let decode = |part: &str| percent_decode(&part.replace('+', " "));
    parts
        .map(|part| match part.split_once('=') {
            Some((key, value)) => (decode(key), decode(value)),
            None => (decode(part), String::new()),
        })
        .collect()
}

pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while place < bytes.len() {
        let code = text
            .get(place + 1..place + 3)
            .filter(|_| bytes[place] == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                place += 3;
            }
            None => {
                plain.push(bytes[place]);
                place += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}
