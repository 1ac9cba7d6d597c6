//! Salesforce record ids: the case-sensitive form of 15 characters and the case-safe form of 18,
//! whose last three characters say which of the first 15 are capitals.

const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The 18-character form of an id of 15 or 18 characters; blanks around it do not count. None
/// where the text has another length or holds anything but ASCII letters and digits.
///
/// An id of 18 characters whose case was lost on the way (a spreadsheet in capitals) gets it
/// back from its suffix. In every other disagreement the first 15 characters are believed and
/// the suffix is made anew, so that one user stays one user; [`has_own_suffix`] tells.
pub fn sf_id18(text: &str) -> Option<String> {
    let mut out = [0u8; 18];
    sf_id18_bytes(text.as_bytes(), &mut out).then(|| String::from_utf8_lossy(&out).into_owned())
}

/// [`sf_id18`] without allocation: fills `out` with ASCII and says whether `text` is an id.
/// Where it says no, `out` is unspecified.
pub fn sf_id18_bytes(text: &[u8], out: &mut [u8; 18]) -> bool {
    let text = text.trim_ascii();
    if !(text.len() == 15 || text.len() == 18) || !text.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    out[..text.len()].copy_from_slice(text);
    let own = suffix(&out[..15]);
    if text.len() == 18
        && own != out[15..]
        && let Some(restored) = restore_case(*out)
    {
        *out = restored;
        return true;
    }
    out[15..].copy_from_slice(&own);
    true
}

/// Whether an id of 18 characters ends in the suffix of its first 15. True for 15 characters.
pub fn has_own_suffix(id: &str) -> bool {
    let id = id.trim().as_bytes();
    id.len() != 18 || suffix(&id[..15]) == id[15..]
}

/// Three characters of five bits each, one bit for each capital, the first letter lowest.
fn suffix(id: &[u8]) -> [u8; 3] {
    let mut suffix = [0u8; 3];
    for (group, out) in id.chunks_exact(5).zip(&mut suffix) {
        let bits = group.iter().rev().fold(0usize, |bits, c| {
            (bits << 1) | usize::from(c.is_ascii_uppercase())
        });
        *out = SUFFIX[bits];
    }
    suffix
}

/// Gives the first 15 characters the case that the suffix asks for. Only text whose letters all
/// have one case can have lost it, and capitals over a suffix that knows of none (`AAA`) are
/// more likely an id with a made-up suffix.
fn restore_case(mut id: [u8; 18]) -> Option<[u8; 18]> {
    let has_upper = id.iter().any(u8::is_ascii_uppercase);
    let has_lower = id.iter().any(u8::is_ascii_lowercase);
    if (has_upper && has_lower) || id.ends_with(b"AAA") {
        return None;
    }
    id[15..].make_ascii_uppercase();
    for group in 0..3 {
        let bits = SUFFIX.iter().position(|c| *c == id[15 + group])?;
        for (n, c) in id[group * 5..group * 5 + 5].iter_mut().enumerate() {
            match (bits & (1 << n) == 0, c.is_ascii_alphabetic()) {
                (true, _) => c.make_ascii_lowercase(),
                (false, true) => c.make_ascii_uppercase(),
                (false, false) => return None,
            }
        }
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_characters_get_the_suffix_that_salesforce_gives() {
        for (short, long) in [
            ("0055j00000AT6I1", "0055j00000AT6I1AAL"),
            ("0050O000003RBWV", "0050O000003RBWVQA4"),
            ("0693X00000HKWgj", "0693X00000HKWgjQAH"),
            ("5003X00001ygGzT", "5003X00001ygGzTQAU"),
        ] {
            assert_eq!(sf_id18(short).as_deref(), Some(long));
            assert_eq!(sf_id18(long).as_deref(), Some(long));
        }
    }

    #[test]
    fn case_lost_in_a_spreadsheet_is_restored_from_the_suffix() {
        assert_eq!(
            sf_id18("0055J00000AT6I1AAL").as_deref(),
            Some("0055j00000AT6I1AAL")
        );
        assert_eq!(
            sf_id18("0055j00000at6i1aal").as_deref(),
            Some("0055j00000AT6I1AAL")
        );
    }

    #[test]
    fn a_suffix_that_is_not_its_own_is_replaced_and_can_be_told() {
        for text in [
            "0055j00000AT6I1AAA",
            "0055j00000AT6I1A9L",
            "0055j00000AT6I1999",
        ] {
            assert_eq!(
                sf_id18(text).as_deref(),
                Some("0055j00000AT6I1AAL"),
                "{text}"
            );
            assert!(!has_own_suffix(text));
        }
        // Capitals with a made-up AAA agree with the same id in 15 characters.
        assert_eq!(sf_id18("0H4000000000001AAA"), sf_id18("0H4000000000001"));
        assert!(has_own_suffix("0055j00000AT6I1AAL") && has_own_suffix("0055j00000AT6I1"));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "0055j00000AT6I",
            "0055j00000AT6I1A",
            "0055j00000AT6I1AA!",
            "0055j00000AT6-1",
            "0055j00000AT6I\u{e4}",
            "0055j00000AT6I1AAL0",
        ] {
            assert_eq!(sf_id18(text), None, "{text}");
        }
    }

    #[test]
    fn blanks_around_an_id_do_not_count() {
        assert_eq!(
            sf_id18(" 0055j00000AT6I1 ").as_deref(),
            Some("0055j00000AT6I1AAL")
        );
    }
}
