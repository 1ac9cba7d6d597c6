//! Names of apps as they are compared.

use unicode_normalization::UnicodeNormalization;

/// Names that differ only in case, in runs of blanks or in compatibility forms have one key.
/// Look-alikes of other scripts keep their own.
pub fn app_name_key(name: &str) -> String {
    let folded: String = name.nfkc().collect::<String>().to_lowercase();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}
