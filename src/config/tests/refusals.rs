//! Each refusal of the configuration file: place, message and hint.

use super::*;

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_key() {
    let (message, hint) = refusal("[org]\nname = \"x\"\n[store]\n  retention_day = 3\n");
    assert_eq!(message, "4:3: unknown key `retention_day` in [store]");
    assert_eq!(hint, "did you mean `retention_days`?");
    assert_eq!(
        refusal("[stor]\n"),
        (
            "1:2: unknown key `stor` at the top of the file".into(),
            "did you mean `store`?".into()
        )
    );
    let (message, hint) = refusal("[limits]\nzzzzzz = 1\n");
    assert_eq!(message, "2:1: unknown key `zzzzzz` in [limits]");
    assert_eq!(hint, "known here: memory, threads, quarantine_ratio");
}

#[test]
fn of_several_unknown_keys_the_first_in_the_file_is_named() {
    assert!(
        refusal("[org]\nzeta = 1\nalpha = 2\n")
            .0
            .starts_with("2:1:")
    );
}

#[test]
fn each_wrong_value_is_refused_at_its_place() {
    for (text, message, hint) in [
        (
            "[org]\nname = 3",
            "2:8: `name` must be text in quotes, not an integer",
            "",
        ),
        (
            "[org]\nname = \" \"",
            "2:8: `name` is empty",
            "leave the key out",
        ),
        (
            "[org]\nid = \"0055j00000AT6I1\"",
            "2:6: \"0055j00000AT6I1\" is no org id",
            "00D",
        ),
        (
            "[org]\ntimezone = \"Europe/Berln\"",
            "2:12: unknown time zone",
            "Europe/Berlin",
        ),
        (
            "[store]\nretention_days = 0",
            "2:18: `retention_days` must lie between 1 and",
            "",
        ),
        (
            "[store]\nretention_days = 99999999999999999999",
            "2:18:",
            "",
        ),
        (
            "[store]\nretention_days = \"9\"",
            "must be a whole number, not a string",
            "",
        ),
        (
            "[inputs]\npaths = \"logs\"",
            "2:9: `paths` must be a list in [ ], not a string",
            "",
        ),
        (
            "[inputs]\npaths = [\"a\", 1]",
            "2:15: `paths` must be text",
            "",
        ),
        (
            "[inputs]\nday_first = 1",
            "must be true or false, not an integer",
            "",
        ),
        (
            "[detect]\nfail_on = \"hihg\"",
            "2:11: unknown severity \"hihg\"",
            "did you mean `high`?",
        ),
        (
            "[rules.\"Bad Id\"]\nstatus = \"off\"",
            "1:8: \"Bad Id\" is no rule id",
            "lower-case",
        ),
        (
            "[rules.a-b]\nstatus = \"of\"",
            "2:10: `status` has the unknown value \"of\"",
            "`off`",
        ),
        (
            "[rules.a-b]\nparam = {}",
            "unknown key `param` in [rules.\"a-b\"]",
            "`params`",
        ),
        (
            "[rules.a-b]\nparams = { at = 2026-01-01 }",
            "2:17: `at` must be text, a number",
            "",
        ),
        (
            "[alert.email]\nto = []",
            "2:6: `to` names nobody",
            "at least one",
        ),
        (
            "[alert.email]\nto = \"a@example.com\"",
            "`to` must be a list",
            "",
        ),
        (
            "[alert.email]\nfrom = \"nobody\"",
            "\"nobody\" is no mail address",
            "name@domain",
        ),
        (
            "[alert.email]\nport = 70000",
            "must lie between 1 and 65535",
            "",
        ),
        (
            "[alert.email]\ntls = \"startls\"",
            "`tls` has the unknown value",
            "`starttls`",
        ),
        (
            "[limits]\nmemory = \"512\"",
            "2:10: \"512\" is no amount of memory",
            "512MiB",
        ),
        ("[limits]\nmemory = \"1MiB\"", "too little", "64MiB"),
        ("[limits]\nthreads = 0", "must lie between 1 and 1024", ""),
        (
            "[limits]\nquarantine_ratio = nan",
            "must lie between 0 and 1",
            "",
        ),
        (
            "store = 3",
            "1:9: `store` must be a table, not an integer",
            "",
        ),
        (
            "[suppress]\nrule = \"a\"",
            "`suppress` must be a list of tables",
            "[[suppress]]",
        ),
    ] {
        let refused = refusal(text);
        assert!(refused.0.contains(message), "{text}: {refused:?}");
        assert!(refused.1.contains(hint), "{text}: {refused:?}");
    }
}

#[test]
fn a_file_that_is_no_toml_or_no_text_is_refused_at_its_place() {
    assert!(
        refusal("[org]\nname = \"x\n")
            .0
            .starts_with("2:10: this is not valid TOML: invalid basic string")
    );
    assert!(
        refusal("[org]\nname = \"x\"\nname = \"y\"\n")
            .0
            .starts_with("3:1: this is not valid TOML")
    );
    let file = file("");
    std::fs::write(&file.path, b"[org]\nname = \"\xff\"\n").unwrap();
    let error =
        Settings::resolve(Overrides::default(), &no_env, Some(&file.path), now()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("orgwatch.toml:2:9: the file is not UTF-8"),
        "{error}"
    );
}

#[test]
fn no_message_repeats_a_value_of_a_key_it_does_not_know() {
    let (message, hint) = refusal("[alert.email]\npassword = \"hunter2\"\n");
    assert!(
        !format!("{message}{hint}").contains("hunter2"),
        "{message}{hint}"
    );
    let (message, hint) = refusal("[alert.email]\npassword_file = hunter2\n");
    assert!(
        !format!("{message}{hint}").contains("hunter2"),
        "{message}{hint}"
    );
}
