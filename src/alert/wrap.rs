//! Line wrapping by display width, for the text part of a mail and for the terminal.

use unicode_width::UnicodeWidthStr;

/// `text` in lines of at most `width` columns, broken at blanks; the first line is taken to
/// stand behind `indent` columns already, every other begins with as many blanks. A word longer than a line stands alone on its line, unbroken, so that
/// ids and commands can be copied.
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut out = String::with_capacity(text.len() + 16);
    let mut column = 0;
    for word in text.split_whitespace() {
        let cells = word.width();
        if column == 0 {
            column = indent + cells;
        } else if column + 1 + cells <= width {
            out.push(' ');
            column += 1 + cells;
        } else {
            out.push('\n');
            out.push_str(&margin);
            column = indent + cells;
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_within_the_width_and_hang_under_the_first() {
        assert_eq!(wrap("aaa bbb ccc ddd", 9, 2), "aaa bbb\n  ccc ddd");
        assert!(
            wrap(&"word ".repeat(60), 76, 4)
                .lines()
                .all(|line| line.width() <= 76)
        );
    }

    #[test]
    fn wide_characters_count_two_columns() {
        assert_eq!(wrap("日本 日本", 8, 0), "日本\n日本");
        assert_eq!(wrap("日本 日本", 9, 0), "日本 日本");
    }

    #[test]
    fn a_word_longer_than_the_line_is_not_broken() {
        assert_eq!(wrap("a 0123456789 b", 5, 0), "a\n0123456789\nb");
    }
}
