use super::*;

fn classes(text: &str) -> String {
    let mut out = vec![];
    assert_eq!(of_query(text, &mut out), !out.is_empty());
    String::from_utf8(out).unwrap()
}

fn searched(text: &str) -> String {
    let mut out = vec![];
    of_search(text, &mut out);
    String::from_utf8(out).unwrap()
}

fn literal(text: &str) -> String {
    classes(&format!(
        "SELECT Id FROM Case WHERE Description LIKE '{text}'"
    ))
}

#[test]
fn hunting_in_literals_is_told_by_class() {
    for (text, class) in [
        ("%AKIA%", "aws_key"),
        ("%akia%", "aws_key"),
        ("AKIA____________%", "aws_key"),
        ("%AKIAIOSFODNN7EXAMPLE%", "aws_key"),
        ("key AKIA4567", "aws_key"),
        ("%ASIA%", "aws_key"),
        ("ASIAIOSFODNN7EXAMPLE", "aws_key"),
        ("%-----BEGIN%", "private_key"),
        ("%BEGIN RSA PRIVATE KEY%", "private_key"),
        ("%private_key%", "private_key"),
        ("%password%", "password_word"),
        ("%Passw%", "password_word"),
        ("%assword", "password_word"),
        ("%p_ssword%", "password_word"),
        ("pwd:", "password_word"),
        ("%contraseña%", "password_word"),
        ("%api_key%", "secret_word"),
        ("%api-key%", "secret_word"),
        ("%client secret%", "secret_word"),
        ("%token%", "secret_word"),
        ("%snowflakecomputing.com%", "snowflake_word"),
        ("https://vpn.example.com/%", "vpn_sso_word"),
        ("%single sign-on%", "vpn_sso_word"),
    ] {
        assert_eq!(literal(text), class, "{text}");
    }
    assert_eq!(literal("%password%token%"), "password_word;secret_word");
}

#[test]
fn names_of_fields_and_objects_are_no_hits() {
    for query in [
        "SELECT Secret_Question__c FROM Contact",
        "SELECT Token__c, Password_Reset__c, Secret FROM Secret__c WHERE Token__c != null",
        "SELECT Id FROM FieldDefinition WHERE QualifiedApiName IN ('Secret_Question__c','Token__r')",
        "SELECT AKIA FROM Password WHERE Snowflake = :x ORDER BY Token",
    ] {
        assert_eq!(classes(query), "", "{query}");
    }
}

#[test]
fn parts_of_ordinary_words_are_no_hits() {
    for text in [
        "Tokenizer Ltd",
        "Secretary",
        "Slovakia",
        "%slovakia%",
        "AKIA",
        "AKIACHAK",
        "Akiachak",
        "ASIA",
        "Asia%",
        "%Asia%",
        "ASIA%",
        "ASIAPACIFIC",
        "ASIA2024",
        "ASIA PACIFIC",
        "Ssoma",
        "access%",
        "global%",
        "%passport%",
        "passenger%",
        "Begin",
        "private",
        "key account",
        "",
    ] {
        assert_eq!(literal(text), "", "{text}");
    }
    let region = "SELECT Id FROM Account WHERE Sales_Region__c LIKE '%ASIA%'";
    assert_eq!(classes(region), "");
}

#[test]
fn searches_are_read_like_literals() {
    assert_eq!(
        classes("FIND {password} IN ALL FIELDS RETURNING Contact(Id)"),
        "password_word"
    );
    assert_eq!(
        classes("find{AKIA* OR snowflake}"),
        "aws_key;snowflake_word"
    );
    assert_eq!(classes("FIND 'api key' RETURNING Case"), "secret_word");
    assert_eq!(searched("\"\"\"secret*\"\"\""), "secret_word");
    assert_eq!(searched("akia"), "aws_key");
    assert_eq!(searched("Asia"), "");
    assert_eq!(searched("chri*"), "");
}

#[test]
fn a_query_written_as_part_of_a_url_hides_nothing() {
    let query = "SELECT+Id+FROM+Case+WHERE+Subject+LIKE+%27%25AKIA%25%27+LIMIT+5";
    assert_eq!(classes(query), "aws_key;small_limit");
    assert_eq!(literal(r"%\u0041KIA%"), "aws_key");
}

#[test]
fn the_shape_is_that_of_the_outermost_query() {
    for (query, expected) in [
        ("SELECT COUNT() FROM Account", "count"),
        ("select count(Id) c from Account", "count"),
        ("SELECT Name, COUNT(Id) FROM Account GROUP BY Name", ""),
        ("SELECT Id, (SELECT COUNT() FROM Contacts) FROM Account", ""),
        ("SELECT FIELDS(ALL) FROM Account LIMIT 200", "fields_all"),
        (
            "SELECT FIELDS( standard ) FROM Account LIMIT 100",
            "fields_standard;small_limit",
        ),
        ("SELECT FIELDS(CUSTOM) FROM Account LIMIT 101", ""),
        ("SELECT Id FROM Account LIMIT 0", "small_limit"),
        (
            "SELECT Id, (SELECT Id FROM Contacts LIMIT 5) FROM Account",
            "",
        ),
        ("SELECT Id FROM Account WHERE Name = 'LIMIT 5'", ""),
        ("SELECT Id FROM Account LIMIT :n", ""),
        (
            "SELECT Id, Username FROM User WHERE IsActive = true ORDER BY LastLoginDate DESC \
             NULLS LAST LIMIT 20",
            "small_limit;users_by_last_login",
        ),
        (
            "SELECT Id FROM User ORDER BY Name, LastLoginDate",
            "users_by_last_login",
        ),
        ("SELECT LastLoginDate FROM User ORDER BY Name", ""),
        ("SELECT Id FROM Contact ORDER BY LastLoginDate", ""),
        (
            "FIND {x} RETURNING Account(Id LIMIT 5) LIMIT 7",
            "small_limit",
        ),
    ] {
        assert_eq!(classes(query), expected, "{query}");
    }
}

#[test]
fn hostile_text_is_read_in_linear_time() {
    const LENGTH: usize = 4 << 20;
    let of = |piece: &str| piece.repeat(LENGTH / piece.len());
    let long_name = format!("{}{}", of("x"), " LIKE '%ASIA%'".repeat(1000));
    for text in [
        of("'"),
        of("\\'"),
        of("{"),
        of("find{"),
        of("("),
        of("FIELDS(ALL)"),
        of("_"),
        of("'a_'"),
        of("'%AKIA%'"),
        of("'-----'"),
        of("AKIA"),
        of("\u{1F600}é'\u{0}"),
        long_name,
        format!("SELECT Id FROM Case WHERE Subject LIKE '{}", of("token_%")),
    ] {
        let start = std::time::Instant::now();
        of_query(&text, &mut vec![]);
        of_search(&text, &mut vec![]);
        let took = start.elapsed();
        assert!(took.as_secs() < 20, "{took:?} for {:.20}", text);
    }
}

#[test]
fn every_entry_of_the_data_file_says_something() {
    assert!(RULES.shapes.len() >= 5 && RULES.secrets.len() >= 6 && RULES.secrets.len() < 64);
    for secret in &RULES.secrets {
        let says = secret.words.len() + secret.marks.len() + secret.key_prefixes.len();
        assert!(says > 0, "{}", secret.class);
        assert!(
            secret
                .also_words
                .iter()
                .all(|w| secret.key_prefixes.contains(w))
        );
    }
    assert!(RULES.words.keys().all(|w| w.chars().count() < WORD_CHARS));
    assert!(
        RULES
            .rows
            .iter()
            .all(|(row, _)| (2..=ROW).contains(&row.len()))
    );
    assert!(RULES.cut_words.keys().all(|w| RULES.words.contains_key(w)));
}
