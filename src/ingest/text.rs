//! What is kept of cells that may not be kept as they are: digests, addresses, usernames, the
//! object and shape of a query, text cut to length.

use std::net::IpAddr;

use crate::catalog::uri::is_object;
use crate::catalog::{CUT_CHARS, parse_ip};
use crate::privacy::DigestKey;

/// Most addresses kept of a FORWARDED_FOR_IP cell.
const FORWARDED_MAX: usize = 8;

/// Appends text cut to [`CUT_CHARS`] characters.
pub fn cut(text: &str, out: &mut Vec<u8>) {
    let end = text
        .char_indices()
        .nth(CUT_CHARS)
        .map_or(text.len(), |(at, _)| at);
    out.extend_from_slice(&text.as_bytes()[..end]);
}

/// Appends the host of a URL, with or without scheme; neither its path nor what stands before `@`.
/// False: nothing is left.
pub fn host(url: &str, out: &mut Vec<u8>) -> bool {
    let url = url.trim();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    cut(host, out);
    !host.is_empty()
}

/// Appends an address in canonical form, or Salesforce's own word for one. False: neither.
pub fn address(cell: &[u8], out: &mut Vec<u8>) -> bool {
    if let Some(ip) = parse_ip(cell) {
        out.extend_from_slice(ip.to_string().as_bytes());
        return true;
    }
    let word = cell.trim_ascii();
    match ["Salesforce.com IP", "Internal IP"]
        .iter()
        .find(|w| w.as_bytes().eq_ignore_ascii_case(word))
    {
        Some(word) => out.extend_from_slice(word.as_bytes()),
        None => return false,
    }
    true
}

/// Appends the addresses of a FORWARDED_FOR_IP cell, comma separated; whatever else the client
/// put there is dropped. False: no address in it.
pub fn address_list(cell: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    for ip in cell
        .split(|b| matches!(b, b',' | b';' | b' '))
        .filter_map(without_port)
        .take(FORWARDED_MAX)
    {
        if out.len() > start {
            out.push(b',');
        }
        out.extend_from_slice(ip.to_string().as_bytes());
    }
    out.len() > start
}

fn without_port(piece: &[u8]) -> Option<IpAddr> {
    let piece = piece.trim_ascii();
    parse_ip(piece).or_else(|| {
        let text = std::str::from_utf8(piece).ok()?;
        text.parse::<std::net::SocketAddr>().ok().map(|a| a.ip())
    })
}

/// Appends a username: trimmed, in lower case and cut. What was typed into a failed login and
/// is not of the form `name@domain` may be a password, and is kept as a digest.
pub fn username(text: &str, trusted: bool, key: &DigestKey, out: &mut Vec<u8>) {
    let name = text.trim().to_lowercase();
    if trusted || is_name_at_domain(&name) {
        cut(&name, out);
    } else {
        key.digest_into(name.as_bytes(), out);
    }
}

fn is_name_at_domain(name: &str) -> bool {
    name.split_once('@').is_some_and(|(user, domain)| {
        !user.is_empty()
            && !domain.contains('@')
            && domain
                .split_once('.')
                .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
            && domain
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
            && !name.contains(char::is_whitespace)
    })
}

/// Most usernames that are taken from one sentence.
const MENTIONS_MAX: usize = 16;

/// Appends the keyed digests of the usernames in a sentence, in lower case, each once, with
/// blanks between. False where there is none.
pub fn mentions(sentence: &str, key: &DigestKey, out: &mut Vec<u8>) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || "._%+-'!#$&*/=?^`{|}~".contains(c);
    let in_domain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let mut digests: Vec<String> = vec![];
    for (at, _) in sentence.match_indices('@') {
        let (before, after) = (&sentence[..at], &sentence[at + 1..]);
        let name = before.rsplit(|c| !in_name(c)).next().unwrap_or_default();
        let name = name.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
        let domain = after.split(|c| !in_domain(c)).next().unwrap_or_default();
        let domain = domain.trim_end_matches(['.', '-']);
        let username = format!("{name}@{domain}").to_lowercase();
        if is_name_at_domain(&username) {
            let digest = key.digest(username.as_bytes());
            if !digests.contains(&digest) {
                digests.push(digest);
            }
        }
        if digests.len() == MENTIONS_MAX {
            break;
        }
    }
    out.extend_from_slice(digests.join(" ").as_bytes());
    !digests.is_empty()
}

/// The object that a SOQL or SOSL text reads first: the word behind FROM (or RETURNING).
pub fn query_object(soql: &str) -> Option<&str> {
    let mut words = soql
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|w| !w.is_empty());
    words.find(|w| w.eq_ignore_ascii_case("from") || w.eq_ignore_ascii_case("returning"))?;
    words.next().filter(|w| is_object(w))
}

/// The shape of a query: its text in lower case with every literal as `?` and blanks folded. Only
/// its keyed digest is ever stored.
pub fn query_shape(soql: &str) -> String {
    let mut shape = String::with_capacity(soql.len());
    let mut chars = soql.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                shape.push('?');
                while let Some(inner) = chars.next() {
                    match inner {
                        '\\' => drop(chars.next()),
                        '\'' => break,
                        _ => {}
                    }
                }
            }
            c if c.is_whitespace() => {
                if !shape.ends_with(' ') {
                    shape.push(' ');
                }
            }
            c if c.is_ascii_digit()
                && !shape.ends_with(|p: char| p.is_ascii_alphanumeric() || p == '_') =>
            {
                shape.push('?');
                while chars.peek().is_some_and(|n| {
                    n.is_ascii_alphanumeric() || matches!(n, '.' | ':' | '-' | '+')
                }) {
                    chars.next();
                }
            }
            c => shape.extend(c.to_lowercase()),
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = vec![];
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn of_a_url_only_the_host_is_kept() {
        let host = |url: &str| {
            let mut out = vec![];
            super::host(url, &mut out).then(|| String::from_utf8(out).unwrap())
        };
        for url in [
            "x.my.salesforce.com",
            " https://x.my.salesforce.com/secret?un=a&pw=b ",
            "x.my.salesforce.com?pw=b",
            "https://un:pw@x.my.salesforce.com#a",
        ] {
            assert_eq!(host(url).as_deref(), Some("x.my.salesforce.com"), "{url}");
        }
        assert_eq!(host("/secret"), None);
    }

    #[test]
    fn of_a_forwarded_for_header_only_the_addresses_are_kept() {
        let kept = text(|o| {
            address_list(
                b"198.51.100.3, jane@example.com <script>,2001:db8::1, [2001:db8::2]:443,unknown",
                o,
            );
        });
        assert_eq!(kept, "198.51.100.3,2001:db8::1,2001:db8::2");
    }

    #[test]
    fn a_password_typed_as_username_is_kept_only_as_a_digest() {
        let key = DigestKey::from_bytes([1; 32]);
        assert!(text(|o| username("Tr0ub4dor&3", false, &key, o)).starts_with('~'));
        assert!(text(|o| username("p@ss word.x", false, &key, o)).starts_with('~'));
        assert_eq!(
            text(|o| username(" Jane@Example.COM ", false, &key, o)),
            "jane@example.com"
        );
    }

    #[test]
    fn of_a_sentence_only_the_digests_of_its_usernames_are_kept() {
        let key = DigestKey::from_bytes([1; 32]);
        let digest = |name: &str| key.digest(name.as_bytes());
        let of = |sentence: &str| text(|o| _ = mentions(sentence, &key, o));
        let one = digest("int_erp@example.com");
        for sentence in [
            "Password reset for int_erp@example.com",
            "For user INT_ERP@Example.com, changed profile from A to B",
            "Changed 'int_erp@example.com'.",
            "(int_erp@example.com); again int_erp@example.com",
            "Reset by mailto:int_erp@example.com.",
        ] {
            assert_eq!(of(sentence), one, "{sentence}");
        }
        let two = of("from o'neil+x@example.com to émile@example.co.uk");
        assert_eq!(
            two,
            format!(
                "{} {}",
                digest("o'neil+x@example.com"),
                digest("émile@example.co.uk")
            )
        );
        for sentence in [
            "",
            "nobody",
            "@",
            "a@",
            "@b.c",
            "a@b",
            "a@@b.c",
            "Price @ 3.50",
        ] {
            assert_eq!(of(sentence), "", "{sentence}");
        }
    }

    #[test]
    fn queries_of_one_shape_differ_in_literals_only() {
        let a =
            query_shape("SELECT Id FROM  Account WHERE Name = 'Jane\\'s' AND Size__c > 10 LIMIT 5");
        let b = query_shape("select id from Account where name = 'Bob' and size__c > 2000 limit 2");
        assert_eq!(a, b);
        assert_eq!(
            query_object("SELECT Id FROM Account WHERE x"),
            Some("Account")
        );
        assert_eq!(query_object("SELECT Id FROM Jane"), None);
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(
            text(|o| cut(&"ä".repeat(500), o)).chars().count(),
            CUT_CHARS
        );
    }
}
