//! Conditions on text that a scan answers from the column's dictionary.

use std::sync::Arc;

use arrow::array::{Array, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, lit};
use serde_json::{Value, json};

use super::fixture::{Fixture, shown};
use super::packed::{Unpacked, as_stored};
use super::per_distinct::PerDistinct;
use super::{EngineError, Params, Session};

/// A file of fewer rows is read whole.
const ROWS: usize = 17_000;

/// Conditions that are about one column of text each, or several that are joined.
const ASKED: [&str; 16] = [
    "browser_type = 'Chrome 120'",
    "browser_type <> 'Chrome 120'",
    "browser_type LIKE '%ython%'",
    "browser_type NOT LIKE 'C%' AND user_id IS NOT NULL",
    "browser_type ILIKE 'chrome%' OR login_type = 'i'",
    "NOT (browser_type LIKE '%a%' OR login_type IN ('i', 'A'))",
    "browser_type IS NULL",
    "browser_type IS NOT NULL AND line_no % 7 = 3",
    "browser_type IS DISTINCT FROM 'curl'",
    "coalesce(browser_type, 'none') = 'none'",
    "lower(browser_type) IN ('curl', 'chrome 120') AND login_type > 'B'",
    "browser_type ~ '^[Cc].*[0-9]$'",
    "browser_type BETWEEN 'B' AND 'D'",
    "length(browser_type) > 6 OR login_type IS NULL",
    "browser_type = (SELECT max(browser_type) FROM elf_login)",
    "login_key LIKE '%7' AND browser_type = 'curl'",
];

fn logins(day: &str) -> Vec<Value> {
    let of = |values: &[Option<&str>], n: usize| json!(values[n % values.len()]);
    (0..ROWS)
        .map(|n| {
            json!({
                "at": format!("2026-01-{day}T{:02}:{:02}:{:02}Z", n / 3600, n / 60 % 60, n % 60),
                "user_id": format!("0050000000000{:02}AAA", n % 17),
                "browser_type": of(&[Some("Chrome 120"), None, Some("curl"), Some("Python é"), Some("")], n),
                "login_type": of(&[Some("i"), Some("A"), None, Some("Remote Access 2.0")], n / 3),
                "login_key": format!("~{n}"),
                "login_status": "LOGIN_NO_ERROR",
            })
        })
        .collect()
}

/// Two files as they are written now, one of a release that had no such column, a small one.
pub(super) fn lake() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.add("Login", &logins("13"));
    fixture.add("Login", &logins("14"));
    let lacking = ["browser_type"];
    let older = logins("15").into_iter().map(|mut row| {
        row.as_object_mut().unwrap().remove(lacking[0]);
        row
    });
    fixture.add_without("Login", &lacking, &older.collect::<Vec<_>>());
    fixture.add("Login", &logins("16")[..40]);
    fixture
}

fn ask(session: &Session, condition: &str) -> Vec<String> {
    let sql = format!(
        "SELECT count(*), count(user_id), sum(row_key), min(occurred_at), max(user_id), count(browser_type),
                count(DISTINCT browser_type), min(browser_type), max(browser_type), max(login_type)
         FROM elf_login WHERE {condition}"
    );
    shown(&session.query(&sql, &Params::new()).unwrap())
}

pub(super) fn plan(session: &Session, sql: &str) -> String {
    session.physical_plan(sql, &Params::new()).unwrap()
}

/// A question with its conditions in braces: as it is, and so that each row is asked.
fn plain_and_by_row(asked: &str) -> [String; 2] {
    let plain = asked.replace(['{', '}'], "");
    let by_row = asked.replace('{', "(").replace('}', " OR random() > 2)");
    [plain, by_row]
}

pub(super) fn answers(session: &Session, questions: &[String; 2]) -> [Vec<String>; 2] {
    let answer = |sql: &String| shown(&session.query(sql, &Params::new()).unwrap());
    questions.each_ref().map(answer)
}

#[test]
fn a_condition_on_text_answers_as_if_it_were_asked_of_each_row() {
    let fixture = lake();
    let session = fixture.session("");
    for condition in ASKED {
        let sql = format!("SELECT count(*) FROM elf_login WHERE {condition}");
        assert!(
            plan(&session, &sql).contains("per_distinct("),
            "{condition}"
        );
        // What may differ from row to row is asked of each.
        let by_row = format!("({condition}) OR random() > 2");
        let sql = format!("SELECT count(*) FROM elf_login WHERE {by_row}");
        assert!(!plan(&session, &sql).contains("per_distinct("), "{by_row}");
        assert_eq!(
            ask(&session, condition),
            ask(&session, &by_row),
            "{condition}"
        );
    }
}

#[test]
fn text_is_left_in_its_dictionary_until_its_rows_have_passed() {
    let fixture = lake();
    let session = fixture.session("");
    for (sql, marks) in [
        (
            "SELECT count(line_no) FROM elf_login WHERE browser_type = 'curl'",
            ["per_distinct(", ""],
        ),
        (
            "SELECT first_value(browser_type) FROM elf_login WHERE browser_type LIKE 'c%'",
            ["per_distinct(", "unpacked(browser_type"],
        ),
        (
            "SELECT first_value(user_id) FROM elf_login WHERE browser_type LIKE 'c%'",
            ["per_distinct(", "unpacked(user_id"],
        ),
        (
            "SELECT first_value(user_id) FROM elf_login WHERE line_no = 4",
            ["", "unpacked(user_id"],
        ),
        (
            "SELECT * FROM elf_login WHERE user_id = 'x'",
            ["per_distinct(", "unpacked(login_type"],
        ),
        (
            "SELECT first_value(browser_type) FROM elf_login WHERE browser_type = login_type",
            ["", ""],
        ),
        (
            "SELECT count(line_no) FROM elf_login WHERE browser_type = login_type OR browser_type = 'curl'",
            ["", ""],
        ),
        (
            "SELECT count(line_no) FROM elf_login WHERE line_no = 4",
            ["", ""],
        ),
        // Its values are too many for a dictionary.
        (
            "SELECT first_value(login_key) FROM elf_login WHERE login_key = '~7'",
            ["", ""],
        ),
    ] {
        let plan = plan(&session, sql);
        for (mark, wanted) in ["per_distinct(", "unpacked("].into_iter().zip(marks) {
            assert_eq!(plan.contains(mark), !wanted.is_empty(), "{sql}\n{plan}");
            assert!(plan.contains(wanted), "{sql}\n{plan}");
        }
        session.query(sql, &Params::new()).unwrap();
    }
}

#[test]
fn what_is_asked_of_all_rows_is_told_from_the_dictionaries_with_the_same_answer() {
    let fixture = lake();
    let session = fixture.session("");
    for (asked, in_dictionaries) in [
        ("count(*), count(DISTINCT user_id)", &["user_id"][..]),
        (
            "count(DISTINCT browser_type), count(DISTINCT login_type), sum(line_no)",
            &["browser_type", "login_type"],
        ),
        (
            "count(DISTINCT browser_type) FILTER (WHERE line_no % 2 = 0), count(user_id)",
            &["browser_type"],
        ),
        (
            "count(DISTINCT browser_type), max(browser_type), sum(line_no), count(DISTINCT user_id)",
            &["browser_type", "user_id"],
        ),
        (
            "min(browser_type), max(login_type), count(*)",
            &["browser_type", "login_type"],
        ),
        (
            "min(user_id) FILTER (WHERE line_no % 2 = 0), max(user_id)",
            &["user_id"],
        ),
        (
            "count(DISTINCT browser_type) FILTER (WHERE browser_type > 'D')",
            &[],
        ),
        ("count(DISTINCT browser_type), count(browser_type)", &[]),
        // DataFusion makes groups of the one whose values are counted.
        ("count(DISTINCT browser_type), max(browser_type)", &[]),
        ("max(upper(browser_type)), min(line_no)", &[]),
        ("count(DISTINCT login_key), min(login_key)", &[]),
    ] {
        for condition in [
            "login_type = 'i'",
            "line_no % 3 = 1",
            "browser_type LIKE '%o%'",
            "login_type = 'none'",
            "true",
        ] {
            let sql = format!("SELECT {asked} FROM elf_login WHERE {condition}");
            let plan = plan(&session, &sql);
            for column in ["user_id", "browser_type", "login_type", "login_key"] {
                let is_packed = plan.contains(&format!("packed({column}@"))
                    && !plan.contains(&format!("unpacked({column}@"));
                let wanted = in_dictionaries.contains(&column);
                assert_eq!(is_packed, wanted, "{column}: {sql}\n{plan}");
            }
            let by_row =
                format!("SELECT {asked} FROM elf_login WHERE ({condition}) OR random() > 2");
            let [answer, wanted] =
                [sql, by_row].map(|sql| shown(&session.query(&sql, &Params::new()).unwrap()));
            assert_eq!(answer, wanted, "{asked} {condition}");
        }
    }
}

#[test]
fn text_that_is_unpacked_late_can_be_joined_grouped_sorted_and_cut() {
    let fixture = lake();
    let session = fixture.session("");
    for asked in [
        "SELECT browser_type, count(*), count(DISTINCT user_id) FROM elf_login WHERE {login_type = 'i'} GROUP BY 1 ORDER BY 1",
        "SELECT user_id, browser_type, line_no FROM elf_login WHERE {line_no > 16900} ORDER BY user_id DESC, browser_type, line_no, day LIMIT 30",
        "SELECT a.user_id, count(*), max(b.login_type) FROM elf_login a JOIN elf_login b ON a.user_id = b.user_id AND a.line_no = b.line_no
         WHERE {a.browser_type = 'curl'} AND {b.login_type = 'A'} GROUP BY 1 ORDER BY 1",
        "SELECT count(*) FROM elf_login WHERE {line_no < 500} AND user_id IN (SELECT user_id FROM elf_login WHERE {browser_type LIKE 'Py%'})",
        "SELECT DISTINCT login_type, browser_type FROM elf_login WHERE {user_id > '005000000000009'} ORDER BY 1, 2",
        "SELECT user_id, n FROM (SELECT user_id, row_number() OVER (PARTITION BY browser_type ORDER BY line_no, day) AS n
         FROM elf_login WHERE {login_type <> 'i'}) WHERE n < 4 ORDER BY 1, 2",
        "SELECT upper(browser_type) AS b, sum(line_no) FROM elf_login WHERE {browser_type <> 'curl'} GROUP BY 1
         UNION ALL SELECT login_type, min(line_no) FROM elf_login WHERE {line_no % 2 = 0} GROUP BY 1 ORDER BY 1, 2",
    ] {
        let questions = plain_and_by_row(asked);
        let [packed, by_row] = &questions;
        assert!(plan(&session, packed).contains("packed("), "{packed}");
        assert!(!plan(&session, by_row).contains("packed("), "{by_row}");
        let [answer, wanted] = answers(&session, &questions);
        assert!(!answer.is_empty(), "{packed}");
        assert_eq!(answer, wanted, "{packed}");
    }
}

#[test]
fn a_column_that_the_filter_leaves_one_value_of_may_be_sorted_and_partitioned_by() {
    let fixture = lake();
    let session = fixture.session("");
    for asked in [
        "SELECT user_id, line_no FROM elf_login WHERE {user_id = '005000000000003AAA'} ORDER BY user_id, line_no, day",
        "SELECT line_no, lag(line_no) OVER (PARTITION BY user_id ORDER BY line_no, day) AS before
         FROM elf_login WHERE {user_id = '005000000000003AAA'} ORDER BY 1, 2",
        "SELECT day, user_id, line_no FROM elf_login WHERE {day = DATE '2026-01-13'} ORDER BY day, line_no",
        "SELECT login_type, max(line_no) FROM elf_login WHERE {login_type = 'i' AND user_id > 'a'} GROUP BY 1",
        "SELECT count(DISTINCT user_id), first_value(line_no ORDER BY user_id, line_no, day) FROM elf_login WHERE {login_type = 'i'}",
    ] {
        let questions = plain_and_by_row(asked);
        let [answer, wanted] = answers(&session, &questions);
        assert_eq!(answer, wanted, "{}", questions[0]);
    }
}

#[test]
fn a_few_rows_take_their_values_along_and_not_the_dictionary() {
    let values =
        StringArray::from_iter_values((0..1_000).map(|n| format!("a value of its own: {n}")));
    let field = Field::new("text", as_stored(), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let text = Unpacked::new(Arc::new(Column::new("text", 0)));
    for keys in [
        vec![Some(7), None, Some(999)],
        (0..1_000).map(Some).collect(),
    ] {
        let rows = DictionaryArray::new(Int32Array::from(keys.clone()), Arc::new(values.clone()));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(rows)]).unwrap();
        let plain = text
            .evaluate(&batch)
            .unwrap()
            .into_array(keys.len())
            .unwrap();
        let plain = plain.as_string_view();
        let held: usize = plain.data_buffers().iter().map(|buffer| buffer.len()).sum();
        assert!(held <= 2 * plain.total_buffer_bytes_used(), "{held}");
        let wanted = keys
            .iter()
            .map(|key| key.map(|key| values.value(key as usize)));
        assert!(plain.iter().eq(wanted));
    }
}

#[test]
fn a_damaged_file_is_named_when_it_is_read_and_not_when_it_is_looked_into() {
    let fixture = lake();
    let path = fixture.lake.parts("Login").unwrap()[1].path.clone();
    let mut bytes = std::fs::read(&path).unwrap();
    let footer = bytes.len() - 400;
    bytes[footer..footer + 300].fill(0xee);
    std::fs::write(&path, bytes).unwrap();
    let session = fixture.session("");
    let sql = |day: &str| {
        format!(
            "SELECT count(*) FROM elf_login WHERE browser_type = 'curl' AND day = DATE '2026-01-{day}'"
        )
    };
    let error = session.query(&sql("14"), &Params::new()).unwrap_err();
    assert!(matches!(error, EngineError::DamagedPart { .. }), "{error}");
    assert!(error.to_string().contains("day=2026-01-14"), "{error}");
    session.query(&sql("13"), &Params::new()).unwrap();
}

/// Whether each of the texts, which come as dictionaries one after the other, is a number over 5.
fn over_five(batches: &[(&[&str], &[Option<i32>])]) -> Vec<Vec<Option<bool>>> {
    let field = |data_type| Field::new("text", data_type, true);
    let text: Arc<dyn PhysicalExpr> = Arc::new(Column::new("text", 0));
    let number = Arc::new(CastExpr::new(Arc::clone(&text), DataType::Int64, None));
    let condition = Arc::new(BinaryExpr::new(number, Operator::Gt, lit(5_i64)));
    let asked = PerDistinct::new(text, condition, Arc::new(field(DataType::Utf8View)));
    let answers = batches.iter().map(|(values, keys)| {
        let values = StringArray::from(values.to_vec());
        let rows = DictionaryArray::new(Int32Array::from(keys.to_vec()), Arc::new(values));
        let schema = Arc::new(Schema::new(vec![field(rows.data_type().clone())]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(rows)]).unwrap();
        let answers = asked.evaluate(&batch).unwrap();
        let answers = answers.into_array(keys.len()).unwrap();
        answers.as_boolean().iter().collect()
    });
    answers.collect()
}

#[test]
fn a_value_of_the_dictionary_that_no_row_has_cannot_fail_the_question() {
    let rows = [Some(2), Some(0), None, Some(0)];
    let answers = over_five(&[(&["12", "no number", "3"], &rows)]);
    assert_eq!(answers, [[Some(false), Some(true), None, Some(true)]]);
}

#[test]
fn each_dictionary_is_asked_for_itself() {
    let rows = [Some(0), Some(1), None];
    let answers = over_five(&[(&["12", "3"], &rows), (&["3", "12"], &rows)]);
    let (first, second) = (Some(true), Some(false));
    assert_eq!(answers, [[first, second, None], [second, first, None]]);
}
