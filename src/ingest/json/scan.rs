//! Where the values of a JSON text begin and end, without reading what is in them: a broken
//! record must not hide its neighbours, and a text that is cut off still has its first records.

/// A stretch of the text.
pub type Span = std::ops::Range<usize>;

/// A list of values, and whether the text ends inside it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Values {
    pub spans: Vec<Span>,
    pub is_cut_off: bool,
}

pub fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The end of the value that begins at `at`; None where the text ends inside it. What stands in
/// it need not be valid, only its brackets and quotes count.
fn end_of_value(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => end_of_string(text, at),
        b'{' | b'[' => {
            let mut depth = 0usize;
            let mut here = at;
            loop {
                match text.get(here)? {
                    b'"' => {
                        here = end_of_string(text, here)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                here += 1;
                if depth == 0 {
                    return Some(here);
                }
            }
        }
        _ => {
            let rest = &text[at..];
            let ends = |b: &u8| matches!(b, b',' | b']' | b'}' | b'{' | b'[' | b'"' | b':');
            let length = rest.iter().position(|b| ends(b) || b.is_ascii_whitespace());
            // A bracket without its partner is one character of nonsense.
            Some(at + length.unwrap_or(rest.len()).max(1))
        }
    }
}

fn end_of_string(text: &[u8], at: usize) -> Option<usize> {
    let mut here = at + 1;
    loop {
        match text.get(here)? {
            b'\\' => here += 2,
            b'"' => return Some(here + 1),
            _ => here += 1,
        }
    }
}

/// The values one after the other from `at` to `end`, with or without commas between them.
pub fn sequence(text: &[u8], mut at: usize, end: usize) -> Values {
    let text = &text[..end];
    let mut values = Values::default();
    loop {
        at = skip_blanks(text, at);
        match text.get(at) {
            None => return values,
            Some(b',') => at += 1,
            Some(_) => match end_of_value(text, at) {
                Some(end) => {
                    values.spans.push(at..end);
                    at = end;
                }
                None => {
                    values.spans.push(at..text.len());
                    values.is_cut_off = true;
                    return values;
                }
            },
        }
    }
}

/// The elements of the array that `span` is; the array itself may be cut off.
pub fn elements(text: &[u8], span: &Span) -> Values {
    let is_closed = span.len() > 1 && text[span.end - 1] == b']';
    let end = if is_closed { span.end - 1 } else { span.end };
    let mut values = sequence(text, span.start + 1, end);
    values.is_cut_off |= !is_closed;
    values
}

/// The value of a member of the object that `span` is, by its key as written.
pub fn member(text: &[u8], span: &Span, key: &str) -> Option<Span> {
    let inside = &text[..span.end];
    let mut at = span.start + 1;
    loop {
        at = skip_blanks(inside, at);
        match inside.get(at)? {
            b',' => at += 1,
            b'"' => {
                let key_end = end_of_string(inside, at)?;
                let name = &inside[at + 1..key_end - 1];
                at = skip_blanks(inside, key_end);
                if inside.get(at) != Some(&b':') {
                    return None;
                }
                at = skip_blanks(inside, at + 1);
                let end = end_of_value(inside, at);
                if name == key.as_bytes() {
                    return (at < inside.len()).then_some(at..end.unwrap_or(inside.len()));
                }
                at = end?;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'a>(text: &'a str, values: &Values) -> Vec<&'a str> {
        values.spans.iter().map(|s| &text[s.clone()]).collect()
    }

    #[test]
    fn values_end_where_their_brackets_and_quotes_do() {
        let text = r#"{"a":"]}\"","b":[1,{}]} [1] "x" 12, null"#;
        let found = sequence(text.as_bytes(), 0, text.len());
        let expected = [r#"{"a":"]}\"","b":[1,{}]}"#, "[1]", "\"x\"", "12", "null"];
        assert_eq!(parts(text, &found), expected);
        assert!(!found.is_cut_off);
    }

    #[test]
    fn a_text_that_is_cut_off_has_its_whole_values() {
        for (text, whole) in [
            (r#"[{"a":1},{"a":"#, 2),
            (r#"[{"a":1},{"a":2}"#, 2),
            (r#"[{"a":1},{"a":"x"#, 2),
            (r#"[{"a":1},{"a":"x\"#, 2),
            ("[", 0),
        ] {
            let found = elements(text.as_bytes(), &(0..text.len()));
            assert_eq!(
                (found.spans.len(), found.is_cut_off),
                (whole, true),
                "{text}"
            );
        }
    }

    #[test]
    fn a_member_is_found_by_its_key_even_where_the_object_is_cut_off() {
        let text = br#"{ "done" : true, "inner":{"records":[9]},"records":[1,2"#;
        let all = 0..text.len();
        assert_eq!(
            member(text, &all, "done").map(|s| &text[s]),
            Some(&b"true"[..])
        );
        assert_eq!(
            member(text, &all, "records").map(|s| &text[s]),
            Some(&b"[1,2"[..])
        );
        assert_eq!(member(text, &all, "nothing"), None);
        assert_eq!(member(b"{1:2}", &(0..5), "a"), None);
    }

    #[test]
    fn no_text_however_odd_is_read_beyond_its_end() {
        for text in [
            "", "{", "}", "]]]", "\"", "\\", "{\"a", "{\"a\"", "{\"a\":", ",,,", "[}",
        ] {
            let bytes = text.as_bytes();
            let found = sequence(bytes, 0, bytes.len());
            for span in &found.spans {
                if bytes[span.start] == b'[' {
                    elements(bytes, span);
                }
                member(bytes, span, "a");
            }
        }
    }
}
