//! The OAuth endpoints: tokens, their end, and whose they are.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::answer::{Answer, api_error, oauth_error};
use super::authorize;
use super::journal::{Breach, Listener, credential_keys};
use super::quirks::InstanceUrl;
use super::request::{Request, value};
use super::state::{AppKind, Permitted, RefreshToken, State, Token};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// `POST /services/oauth2/token`. The order of the checks is part of the contract.
pub fn token(state: &mut State, request: &Request) -> Answer {
    match issue(state, request) {
        Ok(answer) | Err(answer) => answer,
    }
}

fn issue(state: &mut State, request: &Request) -> Result<Answer, Answer> {
    if request.method != "POST" {
        return Err(oauth_error("invalid_request", "must use HTTP POST"));
    }
    // The real one takes them. A client that puts them there leaks them into every proxy's log.
    let credentials = credential_keys();
    let mut keys = request.query.iter().map(|(key, _)| key.as_str());
    if keys.any(|key| credentials.contains(key)) {
        return Err(oauth_error(
            "invalid_request",
            "credentials do not belong into the URL",
        ));
    }
    let form = request
        .form()
        .ok_or_else(|| oauth_error("invalid_request", "content type must be a form"))?;
    let mut scopes = None;
    let (app, username) = match value(&form, "grant_type") {
        Some(JWT_BEARER) => by_assertion(state, value(&form, "assertion").unwrap_or_default())?,
        Some("client_credentials") => by_secret(state, request, &form)?,
        Some("authorization_code") => {
            let (app, username, granted) = authorize::by_code(state, &form)?;
            scopes = Some(granted);
            (app, username)
        }
        Some(grant @ ("password" | "token")) => {
            let breach = Breach::ForbiddenFlow(grant.to_owned());
            state.journal.breaches.push(breach);
            return Err(oauth_error(
                "unsupported_grant_type",
                "grant type not supported",
            ));
        }
        _ => {
            return Err(oauth_error(
                "unsupported_grant_type",
                "grant type not supported",
            ));
        }
    };
    log_in(state, app, &username)?;
    Ok(answer(state, request.listener, app, &username, scopes))
}

/// Number of the app, and the user it acts as.
type Grant = (usize, String);

fn by_assertion(state: &State, assertion: &str) -> Result<Grant, Answer> {
    let invalid = || oauth_error("invalid_grant", "invalid assertion");
    let header = jsonwebtoken::decode_header(assertion).map_err(|_| invalid())?;
    if header.alg != Algorithm::RS256 {
        return Err(invalid());
    }
    let claims = claims_of(assertion).ok_or_else(invalid)?;
    let text = |claim: &str| {
        claims
            .get(claim)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let mut apps = state.apps.iter();
    let app = apps.position(|app| app.consumer_key == text("iss"));
    let number =
        app.ok_or_else(|| oauth_error("invalid_client_id", "client identifier invalid"))?;
    let app = &state.apps[number];
    let key = DecodingKey::from_rsa_pem(app.public_key.as_bytes()).map_err(|_| invalid())?;
    let mut only_signature = Validation::new(Algorithm::RS256);
    only_signature.required_spec_claims.clear();
    only_signature.validate_exp = false;
    only_signature.validate_aud = false;
    jsonwebtoken::decode::<Value>(assertion, &key, &only_signature).map_err(|_| invalid())?;
    if !app.jwt {
        return Err(oauth_error(
            "unsupported_grant_type",
            "grant type not supported",
        ));
    }
    audience(state, app.kind, text("aud"))?;
    let expiry = claims.get("exp").and_then(Value::as_i64).unwrap_or(0);
    let expiry = DateTime::from_timestamp(expiry, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
    // What the org calls "now" is what its Date header says.
    let now = state.now() + state.skew;
    let too_far = state.quirks.strict_exp && expiry > now + TimeDelta::seconds(180);
    if expiry <= now || too_far {
        return Err(oauth_error("invalid_grant", "expired authorization code"));
    }
    let subject = match text("prn") {
        "" => text("sub"),
        older => older,
    };
    Ok((number, subject.to_owned()))
}

fn claims_of(assertion: &str) -> Option<Value> {
    let mut parts = assertion.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice(&claims).ok()
}

fn audience(state: &State, kind: AppKind, audience: &str) -> Result<(), Answer> {
    let test = "https://test.salesforce.com";
    let addresses = &state.addresses;
    let ours = [
        "https://login.salesforce.com",
        &addresses.login,
        &addresses.my_domain,
        &addresses.tls,
        &addresses.mutual_tls,
    ];
    let wanted = audience.strip_suffix('/').unwrap_or(audience);
    let known = ours.iter().any(|one| !one.is_empty() && *one == wanted);
    if known || (wanted == test && kind == AppKind::Connected) {
        return Ok(());
    }
    let text = match state.quirks.audience_validation_failed {
        true => "Audience validation failed",
        false => "audience is invalid",
    };
    Err(oauth_error("invalid_grant", text))
}

fn by_secret(state: &State, request: &Request, form: &[(String, String)]) -> Result<Grant, Answer> {
    if request.listener == Listener::Login {
        return Err(oauth_error(
            "invalid_grant",
            "request not supported on this domain",
        ));
    }
    let (key, secret) = request.basic().unwrap_or_else(|| {
        let text = |key| value(form, key).unwrap_or_default().to_owned();
        (text("client_id"), text("client_secret"))
    });
    let mut apps = state.apps.iter();
    let app = apps.position(|app| app.consumer_key == key);
    let number =
        app.ok_or_else(|| oauth_error("invalid_client_id", "client identifier invalid"))?;
    let app = &state.apps[number];
    if app.secret != secret {
        return Err(oauth_error("invalid_client", "invalid client credentials"));
    }
    if !app.client_credentials {
        return Err(oauth_error(
            "unsupported_grant_type",
            "grant type not supported",
        ));
    }
    match &app.run_as {
        Some(username) => Ok((number, username.clone())),
        None => Err(oauth_error(
            "invalid_grant",
            "no client credentials user enabled",
        )),
    }
}

/// What holds for each flow: the user, the app's policy, addresses, the hourly limit.
fn log_in(state: &mut State, app: usize, username: &str) -> Result<(), Answer> {
    let not_approved = || oauth_error("invalid_grant", "user hasn't approved this consumer");
    let now = state.now();
    let app = &state.apps[app];
    let mut users = state.users.iter_mut();
    let user = users
        .find(|user| user.username.eq_ignore_ascii_case(username) && user.active)
        .ok_or_else(not_approved)?;
    if user.frozen {
        return Err(oauth_error("invalid_grant", "authentication failure"));
    }
    match (app.permitted, app.approved.contains(username)) {
        (_, true) => {}
        (Permitted::AdminApproved, false) => {
            let text = "user is not admin approved to access this app";
            return Err(oauth_error("invalid_app_access", text));
        }
        (Permitted::SelfAuthorise, false) => return Err(not_approved()),
    }
    if app.address_refused {
        return Err(oauth_error("invalid_grant", "ip restricted"));
    }
    user.logins
        .retain(|login| *login > now - TimeDelta::hours(1));
    if user.logins.len() >= 3600 {
        let text = state.quirks.login_rate_text.as_deref();
        return Err(oauth_error(
            "invalid_grant",
            text.unwrap_or("login rate exceeded"),
        ));
    }
    user.logins.push(now);
    Ok(())
}

/// `by_code` are the scopes of a person's approval.
fn answer(
    state: &mut State,
    listener: Listener,
    app: usize,
    username: &str,
    by_code: Option<String>,
) -> Answer {
    let now = state.now();
    let number = state.next();
    let org = state.org.id.clone();
    let user_id = state
        .user(username)
        .map(|user| user.id.clone())
        .unwrap_or_default();
    // Looks like a session id, and is easy to search for.
    let secret = URL_SAFE_NO_PAD.encode(format!("LEAK-CANARY-session-{number}"));
    let value = match state.quirks.long_token {
        true => format!("eyJ0bmsiOiJjb3JlIn0.{}.{secret}", "b3Jnd2F0Y2g".repeat(140)),
        false => format!("{}!AQ.{secret}", &org[..15]),
    };
    let App {
        key,
        scopes,
        lifetime,
    } = App::of(state, app);
    state.tokens.push(Token {
        value: value.clone(),
        user_id: user_id.clone(),
        app: key,
        issued: now,
        last_used: now,
        lifetime,
        revoked: false,
    });
    let right = match listener {
        Listener::Tls => state.addresses.tls.clone(),
        // The port is for the client to add.
        Listener::MutualTls => {
            let address = state.addresses.mutual_tls.rsplit_once(':');
            address.map_or_else(String::new, |(host, _)| host.to_owned())
        }
        _ => state.addresses.my_domain.clone(),
    };
    let has_refresh_token = by_code.as_deref().is_some_and(|scopes| {
        state.quirks.unasked_refresh_token || scopes.split(' ').any(|one| one == "refresh_token")
    });
    let mut body = json!({
        "access_token": value,
        "scope": by_code.unwrap_or(scopes),
        "instance_url": right,
        "id": format!("{}/id/{org}/{user_id}", state.addresses.login),
        "token_type": "Bearer",
    });
    match &state.quirks.instance_url {
        InstanceUrl::Right => {}
        InstanceUrl::TrailingSlash => body["instance_url"] = json!(format!("{right}/")),
        InstanceUrl::UpperCase => body["instance_url"] = json!(right.to_uppercase()),
        InstanceUrl::Given(url) => body["instance_url"] = json!(url),
        InstanceUrl::Missing => {
            body.as_object_mut().map(|body| body.remove("instance_url"));
        }
    }
    if has_refresh_token {
        let value = format!(
            "5Aep.{}",
            URL_SAFE_NO_PAD.encode(format!("LEAK-CANARY-refresh-{number}"))
        );
        body["refresh_token"] = json!(value);
        state.refresh_tokens.push(RefreshToken {
            value,
            revoked: false,
        });
    }
    if state.quirks.omit_scope {
        body.as_object_mut().map(|body| body.remove("scope"));
    }
    if state.quirks.unknown_keys {
        body["token_format"] = json!("opaque");
        body["api_instance_url"] = json!("https://api.salesforce.com");
        body["frobnication"] = json!({"levels": [1, null]});
    }
    Answer::json(200, &body)
        .with("cache-control", "no-store")
        .with("pragma", "no-cache")
}

struct App {
    key: String,
    scopes: String,
    lifetime: TimeDelta,
}

impl App {
    fn of(state: &State, number: usize) -> Self {
        let app = &state.apps[number];
        Self {
            key: app.consumer_key.clone(),
            scopes: app.scopes.clone(),
            lifetime: app.session,
        }
    }
}

/// `POST /services/oauth2/revoke`.
pub fn revoke(state: &mut State, request: &Request) -> Answer {
    let form = match request.method.as_str() {
        "POST" => request.form().unwrap_or_default(),
        _ => request.query.clone(),
    };
    let wanted = value(&form, "token").unwrap_or_default();
    let tokens = state.tokens.iter_mut();
    let tokens = tokens.map(|token| (&token.value, &mut token.revoked));
    let refresh = state.refresh_tokens.iter_mut();
    let refresh = refresh.map(|token| (&token.value, &mut token.revoked));
    let mut all = tokens.chain(refresh);
    match all.find(|(value, revoked)| *value == wanted && !**revoked) {
        Some((_, revoked)) => {
            *revoked = true;
            Answer::bytes(200, Vec::new())
        }
        None => oauth_error("invalid_token", "the token is not known here"),
    }
}

/// Number in `state.tokens` of the session that a request carries, renewed by its use.
pub fn session(state: &mut State, request: &Request) -> Result<usize, Answer> {
    let now = state.now();
    let expired = || api_error(401, "INVALID_SESSION_ID", "Session expired or invalid");
    let value = request.token().ok_or_else(expired)?;
    let mut tokens = state.tokens.iter();
    let number = tokens
        .position(|token| token.value == value)
        .ok_or_else(expired)?;
    let user_id = state.tokens[number].user_id.clone();
    let active = state
        .users
        .iter()
        .any(|user| user.id == user_id && user.active);
    let token = &mut state.tokens[number];
    if token.revoked || !active || now > token.last_used + token.lifetime {
        return Err(expired());
    }
    token.last_used = now;
    Ok(number)
}

/// `GET /services/oauth2/userinfo` and `GET /id/{org}/{user}`.
pub fn user_info(state: &State, user_id: &str) -> Answer {
    let mut users = state.users.iter();
    let Some(user) = users.find(|user| user.id == user_id) else {
        return Answer::html(403, "Bad_OAuth_Token");
    };
    let org = state.quirks.userinfo_org.as_ref().unwrap_or(&state.org.id);
    let name = state
        .quirks
        .userinfo_username
        .as_ref()
        .unwrap_or(&user.username);
    let body = json!({
        "sub": format!("{}/id/{org}/{}", state.addresses.login, user.id),
        "user_id": user.id,
        "organization_id": org,
        "preferred_username": name,
        "nickname": "integration",
        "name": "Integration User",
        "email": "integration@example.com",
        "email_verified": true,
        "zoneinfo": "GMT",
        "user_type": "STANDARD",
        "language": "en_US",
        "active": user.active,
    });
    Answer::json(200, &body)
}

/// Ends the session that this request carries, and only that one.
pub fn expire(state: &mut State, request: &Request) {
    if let Some(value) = request.token() {
        let mut tokens = state.tokens.iter_mut();
        if let Some(token) = tokens.find(|token| token.value == value) {
            token.revoked = true;
        }
    }
}

/// Names of all permissions that a healthy integration of ours has.
pub fn integration_permissions() -> BTreeSet<String> {
    let names = [
        "ApiEnabled",
        "ApiUserOnly",
        "CustomizeApplication",
        "ManageUsers",
        "MonitorLoginHistory",
        "ViewEventLogFiles",
        "ViewSetup",
    ];
    names.map(str::to_owned).into()
}
