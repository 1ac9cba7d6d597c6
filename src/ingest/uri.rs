//! A URI as its template: which endpoint was called, never for which record.
//!
//! `/services/data/v60.0/sobjects/Account/001…?q=…` becomes
//! `/services/data/v60.0/sobjects/Account/{id}`. A segment is kept only if it is a word of the
//! platform's own paths, a version, or the API name of an object in its place; anything else
//! becomes `{id}`, `{n}` or `{name}`. Query strings, fragments and hosts are dropped.

use std::sync::LazyLock;

use hashbrown::HashSet;

use crate::catalog::sf_id18;

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

/// Appends the template of a URI (or of an API resource, or a page) to `out`.
pub fn template(raw: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(raw);
    let text = text.trim().trim_matches('"');
    let path = text.split(['?', '#', ';']).next().unwrap_or_default();
    let path = match path.split_once("://") {
        Some((_, rest)) => {
            out.extend_from_slice(b"{host}");
            rest.find('/').map_or("", |at| &rest[at..])
        }
        None => path,
    };
    let mut after_objects = false;
    for (n, segment) in path.split('/').enumerate() {
        if n > 0 {
            out.push(b'/');
        }
        if n == SEGMENTS {
            out.extend_from_slice("…".as_bytes());
            break;
        }
        let lower = segment.to_ascii_lowercase();
        if segment.is_empty() {
            continue;
        } else if after_objects && is_object(segment)
            || WORDS.contains(lower.as_str())
            || is_version(&lower)
        {
            out.extend_from_slice(segment.as_bytes());
        } else if segment.bytes().all(|b| b.is_ascii_digit()) {
            out.extend_from_slice(b"{n}");
        } else if is_record_id(segment) {
            out.extend_from_slice(b"{id}");
        } else {
            out.extend_from_slice(b"{name}");
        }
        after_objects = matches!(lower.as_str(), "sobjects" | "object-info" | "sobject");
    }
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

fn is_record_id(segment: &str) -> bool {
    segment.bytes().any(|b| b.is_ascii_digit()) && sf_id18(segment).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(raw: &str) -> String {
        let mut out = vec![];
        template(raw.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
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
            "/services/apexrest/{name}/{name}"
        );
        assert_eq!(
            of("https://jane.example.com/secret/jane?x"),
            "{host}/{name}/{name}"
        );
        assert_eq!(of("\"/aura\""), "/aura");
    }
}
