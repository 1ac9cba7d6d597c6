//! A URI as its template: which endpoint was called, never for which record.
//!
//! `/services/data/v60.0/sobjects/Account/001…?q=…` becomes
//! `/services/data/v60.0/sobjects/Account/{id}`. A segment is kept only if it is a word of the
//! platform's own paths, a version, or the API name of an object in its place; anything else
//! becomes `{id}`, `{n}` or `{name}`. Query strings, fragments and hosts are dropped.
//!
//! The name of an Apex REST endpoint is the org's own word, but nothing tells it from what a caller
//! wrote there: it is kept as a keyed digest, `/services/apexrest/{name:~…}/{id}`. A version before
//! it stays. Behind a package's namespace only the namespace is told apart.

use std::sync::LazyLock;

use hashbrown::HashSet;

use crate::catalog::sf_id18;
use crate::privacy::DigestKey;

/// Longest template, in segments.
const SEGMENTS: usize = 12;

static WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("data/uri_words.txt")
        .split_whitespace()
        .collect()
});
static OBJECTS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    include_str!("data/standard_objects.txt")
        .split_whitespace()
        .map(str::to_ascii_lowercase)
        .collect()
});

/// The name under which Apex REST is reached: `/services/apexrest/…`.
const APEX: &str = "apexrest";

/// Where a segment of a path stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Anywhere,
    AfterObjects,
    /// Behind `apexrest`, where a version or the endpoint's name comes.
    Apex,
    /// Behind a version there.
    ApexName,
}

/// Appends the template of a URI (or of an API resource, or a page) to `out`.
pub fn template(raw: &[u8], key: &DigestKey, out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(raw);
    let (host, path) = host_and_path(&text);
    if host {
        out.extend_from_slice(b"{host}");
    }
    let mut place = Place::Anywhere;
    for (n, segment) in path.split('/').enumerate() {
        if n > 0 {
            out.push(b'/');
        }
        if n == SEGMENTS {
            out.extend_from_slice("…".as_bytes());
            break;
        }
        if !segment.is_empty() {
            place = keep(segment, place, key, out);
        }
    }
}

/// Appends the template of an Apex REST call's path to `out`: the same for `/X/…` as for
/// `/services/apexrest/X/…`, whatever stands before it.
pub fn apex_template(raw: &[u8], key: &DigestKey, out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(raw);
    let segments = || host_and_path(&text).1.split('/').filter(|s| !s.is_empty());
    let before = segments()
        .position(|s| s.eq_ignore_ascii_case(APEX))
        .map_or(0, |at| at + 1);
    out.extend_from_slice(b"/services/apexrest");
    let mut place = Place::Apex;
    for (n, segment) in segments().skip(before).enumerate() {
        out.push(b'/');
        if n == SEGMENTS {
            out.extend_from_slice("…".as_bytes());
            break;
        }
        place = keep(segment, place, key, out);
    }
}

/// Whether a URI names a host, and its path without query and fragment.
fn host_and_path(text: &str) -> (bool, &str) {
    let text = text.trim().trim_matches('"');
    let path = text.split(['?', '#', ';']).next().unwrap_or_default();
    match path.split_once("://") {
        Some((_, rest)) => (true, rest.find('/').map_or("", |at| &rest[at..])),
        None => (false, path),
    }
}

/// Appends what is kept of one segment and returns the place of the next.
fn keep(segment: &str, place: Place, key: &DigestKey, out: &mut Vec<u8>) -> Place {
    let lower = segment.to_ascii_lowercase();
    if place == Place::Apex && is_path_version(&lower) {
        out.extend_from_slice(lower.as_bytes());
        return Place::ApexName;
    }
    if matches!(place, Place::Apex | Place::ApexName) {
        keep_name(segment, key, out);
        return Place::Anywhere;
    }
    if place == Place::AfterObjects && is_object(segment)
        || WORDS.contains(lower.as_str())
        || is_version(&lower)
    {
        out.extend_from_slice(segment.as_bytes());
    } else if is_number(segment) {
        out.extend_from_slice(b"{n}");
    } else if is_record_id(segment) {
        out.extend_from_slice(b"{id}");
    } else {
        out.extend_from_slice(b"{name}");
    }
    match lower.as_str() {
        "sobjects" | "object-info" | "sobject" => Place::AfterObjects,
        APEX => Place::Apex,
        _ => Place::Anywhere,
    }
}

/// Appends the name of an Apex REST endpoint: `{name:~…}` with a digest of the name, the same in
/// every spelling; `{any}` for the star of a mapping.
fn keep_name(segment: &str, key: &DigestKey, out: &mut Vec<u8>) {
    // A class may be mapped to `/*`: a record is no name. Of fifteen letters and digits only those
    // with a digit among the first three are ids.
    let is_id = segment.bytes().take(3).any(|b| b.is_ascii_digit()) && is_record_id(segment);
    if segment == "*" {
        out.extend_from_slice(b"{any}");
    } else if is_number(segment) {
        out.extend_from_slice(b"{n}");
    } else if is_id {
        out.extend_from_slice(b"{id}");
    } else {
        let name = String::from_utf8(percent_decoded(segment.as_bytes()));
        let name = name.unwrap_or_else(|_| segment.to_owned()).to_lowercase();
        out.extend_from_slice(b"{name:");
        key.digest_into(name.as_bytes(), out);
        out.push(b'}');
    }
}

/// The bytes that `%41` and the like stand for; what is no such code stays as it is.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let hex = |byte: &u8| char::from(*byte).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let code = match (byte, after) {
            (b'%', [high, low, ..]) => hex(high).zip(hex(low)),
            _ => None,
        };
        match code {
            // Two hexadecimal digits are one byte.
            Some((high, low)) => {
                out.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            None => out.push(byte),
        }
    }
    out
}

/// Whether a word is the API name of an object: a standard one, or one with the suffix that
/// custom objects have.
pub fn is_object(word: &str) -> bool {
    const SUFFIXES: [&str; 10] = [
        "__c",
        "__e",
        "__x",
        "__b",
        "__mdt",
        "__kav",
        "__share",
        "__history",
        "__feed",
        "__changeevent",
    ];
    let lower = word.to_ascii_lowercase();
    lower.len() <= 80
        && lower
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && (OBJECTS.contains(lower.as_str()) || SUFFIXES.iter().any(|s| lower.ends_with(s)))
}

fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .unwrap_or(segment)
        .split_once('.')
        .is_some_and(|(major, minor)| {
            (1..=3).contains(&major.len())
                && minor.len() == 1
                && major
                    .bytes()
                    .chain(minor.bytes())
                    .all(|b| b.is_ascii_digit())
        })
}

/// `v1`, `v12.1`, `60.0`: too little to be anybody's data.
fn is_path_version(segment: &str) -> bool {
    let number = segment.strip_prefix('v').unwrap_or_default();
    is_version(segment) || (1..=3).contains(&number.len()) && is_number(number)
}

fn is_number(segment: &str) -> bool {
    segment.bytes().all(|b| b.is_ascii_digit())
}

fn is_record_id(segment: &str) -> bool {
    segment.bytes().any(|b| b.is_ascii_digit()) && sf_id18(segment).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    static KEY: LazyLock<DigestKey> = LazyLock::new(|| DigestKey::from_bytes([7; 32]));

    fn of(raw: &str) -> String {
        let mut out = vec![];
        template(raw.as_bytes(), &KEY, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn apex(raw: &str) -> String {
        let mut out = vec![];
        apex_template(raw.as_bytes(), &KEY, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn named(name: &str) -> String {
        format!("{{name:{}}}", KEY.digest(name.as_bytes()))
    }

    #[test]
    fn the_paths_that_decide_a_login_path_survive_verbatim() {
        for path in [
            "/index.jsp",
            "/services/oauth2/token",
            "Api",
            "XIApi",
            "/login",
            "/secur/frontdoor.jsp",
            "/services/oauth2/singleaccess",
            "/_ui/identity/oauth",
            "/aura",
        ] {
            assert_eq!(of(path), path);
        }
    }

    #[test]
    fn records_names_and_query_strings_become_placeholders() {
        assert_eq!(
            of("/services/data/v60.0/sobjects/Account/001000000000001AAA?fields=Jane+Doe"),
            "/services/data/v60.0/sobjects/Account/{id}"
        );
        assert_eq!(
            of("/services/data/v60.0/sobjects/Secret_Project/x"),
            "/services/data/v60.0/sobjects/{name}/{name}"
        );
        assert_eq!(
            of("/services/data/v60.0/sobjects/Invoice__c/Number__c/42"),
            "/services/data/v60.0/sobjects/Invoice__c/{name}/{n}"
        );
        assert_eq!(
            of("/services/apexrest/patients/Jane"),
            format!("/services/apexrest/{}/{{name}}", named("patients"))
        );
        assert_eq!(
            of("https://jane.example.com/secret/jane?x"),
            "{host}/{name}/{name}"
        );
        assert_eq!(of("\"/aura\""), "/aura");
    }

    #[test]
    fn an_apex_endpoint_has_one_template_in_every_spelling() {
        let cases = format!("/services/apexrest/{}", named("casecreation"));
        for path in [
            "/services/apexrest/CaseCreation",
            "https://acme.example.com/services/apexrest/casecreation?x=1",
            "/services/apexrest/Case%43reation",
            "/SERVICES/ApexRest/CASECREATION",
        ] {
            assert_eq!(
                of(path).to_lowercase().replace("{host}", ""),
                cases.to_lowercase()
            );
            assert_eq!(apex(path), cases, "{path}");
        }
        for path in [
            "/CaseCreation",
            "CaseCreation",
            "//CaseCreation//",
            "/site/services/apexrest/CaseCreation/",
        ] {
            assert_eq!(apex(path), cases, "{path}");
        }
        assert_eq!(apex("/CaseCreation/*"), format!("{cases}/{{name}}"));
        for record in [
            "/CaseCreation/5003X000001abcdAAA",
            "/CaseCreation/5003Y000001efghAAA",
        ] {
            assert_eq!(apex(record), format!("{cases}/{{id}}"));
        }
        assert_ne!(apex("/AdminTools"), cases);
    }

    #[test]
    fn a_version_stars_and_records_take_no_name_from_an_apex_endpoint() {
        let cases = named("casecreation");
        for (path, template) in [
            ("/v1/CaseCreation/7", format!("/v1/{cases}/{{n}}")),
            ("/V1/casecreation", format!("/v1/{cases}")),
            ("/60.0/CaseCreation", format!("/60.0/{cases}")),
            ("/v1/v2", format!("/v1/{}", named("v2"))),
            ("/*", "/{any}".into()),
            ("/v1/*", "/v1/{any}".into()),
            ("/5003X000001abcdAAA", "/{id}".into()),
            ("/42", "/{n}".into()),
            ("/CustomerSync001", format!("/{}", named("customersync001"))),
            ("/{name}", format!("/{}", named("{name}"))),
            (
                "/{name:~AAAAAAAAAAAAAAAAAAAAAA}",
                format!("/{}", named("{name:~aaaaaaaaaaaaaaaaaaaaaa}")),
            ),
            ("/%zz%4", format!("/{}", named("%zz%4"))),
            ("/%ff", format!("/{}", named("%ff"))),
            ("/", String::new()),
            ("", String::new()),
        ] {
            assert_eq!(
                apex(path),
                format!("/services/apexrest{template}"),
                "{path}"
            );
        }
    }

    #[test]
    fn no_segment_of_an_apex_path_stays_in_clear() {
        for path in [
            "/services/apexrest/Jane/Jane",
            "/Jane/Jane",
            "/v1/Jane/Jane",
            "/ns/Jane",
        ] {
            for text in [of(path), apex(path)] {
                assert!(!text.to_lowercase().contains("jane"), "{path}: {text}");
            }
        }
    }
}
