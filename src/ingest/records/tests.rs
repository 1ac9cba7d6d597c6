//! The two readings against the `csv` crate as oracle, and against noise.

use proptest::prelude::*;

use super::*;

fn texts(bytes: &[u8], records: &Records) -> Vec<Vec<Vec<u8>>> {
    let mut scratch = vec![];
    (0..records.len())
        .map(|row| {
            (0..records.width)
                .map(|column| {
                    records
                        .field(row, column)
                        .text(bytes, &mut scratch)
                        .to_vec()
                })
                .collect()
        })
        .collect()
}

fn by_csv_crate(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes);
    reader
        .byte_records()
        .map(|r| r.unwrap().iter().map(<[u8]>::to_vec).collect())
        .collect()
}

fn general(bytes: &[u8], width: usize) -> Records {
    let mut records = Records::new(width);
    let used = records.read_general(bytes, true);
    assert_eq!(used, bytes.len());
    records
}

fn anchored(bytes: &[u8], width: usize) -> Records {
    let mut records = Records::new(width);
    records.read_anchored(bytes);
    records
}

fn rows() -> impl Strategy<Value = Vec<Vec<String>>> {
    let cell = prop_oneof![
        "[a-zA-Z0-9 ./:-]{0,20}",
        "[\\PC\n\r\",]{0,30}",
        Just("\n\"Login\",\"x\"".to_owned()),
        Just("\"".to_owned()),
    ];
    // A quoted line that is itself a whole record reads as one: see `hides_a_record`.
    let cell = cell.prop_filter("a record in a cell", |c: &String| {
        c.matches(',').count() < 4
    });
    proptest::collection::vec(proptest::collection::vec(cell, 4), 0..30)
}

fn write(rows: &[Vec<String>], quoted: bool, line_end: csv::Terminator) -> Vec<u8> {
    let style = if quoted {
        csv::QuoteStyle::Always
    } else {
        csv::QuoteStyle::Necessary
    };
    let mut writer = csv::WriterBuilder::new()
        .quote_style(style)
        .terminator(line_end)
        .from_writer(vec![]);
    for row in rows {
        writer
            .write_record(std::iter::once("Login").chain(row.iter().map(String::as_str)))
            .unwrap();
    }
    writer.into_inner().unwrap()
}

proptest! {
    #[test]
    fn well_formed_files_read_as_the_csv_crate_reads_them(rows in rows(), quoted: bool, crlf: bool) {
        let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let bytes = write(&rows, quoted, end);
        let expected = by_csv_crate(&bytes);
        let records = general(&bytes, 5);
        prop_assert_eq!(&records.broken, &vec![]);
        prop_assert_eq!(texts(&bytes, &records), expected.clone());
        if quoted {
            let records = anchored(&bytes, 5);
            prop_assert_eq!(&records.broken, &vec![]);
            prop_assert_eq!(texts(&bytes, &records), expected);
        }
    }

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..400), width in 1usize..6) {
        general(&bytes, width);
        anchored(&bytes, width);
    }

    #[test]
    fn noise_in_one_row_does_not_hide_its_neighbours(noise in "[\\PC\n\",]{0,40}", quoted: bool) {
        let row = |n: usize| vec![format!("r{n}"), "a".into(), "b".into(), "c".into()];
        let end = csv::Terminator::Any(b'\n');
        let mut bytes = write(&[row(1), row(2)], quoted, end);
        bytes.extend_from_slice(format!("\"Login\",\"r3\",\"{noise}\n").as_bytes());
        bytes.extend(write(&[row(4), row(5)], quoted, end));
        let mut read = vec![texts(&bytes, &general(&bytes, 5))];
        if quoted {
            read.push(texts(&bytes, &anchored(&bytes, 5)));
        }
        for rows in read {
            for name in ["r1", "r2", "r4", "r5"] {
                prop_assert!(rows.iter().any(|r| r[1] == name.as_bytes()), "{} is hidden", name);
            }
        }
    }
}

#[test]
fn a_chunk_border_inside_a_quoted_field_is_waited_for() {
    let mut records = Records::new(2);
    assert_eq!(records.read_general(b"a,b\nc,\"d\n", false), 4);
    assert_eq!(records.len(), 1);
}

#[test]
fn an_anchor_is_never_found_inside_a_quoted_cell() {
    assert!(is_anchor(b"\"Login\",\"2026"));
    assert!(!is_anchor(b"\"\"Login\"\",\"\""));
    assert!(!is_anchor(b"\",\"x"));
}
