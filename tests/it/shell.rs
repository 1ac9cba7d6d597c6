//! The shell of `orgwatch sql`, typed into through a pseudo-terminal.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::logs::{Org, login, login_file};
use crate::program;

/// Keys that are no characters.
const CTRL_A: &str = "\u{1}";
const CTRL_C: &str = "\u{3}";
const CTRL_E: &str = "\u{5}";
const CTRL_D: &str = "\u{4}";
const ENTER: &str = "\r";
const TAB: &str = "\t";
const UP: &str = "\u{1b}[A";
const LEFT: &str = "\u{1b}[D";
const BACKSPACE: &str = "\u{7f}";

/// What a person does, and what they wait for.
#[derive(Default)]
struct Session {
    steps: Vec<Value>,
    env: Vec<(&'static str, String)>,
    size: Option<[u16; 2]>,
}

struct Seen {
    shown: String,
    raw: String,
}

impl Session {
    /// Types nothing before the first prompt is there.
    fn new() -> Self {
        Self::default().ready()
    }

    /// Waits until the shell reads a line, anew where something was typed.
    fn ready(mut self) -> Self {
        self.steps.push(json!({ "ready": true }));
        self
    }

    /// Waits until the shell has taken the line.
    fn asked(mut self) -> Self {
        self.steps.push(json!({ "asked": true }));
        self
    }

    /// Presses a key until there is an answer to it.
    fn presses_until(mut self, key: &str, answer: &str) -> Self {
        self.steps.push(json!({ "press": key, "until": answer }));
        self
    }

    fn types(mut self, keys: &str) -> Self {
        self.steps.push(json!({ "type": keys }));
        self
    }

    fn wait(mut self, text: &str) -> Self {
        self.steps.push(json!({ "wait": text }));
        self
    }

    /// A line, its answer, and the next prompt.
    fn asks(self, line: &str, answer: &str) -> Self {
        self.types(line).enters(answer)
    }

    /// The end of a line, its answer, and the next prompt.
    fn enters(self, answer: &str) -> Self {
        self.types(ENTER).wait(answer).ready()
    }

    /// A line that is not the last of its statement.
    fn begins(self, line: &str) -> Self {
        self.types(line).types(ENTER).wait("-> ")
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    fn sized(mut self, rows: u16, columns: u16) -> Self {
        self.size = Some([rows, columns]);
        self
    }

    /// Leaves the shell, which must end well.
    fn quits(self, dir: &Path, arguments: &[&str]) -> Seen {
        self.types("\\q").types(ENTER).ends(dir, arguments)
    }

    fn ends(self, dir: &Path, arguments: &[&str]) -> Seen {
        let call = program::command(dir, &[&["sql"], arguments].concat());
        let mut env: serde_json::Map<String, Value> = serde_json::Map::new();
        for (name, value) in std::env::vars() {
            let is_ours = name.starts_with("ORGWATCH_") || name == "NO_COLOR" || name == "PAGER";
            if !is_ours {
                env.insert(name, value.into());
            }
        }
        let own = call
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        let text = |os: &std::ffi::OsStr| os.to_str().unwrap().to_owned();
        env.extend(own.map(|(name, value)| (text(name), text(value).into())));
        env.insert("TERM".into(), "xterm-256color".into());
        env.extend(
            self.env
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into())),
        );
        let arguments = call.get_args().map(text);
        let argv: Vec<String> = [text(call.get_program())]
            .into_iter()
            .chain(arguments)
            .collect();
        let job = json!({
            "argv": argv, "cwd": dir, "env": env, "steps": self.steps,
            "size": self.size.unwrap_or([40, 120]),
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/type_into_terminal.py");
        let mut typist = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        typist
            .stdin
            .take()
            .unwrap()
            .write_all(job.to_string().as_bytes())
            .unwrap();
        let output = typist.wait_with_output().unwrap();
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        let shown = seen["shown"].as_str().unwrap().to_owned();
        assert_eq!(
            seen["failed"],
            Value::Null,
            "waited in vain; shown was:\n{shown}"
        );
        assert_eq!(seen["exit"], 0, "{shown}");
        Seen {
            shown,
            raw: seen["raw"].as_str().unwrap().to_owned(),
        }
    }
}

const FROM: [&str; 2] = ["--from", "logins.csv"];

/// A folder with a log of 30 logins.
fn org() -> Org {
    let org = Org::new();
    let rows: Vec<_> = (0..30).map(|n| login(n % 3, n)).collect();
    org.file("logins.csv", login_file(&rows));
    org
}

fn history(org: &Org) -> std::path::PathBuf {
    org.path("state/orgwatch/sql_history")
}

#[test]
fn a_line_is_edited_before_it_is_asked_and_goes_on_until_its_semicolon() {
    let org = org();
    Session::new()
        // The cursor goes back to put in what is missing, and what is wrong is taken out.
        .types("count(*) + 700 AS edited FROM elf_loginn")
        .types(BACKSPACE)
        .types(CTRL_A)
        .types("SELECT ")
        .types(CTRL_E)
        .types(";")
        .types(&LEFT.repeat(3))
        .enters("730")
        // Without a semicolon Enter begins a new line.
        .begins("SELECT 1000 +")
        .begins(" 234 AS ';many' -- ;")
        .asks("  ;", "1234")
        .quits(&org.path(""), &FROM);
}

#[test]
fn several_statements_in_a_line_are_answered_in_turn() {
    let org = org();
    let seen = Session::new()
        .asks("SELECT 41 + 1 AS a; SELECT 99 + 1 AS b;", "100")
        .asks(
            "SELECT 1 AS a; SELECT nowhere; SELECT 765431 + 1 AS never;",
            "statement 2 of 3 (line 1): there is no column nowhere",
        )
        .quits(&org.path(""), &FROM);
    assert!(seen.shown.contains("42"));
    assert!(!seen.shown.contains("765432"), "{}", seen.shown);
}

#[test]
fn ctrl_c_stops_the_query_and_not_the_shell() {
    let org = org();
    // Thirty to the seventh power: hours.
    let endless = "SELECT count(*) FROM elf_login a, elf_login b, elf_login c, elf_login d, \
         elf_login e, elf_login f, elf_login g WHERE a.line_no + b.line_no + c.line_no + d.line_no \
         + e.line_no + f.line_no + g.line_no < 0;";
    Session::new()
        .types(endless)
        .types(ENTER)
        .asked()
        .presses_until(CTRL_C, "the query was cancelled")
        .ready()
        .asks("SELECT 40 + 2 AS still_here;", "42")
        // What is typed but not asked is given up.
        .types("SELECT nonsense FROM")
        .wait("nonsense FROM")
        .types(CTRL_C)
        .ready()
        .asks("SELECT 50 + 5 AS clean;", "55")
        .types(CTRL_D)
        .ends(&org.path(""), &FROM);
}

#[test]
fn what_was_asked_is_there_again_in_the_next_shell_and_for_no_other_user() {
    let org = org();
    Session::new()
        .begins("SELECT 600 + 60 + 6")
        .asks("AS remembered;", "666")
        .quits(&org.path(""), &FROM);
    Session::new()
        .types(UP)
        .wait("\\q")
        .types(UP)
        .wait("AS remembered;")
        .enters("666")
        .quits(&org.path(""), &FROM);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&history(&org)), 0o600);
    assert_eq!(mode(history(&org).parent().unwrap()), 0o700);
}

#[test]
fn a_history_that_cannot_be_kept_costs_a_warning_and_no_answer() {
    let org = org();
    fs::create_dir_all(history(&org)).unwrap();
    let seen = Session::new()
        .asks("SELECT 40 + 2 AS a;", "42")
        .quits(&org.path(""), &FROM);
    assert!(seen.shown.contains("is not kept"), "{}", seen.shown);
}

#[test]
fn tab_completes_tables_columns_functions_hunts_and_rules() {
    let org = org();
    let completed = |typed: &str, whole: &str, rest: &str, answer: &str| {
        Session::new()
            .types(typed)
            .wait(typed)
            .types(TAB)
            .wait(whole)
            .types(rest)
            .enters(answer)
            .quits(&org.path(""), &FROM)
    };
    // A table behind FROM, and only a table.
    let typed = "SELECT count(*) + 500 AS n FROM login_key_a";
    completed(typed, "login_key_apps", ";", "500");
    // A column of the table that the query names behind the cursor, by its alias.
    let list = "SELECT count(x.line_n) + 800 AS n FROM elf_login x;";
    let at = list.find(')').unwrap();
    Session::new()
        .types(list)
        .types(&LEFT.repeat(list.len() - at))
        .types(TAB)
        .wait("line_no")
        .enters("830")
        .quits(&org.path(""), &FROM);
    let rest = "'192.0.2.7') AS n;";
    completed("SELECT network_o", "network_of(", rest, "192.0.2.0/24");
    let rest = "user=nobody@example.com";
    completed("\\hunts timeline-o", "timeline-of-user", rest, "(0 rows)");
    completed(
        "\\rules integration-ui-l",
        "integration-ui-login",
        "",
        "(0 rows)",
    );
    Session::new()
        .types("\\format mark")
        .types(TAB)
        .wait("markdown")
        .types(ENTER)
        .ready()
        .asks("\\format", "format is markdown")
        .quits(&org.path(""), &FROM);
}

#[test]
fn commands_list_describe_and_explain() {
    let org = org();
    let seen = Session::new()
        .with("PAGER", "cat")
        .asks("\\d", "the logs of Login")
        .asks("\\d elf_login", "occurred_at")
        .asks("\\d elf_logn", "did you mean elf_login?")
        .asks("\\timing", "timing is on")
        .asks("SELECT 7 * 6 AS n;", "(1 row, 0.")
        .asks("\\explain", "ProjectionExec")
        .asks(
            "\\explain SELECT day, count(*) FROM elf_login GROUP BY 1",
            "AggregateExec",
        )
        .types("\\format jsonl")
        .types(ENTER)
        .ready()
        .asks("SELECT 7 * 6 AS n;", "{\"n\":42}")
        .asks("\\format parquet", "is not for a shell")
        .types("\\format table")
        .types(ENTER)
        .ready()
        .asks("\\hunts", "timeline-of-user")
        .asks("\\rules", "integration-ui-login")
        .asks("\\?", "\\explain [QUERY]")
        .asks("\\dd", "there is no command \\dd")
        .types("SELECT usr_id FROM elf_login;")
        .types(ENTER)
        .wait("did you mean user_id?")
        .wait("       ^")
        .ready()
        .quits(&org.path(""), &FROM);
    assert!(seen.shown.contains("timestamp UTC"), "{}", seen.shown);
}

#[test]
fn sql_is_coloured_unless_it_shall_not_be() {
    let org = org();
    let line = "SELECT 'x' AS a;";
    let seen = Session::new()
        .asks(line, "(1 row)")
        .quits(&org.path(""), &FROM);
    assert!(seen.raw.contains("\u{1b}[1;34mSELECT"), "{}", seen.raw);
    let seen = Session::new()
        .with("NO_COLOR", "1")
        .asks(line, "(1 row)")
        .quits(&org.path(""), &FROM);
    assert!(!seen.raw.contains("\u{1b}[1;34m"), "{}", seen.raw);
    assert!(!seen.raw.contains("\u{1b}[32m"), "{}", seen.raw);
}

#[test]
fn a_long_answer_goes_through_the_pager_and_a_short_one_does_not() {
    let org = org();
    let long = "SELECT line_no FROM elf_login ORDER BY 1;";
    Session::new()
        .sized(20, 80)
        .with("PAGER", "sed 's/^/paged: /'")
        .types(long)
        .types(ENTER)
        .wait("paged:")
        .wait("(30 rows)")
        .ready()
        .quits(&org.path(""), &FROM);
    // Who leaves the pager early has seen enough, and the shell goes on.
    let seen = Session::new()
        .sized(20, 80)
        .with("PAGER", "head -n 1 > /dev/null")
        .types(&long.replace("line_no", "repeat('x', 100000)"))
        .types(ENTER)
        .ready()
        .asks("SELECT 40 + 2 AS a;", "42")
        .quits(&org.path(""), &FROM);
    assert!(!seen.shown.contains("error:"), "{}", seen.shown);
    let short = "SELECT line_no FROM elf_login ORDER BY 1 LIMIT 3;";
    let seen = Session::new()
        .sized(20, 80)
        .with("PAGER", "sed 's/^/paged: /'")
        .asks(short, "(3 rows)")
        .quits(&org.path(""), &FROM);
    assert!(!seen.shown.contains("paged:"), "{}", seen.shown);
}

#[test]
fn a_cell_cannot_act_on_the_terminal_in_any_format_of_the_shell() {
    let org = org();
    let hostile = "SELECT chr(27) || '[31mred' || chr(7) || chr(155) || '2J' || chr(8238) AS h;";
    for format in ["table", "csv", "tsv", "json", "jsonl", "markdown"] {
        let seen = Session::new()
            .types(&format!("\\format {format}"))
            .types(ENTER)
            .ready()
            .asks(hostile, "(1 row)")
            .quits(&org.path(""), &FROM);
        for attack in ["\u{1b}[31mred", "\u{7}", "\u{9b}", "\u{202e}"] {
            assert!(!seen.raw.contains(attack), "{format}: {attack:?}");
        }
    }
}

#[test]
fn without_a_terminal_the_statements_come_from_standard_input() {
    let org = org();
    let mut call = program::command(
        &org.path(""),
        &["sql", "--from", "logins.csv", "--format", "csv"],
    );
    let mut shell = call
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let script = b"SELECT count(*) AS n\nFROM elf_login;\nSELECT 2 AS b;";
    shell.stdin.take().unwrap().write_all(script).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert_eq!(program::expect(0, output), "n\r\n30\r\nb\r\n2\r\n");
}
