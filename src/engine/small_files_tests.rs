//! Files that are read at once: whatever order, types and row groups they have.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::pretty::pretty_format_batches;
use datafusion::error::Result;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::object_store::ObjectMeta;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path as StorePath;
use datafusion::scalar::ScalarValue;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::{Opener, SmallFile};

/// Three rows in two row groups: the table's columns in another order and another type, and one
/// that no table has, far wider than what lies between two reads.
fn file(folder: &Path) -> PathBuf {
    let wide: Vec<String> = (0..3).map(|n| format!("{n}").repeat(9000)).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("line_no", Arc::new(Int32Array::from(vec![1, 2, 3]))),
        ("unknown", Arc::new(StringArray::from(wide))),
        (
            "user_id",
            Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])),
        ),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    let path = folder.join("part one.parquet");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(2))
        .build();
    let to = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(to, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

fn table() -> SchemaRef {
    let field = |name: &str, kind| Field::new(name, kind, true);
    Arc::new(Schema::new(vec![
        field("user_id", DataType::Utf8View),
        field("app", DataType::Utf8View),
        field("line_no", DataType::UInt64),
        field("day", DataType::Date32),
    ]))
}

fn opener(wanted: &[usize]) -> Opener {
    Opener {
        wanted: wanted.to_vec(),
        table: table(),
        batch_size: 2,
        footers: Arc::new(DefaultCache::new(1 << 20)),
    }
}

fn meta(path: &Path) -> ObjectMeta {
    ObjectMeta {
        location: StorePath::from_absolute_path(path).unwrap(),
        last_modified: chrono::DateTime::UNIX_EPOCH,
        size: std::fs::metadata(path).unwrap().len(),
        e_tag: None,
        version: None,
    }
}

fn read(opener: &Opener, meta: &ObjectMeta) -> Result<Vec<RecordBatch>> {
    let file = SmallFile {
        path: LocalFileSystem::new().path_to_filesystem(&meta.location)?,
        meta: meta.clone(),
        last: ScalarValue::Date32(Some(20_000)),
    };
    let wanted = Arc::new(opener.table.project(&opener.wanted)?);
    opener.read(&file, &wanted)?.collect()
}

#[test]
fn columns_come_in_the_order_and_the_types_of_the_table_and_null_where_the_file_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let batches = read(&opener(&[0, 1, 2, 3]), &meta(&path)).unwrap();
    assert_eq!(batches.len(), 2);
    assert_eq!(batches[0].schema(), table());
    let expected = "\
+---------+-----+---------+------------+
| user_id | app | line_no | day        |
+---------+-----+---------+------------+
| a       |     | 1       | 2024-10-04 |
|         |     | 2       | 2024-10-04 |
| c       |     | 3       | 2024-10-04 |
+---------+-----+---------+------------+";
    let shown = pretty_format_batches(&batches).unwrap().to_string();
    assert_eq!(shown, expected);
}

#[test]
fn rows_are_counted_where_no_column_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    for wanted in [&[][..], &[1], &[3]] {
        let batches = read(&opener(wanted), &meta(&path)).unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    }
}

#[test]
fn a_footer_is_read_once_and_anew_when_the_file_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let (opener, first) = (opener(&[2]), meta(&path));
    read(&opener, &first).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let footer = bytes.len() - 40;
    bytes[footer..].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let batches = read(&opener, &first).unwrap();
    let lines: Vec<u64> = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_any().downcast_ref::<UInt64Array>())
        .flat_map(|lines| lines.values().to_vec())
        .collect();
    assert_eq!(lines, [1, 2, 3]);
    let later = ObjectMeta {
        last_modified: chrono::DateTime::from_timestamp(1, 0).unwrap(),
        ..first
    };
    assert!(read(&opener, &later).is_err());
}

#[test]
fn a_file_that_lost_bytes_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let (opener, whole) = (opener(&[0, 2]), meta(&path));
    read(&opener, &whole).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(97) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let told = ObjectMeta {
            size: length as u64,
            ..whole.clone()
        };
        // By the footer that is known, and by what is left of the file.
        let by_known = read(&opener, &whole);
        assert!(by_known.is_err() || length > 27_000, "{length}");
        assert!(read(&opener, &told).is_err(), "{length}");
    }
}
