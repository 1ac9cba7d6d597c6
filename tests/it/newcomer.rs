//! What the program tells a person who sets it up: mistakes must not look like quiet nights.

use crate::logs::{LOGIN, Org, log, login, quoted};
use crate::program::{expect, orgwatch, stderr};

/// A lake with one login of `user1`, and a registry that means somebody else.
fn org_with_a_misspelt_registry() -> Org {
    let org = Org::new();
    let base = login(1, 1);
    let row: Vec<(&str, &str)> = base
        .iter()
        .map(|(k, v)| (*k, v.as_str()))
        .filter(|(k, _)| *k != "USER_NAME")
        .chain([("USER_NAME", "erp@example.com"), ("BRAND_NEW", "x")])
        .collect();
    let header: Vec<&str> = LOGIN.iter().copied().chain(["BRAND_NEW"]).collect();
    org.file("Login.csv", quoted(&log(&header, &[&row])));
    org.file(
        "registry.toml",
        "[[user]]\nusername = \"epr@example.com\"\nrole = \"integration\"\n",
    );
    org
}

#[test]
fn a_column_that_the_catalogue_does_not_know_is_named_at_ingest() {
    let org = org_with_a_misspelt_registry();
    let output = orgwatch(
        &org.path(""),
        &["ingest", "Login.csv", "--data-dir", "data"],
    );
    let told = stderr(&output);
    expect(0, output);
    assert!(told.contains("1 column of Login: BRAND_NEW"), "{told}");
}

#[test]
fn a_misspelt_user_of_the_registry_is_told_with_the_findings() {
    let org = org_with_a_misspelt_registry();
    let dir = org.path("");
    expect(
        0,
        orgwatch(&dir, &["ingest", "Login.csv", "--data-dir", "data"]),
    );
    let judge = [
        "detect",
        "--data-dir",
        "data",
        "--registry",
        "registry.toml",
    ];
    let told = stderr(&orgwatch(&dir, &judge));
    assert!(told.contains("no log has shown 1 user"), "{told}");
    assert!(told.contains("epr@example.com"), "{told}");

    let told = stderr(&orgwatch(&dir, &judge[..3]));
    assert!(told.contains("no registry"), "{told}");
}

#[test]
fn without_a_lake_nobody_is_called_unknown() {
    let org = org_with_a_misspelt_registry();
    let check = [
        "registry",
        "check",
        "--data-dir",
        "none",
        "--registry",
        "registry.toml",
    ];
    let listed = expect(0, orgwatch(&org.path(""), &check));
    assert!(!listed.contains("unresolved_user"), "{listed}");
}
