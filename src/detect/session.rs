//! The engine's session as the one who answers and plans the rules' queries.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::lint::Plans;
use super::runner::{Answers, Bindings, Ready, Unanswered};
use crate::engine::{EngineError, Params, Session};

impl Answers for Session {
    fn answer(&self, sql: &str, bindings: &Bindings) -> Result<Vec<RecordBatch>, Unanswered> {
        self.query(sql, &params(bindings)).map_err(unanswered)
    }

    fn ready<'a>(&'a self, sql: &'a str, bindings: Bindings) -> Ready<'a> {
        let prepared = self.prepare(sql, &params(&bindings));
        Box::new(move || {
            let answer = prepared.and_then(|prepared| self.run(prepared)?.collect());
            answer.map_err(unanswered)
        })
    }

    fn judge_days(&self, days: &BTreeSet<NaiveDate>) {
        Session::judge_days(self, days);
    }
}

impl Plans for Session {
    fn plan(&self, sql: &str, bindings: &Bindings) -> Result<SchemaRef, String> {
        Session::plan(self, sql, &params(bindings)).map_err(|e| e.to_string())
    }
}

fn unanswered(error: EngineError) -> Unanswered {
    Unanswered {
        reason: error.to_string(),
        out_of_memory: matches!(error, EngineError::OutOfMemory { .. }),
    }
}

fn params(bindings: &Bindings) -> Params {
    let mut params = Params::new();
    for (name, value) in bindings {
        params.set(name.clone(), value.clone());
    }
    params
}
