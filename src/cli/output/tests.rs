use std::sync::{Arc, Mutex};

use arrow::array::{
    ArrayRef, BinaryArray, Float64Array, Int64Array, StringViewArray, TimestampMillisecondArray,
};
use arrow::datatypes::Schema;
use unicode_width::UnicodeWidthStr;

use super::table::Table;
use super::*;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn bytes(format: Format, layout: Layout, batches: &[RecordBatch], schema: SchemaRef) -> Vec<u8> {
    let sink = Shared::default();
    let mut writer = writer(format, schema, layout, Box::new(sink.clone())).expect("writer");
    for batch in batches {
        writer.write(batch).expect("write");
    }
    writer.finish().expect("finish");
    drop(writer);
    sink.0.lock().expect("lock").clone()
}

fn text(format: Format, batch: &RecordBatch) -> String {
    let all = bytes(
        format,
        Layout::default(),
        std::slice::from_ref(batch),
        batch.schema(),
    );
    String::from_utf8(all).expect("UTF-8")
}

fn on_terminal(format: Format, width: usize, batch: &RecordBatch) -> String {
    let layout = Layout {
        width: Some(width),
        to_terminal: true,
    };
    let all = bytes(format, layout, std::slice::from_ref(batch), batch.schema());
    String::from_utf8(all).expect("UTF-8")
}

fn names(values: &[&str]) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(values));
    RecordBatch::try_from_iter([("name", column)]).expect("batch")
}

fn mixed() -> RecordBatch {
    let at = TimestampMillisecondArray::from(vec![Some(1_769_738_460_000), None]);
    let columns: [(&str, ArrayRef); 4] = [
        ("occurred_at", Arc::new(at.with_timezone("UTC"))),
        ("n", Arc::new(Int64Array::from(vec![Some(-5), None]))),
        (
            "share",
            Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN)])),
        ),
        (
            "ip_key",
            Arc::new(BinaryArray::from_vec(vec![b"\x00\xff", b""])),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).expect("batch")
}

/// What fd's list of attacks on a terminal comes to in our columns.
const ATTACKS: [(&str, &str); 8] = [
    ("colour and cursor", "\u{1b}[31m\u{1b}[2J\u{1b}[1;1H"),
    ("clipboard (OSC 52)", "\u{1b}]52;c;Y3VybCBldmlsfHNo\u{7}"),
    ("window title (OSC 0)", "\u{1b}]0;owned\u{1b}\\"),
    (
        "hyperlink (OSC 8)",
        "\u{1b}]8;;http://203.0.113.9\u{7}x\u{1b}]8;;\u{7}",
    ),
    ("line forged by CR", "harmless\rerror: none"),
    ("line forged by LF", "harmless\nCRITICAL forged"),
    ("C1 control sequence", "\u{9b}31m\u{9d}52;c;aGk=\u{9c}"),
    ("direction override", "gpj.\u{202e}exe\u{2066}\u{200b}"),
];

#[test]
fn no_attack_reaches_a_terminal_in_any_text_format() {
    for (attack, payload) in ATTACKS {
        for format in [
            Format::Table,
            Format::Csv,
            Format::Tsv,
            Format::Json,
            Format::Jsonl,
            Format::Markdown,
        ] {
            let shown = on_terminal(format, 60, &names(&[payload]));
            let unsafe_character =
                |c: char| !matches!(c, '\n' | '\r') && crate::privacy::is_unsafe_to_show(c);
            assert!(
                !shown.contains(unsafe_character),
                "{attack} in {format:?}: {shown:?}"
            );
            let lines = match format {
                Format::Json | Format::Jsonl => 1,
                _ => 3,
            };
            assert!(
                shown.lines().count() <= lines,
                "{attack} in {format:?}: {shown:?}"
            );
            assert!(
                !shown.trim_end().replace("\r\n", "").contains('\r'),
                "{attack} in {format:?}"
            );
        }
    }
}

#[test]
fn json_keeps_every_value_as_it_is() {
    for (_, payload) in ATTACKS {
        let read: serde_json::Value =
            serde_json::from_str(&text(Format::Json, &names(&[payload, "日本 é 🏳"])))
                .expect("JSON");
        assert_eq!(read[0]["name"], payload);
        assert_eq!(read[1]["name"], "日本 é 🏳");
    }
}

#[test]
fn times_are_rfc_3339_in_utc_bytes_hexadecimal_and_nulls_empty() {
    assert_eq!(
        text(Format::Csv, &mixed()),
        "occurred_at,n,share,ip_key\r\n2026-01-30T02:01:00Z,-5,0.5,00ff\r\n,,NaN,\r\n"
    );
    assert_eq!(
        text(Format::Jsonl, &mixed()),
        "{\"occurred_at\":\"2026-01-30T02:01:00Z\",\"n\":-5,\"share\":0.5,\"ip_key\":\"00ff\"}\n\
         {\"occurred_at\":null,\"n\":null,\"share\":null,\"ip_key\":\"\"}\n"
    );
}

#[test]
fn a_time_without_a_zone_is_shown_as_utc() {
    let at: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1_769_738_460_123]));
    let batch = RecordBatch::try_from_iter([("at", at)]).expect("batch");
    assert_eq!(
        text(Format::Csv, &batch),
        "at\r\n2026-01-30T02:01:00.123Z\r\n"
    );
    assert_eq!(
        text(Format::Jsonl, &batch),
        "{\"at\":\"2026-01-30T02:01:00.123Z\"}\n"
    );
}

#[test]
fn no_csv_cell_is_a_formula_and_numbers_stay_numbers() {
    let cells = [
        "=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1", "a=1", "", "a,\"b\"",
    ];
    let shown = text(Format::Csv, &names(&cells));
    let mut reader = ::csv::Reader::from_reader(shown.as_bytes());
    let read: Vec<String> = reader
        .records()
        .map(|r| r.expect("record").get(0).unwrap_or("").to_owned())
        .collect();
    assert_eq!(
        read,
        [
            "'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx", "'＝1", "a=1", "", "a,\"b\""
        ]
    );
    assert!(text(Format::Csv, &mixed()).contains(",-5,"));
}

#[test]
fn a_row_of_tsv_is_one_line_with_one_tab_between_its_cells() {
    let cells = ["a\tb", "c\nd\re", "f\\t", "=1+1", ""];
    assert_eq!(
        text(Format::Tsv, &names(&cells)),
        "name\na\\tb\nc\\nd\\re\nf\\\\t\n'=1+1\n\n"
    );
    assert_eq!(
        text(Format::Tsv, &mixed()),
        "occurred_at\tn\tshare\tip_key\n2026-01-30T02:01:00Z\t-5\t0.5\t00ff\n\t\tNaN\t\n"
    );
}

#[test]
fn an_empty_result_keeps_its_header_or_its_brackets() {
    let schema = mixed().schema();
    let empty = |format| {
        String::from_utf8(bytes(format, Layout::default(), &[], schema.clone())).expect("UTF-8")
    };
    assert_eq!(empty(Format::Csv), "occurred_at,n,share,ip_key\r\n");
    assert_eq!(empty(Format::Tsv), "occurred_at\tn\tshare\tip_key\n");
    assert_eq!(empty(Format::Json), "[]\n");
    assert_eq!(empty(Format::Jsonl), "");
    assert!(empty(Format::Table).starts_with("occurred_at  n  share  ip_key\n"));
}

#[test]
fn columnar_formats_read_back_as_they_were() {
    let batch = mixed();
    let arrow = bytes(
        Format::Arrow,
        Layout::default(),
        std::slice::from_ref(&batch),
        batch.schema(),
    );
    let mut read =
        arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(arrow), None).expect("Arrow");
    assert_eq!(
        read.next().expect("a batch").expect("batch").schema(),
        batch.schema()
    );
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("x.parquet");
    let all = bytes(
        Format::Parquet,
        Layout::default(),
        std::slice::from_ref(&batch),
        batch.schema(),
    );
    std::fs::write(&path, all).expect("write");
    let file = std::fs::File::open(&path).expect("open");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
        .expect("Parquet")
        .build()
        .expect("reader");
    assert_eq!(
        reader.map(|b| b.expect("batch").num_rows()).sum::<usize>(),
        2
    );
    let none = bytes(
        Format::Parquet,
        Layout::default(),
        &[],
        Arc::new(Schema::empty()),
    );
    assert!(none.starts_with(b"PAR1"));
}

fn table() -> Table {
    Table {
        headings: ["user", "app", "n"].map(str::to_owned).to_vec(),
        right: vec![false, false, true],
        rows: vec![
            ["erp@example.com", "日本語アプリ連携ツール", "7"]
                .map(str::to_owned)
                .to_vec(),
            ["a", "👩‍👩‍👧 family", "1234567"].map(str::to_owned).to_vec(),
        ],
    }
}

#[test]
fn a_table_never_exceeds_the_terminal_and_never_panics() {
    for width in [1, 5, 20, 24, 30, 40, 80, 200] {
        for line in table().render(Some(width)).lines() {
            assert!(line.width() <= width.max(5), "{width}: {line}");
        }
    }
}

#[test]
fn a_table_in_a_pipe_is_cut_nowhere_and_aligned_by_display_width() {
    let shown = table().render(None);
    assert!(!shown.contains('…'));
    let starts: Vec<usize> = shown.lines().map(|l| l.width()).collect();
    assert!(starts.iter().all(|w| *w == starts[0]), "{shown}");
}

#[test]
fn rows_that_do_not_fit_side_by_side_become_blocks() {
    let shown = table().render(Some(12));
    assert!(shown.starts_with("row 1\nuser"), "{shown}");
}
