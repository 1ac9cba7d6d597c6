//! Services that are told, and what opens them.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use super::*;

const HOOK: &str = "[[alert.webhook]]\nname = \"soc-chat\"\n";
const ADDRESS: &str = "https://hooks.example.com/services/T0/canary-path";

fn hook(rest: &str) -> String {
    format!("{HOOK}{rest}\n")
}

#[test]
fn every_key_of_a_webhook_is_read_and_its_listing_holds_no_path() {
    let file = file(&hook(&format!(
        "format = \"slack\"\nurl = \"{ADDRESS}\"\nsecret_header = \"X-Api-Key\"\nsecret_file = \"secret\"\n\
         ca_file = \"ca.pem\"\ntimeout_seconds = 7\nmin_severity = \"high\"\nfamilies = [\"attack\"]\n\
         users = [\"ERP@example.com\"]"
    )));
    let dir = file.dir.path();
    let s = Settings::resolve(Overrides::default(), &no_env, Some(&file.path), now()).unwrap();
    let [hook] = s.email.webhooks.as_slice() else {
        panic!("one webhook");
    };
    assert_eq!(hook.format, WebhookFormat::Slack);
    assert_eq!(hook.url.as_ref().unwrap().expose().as_str(), ADDRESS);
    assert_eq!(hook.secret_header.as_deref(), Some("X-Api-Key"));
    assert_eq!(hook.secret_file, Some(dir.join("secret")));
    assert_eq!(hook.ca_file, Some(dir.join("ca.pem")));
    assert_eq!(hook.timeout_seconds, 7);
    assert_eq!(hook.scope.min_severity, Some(Severity::High));
    assert_eq!(hook.scope.families, [Family::Attack]);
    assert_eq!(hook.scope.users[0].as_str(), "erp@example.com");
    // Nobody asked for mail.
    assert!(s.email.to.is_empty());
    let listed = s.listing();
    let row = listed.iter().find(|row| row.0 == "alert.webhook").unwrap();
    assert_eq!(row.1, "soc-chat: slack to hooks.example.com");
    assert!(!format!("{s:?}").contains("canary-path"));
}

#[test]
fn mail_stays_where_it_was_asked_for_beside_a_webhook() {
    let url = format!("url = \"{ADDRESS}\"");
    let s = resolve(&(hook(&url) + "[alert.email]\nquiet_days = 3\n")).unwrap();
    assert_eq!(s.email.to.len(), 1);
}

#[test]
fn alerts_go_by_https_and_in_the_clear_to_this_machine_only_where_that_is_asked_for() {
    for (rest, message) in [
        (
            "url = \"http://hooks.example.com/canary-path\"",
            "by https only",
        ),
        (
            "url = \"ftp://hooks.example.com/canary-path\"",
            "by https only",
        ),
        ("url = \"http://127.0.0.1/canary-path\"", "without TLS"),
        (
            "url = \"http://hooks.example.com/canary-path\"\nplaintext = true",
            "this machine only",
        ),
        (
            "url = \"http://localhost.example.com/canary-path\"\nplaintext = true",
            "this machine only",
        ),
        (
            "url = \"https://localhost/canary-path\"\nplaintext = true",
            "begins with http://",
        ),
        (
            "url = \"https://u:canary-path@hooks.example.com/\"",
            "a user or a password",
        ),
        (
            "url = \"https://canary-path@hooks.example.com/\"",
            "a user or a password",
        ),
        (
            "url = \"https://hooks.example.com/#canary-path\"",
            "is never sent",
        ),
        (
            "url = \"hooks.example.com/canary-path\"",
            "no address of a webhook",
        ),
        (
            "url = \"https:///canary-path:x\"",
            "no address of a webhook",
        ),
        (
            "url = \"http://[::1]/\"\nplaintext = true\nsecret_file = \"s\"",
            "never sent without TLS",
        ),
        (
            "url = \"http://[::1]/\"\nplaintext = true\nsecret_header = \"X-Key\"",
            "never sent without TLS",
        ),
        (
            "url = \"https://hooks.example.com/\"\nurl_file = \"u\"",
            "given twice",
        ),
        ("secret_header = \"X Key\"", "no name of a header"),
        ("secret_header = \"Content-Length\"", "set already"),
        ("format = \"teams\"", "unknown value"),
        ("timeout_seconds = 0", "between 1 and 600"),
        ("body = \"x\"", "unknown key `body`"),
    ] {
        let (told, advice) = refusal(&hook(rest));
        assert!(told.contains(message), "{rest}: {told}");
        assert!(!(told + &advice).contains("canary-path"), "{rest}");
    }
    for here in ["localhost:8080", "127.0.0.1:1", "[::1]"] {
        let rest = format!("url = \"http://{here}/x\"\nplaintext = true");
        assert!(resolve(&hook(&rest)).is_ok(), "{here}");
    }
}

#[test]
fn a_webhook_has_a_name_of_its_own() {
    let (told, _) = refusal("[[alert.webhook]]\nurl = \"https://hooks.example.com/\"\n");
    assert!(told.contains("`name` is missing"), "{told}");
    let other = "[[alert.group]]\nname = \"soc-chat\"\nowners = true\n";
    for other in [other, HOOK] {
        let (told, _) = refusal(&format!("{HOOK}{other}"));
        assert!(told.contains("two groups or webhooks are called"), "{told}");
    }
    let (told, _) = refusal("[[alert.webhook]]\nname = \"default\"\n");
    assert!(told.contains("group of `to`"), "{told}");
}

/// Address and secret as they are found with these files and this environment.
fn found(
    keys: &str,
    files: &[(&str, &str, u32)],
    env: &[(&str, &str)],
) -> Result<(String, Option<String>), String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, content, mode) in files {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
    }
    let config = dir.path().join("orgwatch.toml");
    std::fs::write(&config, hook(keys)).unwrap();
    let s = Settings::resolve(Overrides::default(), &no_env, Some(&config), now()).unwrap();
    let look_up = |name: &str| -> Option<OsString> {
        let found = env.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.replace("HERE", dir.path().to_str().unwrap()).into())
    };
    webhook_secrets(&s.email.webhooks[0], &look_up)
        .map(|(url, secret)| {
            let secret = secret.map(|secret| secret.expose().to_owned());
            (url.expose().to_string(), secret)
        })
        .map_err(|error| error.to_string())
}

#[test]
fn address_and_secret_come_from_the_environment_private_files_or_credentials() {
    let both = Ok((ADDRESS.to_owned(), Some("Bearer canary".to_owned())));
    let files = [("u", ADDRESS, 0o600), ("s", "Bearer canary\n", 0o600)];
    let keys = "url_file = \"u\"\nsecret_file = \"s\"";
    assert_eq!(found(keys, &files, &[]), both);
    let header = "secret_header = \"X-Key\"";
    let env = [
        ("ORGWATCH_WEBHOOK_SOC_CHAT_URL", ADDRESS),
        ("ORGWATCH_WEBHOOK_SOC_CHAT_SECRET", "Bearer canary"),
    ];
    assert_eq!(found(header, &[], &env), both);
    let files = [
        ("webhook_soc-chat_url", ADDRESS, 0o440),
        ("webhook_soc-chat_secret", "Bearer canary", 0o440),
    ];
    let credentials = [("CREDENTIALS_DIRECTORY", "HERE")];
    assert_eq!(found(header, &files, &credentials), both);
    assert_eq!(
        found("", &files, &credentials),
        Ok((ADDRESS.to_owned(), None))
    );
}

#[test]
fn an_address_or_a_secret_that_is_missing_open_to_others_or_unusable_is_refused_unshown() {
    let (url, here) = (
        "url_file = \"u\"",
        "url = \"https://hooks.example.com\"\nsecret_file = \"s\"",
    );
    for (keys, file, told) in [
        (url, ("u", ADDRESS, 0o644), "mode 0644"),
        (url, ("x", "", 0o600), "cannot read the address file"),
        (url, ("u", "canary-path", 0o600), "no address of a webhook"),
        (
            url,
            ("u", "http://hooks.example.com/canary-path", 0o600),
            "by https only",
        ),
        (here, ("s", "canary-path", 0o640), "chmod 600"),
        (here, ("s", "canary-path\r\nX: y", 0o600), "several lines"),
        (
            here,
            ("s", "canary-path é", 0o600),
            "cannot stand in a header",
        ),
        ("", ("x", "", 0o600), "ORGWATCH_WEBHOOK_SOC_CHAT_URL"),
        (
            "secret_header = \"X-Key\"\nurl = \"https://hooks.example.com\"",
            ("x", "", 0o600),
            "has no secret",
        ),
    ] {
        let error = found(keys, &[file], &[]).unwrap_err();
        assert!(error.contains(told) && error.contains("hint: "), "{error}");
        assert!(!error.contains("canary-path"), "{error}");
    }
}
