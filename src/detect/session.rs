//! The engine's session as the one who answers and plans the rules' queries.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::lint::Plans;
use super::runner::{Answers, Bindings};
use crate::engine::{Params, Session};

impl Answers for Session {
    fn answer(&self, sql: &str, bindings: &Bindings) -> Result<Vec<RecordBatch>, String> {
        self.query(sql, &params(bindings))
            .map_err(|e| e.to_string())
    }
}

impl Plans for Session {
    fn plan(&self, sql: &str, bindings: &Bindings) -> Result<SchemaRef, String> {
        Session::plan(self, sql, &params(bindings)).map_err(|e| e.to_string())
    }
}

fn params(bindings: &Bindings) -> Params {
    let mut params = Params::new();
    for (name, value) in bindings {
        params.set(name.clone(), value.clone());
    }
    params
}
