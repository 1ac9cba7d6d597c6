//! Which answer a request gets: the org's routes, who may ask, and what is noted of it.

use sha2::{Digest, Sha256};

use super::answer::{Answer, api_error};
use super::authorize;
use super::clock::http_time;
use super::control;
use super::faults::Action;
use super::journal::{Breach, Entry, Listener, credential_keys};
use super::log_files;
use super::query;
use super::request::Request;
use super::state::State;
use super::token;

/// What the server does with a request.
pub struct Reaction {
    pub answer: Answer,
    /// A real wait before it.
    pub delay: std::time::Duration,
}

/// Answers a request, and notes it in the journal.
pub fn react(state: &mut State, request: &Request) -> Reaction {
    if request.listener == Listener::Control {
        return Reaction {
            answer: control::control(state, request),
            delay: std::time::Duration::ZERO,
        };
    }
    let place = state.journal.entries.len();
    let entry = entry(state, request);
    state.journal.entries.push(entry);
    breaches(state, request);
    let mut delay = std::time::Duration::ZERO;
    let action = state.faults.next(request);
    let fault = action.is_some();
    let mut answer = match &action {
        Some(Action::Delay(time)) => {
            delay = *time;
            answer(state, request)
        }
        Some(Action::ExpireToken) => {
            token::expire(state, request);
            answer(state, request)
        }
        Some(action) => action.instead().unwrap_or_else(|| answer(state, request)),
        None => answer(state, request),
    };
    dress(state, request, &mut answer);
    if let Some(action) = action {
        answer = action.spoil(answer);
    }
    let entry = &mut state.journal.entries[place];
    entry.status = answer.status;
    entry.fault = fault;
    Reaction { answer, delay }
}

fn answer(state: &mut State, request: &Request) -> Answer {
    if request.listener == Listener::Evil {
        return Answer::html(200, "<html>mine now</html>");
    }
    if request.path.len() + request.raw_query.len() > 16_384 {
        return Answer::html(414, "<html><head><title>Error 414</title></head></html>");
    }
    match request.path.as_str() {
        "/services/oauth2/authorize" => return authorize::authorize(state, request),
        "/services/oauth2/token" => return token::token(state, request),
        "/services/oauth2/revoke" => return token::revoke(state, request),
        "/services/data" | "/services/data/" if request.method == "GET" => {
            return query::versions(state);
        }
        path if path.starts_with("/services/Soap/u/") => {
            let breach = Breach::ForbiddenFlow("SOAP login".to_owned());
            state.journal.breaches.push(breach);
            return soap_fault();
        }
        _ => {}
    }
    let session = match token::session(state, request) {
        Ok(session) => session,
        Err(answer) => return answer,
    };
    let user_id = state.tokens[session].user_id.clone();
    let mut users = state.users.iter();
    let Some(user) = users.position(|user| user.id == user_id) else {
        return not_found();
    };
    if request.path == "/services/oauth2/userinfo" || request.path.starts_with("/id/") {
        return token::user_info(state, &user_id);
    }
    state.org.api_usage += 1;
    if request.listener == Listener::Login {
        let message = "Destination URL not reset. The URL returned from login must be set";
        return api_error(401, "URL_NOT_RESET", message);
    }
    if state.users[user].mutual_tls && request.listener != Listener::MutualTls {
        let message = "This user must use a client certificate";
        return api_error(403, "MUTUAL_AUTHENTICATION_FAILED", message);
    }
    if !state.users[user].may("ApiEnabled") {
        let message = "The REST API is not enabled for this Organization.";
        return api_error(403, "API_DISABLED_FOR_ORG", message);
    }
    data(state, user, request)
}

/// Below `/services/data/vNN.0/`.
fn data(state: &mut State, user: usize, request: &Request) -> Answer {
    let path = request.path.strip_prefix("/services/data/v");
    let Some((version, path)) = path.and_then(|path| path.split_once('/')) else {
        return not_found();
    };
    let version = version
        .strip_suffix(".0")
        .and_then(|version| version.parse::<u32>().ok());
    let Some(version) = version else {
        return not_found();
    };
    if version < *state.org.versions.start() {
        let message = "This API version is retired and no longer supported";
        return api_error(410, "UNSUPPORTED_API_VERSION", message);
    }
    if version > *state.org.versions.end() {
        return not_found();
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let known = matches!(
        parts.as_slice(),
        ["query" | "limits"]
            | ["query", _]
            | ["tooling", "query"]
            | ["sobjects", _, "describe"]
            | ["sobjects", "EventLogFile", _, "LogFile"]
    );
    if known && request.method != "GET" {
        let message = "HTTP Method not allowed. Allowed are GET";
        return api_error(405, "METHOD_NOT_ALLOWED", message);
    }
    match parts.as_slice() {
        ["query"] => query::query(state, user, request, version),
        ["query", locator] => query::more(state, user, request, locator, version),
        ["tooling", "query"] => query::tooling(state, user, request, version),
        ["limits"] => query::limits(state, &state.users[user]),
        ["sobjects", object, "describe"] => query::describe(state, &state.users[user], object),
        ["sobjects", "EventLogFile", id, "LogFile"] => {
            log_files::log_file(state, &state.users[user], id)
        }
        _ => not_found(),
    }
}

fn not_found() -> Answer {
    api_error(404, "NOT_FOUND", "The requested resource does not exist")
}

fn soap_fault() -> Answer {
    let fault = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
        xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body><soapenv:Fault>\
        <faultcode>INVALID_OPERATION</faultcode><faultstring>SOAP API login() is disabled</faultstring>\
        </soapenv:Fault></soapenv:Body></soapenv:Envelope>";
    Answer::bytes(500, fault.as_bytes().to_vec()).with("content-type", "text/xml; charset=utf-8")
}

/// The headers that every answer of an org has.
fn dress(state: &State, request: &Request, answer: &mut Answer) {
    let has = |answer: &Answer, name: &str| answer.headers.iter().any(|(key, _)| key == name);
    if !has(answer, "date") {
        answer.set("date", &http_time(state.now() + state.skew));
    }
    if request.listener == Listener::Evil {
        return;
    }
    answer.headers.push((
        "set-cookie".to_owned(),
        "BrowserId=LEAK-CANARY-cookie; path=/; secure".to_owned(),
    ));
    if !request.path.starts_with("/services/data/v") {
        return;
    }
    if !has(answer, "sforce-limit-info") {
        let org = &state.org;
        let mut usage = format!("api-usage={}/{}", org.api_usage, org.api_limit);
        if let Some(app) = &org.app_usage {
            usage.push_str(&format!("; per-app-api-usage={app}"));
        }
        answer.set("sforce-limit-info", &usage);
    }
    answer
        .headers
        .push(("vary".to_owned(), "Accept-Encoding".to_owned()));
    if !has(answer, "cache-control") {
        answer.set(
            "cache-control",
            "no-cache,must-revalidate,max-age=0,no-store,private",
        );
    }
}

fn entry(state: &State, request: &Request) -> Entry {
    let secret = ["authorization", "cookie", "proxy-authorization"];
    let digest = |text: &str| {
        let digest = Sha256::digest(text.as_bytes());
        digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let headers = request.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        match secret.contains(&name.as_str()) {
            true => (
                name.as_str().to_owned(),
                format!("sha256:{}", digest(&value)),
            ),
            false => (name.as_str().to_owned(), value.into_owned()),
        }
    });
    let credentials = credential_keys();
    let query = request.query.iter().map(|(key, value)| {
        let hidden = credentials.contains(key.as_str());
        let value = if hidden { "(hidden)" } else { value };
        (key.clone(), value.to_owned())
    });
    let form = request.form().unwrap_or_default();
    let token = request.token().and_then(|value| {
        let mut tokens = state.tokens.iter();
        tokens
            .position(|token| token.value == value)
            .map(|place| place + 1)
    });
    Entry {
        listener: request.listener,
        method: request.method.clone(),
        path: request.path.clone(),
        query: query.collect(),
        headers: headers.collect(),
        token,
        body_length: request.body.len(),
        form_keys: form.into_iter().map(|(key, _)| key).collect(),
        client: request.client.clone(),
        at: state.now(),
        status: 0,
        fault: false,
    }
}

fn breaches(state: &mut State, request: &Request) {
    let credentials = credential_keys();
    let mut query = request.query.iter();
    let url = format!("{}?{}", request.path, request.raw_query);
    let spelled = state.tokens.iter().any(|token| url.contains(&token.value));
    if spelled || query.any(|(key, _)| credentials.contains(key.as_str())) {
        let breach = Breach::CredentialInUrl(request.path.clone());
        state.journal.breaches.push(breach);
    }
    if request.header("cookie").is_some() {
        state.journal.breaches.push(Breach::CookieReturned);
    }
    let carries = request.header("authorization").is_some() || !request.body.is_empty();
    if request.listener == Listener::Evil && carries {
        state.journal.breaches.push(Breach::CredentialToStranger);
    }
}
