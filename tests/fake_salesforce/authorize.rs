//! A person in a browser: who approves at once, and the code that a client gets for it.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use reqwest::Url;
use sha2::{Digest, Sha256};

use super::answer::{Answer, oauth_error};
use super::request::{Request, value};
use super::state::{Code, Permitted, State};

/// How long a code is good.
const LIFETIME: TimeDelta = TimeDelta::minutes(15);

/// `GET /services/oauth2/authorize`. The person is the first user, or that of `__user`, and approves
/// unless `__deny` is there.
pub fn authorize(state: &mut State, request: &Request) -> Answer {
    if request.method != "GET" {
        return Answer::html(405, "<html>GET only</html>");
    }
    let text = |key: &str| request.query_value(key).unwrap_or_default();
    let client_id = text("client_id");
    let mut apps = state.apps.iter();
    let Some(number) = apps.position(|app| app.consumer_key == client_id) else {
        return page("error=invalid_client_id&amp;error_description=client identifier invalid");
    };
    // Whom the org does not know it does not send a browser to.
    let redirect_uri = text("redirect_uri");
    if !state.apps[number].callback_urls.contains(redirect_uri) {
        return page(
            "error=redirect_uri_mismatch&amp;error_description=redirect_uri must match configuration",
        );
    }
    let Ok(mut back) = redirect_uri.parse::<Url>() else {
        return page("error=redirect_uri_mismatch");
    };
    let outcome = approve(state, request, number);
    {
        let mut pairs = back.query_pairs_mut();
        match outcome {
            Ok(code) => pairs.append_pair("code", &code),
            Err((error, description)) => pairs
                .append_pair("error", error)
                .append_pair("error_description", description),
        };
        if let Some(given) = request.query_value("state") {
            pairs.append_pair("state", given);
        }
    }
    Answer::html(302, "").with("location", back.as_str())
}

/// The code; or error and description.
fn approve(
    state: &mut State,
    request: &Request,
    number: usize,
) -> Result<String, (&'static str, &'static str)> {
    let now = state.now();
    let text = |key: &str| request.query_value(key).unwrap_or_default();
    let app = &mut state.apps[number];
    if text("response_type") != "code" || !app.web_server {
        return Err(("unsupported_response_type", "response type not supported"));
    }
    let challenge = request.query_value("code_challenge").map(str::to_owned);
    let is_proved = challenge.is_some() && text("code_challenge_method") == "S256";
    if app.pkce_required && !is_proved {
        return Err(("invalid_request", "missing required code challenge"));
    }
    let granted: BTreeSet<&str> = app.scopes.split(' ').collect();
    let scopes = request
        .query_value("scope")
        .unwrap_or(&app.scopes)
        .to_owned();
    if !scopes.split(' ').all(|scope| granted.contains(scope)) {
        return Err(("invalid_scope", "the requested scope is not allowed"));
    }
    if request.query_value("__deny").is_some() {
        return Err(("access_denied", "end-user denied authorization"));
    }
    let chosen = request.query_value("__user");
    let username = chosen.unwrap_or(&state.users[0].username).to_owned();
    match app.permitted {
        Permitted::AdminApproved if !app.approved.contains(&username) => {
            let description = "user is not admin approved to access this app";
            return Err(("OAUTH_APP_ACCESS_DENIED", description));
        }
        Permitted::AdminApproved => {}
        Permitted::SelfAuthorise => {
            app.approved.insert(username.clone());
        }
    }
    let canary = URL_SAFE_NO_PAD.encode(format!("LEAK-CANARY-code-{}", state.next()));
    let code = Code {
        // With the signs that an address has to escape.
        value: format!("aPrx.{canary}=="),
        app: number,
        username,
        redirect_uri: text("redirect_uri").to_owned(),
        challenge,
        scopes,
        issued: now,
        used: false,
    };
    let value = code.value.clone();
    state.codes.push(code);
    Ok(value)
}

/// App, user and scopes of the grant `authorization_code`. Whoever brings a code uses it up.
pub fn by_code(
    state: &mut State,
    form: &[(String, String)],
) -> Result<(usize, String, String), Answer> {
    let now = state.now();
    let text = |key: &str| value(form, key).unwrap_or_default();
    let mut apps = state.apps.iter();
    let number = apps
        .position(|app| app.consumer_key == text("client_id"))
        .ok_or_else(|| oauth_error("invalid_client_id", "client identifier invalid"))?;
    let app = &state.apps[number];
    let is_proved = match value(form, "client_secret") {
        Some(secret) => secret == app.secret,
        None => !app.secret_required,
    };
    if !is_proved {
        return Err(oauth_error("invalid_client", "invalid client credentials"));
    }
    if !app.web_server {
        return Err(oauth_error(
            "unsupported_grant_type",
            "grant type not supported",
        ));
    }
    state
        .verifiers
        .extend(value(form, "code_verifier").map(str::to_owned));
    let invalid = |description: &str| oauth_error("invalid_grant", description);
    let mut codes = state.codes.iter_mut();
    let code = codes
        .find(|code| code.value == text("code") && code.app == number && !code.used)
        .ok_or_else(|| invalid("invalid authorization code"))?;
    code.used = true;
    if now >= code.issued + LIFETIME {
        return Err(invalid("expired authorization code"));
    }
    if code.redirect_uri != text("redirect_uri") {
        return Err(oauth_error(
            "redirect_uri_mismatch",
            "redirect_uri must match configuration",
        ));
    }
    if let Some(challenge) = &code.challenge {
        let verifier = text("code_verifier");
        let is_long_enough = (43..=128).contains(&verifier.len());
        if !is_long_enough || URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) != *challenge {
            return Err(invalid("invalid code verifier"));
        }
    }
    Ok((number, code.username.clone(), code.scopes.clone()))
}

/// What the person sees, and no client hears of.
fn page(text: &str) -> Answer {
    Answer::html(400, &format!("<html><body>{text}</body></html>"))
}
