//! The table `expected_activity`: asks the lake for the accounts' days and hands them to the
//! baseline.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Date32Type;
use chrono::{Days, NaiveDate};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionState;
use datafusion::physical_plan::collect;
use datafusion::scalar::ScalarValue;

use super::lake_table::days_since_epoch;
use super::params::Params;
use crate::baseline::{self, DAYS_SHOWN, LOOKBACK_DAYS, Question};

/// Name of the table.
pub(super) const EXPECTED_ACTIVITY: &str = "expected_activity";

const ACTIVITY: &str = include_str!("../../queries/baseline/expected_activity.sql");

const COVERED: &str = "
    SELECT event_type, day FROM covered_days
    WHERE day >= $first AND day <= $last";

const LAST_DAYS: &str = "
    SELECT DISTINCT day FROM rollup_activity ORDER BY day DESC LIMIT $days";

/// Days of accounts with a finding that is open and may have moved what is normal.
const HELD_OUT: &str = "
    SELECT DISTINCT user_key, CAST(bucket_start AS DATE) AS day FROM findings
    WHERE family IN ('attack', 'behaviour') AND severity IN ('medium', 'high', 'critical')
      AND status IN ('new', 'ongoing')
      AND user_key IS NOT NULL AND bucket_start IS NOT NULL";

/// The days that the table tells of; none where nobody said which.
#[derive(Debug, Default)]
pub(super) struct JudgedDays(Mutex<Option<Arc<BTreeSet<NaiveDate>>>>);

impl JudgedDays {
    /// Whether these are other days than before.
    pub(super) fn set(&self, days: &BTreeSet<NaiveDate>) -> bool {
        // Days are whole whoever panicked while holding them.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = known.as_deref() != Some(days);
        if changes {
            *known = Some(Arc::new(days.clone()));
        }
        changes
    }

    fn get(&self) -> Option<Arc<BTreeSet<NaiveDate>>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Makes the table.
pub(super) async fn table(state: &SessionState, days: &JudgedDays) -> Result<MemTable> {
    let days = match days.get() {
        Some(days) => days,
        None => Arc::new(last_days(state).await?),
    };
    let batch = match (days.first(), days.last()) {
        (Some(first), Some(last)) => expected(state, &days, *first, *last).await?,
        _ => RecordBatch::new_empty(baseline::schema()),
    };
    MemTable::try_new(baseline::schema(), vec![vec![batch]])
}

async fn expected(
    state: &SessionState,
    days: &BTreeSet<NaiveDate>,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<RecordBatch> {
    let back = Days::new(u64::from(LOOKBACK_DAYS.unsigned_abs()));
    let params = Params::new()
        .with("first", date(first.checked_sub_days(back).unwrap_or(first)))
        .with("last", date(last));
    let activity = rows(state, ACTIVITY, &params).await?;
    let covered = rows(state, COVERED, &params).await?;
    let held_out = rows(state, HELD_OUT, &Params::new()).await?;
    baseline::expected(Question {
        activity: &activity,
        covered: &covered,
        held_out: &held_out,
        days,
    })
    .map_err(|error| DataFusionError::External(Box::new(error)))
}

async fn last_days(state: &SessionState) -> Result<BTreeSet<NaiveDate>> {
    let shown = ScalarValue::Int64(i64::try_from(DAYS_SHOWN).ok());
    let params = Params::new().with("days", shown);
    let mut days = BTreeSet::new();
    for batch in rows(state, LAST_DAYS, &params).await? {
        let column = batch.column(0).as_primitive::<Date32Type>();
        days.extend((0..batch.num_rows()).filter_map(|row| column.value_as_date(row)));
    }
    Ok(days)
}

async fn rows(state: &SessionState, sql: &str, params: &Params) -> Result<Vec<RecordBatch>> {
    let plan = state.create_logical_plan(sql).await?;
    let plan = plan.with_param_values(params.values())?;
    let plan = state.create_physical_plan(&plan).await?;
    collect(plan, state.task_ctx()).await
}

fn date(day: NaiveDate) -> ScalarValue {
    ScalarValue::Date32(Some(days_since_epoch(day)))
}
