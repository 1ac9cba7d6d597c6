//! The one shape of all our SQL functions: arrays in, one array out, pure.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

type Body = Arc<dyn Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync>;

/// A function of one row. Two are the same when their names are: a session registers each name
/// once.
pub(super) struct RowFunction {
    name: &'static str,
    signature: Signature,
    returns: DataType,
    body: Body,
}

impl RowFunction {
    /// A function that takes exactly these types.
    pub(super) fn udf(
        name: &'static str,
        takes: Vec<DataType>,
        returns: DataType,
        body: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> ScalarUDF {
        Self::with_forms(name, vec![takes], returns, body)
    }

    /// A function with several argument lists; the body sees how many arguments came.
    pub(super) fn with_forms(
        name: &'static str,
        forms: Vec<Vec<DataType>>,
        returns: DataType,
        body: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> ScalarUDF {
        let signatures = forms.into_iter().map(TypeSignature::Exact).collect();
        ScalarUDF::new_from_impl(Self {
            name,
            signature: Signature::one_of(signatures, Volatility::Immutable),
            returns,
            body: Arc::new(body),
        })
    }
}

impl fmt::Debug for RowFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFunction")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for RowFunction {}

impl Hash for RowFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> = args
            .args
            .iter()
            .map(|a| a.to_array(rows))
            .collect::<Result<_>>()?;
        let out = (self.body)(&arrays)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&out, 0)?));
        }
        Ok(ColumnarValue::Array(out))
    }
}

/// The argument at `index` as text. The signature has made it so.
pub(super) fn text(args: &[ArrayRef], index: usize) -> &StringViewArray {
    args[index].as_string_view()
}

/// The text of a row, None for NULL.
pub(super) fn cell(array: &StringViewArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

/// A text result of `rows` rows. Equal results share their bytes.
pub(super) fn text_rows<S: AsRef<str>>(
    rows: usize,
    mut of: impl FnMut(usize) -> Option<S>,
) -> ArrayRef {
    let mut out = StringViewBuilder::with_capacity(rows).with_deduplicate_strings();
    for row in 0..rows {
        out.append_option(of(row));
    }
    Arc::new(out.finish())
}

/// Maps one text argument to text, computing each distinct value of a batch once.
pub(super) fn map_text(args: &[ArrayRef], of: impl Fn(&str) -> Option<String>) -> ArrayRef {
    let input = text(args, 0);
    let mut known: std::collections::HashMap<&str, Option<String>> = Default::default();
    text_rows(input.len(), |row| {
        let value = cell(input, row)?;
        known.entry(value).or_insert_with(|| of(value)).clone()
    })
}
