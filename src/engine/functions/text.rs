//! Names as people read them: `skeleton`, `app_name_key`, `printable`; paths as the lake keeps
//! them: `uri_template`.

use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton as confusable_skeleton;

use super::scalar::{RowFunction, map_text};
pub use crate::catalog::app_name_key;
use crate::catalog::uri;
use crate::privacy::{self, DigestKey};

/// Longest text that `printable` shows.
const PRINTABLE_CHARS: usize = 200;

pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![
        udf("skeleton", |name| Some(skeleton(name))),
        udf("app_name_key", |name| Some(app_name_key(name))),
        udf("printable", |shown| {
            Some(privacy::printable(shown, PRINTABLE_CHARS))
        }),
    ]
}

/// `uri_template(text)`: the template of a path as ingest makes it in this lake, digests of Apex REST
/// names included. Who guesses a name compares this with what a log holds.
pub(super) fn uri_template(key: &DigestKey) -> ScalarUDF {
    let key = key.clone();
    let types = DataType::Utf8View;
    RowFunction::udf("uri_template", vec![types.clone()], types, move |args| {
        Ok(map_text(args, |path| {
            let mut out = vec![];
            uri::template(path.as_bytes(), &key, &mut out);
            String::from_utf8(out).ok()
        }))
    })
}

fn udf(name: &'static str, of: fn(&str) -> Option<String>) -> ScalarUDF {
    RowFunction::udf(
        name,
        vec![DataType::Utf8View],
        DataType::Utf8View,
        move |args| Ok(map_text(args, of)),
    )
}

/// `skeleton(text)`: what a name looks like. Names that a person takes for one another (`ERP
/// Sync`, `ＥRP‐Sуnс`, `erpsync`) have equal skeletons: compatibility forms folded, case
/// folded, look-alike characters of other scripts replaced, all but letters and digits removed.
pub(super) fn skeleton(name: &str) -> String {
    // Case is folded before and after: `I` and `l` look alike, `i` and `l` do not.
    let folded: String = name.nfkc().collect::<String>().to_lowercase();
    let latin: String = confusable_skeleton(&folded).collect();
    latin
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric())
        .collect()
}
