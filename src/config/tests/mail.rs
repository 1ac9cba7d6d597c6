//! Where alerts go, and the password of the way there.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use super::*;

const SERVER: &str = "[alert.email]\ntransport = \"smtp\"\nfrom = \"o@example.com\"\n\
                      to = [\"s@example.com\"]\nhost = \"mail.example.com\"\n";

#[test]
fn every_key_of_a_mail_server_and_its_groups_is_read() {
    let file = file(&format!(
        "{SERVER}tls = \"implicit\"\nusername = \"u\"\npassword_file = \"secret\"\nca_file = \"ca.pem\"\n\
         timeout_seconds = 5\nhelo = \"watch.example.com\"\ndomain = \"alerts.example.com\"\n\
         reply_to = \"Team <team@example.com>\"\nlink = \"https://wiki.example.com/orgwatch\"\n\
         heartbeat = \"monday\"\nquiet_days = 3\nmax_shown = 9\nthreading = false\n\
         [[alert.group]]\nname = \"managers\"\nto = [\"m@example.com\"]\nmin_severity = \"critical\"\n\
         families = [\"attack\"]\nusers = [\"ERP@example.com\"]\n\
         [[alert.group]]\nname = \"owners\"\nowners = true\n"
    ));
    let dir = file.dir.path();
    let s = Settings::resolve(Overrides::default(), &no_env, Some(&file.path), now()).unwrap();
    let (email, server) = (&s.email, &s.email.server);
    assert_eq!(*email.transport, TransportKind::Smtp);
    // The port follows from the mode.
    assert_eq!((*server.port, *server.tls), (465, TlsMode::Implicit));
    assert_eq!(server.password_file.value, Some(dir.join("secret")));
    assert_eq!(server.ca_file.value, Some(dir.join("ca.pem")));
    assert_eq!(*server.timeout_seconds, 5);
    assert_eq!(server.helo.as_deref(), Some("watch.example.com"));
    assert_eq!(email.domain.as_deref(), Some("alerts.example.com"));
    assert_eq!(*email.heartbeat, Some(chrono::Weekday::Mon));
    assert_eq!((*email.quiet_days, *email.max_shown), (3, 9));
    assert!(!*email.threading);
    let [managers, owners] = email.groups.as_slice() else {
        panic!("two groups");
    };
    assert_eq!(managers.scope.min_severity, Some(Severity::Critical));
    assert_eq!(managers.scope.families, [Family::Attack]);
    assert_eq!(managers.scope.users[0].as_str(), "erp@example.com");
    assert!(owners.owners && owners.to.is_empty());
    let listed = s.listing();
    let value = |key: &str| listed.iter().find(|row| row.0 == key).unwrap().1.clone();
    assert_eq!(value("alert.email.host"), "mail.example.com");
    assert_eq!(value("alert.group"), "managers: m@example.com");
}

#[test]
fn plaintext_goes_to_this_machine_only_and_never_with_a_password() {
    for (rest, message, hint) in [
        ("tls = \"none\"\n", "this machine only", "starttls"),
        (
            "tls = \"none\"\nusername = \"u\"\n",
            "this machine only",
            "starttls",
        ),
    ] {
        let (told, advice) = refusal(&format!("{SERVER}{rest}"));
        assert!(told.contains(message) && advice.contains(hint), "{told}");
    }
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let local = SERVER.replace("mail.example.com", host) + "tls = \"none\"\n";
        assert!(resolve(&local).is_ok(), "{host}");
        let (told, _) = refusal(&format!("{local}username = \"u\"\n"));
        assert!(told.contains("never sent without TLS"), "{told}");
    }
}

#[test]
fn what_a_way_out_needs_and_does_not_have_is_named() {
    let without = |key: &str| -> String {
        let lines = SERVER.lines().filter(|line| !line.starts_with(key));
        lines.map(|line| format!("{line}\n")).collect()
    };
    for key in ["from", "to", "host"] {
        let (told, _) = refusal(&without(key));
        assert!(told.contains(&format!("`{key}` is missing")), "{told}");
    }
    for (rest, message) in [
        ("password_file = \"x\"\n", "a password without a user name"),
        ("link = \"http://wiki.example.com\"\n", "is no link"),
        ("link = \"https://x\\\"><img>\"\n", "is no link"),
        ("helo = \"a b\"\n", "is no host name"),
        ("heartbeat = \"mondy\"\n", "unknown value"),
        (
            "[[alert.group]]\nname = \"default\"\nto = [\"a@example.com\"]\n",
            "group of `to`",
        ),
        (
            "[[alert.group]]\nname = \"A b\"\nto = [\"a@example.com\"]\n",
            "no name for a group",
        ),
        ("[[alert.group]]\nname = \"a\"\n", "`to` is missing"),
        (
            "[[alert.group]]\nname = \"a\"\nowners = true\nto = [\"a@example.com\"]\n",
            "from the registry",
        ),
        (
            "[[alert.group]]\nname = \"a\"\nowners = true\n[[alert.group]]\nname = \"a\"\nowners = true\n",
            "two groups are called",
        ),
    ] {
        let (told, advice) = refusal(&format!("{SERVER}{rest}"));
        assert!(told.contains(message) && !advice.is_empty(), "{told}");
    }
}

/// The password as it is found with this mode of its file and this environment.
fn password(
    content: &[u8],
    mode: u32,
    keys: &str,
    env: &[(&str, &str)],
) -> Result<Option<String>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(PASSWORD_CREDENTIAL);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let config = dir.path().join("orgwatch.toml");
    std::fs::write(&config, format!("{SERVER}{keys}")).unwrap();
    let s = Settings::resolve(Overrides::default(), &no_env, Some(&config), now()).unwrap();
    let look_up = |name: &str| -> Option<OsString> {
        let found = env.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.replace("HERE", dir.path().to_str().unwrap()).into())
    };
    let found = smtp_password(&s.email, &look_up);
    found
        .map(|secret| secret.map(|secret| secret.expose().to_owned()))
        .map_err(|error| error.to_string())
}

const KEYS: &str = "username = \"u\"\npassword_file = \"smtp_password\"\n";

#[test]
fn the_password_comes_from_the_environment_a_private_file_or_a_credential() {
    let from = |mode, keys, env: &[(&str, &str)]| password(b"hunter2\n", mode, keys, env);
    let found = Ok(Some("hunter2".to_owned()));
    assert_eq!(from(0o600, KEYS, &[]), found);
    let env = [("ORGWATCH_SMTP_PASSWORD", "other")];
    assert_eq!(from(0o600, KEYS, &env), Ok(Some("other".to_owned())));
    let credential = [("CREDENTIALS_DIRECTORY", "HERE")];
    assert_eq!(from(0o440, "username = \"u\"\n", &credential), found);
    assert_eq!(from(0o600, "", &[]), Ok(None));
    let none = from(0o600, "username = \"u\"\n", &[]).unwrap_err();
    assert!(none.contains("ORGWATCH_SMTP_PASSWORD"), "{none}");
}

#[test]
fn a_password_that_others_can_read_or_that_cannot_be_one_is_refused_without_being_shown() {
    for (content, mode, told) in [
        (&b"hunter2"[..], 0o640, "mode 0640"),
        (b"hunter2", 0o604, "chmod 600"),
        (b"", 0o600, "is empty"),
        (b"\n", 0o600, "is empty"),
        (b"hunter2\nmore", 0o600, "several lines"),
        (b"hunter2\xff", 0o600, "is not UTF-8"),
        (&[b'x'; 5000], 0o600, "is too long"),
    ] {
        let error = password(content, mode, KEYS, &[]).unwrap_err();
        assert!(error.contains(told) && error.contains("hint: "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let missing = KEYS.replace("smtp_password", "none");
    let error = password(b"x", 0o600, &missing, &[]).unwrap_err();
    assert!(error.contains("cannot read the password file"), "{error}");
}
