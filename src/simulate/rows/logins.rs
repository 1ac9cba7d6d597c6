//! Logins, logouts and impersonations. A login stands in Login and, a second or two later, in
//! LoginHistory; an attempt under a name that nobody has stands in Login alone.

use super::super::acts::{Act, Door, Login, Logout, Mark, SUCCESS};
use super::super::book::{Book, Kind};
use super::super::moment::{SECOND, put_queried};
use super::{common, event, login_addresses, timing, version, who};
use crate::catalog::sf_id18;

/// The host of the identity provider, as HTTP_REFERER spells it.
const IDENTITY_PROVIDER: &str = "https-//idp-example-com/";

pub(super) fn login(book: &mut Book<'_>, act: &Act, login: &Login, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    let (host, sso) = (book.org.host.clone(), book.org.sso_id.clone());
    let is_sso = login.door == Door::UiSso;
    let is_soap = login.door == Door::Soap;
    let (client, source) = login_addresses(&act.from);
    let cipher = if is_soap { OLDER_CIPHER } else { NEWER_CIPHER };
    if is_soap {
        soap_call(book, act, login, &common.request_id, mark);
    }
    if let Some(mut row) = event(book, Kind::Login, act, mark, &common) {
        timing(&mut row, &common, who.id18);
        row.set("URI", login.door.uri())
            .set("SESSION_KEY", if is_soap { &act.keys.session } else { "" })
            .set("LOGIN_KEY", &act.keys.login)
            .set("USER_TYPE", who.user_type)
            .set("REQUEST_STATUS", if login.door.is_ui() { "S" } else { "" })
            .number("DB_TOTAL_TIME", common.db_time)
            .set("LOGIN_TYPE", &login.spelling.login_type)
            .set("BROWSER_TYPE", &login.agent)
            .set("API_TYPE", if is_soap { "P" } else { "" })
            .set(
                "API_VERSION",
                &version(if is_soap { login.version } else { 0 }),
            )
            .set("USER_NAME", login.typed.as_deref().unwrap_or(who.username))
            .set("TLS_PROTOCOL", if is_soap { "TLSv1.2" } else { "TLSv1.3" })
            .set("CIPHER_SUITE", cipher)
            .set(
                "USE_API_TOKEN",
                if login.door.sends_password() { "T" } else { "" },
            )
            .set("HTTP_REFERER", if is_sso { IDENTITY_PROVIDER } else { "" })
            .set("LOGIN_URL", &host)
            .set("COUNTRY_CODE", &act.from.country)
            .set(
                "AUTHENTICATION_METHOD_REFERENCE",
                if is_sso { "mfa" } else { "" },
            )
            .set("LOGIN_SUB_TYPE", &login.spelling.sub_type)
            .set("AUTHENTICATION_SERVICE_ID", if is_sso { &sso } else { "" })
            .set("CLIENT_IP", client)
            .set("LOGIN_STATUS", login.status)
            .set("SOURCE_IP", source)
            .set("FORWARDED_FOR_IP", &act.from.forwarded);
        row.end();
    }
    if act.user.is_some() {
        history(book, act, login, mark);
    }
}

const NEWER_CIPHER: &str = "TLS_AES_256_GCM_SHA384";
const OLDER_CIPHER: &str = "ECDHE-RSA-AES256-GCM-SHA384";

fn history(book: &mut Book<'_>, act: &Act, login: &Login, mark: Mark) {
    let who = who(book, act);
    let (host, sso) = (book.org.host.clone(), book.org.sso_id.clone());
    let late = book.draw(mark).below(2) as i64;
    let second = (act.at.div_euclid(SECOND) + 1 + late) * SECOND;
    let id = format!("0Ya5e{}", book.serial(mark));
    let is_soap = login.door == Door::Soap;
    let is_sso = login.door == Door::UiSso;
    let (_, source) = login_addresses(&act.from);
    let (browser, platform) = parsed(&login.agent);
    let application = match (login.door.is_ui(), is_soap) {
        (true, _) => "Browser",
        (_, true) => "N/A",
        _ => &login.app.name,
    };
    let Some(mut row) = book.row(Kind::LoginHistory, second, mark) else {
        return;
    };
    row.set("Id", &sf_id18(&id).unwrap_or_default())
        .set("UserId", who.id18)
        .with("LoginTime", |out| put_queried(second, out))
        .set("LoginType", &login.spelling.history_type)
        .set("LoginSubType", &login.spelling.history_sub_type)
        .set("SourceIp", source)
        .set("LoginUrl", &host)
        .set(
            "AuthenticationServiceId",
            &if is_sso {
                sf_id18(&sso).unwrap_or_default()
            } else {
                String::new()
            },
        )
        .set("TlsProtocol", if is_soap { "TLS 1.2" } else { "TLS 1.3" })
        .set(
            "CipherSuite",
            if is_soap { OLDER_CIPHER } else { NEWER_CIPHER },
        )
        .set("Browser", &browser)
        .set("Platform", platform)
        .set("Status", status_text(login.status))
        .set("Application", application)
        .set("ClientVersion", "N/A")
        .set("ApiType", if is_soap { "SOAP Partner" } else { "N/A" })
        .set(
            "ApiVersion",
            &if is_soap {
                version(login.version)
            } else {
                "N/A".into()
            },
        )
        .set("CountryIso", &act.from.country)
        .set("ForwardedForIp", &act.from.forwarded);
    row.end();
}

/// A SOAP login() is a call, too.
fn soap_call(book: &mut Book<'_>, act: &Act, login: &Login, request_id: &str, mark: Mark) {
    let who = who(book, act);
    let org = book.org;
    let status = if login.status == SUCCESS {
        "200"
    } else {
        "500"
    };
    let ip = super::client_ip(&act.from).to_owned();
    let Some(mut row) = book.row(Kind::ApiTotalUsage, act.at, mark) else {
        return;
    };
    row.set("EVENT_TYPE", "ApiTotalUsage")
        .with("TIMESTAMP", |out| super::put_compact(act.at, out))
        .set("REQUEST_ID", request_id)
        .set("ORGANIZATION_ID", &org.id)
        .set("USER_ID", who.id15)
        .set("API_FAMILY", "SOAP")
        .set("API_VERSION", &version(login.version))
        .set("API_RESOURCE", "login")
        .set("HTTP_METHOD", "POST")
        .set("CLIENT_IP", &ip)
        .set("COUNTS_AGAINST_API_LIMIT", "1")
        .set("STATUS_CODE", status)
        .set("USER_NAME", login.typed.as_deref().unwrap_or(who.username))
        .with("TIMESTAMP_DERIVED", |out| super::put_derived(act.at, out))
        .set("API_CLIENT_CATEGORY", "EXTERNAL_APPLICATION");
    row.end();
}

pub(super) fn logout(book: &mut Book<'_>, act: &Act, logout: &Logout, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    let is_ui = matches!(&*logout.session_type, "U" | "UI");
    let Some(mut row) = event(book, Kind::Logout, act, mark, &common) else {
        return;
    };
    row.set("USER_TYPE", logout.user_type)
        .set("SESSION_TYPE", &logout.session_type)
        .set(
            "SESSION_LEVEL",
            if logout.high_assurance { "10" } else { "1" },
        )
        .set("PLATFORM_TYPE", if logout.by_user { "1015" } else { "" })
        .set("RESOLUTION_TYPE", if logout.by_user { "9999" } else { "" })
        .set("APP_TYPE", if is_ui { "1000" } else { "2514" })
        .set("CLIENT_VERSION", "9998")
        .set("API_VERSION", "9998.0")
        .set(
            "USER_INITIATED_LOGOUT",
            if logout.by_user { "1" } else { "0" },
        )
        .set("SESSION_KEY", &act.keys.session)
        .set("LOGIN_KEY", &act.keys.login)
        .set("USER_ID_DERIVED", who.id18)
        .set("CLIENT_IP", super::client_ip(&act.from));
    row.end();
}

pub(super) fn login_as(book: &mut Book<'_>, act: &Act, by: usize, mark: Mark) {
    let common = common(book, mark);
    let who = who(book, act);
    let org = book.org;
    let Some(actor) = org.users.get(by) else {
        return;
    };
    let Some(mut row) = event(book, Kind::LoginAs, act, mark, &common) else {
        return;
    };
    timing(&mut row, &common, who.id18);
    row.set("URI", "/servlet/servlet.su")
        .set("SESSION_KEY", &act.keys.session)
        .set("LOGIN_KEY", &act.keys.login)
        .set("DELEGATED_USER_NAME", &actor.username)
        .set("DELEGATED_USER_ID", &actor.id15)
        .set("CLIENT_IP", super::client_ip(&act.from))
        .set("DELEGATED_USER_ID_DERIVED", &actor.id18);
    row.end();
}

/// LOGIN_STATUS as LoginHistory words it.
fn status_text(status: &str) -> &'static str {
    match status {
        SUCCESS => "Success",
        "LOGIN_ERROR_INVALID_PASSWORD" => "Invalid Password",
        "LOGIN_ERROR_PASSWORD_LOCKOUT" => "Password Lockout",
        "LOGIN_TWOFACTOR_REQ" => "Multi-factor required",
        "LOGIN_CHALLENGE_ISSUED" => "Failed: Computer activation required",
        "LOGIN_ERROR_USER_API_ONLY" => "Failed: API-only user",
        "LOGIN_ERROR_USER_FROZEN" => "User is frozen",
        "LOGIN_ERROR_USER_INACTIVE" => "User is inactive",
        "LOGIN_ERROR_RESTRICTED_DOMAIN" => "Restricted IP",
        "LOGIN_ERROR_ORG_IN_MAINTENANCE" => "Organization is in maintenance",
        "LOGIN_ERROR_MUTUAL_AUTHENTICATION" => "Mutual authentication failed",
        "LOGIN_OAUTH_INVALID_IP" => "Failed: IP Address Not Allowed",
        "LOGIN_OAUTH_INVALID_TOKEN" => "Failed: Invalid Token",
        "LOGIN_OAUTH_INVALID_DSIG" => "Failed: Signature Invalid",
        "LOGIN_OAUTH_INVALID_NONCE" => "Failed: Invalid Nonce",
        "LOGIN_OAUTH_CONSUMER_DELETED" => "Failed: Consumer Deleted",
        "LOGIN_OAUTH_PACKAGE_MISSING" => {
            "Package for this consumer is not installed in your organization"
        }
        _ => "Login invalid",
    }
}

/// Browser and platform, as LoginHistory parses them out of a User-Agent.
fn parsed(agent: &str) -> (String, &'static str) {
    let version = |mark: &str| {
        let rest = agent.split(mark).nth(1)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(digits)
    };
    let platform = match agent {
        a if a.contains("Windows") => "Windows 10",
        a if a.contains("Macintosh") => "Mac OSX",
        a if a.contains("iPhone") => "iOS/Mac",
        a if a.contains("Android") => "Android 14",
        _ => "Unknown",
    };
    if agent.starts_with("Mozilla") {
        let known = [
            ("Edg/", "Edge"),
            ("Firefox/", "Firefox"),
            ("Chrome/", "Chrome"),
            ("Version/", "Safari"),
        ];
        for (mark, name) in known {
            if let Some(version) = version(mark) {
                return (format!("{name} {version}"), platform);
            }
        }
    }
    if agent.starts_with("Java") || agent.starts_with("JAX") {
        return ("Java (Salesforce.com)".to_owned(), platform);
    }
    if agent.starts_with("curl") {
        return ("CURL".to_owned(), platform);
    }
    ("Unknown".to_owned(), platform)
}
