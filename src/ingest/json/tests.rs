use super::*;

fn read_as(name: &str, text: &str) -> Result<Tables, String> {
    read(text.as_bytes(), name, &Catalog::embedded())
}

fn tables_of(text: &str) -> Tables {
    read_as("x.json", text).unwrap()
}

fn csv_of(text: &str) -> String {
    let mut tables = tables_of(text);
    assert_eq!(tables.csv.len(), 1);
    String::from_utf8(tables.csv.remove(0)).unwrap()
}

const TWO: &str = "\"Id\",\"Name\"\n\"1\",\"a\"\n\"2\",\"\"\n";

#[test]
fn an_answer_an_array_and_lines_say_the_same() {
    for text in [
        r#"{"totalSize":2,"done":true,"records":[{"Id":"1","Name":"a"},{"Id":"2","Name":null}]}"#,
        r#"{"status":0,"result":{"records":[{"Id":"1","Name":"a"},{"Id":"2"}],"totalSize":2.0,"done":true},"warnings":[]}"#,
        r#"{"status":0,"result":[{"Id":"1","Name":"a"},{"Id":"2"}],"warnings":[]}"#,
        r#"[{"Id":"1","Name":"a"},{"Id":"2"}]"#,
        "{\"Id\":\"1\",\"Name\":\"a\"}\n{\"Id\":\"2\"}\n",
        "{\"Id\":\"1\",\"Name\":\"a\"}\r\n\r\n{\"Id\":\"2\"}",
        "{\n  \"Id\": \"1\",\n  \"Name\": \"a\"\n}\n{\n  \"Id\": \"2\"\n}\n",
        "[{\"totalSize\":2,\"done\":false,\"records\":[{\"Id\":\"1\",\"Name\":\"a\"}]},\n{\"totalSize\":2,\"done\":true,\"records\":[{\"Id\":\"2\"}]}]",
        "{\"totalSize\":2,\"done\":false,\"records\":[{\"Id\":\"1\",\"Name\":\"a\"}]}\n{\"totalSize\":2,\"done\":true,\"records\":[{\"Id\":\"2\"}]}\n",
    ] {
        assert_eq!(csv_of(text), TWO, "{text}");
        assert_eq!(tables_of(text).shortfall, None, "{text}");
    }
}

#[test]
fn an_error_body_is_refused_by_its_code_and_never_an_empty_answer() {
    for (text, reason) in [
        (
            r#"[{"message":"sObject type 'X'","errorCode":"INVALID_TYPE"}]"#,
            "unreadable: INVALID_TYPE",
        ),
        (
            r#"{"status":1,"name":"INVALID_FIELD","message":"No such column","exitCode":1}"#,
            "unreadable: INVALID_FIELD",
        ),
        (
            r#"{"error":"invalid_grant","error_description":"secret"}"#,
            "unreadable: an API error",
        ),
        (
            r#"[{"message":"m","errorCode":"jane@example.com"}]"#,
            "unreadable: an API error",
        ),
        (
            r#"[{"totalSize":2,"done":false,"records":[{"Id":"1"}]},{"message":"m","errorCode":"QUERY_TIMEOUT"}]"#,
            "unreadable: QUERY_TIMEOUT",
        ),
    ] {
        assert_eq!(read_as("User_2026-01-15.json", text).unwrap_err(), reason);
    }
}

#[test]
fn an_answer_with_less_than_it_promises_is_truncated() {
    for (text, told) in [
        (
            r#"{"totalSize":3,"done":false,"records":[{"Id":"1"}]}"#,
            "1 of 3",
        ),
        (
            r#"{"totalSize":3,"done":true,"records":[{"Id":"1"}]}"#,
            "1 of 3",
        ),
        (
            r#"{"done":false,"records":[{"Id":"1"}]}"#,
            "more records follow",
        ),
        (
            r#"{"totalSize":2,"done":true,"records":[{"Id":"1"},{"Id":"#,
            "ends inside a record",
        ),
        (r#"[{"Id":"1"},{"Id":"2"}"#, "ends inside a record"),
        ("{\"Id\":\"1\"}\n{\"Id\":\"2", "ends inside a record"),
    ] {
        let shortfall = tables_of(text).shortfall.unwrap();
        assert!(shortfall.contains(told), "{text}: {shortfall}");
    }
    let none_of_three = r#"{"totalSize":3,"done":true,"records":[]}"#;
    assert!(read_as("User.json", none_of_three).is_err());
}

#[test]
fn a_broken_record_does_not_hide_its_neighbours() {
    for text in [
        "{\"Id\":\"1\",\"Name\":\"a\"}\n{\"Id\":\"x\", \n{\"Id\":\"2\"}\n",
        r#"[{"Id":"1","Name":"a"},{"Id" "x"},{"Id":"2"}]"#,
        r#"[{"Id":"1","Name":"a"},7,{"Id":"2"}]"#,
    ] {
        assert_eq!(
            csv_of(text),
            "\"Id\",\"Name\"\n\"1\",\"a\"\nbroken\n\"2\",\"\"\n"
        );
        assert_eq!(tables_of(text).shortfall, None);
    }
}

#[test]
fn an_empty_answer_is_that_of_its_name() {
    let empty = r#"{"totalSize":0,"done":true,"records":[]}"#;
    let tables = read_as("in/OauthToken_2026-01-15.json", empty).unwrap();
    let header = String::from_utf8(tables.csv[0].clone()).unwrap();
    assert!(header.contains("\"AppName\"") && header.lines().count() == 1);
    assert!(
        read_as("in/answer.json", empty)
            .unwrap_err()
            .contains("OauthToken_2026")
    );
    assert!(read_as("in/Login.json", "[]").is_err());
}

#[test]
fn records_of_several_kinds_are_several_tables() {
    let text = r#"[{"attributes":{"type":"User"},"Id":"1"},{"attributes":{"type":"Profile"},"Id":"2"},
        {"attributes":{"type":"User"},"Id":"3"}]"#;
    let tables = tables_of(text);
    let lines: Vec<usize> = tables
        .csv
        .iter()
        .map(|c| c.iter().filter(|b| **b == b'\n').count())
        .collect();
    assert_eq!(lines, [3, 2]);
}

#[test]
fn a_relationship_that_is_null_in_one_record_is_no_column() {
    let text = r#"[{"Id":"1","Profile":null},{"Id":"2","Profile":{"Name":"P"}}]"#;
    assert_eq!(
        csv_of(text),
        "\"Id\",\"Profile.Name\"\n\"1\",\"\"\n\"2\",\"P\"\n"
    );
}

#[test]
fn more_fields_than_any_object_has_are_refused() {
    let many: Vec<String> = (0..=HEADINGS_MAX)
        .map(|n| format!("{{\"a{n}\":1}}"))
        .collect();
    let text = format!("[{}]", many.join(","));
    assert!(
        read_as("x.json", &text)
            .unwrap_err()
            .contains("different fields")
    );
}

#[test]
fn a_record_nested_without_end_is_a_broken_one() {
    let deep = format!(
        "[{{\"Id\":\"1\"}},{{\"Id\":{}1{}}}]",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    assert_eq!(csv_of(&deep), "\"Id\"\n\"1\"\nbroken\n");
}

#[test]
fn json_is_told_by_its_first_character() {
    let is_json = |text: &'static str| {
        let (mut source, is_json) = sniff(Box::new(text.as_bytes()));
        let mut all = String::new();
        source.read_to_string(&mut all).unwrap();
        assert_eq!(all, text);
        is_json
    };
    assert!(is_json("\u{feff} \n{\"Id\":1}") && is_json("[]"));
    assert!(!is_json("\"Id\",\"Name\"\n") && !is_json("") && !is_json("Id,{\n"));
}
