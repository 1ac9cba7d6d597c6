//! The types that keep secrets and caller-chosen text from leaking: a secret that never prints,
//! what secrets are made of, the key of all digests, and text made safe to show.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Length of a digest in characters, its mark included.
const DIGEST_CHARS: usize = 23;

/// A secret read from a file or the environment. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The secret itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Bytes that nobody can guess, from the system.
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The lake's own key. Digests made with it join within one lake and mean nothing outside it.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestKey([u8; 32]);

impl DigestKey {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Keyed BLAKE3, 128 bits in 22 characters of URL-safe Base64, behind `~` so that a digest is
    /// never mistaken for a value.
    pub fn digest(&self, value: &[u8]) -> String {
        let mut text = Vec::with_capacity(DIGEST_CHARS);
        self.digest_into(value, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// [`DigestKey::digest`], appended to `out`.
    pub fn digest_into(&self, value: &[u8], out: &mut Vec<u8>) {
        let hash = blake3::keyed_hash(&self.0, value);
        let mut text = [b'~'; DIGEST_CHARS];
        // 16 bytes are 22 characters, and there is room for them.
        let _ = URL_SAFE_NO_PAD.encode_slice(&hash.as_bytes()[..16], &mut text[1..]);
        out.extend_from_slice(&text);
    }

    /// Seed of the row identity hash.
    pub fn row_seed(&self) -> u64 {
        let hash = blake3::keyed_hash(&self.0, b"row identity");
        let (head, _) = hash.as_bytes().split_at(8);
        u64::from_le_bytes([
            head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7],
        ])
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(***)")
    }
}

/// Text from a log made safe for one line of any display: control, bidirectional and other
/// invisible format characters become `\u{…}`, and at most `max_chars` characters are kept.
/// Sinks add their own escaping (HTML, CSV, mail header) on top.
pub fn printable(text: &str, max_chars: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max_chars * 4));
    for (n, c) in text.chars().enumerate() {
        if n == max_chars {
            out.push('…');
            break;
        }
        if is_unsafe_to_show(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character could act on a display or hide in it: control, bidirectional and other
/// invisible format characters.
pub fn is_unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` of JSON with every character that is not safe to show as a `\u` escape. Blanks and
/// line ends between values are JSON's own and stay.
pub fn escape_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        if matches!(c, '\n' | '\t' | '\r') || !is_unsafe_to_show(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bidi_and_invisible_characters_are_shown_as_escapes() {
        let shown = printable("a\u{1b}[31m\r\n\u{202e}b\u{200b}\u{e0041}", 100);
        assert_eq!(
            shown,
            "a\\u{1b}[31m\\u{d}\\u{a}\\u{202e}b\\u{200b}\\u{e0041}"
        );
    }

    #[test]
    fn long_text_is_cut_by_characters_not_bytes() {
        assert_eq!(printable("äöüß", 2), "äö…");
    }

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = Secret::new("hunter2".into());
        assert!(!format!("{secret:?} {:?}", DigestKey::from_bytes([7; 32])).contains("hunter2"));
    }

    #[test]
    fn digests_differ_by_key_and_join_within_one() {
        let (a, b) = (
            DigestKey::from_bytes([1; 32]),
            DigestKey::from_bytes([2; 32]),
        );
        assert_eq!(a.digest(b"k"), a.digest(b"k"));
        assert_ne!(a.digest(b"k"), b.digest(b"k"));
    }
}
