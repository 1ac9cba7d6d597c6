//! What goes wrong, and when: an ordered list of faults, each with the requests it is for.

use std::time::Duration;

use super::answer::{Answer, Body, Ending, api_error};
use super::journal::Listener;
use super::request::Request;

/// Faults in their order: of those that match a request, the first that is not used up acts.
#[derive(Debug, Default)]
pub struct Faults(pub Vec<Fault>);

/// A fault: for which requests, from the how-manieth on, how often, and what.
#[derive(Debug, Clone)]
pub struct Fault {
    path: String,
    method: Option<String>,
    soql: Option<String>,
    listener: Option<Listener>,
    nth: u32,
    times: Option<u32>,
    seen: u32,
    action: Action,
}

#[derive(Debug, Clone)]
pub enum Action {
    /// This answer and not the org's.
    Status {
        code: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// The connection is gone before a byte of the answer: reset, or just closed.
    Drop(Ending),
    /// The body ends after so many bytes (as they are on the wire, before chunk framing) and the
    /// connection with it. More bytes than there are: only the last chunk's mark is missing.
    Truncate {
        after: u64,
        ending: Ending,
    },
    /// After so many bytes nothing more comes.
    Stall {
        after: u64,
    },
    /// So many bytes at a time, with a real pause before each.
    Drip {
        bytes: usize,
        pause: Duration,
    },
    Redirect {
        code: u16,
        to: String,
    },
    /// Compressed, with wrong bytes in it.
    CorruptGzip,
    /// Compressed, and properly ended after so many bytes of it.
    CutGzip {
        after: u64,
    },
    /// A body that inflates to so many zeros.
    GzipBomb {
        inflated: u64,
    },
    /// This body and not the org's, with the org's status.
    Body {
        body: String,
        content_type: Option<String>,
    },
    /// A real wait before the answer.
    Delay(Duration),
    /// The token that the request carries is not valid any more.
    ExpireToken,
    /// Content-Length claims so many bytes more (or fewer) than there are.
    WrongLength(i64),
    /// An answer of HTTP/1.0: the close is its end. Cut after so many bytes, if told.
    Http10 {
        after: Option<u64>,
    },
}

impl Fault {
    /// For requests whose path contains this; `^` and `$` at its ends mean the path's ends.
    pub fn on(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            method: None,
            soql: None,
            listener: None,
            nth: 1,
            times: Some(1),
            seen: 0,
            action: Action::Drop(Ending::Reset),
        }
    }

    /// Only for queries whose text contains this.
    pub fn soql(mut self, part: &str) -> Self {
        self.soql = Some(part.to_owned());
        self
    }

    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    pub fn listener(mut self, listener: Listener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// From the nth matching request on (1 is the first).
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = nth;
        self
    }

    /// So many times; else once.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    pub fn forever(mut self) -> Self {
        self.times = None;
        self
    }

    pub fn does(mut self, action: Action) -> Self {
        self.action = action;
        self
    }

    /// A status with a body that says nothing of use.
    pub fn status(self, code: u16) -> Self {
        self.answer(code, &[], "")
    }

    pub fn answer(self, code: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.does(Action::Status {
            code,
            headers: headers.iter().map(owned).collect(),
            body: body.to_owned(),
        })
    }

    /// An error of the data API.
    pub fn api_error(self, status: u16, code: &str, message: &str) -> Self {
        let body = api_error(status, code, message).body_text();
        self.answer(
            status,
            &[("content-type", "application/json;charset=UTF-8")],
            &body,
        )
    }

    /// An error of the token endpoint.
    pub fn oauth_error(self, error: &str, description: &str) -> Self {
        let body = serde_json::json!({"error": error, "error_description": description});
        let json = [("content-type", "application/json;charset=UTF-8")];
        self.answer(400, &json, &body.to_string())
    }

    /// The day's calls are used up.
    pub fn total_requests(self) -> Self {
        self.api_error(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
        )
    }

    /// Too many long calls at the same time.
    pub fn concurrent_requests(self) -> Self {
        let message = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
        self.api_error(403, "REQUEST_LIMIT_EXCEEDED", message)
    }

    /// The page of an org in maintenance.
    pub fn maintenance(self) -> Self {
        let page = "<!DOCTYPE html><html><head><title>We are down for maintenance</title></head>\
                    <body><h1>Sorry to interrupt</h1></body></html>";
        self.answer(503, &[("content-type", "text/html; charset=UTF-8")], page)
    }

    fn matches(&self, request: &Request) -> bool {
        let pattern = self.path.as_str();
        let begins = pattern.strip_prefix('^');
        let pattern = begins.unwrap_or(pattern);
        let ends = pattern.strip_suffix('$');
        let pattern = ends.unwrap_or(pattern);
        let path = request.path.as_str();
        let path_fits = match (begins.is_some(), ends.is_some()) {
            (true, true) => path == pattern,
            (true, false) => path.starts_with(pattern),
            (false, true) => path.ends_with(pattern),
            (false, false) => path.contains(pattern),
        };
        let soql = || request.query_value("q").unwrap_or_default();
        let method = self.method.as_ref();
        path_fits
            && method.is_none_or(|method| *method == request.method)
            && self.listener.is_none_or(|place| place == request.listener)
            && self.soql.as_ref().is_none_or(|part| soql().contains(part))
    }
}

impl Faults {
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether every fault with a number of times was used that often.
    pub fn all_used(&self) -> bool {
        self.0
            .iter()
            .all(|fault| fault.times.is_none_or(|times| times == 0))
    }

    /// What goes wrong with this request.
    pub fn next(&mut self, request: &Request) -> Option<Action> {
        let mut found = None;
        for fault in &mut self.0 {
            if !fault.matches(request) {
                continue;
            }
            fault.seen += 1;
            let due = fault.seen >= fault.nth && fault.times != Some(0);
            if due && found.is_none() {
                fault.times = fault.times.map(|times| times - 1);
                found = Some(fault.action.clone());
            }
        }
        found
    }
}

impl Action {
    /// An answer in the org's place; None where the org answers, perhaps spoiled afterwards.
    pub fn instead(&self) -> Option<Answer> {
        match self {
            Action::Status {
                code,
                headers,
                body,
            } => {
                let mut answer = Answer::bytes(*code, body.clone().into_bytes());
                answer.headers.extend(headers.iter().cloned());
                Some(answer)
            }
            Action::Redirect { code, to } => {
                let mut answer = Answer::bytes(*code, Vec::new());
                answer.headers.push(("location".to_owned(), to.clone()));
                Some(answer)
            }
            Action::Drop(ending) => Some(Answer::nothing(*ending)),
            _ => None,
        }
    }

    /// Spoils the org's answer.
    pub fn spoil(self, mut answer: Answer) -> Answer {
        match self {
            Action::Truncate { after, ending } => answer.wire.cut = Some((after, ending)),
            Action::Stall { after } => answer.wire.stall = Some(after),
            Action::Drip { bytes, pause } => answer.wire.drip = Some((bytes, pause)),
            Action::CorruptGzip => {
                answer.gzip = super::answer::Compression::Forced;
                answer.wire.corrupt = true;
            }
            Action::CutGzip { after } => {
                answer.gzip = super::answer::Compression::Forced;
                answer.wire.cut = Some((after, Ending::Proper));
            }
            Action::GzipBomb { inflated } => {
                answer.gzip = super::answer::Compression::Forced;
                answer.body = Body::zeros(inflated);
            }
            Action::Body { body, content_type } => {
                answer.body = Body::Bytes(body.into_bytes());
                if let Some(kind) = content_type {
                    answer.set("content-type", &kind);
                }
            }
            Action::WrongLength(more) => answer.wire.wrong_length = Some(more),
            Action::Http10 { after } => {
                answer.wire.http10 = true;
                answer.wire.cut = after.map(|after| (after, Ending::Proper));
            }
            Action::Status { .. }
            | Action::Redirect { .. }
            | Action::Drop(_)
            | Action::Delay(_)
            | Action::ExpireToken => {}
        }
        answer
    }
}
