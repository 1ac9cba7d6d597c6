//! Alerts by HTTPS over a real socket: once and under one name, to a server that has proved itself,
//! and with no secret anywhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::hook_server::{HookServer, Post, answer};
use crate::logs::Org;
use crate::mail::{NIGHT, attacked, night, outbox};
use crate::program::{expect, orgwatch, stderr, stdout};
use crate::shared_folder::SharedFolder;

pub const SECRET: &str = "Bearer canary-token-7f3a";
/// In the address, as Slack has it.
pub const PATH: &str = "/services/canary-path-91c2";

/// Puts other lines at the end of the config, in the place of all alerts.
pub fn configure(org: &Org, rest: &str) {
    let path = org.path("orgwatch.toml");
    let text = fs::read_to_string(&path).unwrap();
    let own = text.split("[[alert.").next().unwrap();
    let own = own.split("[alert.").next().unwrap();
    fs::write(path, format!("{own}{rest}")).unwrap();
}

fn private(org: &Org, name: &str, text: &str) {
    let path = org.file(name, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// `[[alert.webhook]]` that leads to a server, with its secret and its authority.
pub fn hook(org: &Org, server: &HookServer, rest: &str) -> String {
    private(org, "secret", SECRET);
    private(
        org,
        "address",
        &format!("https://localhost:{}{PATH}\n", server.port),
    );
    org.file("ca.pem", &server.ca);
    format!(
        "[[alert.webhook]]\nname = \"soc\"\nurl_file = \"address\"\nsecret_file = \"secret\"\n\
         ca_file = \"ca.pem\"\ntimeout_seconds = 2\n{rest}"
    )
}

/// A lake in whose outbox one post waits, for tests to copy.
fn waiting() -> &'static Path {
    static LAKE: OnceLock<SharedFolder> = OnceLock::new();
    let folder = LAKE.get_or_init(|| {
        let shared = SharedFolder::empty("waiting-post");
        let org = crate::late::org();
        configure(
            &org,
            "[[alert.webhook]]\nname = \"soc\"\nurl = \"https://localhost:1/\"\n",
        );
        org.file("day-14.csv", attacked());
        let summary = night(&org, 4, NIGHT);
        assert!(
            summary.contains("waits in the outbox: webhook soc at localhost:1: "),
            "{summary}"
        );
        copy(&org.path("data"), &shared.path);
        shared
    });
    &folder.path
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// An org with the waiting post that leads to this server.
pub fn org_at(server: &HookServer) -> Org {
    let org = crate::late::org();
    copy(waiting(), &org.path("data"));
    configure(&org, &hook(&org, server, ""));
    org
}

pub fn send(org: &Org, arguments: &[&str]) -> (i32, String) {
    let arguments = [&["alert", "send", "-vvv"], arguments].concat();
    let output = orgwatch(&org.path(""), &arguments);
    let said = stdout(&output) + &stderr(&output);
    assert_eq!(secrets(said.as_bytes()), 0, "{said}");
    (output.status.code().unwrap(), said)
}

/// How often a text holds the secret or the path of the address.
pub fn secrets(bytes: &[u8]) -> usize {
    let canaries = ["canary-token-7f3a", "canary-path-91c2"];
    let times = |canary: &str| {
        let parts = bytes.windows(canary.len());
        parts.filter(|part| *part == canary.as_bytes()).count()
    };
    canaries.into_iter().map(times).sum()
}

/// No file of a folder holds a secret.
pub fn assert_no_secret_in(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => assert_no_secret_in(&entry.path()),
            false => assert_eq!(secrets(&fs::read(entry.path()).unwrap()), 0, "{entry:?}"),
        }
    }
}

pub fn told(post: &Post) -> Value {
    serde_json::from_slice(&post.body).unwrap()
}

#[test]
fn a_night_is_posted_once_with_its_key_and_the_secret_is_nowhere_else() {
    let server = HookServer::start();
    let org = crate::late::org();
    configure(&org, &hook(&org, &server, ""));
    org.file("day-14.csv", attacked());
    let run = ["run", "-vvv", "--now", NIGHT, "day-14.csv"];
    let output = orgwatch(&org.path(""), &run);
    let said = stdout(&output) + &stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("Post      sent to webhook:soc: 200 ok"),
        "{said}"
    );
    assert_eq!(secrets(said.as_bytes()), 0, "{said}");
    night(&org, 0, "2026-01-15T04:00:00Z");

    let posts = server.posts();
    assert_eq!(posts.len(), 1);
    let post = &posts[0];
    assert!(post.head.starts_with(&format!("POST {PATH} HTTP/1.1\r\n")));
    assert_eq!(post.header("content-type"), Some("application/json"));
    assert_eq!(post.header("authorization"), Some(SECRET));
    let told = told(post);
    assert_eq!(told["id"], post.key());
    assert_eq!(told["type"], "orgwatch.alert");
    assert_eq!(told["group"], "soc");
    assert_eq!(told["findings"][0]["who"], "user1@example.com");
    assert_eq!(told["health"]["files_read"], 1);

    let sent = outbox(&org);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["state"], "sent");
    assert_eq!(sent[0]["to"], "webhook:soc");
    assert_eq!(sent[0]["answer"], "200 ok");
    // Nobody asked for mail.
    assert!(crate::sample::mails(&org.path("data")).is_empty());
    assert_no_secret_in(&org.path("data"));
    for ask in [
        &["doctor"][..],
        &["alert", "preview", "--all"],
        &["alert", "list"],
    ] {
        let output = orgwatch(&org.path(""), ask);
        let said = stdout(&output) + &stderr(&output);
        assert!(
            said.contains("soc") && secrets(said.as_bytes()) == 0,
            "{said}"
        );
    }
}

#[test]
fn slack_gets_blocks() {
    let server = HookServer::start();
    let org = crate::late::org();
    configure(&org, &hook(&org, &server, "format = \"slack\"\n"));
    org.file("day-14.csv", attacked());
    night(&org, 1, NIGHT);
    let told = told(&server.acknowledged()[0]);
    assert_eq!(told["blocks"][0]["type"], "header");
    let all = told["blocks"].to_string();
    assert!(all.contains("Who: user1@example.com"), "{all}");
    assert!(all.contains("RUN HEALTH"), "{all}");
}

#[test]
fn a_post_goes_in_the_clear_to_this_machine_where_that_is_asked_for() {
    let server = HookServer::with_certificate(None);
    let org = org_at(&server);
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("url = \"http://{host}:{}/\"", server.port);
        let rest = format!("[[alert.webhook]]\nname = \"soc\"\nplaintext = true\n{url}\n");
        configure(&org, &rest);
        expect(0, orgwatch(&org.path(""), &["alert", "test"]));
    }
    assert_eq!(server.acknowledged().len(), 2);
    assert!(
        server
            .posts()
            .iter()
            .all(|post| post.header("authorization").is_none())
    );
}

#[test]
fn a_webhook_gets_what_it_asked_for_and_waits_for_no_other_way() {
    let server = HookServer::start();
    let org = crate::late::org();
    let hooks = [
        "",
        "min_severity = \"critical\"\n",
        "families = [\"attack\"]\n",
        "users = [\"other@example.com\"]\n",
        "users = [\"user1@example.com\"]\n",
    ];
    let hooks: String = hooks
        .iter()
        .enumerate()
        .map(|(n, rest)| hook(&org, &server, rest).replace("\"soc\"", &format!("\"soc-{n}\"")))
        .collect();
    let mail = "[alert.email]\ntransport = \"smtp\"\nhost = \"localhost\"\nport = 1\ntls = \"none\"\n\
                from = \"o@example.com\"\nto = [\"soc@example.com\"]\n";
    configure(&org, &(mail.to_owned() + &hooks));
    org.file("day-14.csv", attacked());
    let summary = night(&org, 4, NIGHT);
    assert!(
        summary.contains("waits in the outbox: localhost:1"),
        "{summary}"
    );
    let groups: Vec<Value> = server
        .acknowledged()
        .iter()
        .map(|post| told(post)["group"].clone())
        .collect();
    assert_eq!(groups, ["soc-0", "soc-4"]);
    let keys: std::collections::BTreeSet<String> = server
        .posts()
        .iter()
        .map(|post| post.key().to_owned())
        .collect();
    assert_eq!(keys.len(), 2);

    // One that is gone from the configuration is not waited for.
    let org = org_at(&server);
    configure(&org, "");
    let (code, said) = send(&org, &[]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("has this name any more"), "{said}");
    assert_eq!(outbox(&org)[0]["state"], "failed");
}

#[test]
fn a_quiet_week_has_one_sign_of_life_for_a_webhook_too() {
    let server = HookServer::start();
    let org = crate::late::org();
    let hook = hook(&org, &server, "");
    configure(
        &org,
        &("[alert.email]\nheartbeat = \"monday\"\n".to_owned() + &hook),
    );
    org.file(
        "day-14.csv",
        crate::logs::login_file(&crate::late::calm(14)),
    );
    night(&org, 0, NIGHT);
    night(&org, 0, "2026-01-16T03:00:00Z");
    let posts = server.acknowledged();
    assert_eq!(posts.len(), 1);
    assert_eq!(told(&posts[0])["counts"]["new"], 0);
    // The mail of the default group is beside it.
    assert_eq!(crate::sample::mails(&org.path("data")).len(), 1);
}

#[test]
fn a_test_and_a_preview_show_what_a_webhook_gets() {
    let server = HookServer::start();
    let org = crate::late::org();
    configure(&org, &hook(&org, &server, ""));
    let said = expect(
        0,
        orgwatch(&org.path(""), &["alert", "test", "--group", "soc"]),
    );
    assert_eq!(said, "accepted  soc  webhook:soc: 200 ok\n");
    let test = server.acknowledged().remove(0);
    assert_eq!(told(&test)["type"], "orgwatch.test");
    server.reply([answer("400 Bad Request", "", "no")]);
    let said = expect(4, orgwatch(&org.path(""), &["alert", "test"]));
    assert_eq!(said, "refused  soc  webhook:soc: 400 no\n");

    org.file("day-14.csv", attacked());
    expect(
        0,
        orgwatch(&org.path(""), &["ingest", "day-14.csv", "--now", NIGHT]),
    );
    let detect = orgwatch(&org.path(""), &["detect", "--now", NIGHT]);
    assert_eq!(detect.status.code(), Some(1), "{}", stderr(&detect));
    let preview = ["alert", "preview", "--now", NIGHT, "--format", "jsonl"];
    let shown = expect(0, orgwatch(&org.path(""), &preview));
    let shown: Value = serde_json::from_str(shown.trim()).unwrap();
    assert_eq!(server.posts().len(), 2);
    night(&org, 0, NIGHT);
    let post = server.acknowledged().remove(1);
    assert_eq!(shown["message_id"], post.key());
    let body: Value = serde_json::from_str(shown["text"].as_str().unwrap()).unwrap();
    assert_eq!(body["findings"], told(&post)["findings"]);
}
