//! Results of cases as JUnit's XML: one test suite for each rule.

use std::io::{self, Write};

use crate::detect::CaseResult;

/// Writes the results of these rules. A rule without cases is a suite without tests.
pub fn write(out: &mut dyn Write, rule_ids: &[&str], results: &[CaseResult]) -> io::Result<()> {
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    let all: Vec<&CaseResult> = results.iter().collect();
    writeln!(out, "<testsuites name=\"orgwatch rules\" {}>", counts(&all))?;
    for id in rule_ids {
        let cases: Vec<&CaseResult> = results.iter().filter(|r| r.rule_id == *id).collect();
        let counts = counts(&cases);
        writeln!(out, "  <testsuite name=\"{}\" {counts}>", escape(id))?;
        for case in cases {
            write_case(out, case)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn counts(cases: &[&CaseResult]) -> String {
    let failed = cases.iter().filter(|c| !c.passed()).count();
    let ms: u64 = cases.iter().map(|c| c.elapsed_ms).sum();
    format!(
        "tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\" time=\"{}\"",
        cases.len(),
        seconds(ms)
    )
}

fn write_case(out: &mut dyn Write, case: &CaseResult) -> io::Result<()> {
    write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{}\"",
        escape(&case.rule_id),
        escape(&case.name),
        escape(&case.file),
        case.line,
        seconds(case.elapsed_ms)
    )?;
    let Some(first) = case.differences.first() else {
        return writeln!(out, "/>");
    };
    writeln!(out, ">")?;
    write!(out, "      <failure message=\"{}\">", escape(first))?;
    write!(out, "{}", escape(&case.differences.join("\n")))?;
    writeln!(out, "</failure>")?;
    writeln!(out, "    </testcase>")
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Text for an attribute or an element. XML 1.0 has no way to write most control characters.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // An attribute's bare line end would be read as a blank.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::CaseKind;

    fn case(rule: &str, name: &str, differences: &[&str]) -> CaseResult {
        CaseResult {
            rule_id: rule.into(),
            file: "my rules/r.cases.toml".into(),
            line: 7,
            name: name.into(),
            kind: CaseKind::Positive,
            differences: differences.iter().map(|d| (*d).to_owned()).collect(),
            silenced: false,
            elapsed_ms: 1250,
        }
    }

    #[test]
    fn each_rule_is_a_suite_and_each_case_has_its_time() {
        let results = [
            case("a", "one", &[]),
            case("b", "two <&\"'>", &["1 came", "x\u{1b}[0m"]),
        ];
        let mut out = vec![];
        write(&mut out, &["a", "b", "none"], &results).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="orgwatch rules" tests="2" failures="1" errors="0" skipped="0" time="2.500">
  <testsuite name="a" tests="1" failures="0" errors="0" skipped="0" time="1.250">
    <testcase classname="a" name="one" file="my rules/r.cases.toml" line="7" time="1.250"/>
  </testsuite>
  <testsuite name="b" tests="1" failures="1" errors="0" skipped="0" time="1.250">
    <testcase classname="b" name="two &lt;&amp;&quot;&apos;&gt;" file="my rules/r.cases.toml" line="7" time="1.250">
      <failure message="1 came">1 came&#10;x�[0m</failure>
    </testcase>
  </testsuite>
  <testsuite name="none" tests="0" failures="0" errors="0" skipped="0" time="0.000">
  </testsuite>
</testsuites>
"#
        );
    }
}
