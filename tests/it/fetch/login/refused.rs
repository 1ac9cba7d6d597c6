//! A sign-in that comes to nothing: who is not let in, who says no, who does not come.

use super::{Desk, NOW, TOKEN, approved, open};
use crate::fake_salesforce::faults::Action;
use crate::fake_salesforce::state::Permitted;
use crate::fake_salesforce::{CLIENT_ID, Ending, Fault, Scenario, time};
use crate::program::{orgwatch, stderr, stdout};

#[test]
fn a_callback_with_another_state_or_none_is_refused_and_the_wait_goes_on() {
    let desk = Desk::new(Scenario::org());
    let login = desk.start(&[]);
    let right = login.approved("");
    let (state, code) = (login.parameter("state"), right.query().unwrap().to_owned());
    let twice = format!("{code}&state={state}");
    let both = format!("{code}&error=access_denied");
    let other = code.replace(&state, &"A".repeat(state.len()));
    let cut = code.replace(&state, &state[..state.len() - 1]);
    let denied = format!("error=access_denied&state={}", &state[1..]);
    let bare = format!("state={state}");
    let empty = format!("code=&state={state}");
    let queries = [
        other.as_str(),
        &cut,
        &twice,
        &both,
        &denied,
        &bare,
        &empty,
        "code=x",
        "error=access_denied",
        "",
        "%ff=%fe&&==",
    ];
    for query in queries {
        let mut url = right.clone();
        url.set_query(Some(query));
        let page = open(&url);
        assert_eq!(page.status, 400, "{query}");
        assert!(page.body.contains("Not of this sign-in"), "{}", page.body);
    }
    assert_eq!(desk.org.logins(), 0);
    assert_eq!(open(&right).status, 200);
    let ended = login.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let told = format!("refused {} callbacks that did not belong", queries.len());
    assert!(ended.err.contains(&told), "{}", ended.err);
    assert_eq!(desk.org.logins(), 1);
}

#[test]
fn a_refusal_in_the_browser_ends_the_wait_with_what_to_do() {
    let not_admitted = |scenario: Scenario| {
        scenario.set(|state| {
            state.app().permitted = Permitted::AdminApproved;
            state.app().approved.clear();
        })
    };
    let no_scope = |scenario: Scenario| scenario.set(|state| state.app().scopes = "id".into());
    let no_flow = |scenario: Scenario| scenario.set(|state| state.app().web_server = false);
    let none = |scenario: Scenario| scenario;
    type Change = fn(Scenario) -> Scenario;
    let rows: [(Change, &str, &str, &str); 4] = [
        (none, "&__deny=1", "access_denied", "choose Allow"),
        (
            not_admitted,
            "",
            "OAUTH_APP_ACCESS_DENIED",
            "permission set",
        ),
        (no_scope, "", "invalid_scope", "scope api"),
        (no_flow, "", "unsupported_response_type", "web server flow"),
    ];
    for (change, person, code, remedy) in rows {
        let desk = Desk::new(change(Scenario::org()));
        let login = desk.start(&[]);
        let page = login.approve(person);
        assert!(page.body.contains("has refused"), "{}", page.body);
        let ended = login.end();
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(code), "{}", ended.err);
        assert!(ended.err.contains(remedy), "{code}: {}", ended.err);
        assert_eq!(ended.out, "");
        assert_eq!(desk.org.logins(), 0, "{code}");
    }
}

#[test]
fn words_of_the_org_that_come_back_with_a_refusal_cannot_act_on_the_terminal() {
    let desk = Desk::new(Scenario::org());
    let login = desk.start(&[]);
    let mut url = login.approved("&__deny=1");
    let state = login.parameter("state");
    let description = format!("\u{1b}]52;c;x\u{7}<script>{}", "x".repeat(5000));
    url.query_pairs_mut()
        .clear()
        .append_pair("error", "access_denied")
        .append_pair("error_description", &description)
        .append_pair("state", &state);
    let page = open(&url);
    assert!(!page.body.contains("script"), "{}", page.body);
    let ended = login.end();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(!ended.err.contains(['\u{1b}', '\u{7}']), "{}", ended.err);
    assert!(!ended.err.contains(&"x".repeat(1000)));
}

#[test]
fn a_code_that_was_not_given_to_this_sign_in_opens_no_session() {
    let others = "3MVG9.other.app";
    for (foreign, told) in [
        // Of somebody who knows not the verifier: same app, same callback, another challenge.
        ("challenge", "invalid code verifier"),
        ("app", "invalid authorization code"),
        ("none", "invalid authorization code"),
    ] {
        let desk = Desk::new(Scenario::org().set(|state| {
            let mut app = Scenario::empty().state.apps.remove(0);
            app.consumer_key = others.to_owned();
            state.apps.push(app);
        }));
        desk.org.with(|state| {
            let callbacks = state.app().callback_urls.clone();
            state.apps[1].callback_urls = callbacks;
        });
        let login = desk.start(&[]);
        let theirs = match foreign {
            "challenge" => {
                let mine = login.parameter("code_challenge");
                login.url.as_str().replace(&mine, &"A".repeat(43))
            }
            _ => login.url.as_str().replace(CLIENT_ID, others),
        };
        let mut callback = approved(&theirs);
        if foreign == "none" {
            let query = format!("code=aPrx.made.up&state={}", login.parameter("state"));
            callback.set_query(Some(&query));
        }
        assert_eq!(open(&callback).status, 200);
        let ended = login.end();
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(told), "{}", ended.err);
        assert!(
            ended.err.contains("run `orgwatch login` again"),
            "{}",
            ended.err
        );
        assert_eq!((desk.org.logins(), desk.tokens()), (1, 0), "{foreign}");
    }
}

#[test]
fn a_code_is_brought_to_the_org_once_whatever_comes_of_it() {
    for fault in [
        Fault::on(TOKEN).status(503),
        Fault::on(TOKEN).does(Action::Drop(Ending::Reset)),
        Fault::on(TOKEN).oauth_error("unknown_error", "retry your request"),
    ] {
        let desk = Desk::new(Scenario::org());
        desk.org.fault(fault.forever());
        let login = desk.start(&[]);
        login.approve("");
        let ended = login.end();
        assert_eq!(ended.code, Some(3), "{}", ended.err);
        assert!(ended.err.contains("hint: "), "{}", ended.err);
        assert_eq!(desk.org.logins(), 1, "{}", ended.err);
    }
}

#[test]
fn nobody_who_comes_in_time_ends_the_wait_with_the_callback_url_that_the_app_must_name() {
    let desk = Desk::new(Scenario::org());
    let ended = desk.start(&["--timeout", "0.01"]).end();
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    let url = format!("http://localhost:{}/OauthRedirect", desk.port);
    let hint = ended.err.split("hint: ").nth(1).unwrap();
    assert!(hint.contains(&url) && hint.contains("redirect_uri_mismatch"));
    assert_eq!(desk.org.journal().len(), 0);
}

#[test]
fn a_person_of_another_org_is_signed_out_again_before_anything_is_read() {
    let desk = Desk::new(Scenario::org());
    let path = desk.path().join("orgwatch.toml");
    let other = "[org]\nid = \"00D000000000002EAA\"\n";
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{other}{text}")).unwrap();
    let login = desk.start(&[]);
    login.approve("");
    let ended = login.end();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("00D000000000002EAA"), "{}", ended.err);
    assert!(desk.is_signed_out());
    assert_eq!(desk.org.asked("/services/data/"), 0);
}

#[test]
fn what_cannot_work_is_told_before_a_browser_is_sent_anywhere() {
    let desk = Desk::new(Scenario::org());
    let taken = std::net::TcpListener::bind(("127.0.0.1", desk.port)).unwrap();
    let port = desk.port.to_string();
    let refused = orgwatch(desk.path(), &["login", "--port", &port]);
    assert_eq!(refused.status.code(), Some(2));
    let told = stderr(&refused);
    assert!(told.contains(&port) && told.contains("--port"), "{told}");
    drop(taken);
    desk.configure("ca_file = \"not-there.pem\"\n");
    let refused = orgwatch(desk.path(), &["login", "--port", &port]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("not-there.pem"));
    std::fs::write(desk.path().join("orgwatch.toml"), "").unwrap();
    let refused = orgwatch(desk.path(), &["login", "--port", &port]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("`client_id`"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(desk.org.journal().len(), 0);
}

#[test]
fn settings_that_are_enough_for_a_person_are_not_enough_for_a_night() {
    let desk = Desk::new(Scenario::org());
    for command in ["fetch", "run"] {
        let refused = orgwatch(desk.path(), &[command, "--now", NOW]);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        let told = stderr(&refused);
        assert!(
            told.contains("`username` is missing in [salesforce] (line 1)"),
            "{told}"
        );
        assert!(told.contains("`key_file`"), "{told}");
    }
    let seen = orgwatch(desk.path(), &["doctor", "--now", NOW]);
    let seen = stdout(&seen);
    let line = seen.lines().find(|line| line.contains("way in")).unwrap();
    assert!(
        line.starts_with("FAIL") && line.contains("`username`"),
        "{seen}"
    );
    assert_eq!(desk.org.journal().len(), 0);
    assert_eq!(desk.org.clock().now(), time(NOW));
}
