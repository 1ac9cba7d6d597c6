//! A read-only DataFusion session over the lake as it was when the session opened.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use chrono::{Days, NaiveDate};
use datafusion::catalog::SchemaProvider;
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use tokio::runtime::Handle;

use super::context::{CATALOG_NAME, EngineOptions, SCHEMA_NAME, context};
use super::damage::damaged_file;
use super::error::EngineError;
use super::expected::EXPECTED_ACTIVITY;
use super::functions::{KnownMachines, KnownUsers};
use super::lake_table::days_since_epoch;
use super::lazy::{LazyTables, Slot};
use super::params::Params;
use super::patience::{Patience, Stop};
use super::rollup_schema::ROLLUP_ACTIVITY;
use super::workers::Workers;
use super::{functions, prune, read_only, tables, views};
use crate::catalog::Catalog;
use crate::enrich::Enrichment;
use crate::lake::{Lake, LedgerTable};
use crate::registry::{Networks, Registry, Resolution};

/// Tables, views and functions ready to be asked. Blocking: call it from a thread that runs no
/// async tasks.
pub struct Session {
    context: SessionContext,
    lazy: Arc<LazyTables>,
    workers: Workers,
    patience: Patience,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.abandon_what_was_given_up();
    }
}

impl Session {
    /// Opens a session: one table per event type, ledger and registry tables, views, functions.
    /// Files that come later are not seen.
    pub fn open(
        lake: &Lake,
        catalog: &Arc<Catalog>,
        registry: &Registry,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let session = Self::with_raw_tables(lake, catalog, options)?;
        let resolution = Resolution::new(registry, lake.ledger().usernames()?);
        let networks = Arc::new(Networks::build(registry, &resolution));
        for function in functions::of_registry(&networks) {
            session.context.register_udf(function);
        }
        let roles = lake.ledger().inferred_roles()?;
        let machines = KnownMachines::new(&roles);
        session
            .context
            .register_udf(functions::of_machines(machines));
        tables::register_ledger(&session.context, lake)?;
        tables::register_registry(&session.context, registry, &resolution)?;
        session.enrich(&Arc::new(Enrichment::none()))?;
        if !roles.is_empty() {
            session.hide_registered_machines()?;
        }
        for &(name, sql) in views::MADE_ONCE {
            let params = Params::new();
            session.lazy.add(name, Slot::MadeOnce { name, sql, params });
        }
        session.lazy.add("app_ids", app_ids(lake)?);
        for &(name, sql) in views::VIEWS {
            session.lazy.add(name, Slot::View { name, sql });
        }
        session.lazy.add(EXPECTED_ACTIVITY, Slot::ExpectedActivity);
        Ok(session)
    }

    /// Gives the session what is known of addresses and indicators: functions and tables. Until
    /// then the functions know nothing, and the tables are empty.
    pub fn enrich(&self, known: &Arc<Enrichment>) -> Result<(), EngineError> {
        for function in functions::of_enrichment(known) {
            self.context.register_udf(function);
        }
        tables::register_enrichment(&self.context, known)
    }

    /// Of an account that the registry declares, nothing is inferred.
    fn hide_registered_machines(&self) -> Result<(), EngineError> {
        let rows = self.query(views::INFERRED_ROLES, &Params::new())?;
        let name = LedgerTable::InferredRoles;
        let rows = concat_batches(&name.schema(), &rows).map_err(|error| EngineError::BuiltIn {
            name: name.name(),
            message: error.to_string(),
        })?;
        self.replace_table(name.name(), rows)
    }

    /// Puts rows in the place of a table of the program itself. Views keep what they had.
    pub fn replace_table(&self, name: &'static str, rows: RecordBatch) -> Result<(), EngineError> {
        tables::replace_table(&self.context, name, rows)
    }

    /// The ledger's tables as they are now; all else stays as it was when the session opened.
    pub fn read_ledger_again(&self, lake: &Lake) -> Result<(), EngineError> {
        let others = LedgerTable::ALL.into_iter();
        for table in others.filter(|table| *table != LedgerTable::InferredRoles) {
            self.replace_table(table.name(), lake.ledger().snapshot(table)?)?;
        }
        Ok(())
    }

    /// Says which days `expected_activity` tells of. Otherwise it is the last days of the lake.
    pub fn judge_days(&self, days: &BTreeSet<NaiveDate>) {
        if self.lazy.judged.set(days) {
            self.lazy.add(EXPECTED_ACTIVITY, Slot::ExpectedActivity);
        }
    }

    /// Plans each query in one pass of the optimizer instead of up to three. The answers are the
    /// same; for a lake of a few rows a better plan is not worth the time it takes to find.
    pub(crate) fn plan_in_one_pass(&self) {
        let state = self.context.state_ref();
        state
            .write()
            .config_mut()
            .options_mut()
            .optimizer
            .max_passes = 1;
    }

    /// Threads that queries run on.
    pub fn threads(&self) -> usize {
        self.context.state().config().target_partitions()
    }

    /// A session of raw tables, `usernames` and functions: what the rollups are made from.
    pub(crate) fn with_raw_tables(
        lake: &Lake,
        catalog: &Arc<Catalog>,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let workers = Workers::start(options.threads)?;
        let context = context(options)?;
        let lazy = Arc::new(LazyTables::new(&context, Arc::clone(catalog)));
        if let Some(ours) = context.catalog(CATALOG_NAME) {
            let schema = Arc::clone(&lazy) as Arc<dyn SchemaProvider>;
            ours.register_schema(SCHEMA_NAME, schema)
                .map_err(|error| tables::built_in(&error))?;
        }
        let session = Self {
            context,
            lazy,
            workers,
            patience: Patience::default(),
        };
        let names = lake.ledger().usernames()?;
        tables::register_usernames(&session.context, &names)?;
        let mut functions = functions::plain();
        functions.extend(functions::of_users(KnownUsers::new(names)));
        functions.extend(functions::of_key(lake.key()));
        functions.push(functions::of_machines(KnownMachines::default()));
        for function in functions {
            session.context.register_udf(function);
        }
        tables::register_events(&session.lazy, lake, catalog)?;
        Ok(session)
    }

    /// The whole answer in memory.
    pub fn query(&self, sql: &str, params: &Params) -> Result<Vec<RecordBatch>, EngineError> {
        self.stream(sql, params)?.collect()
    }

    /// The answer batch by batch, as it is computed.
    pub fn stream(&self, sql: &str, params: &Params) -> Result<BatchStream<'_>, EngineError> {
        self.run(self.prepare(sql, params)?)
    }

    /// Plans a query. Others may be answered in the meantime.
    pub fn prepare(&self, sql: &str, params: &Params) -> Result<Prepared, EngineError> {
        self.prepare_logical(self.logical_plan(sql, params)?, &self.context.state())
    }

    /// [`Session::stream`] of a query that unites many event types and orders the whole, of which
    /// this lake holds a few: the others are left out of the plan.
    ///
    /// The rows of all branches go through one sorter. One for each branch would be quicker where
    /// memory is plenty; but together they fill the pool, and one that holds nothing yet has
    /// nothing to write out: a day of a million rows failed in half a gibibyte.
    pub(crate) fn stream_of_present(
        &self,
        sql: &str,
        params: &Params,
    ) -> Result<BatchStream<'_>, EngineError> {
        let logical = self.logical_plan(sql, params)?;
        let mut state = self.context.state();
        let logical =
            prune::without_empty_branches(logical, &state).map_err(|error| self.explain(&error))?;
        let optimizer = &mut state.config_mut().options_mut().optimizer;
        optimizer.repartition_sorts = false;
        self.run(self.prepare_logical(logical, &state)?)
    }

    fn prepare_logical(
        &self,
        logical: LogicalPlan,
        state: &SessionState,
    ) -> Result<Prepared, EngineError> {
        let plan = self
            .wait(state.create_physical_plan(&logical))?
            .map_err(|error| self.explain(&error))?;
        Ok(Prepared {
            schema: Arc::clone(logical.schema().inner()),
            plan,
        })
    }

    /// The answer of a query that this session has planned, batch by batch.
    pub fn run(&self, prepared: Prepared) -> Result<BatchStream<'_>, EngineError> {
        let Prepared { schema, plan } = prepared;
        let workers = self.workers.handle();
        let batches = {
            // Operators spawn their tasks on the runtime that is entered here.
            let _entered = workers.enter();
            let batches = execute_stream(Arc::clone(&plan), self.context.task_ctx())
                .map_err(|error| run_error(&error, &plan))?;
            match self.patience.has_limits() {
                // On a thread of its own, so that who waits can leave at any moment.
                true => spawn_buffered(batches, 1),
                false => batches,
            }
        };
        Ok(BatchStream {
            workers,
            patience: &self.patience,
            schema,
            plan,
            batches,
        })
    }

    /// Plans a query without running it: its result columns, or what is wrong with it.
    pub fn plan(&self, sql: &str, params: &Params) -> Result<SchemaRef, EngineError> {
        Ok(self.prepare(sql, params)?.schema)
    }

    /// The physical plan of a query as indented text.
    pub fn physical_plan(&self, sql: &str, params: &Params) -> Result<String, EngineError> {
        let plan = self.prepare(sql, params)?.plan;
        Ok(displayable(plan.as_ref()).indent(false).to_string())
    }

    /// Names of all tables and views, sorted.
    pub fn tables(&self) -> Vec<String> {
        self.lazy.table_names()
    }

    /// The columns of a table or view; none where there is no such name.
    pub fn columns(&self, table: &str) -> Result<Option<SchemaRef>, EngineError> {
        let found = self.wait(self.lazy.table(table))?;
        let found = found.map_err(|error| self.explain(&error))?;
        Ok(found.map(|table| table.schema()))
    }

    /// Names of all functions that a query can call, sorted.
    pub fn functions(&self) -> Vec<String> {
        let state = self.context.state();
        let plain = state.scalar_functions().keys();
        let others = state.aggregate_functions().keys();
        let names = plain.chain(others).chain(state.window_functions().keys());
        let names: BTreeSet<String> = names.cloned().collect();
        names.into_iter().collect()
    }

    /// Begins a question: all that the session does from now on may take so long in all.
    pub fn begin(&self, limit: Option<std::time::Duration>) {
        self.abandon_what_was_given_up();
        self.patience.begin(limit);
    }

    /// An operator that was given up may be in the middle of a large step: nobody waits for it.
    fn abandon_what_was_given_up(&self) {
        if self.patience.gave_up() {
            self.workers.abandon();
        }
    }

    /// What stops a running query, for another thread. It holds until the next [`Session::begin`].
    pub fn stop(&self) -> Stop {
        self.patience.stop()
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, EngineError> {
        self.patience.wait(&self.workers.handle(), work)
    }

    fn logical_plan(&self, sql: &str, params: &Params) -> Result<LogicalPlan, EngineError> {
        let state = self.context.state();
        let dialect = state.config_options().sql_parser.dialect;
        let statement = state
            .sql_to_statement(sql, &dialect)
            .map_err(|error| self.explain(&error))?;
        if let Some(what) = read_only::changing_verb(&statement) {
            return Err(EngineError::ReadOnly { what });
        }
        let plan = self
            .wait(state.statement_to_plan(statement))?
            .map_err(|error| self.explain(&error))?;
        read_only::questions()
            .verify_plan(&plan)
            .map_err(|error| EngineError::ReadOnly {
                what: error.strip_backtrace(),
            })?;
        let wanted = plan
            .get_parameter_names()
            .map_err(|error| self.explain(&error))?;
        let missing = wanted
            .iter()
            .map(|name| name.trim_start_matches('$'))
            .filter(|name| params.get(name).is_none())
            .min();
        if let Some(name) = missing {
            return Err(EngineError::MissingParameter {
                name: name.to_owned(),
            });
        }
        if wanted.is_empty() {
            return Ok(plan);
        }
        plan.with_param_values(params.values())
            .map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &DataFusionError) -> EngineError {
        told_by_us(error).unwrap_or_else(|| EngineError::planning(error, &self.tables()))
    }
}

/// The names of the last days of the history.
fn app_ids(lake: &Lake) -> Result<Slot, EngineError> {
    let last = lake.parts(ROLLUP_ACTIVITY)?.last().map(|part| part.day);
    let first = last.and_then(|day| day.checked_sub_days(Days::new(views::NAMED_DAYS)));
    let first = ScalarValue::Date32(first.map(days_since_epoch));
    Ok(Slot::MadeOnce {
        name: "app_ids",
        sql: views::APP_IDS,
        params: Params::new().with("first", first),
    })
}

/// A query that is planned and not running.
pub struct Prepared {
    schema: SchemaRef,
    plan: Arc<dyn ExecutionPlan>,
}

/// A running query. Dropping it stops the query.
pub struct BatchStream<'a> {
    workers: Handle,
    patience: &'a Patience,
    schema: SchemaRef,
    plan: Arc<dyn ExecutionPlan>,
    batches: SendableRecordBatchStream,
}

impl BatchStream<'_> {
    /// Columns of every batch, known before the first.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The whole answer, or none where it is not there in time. The query is stopped then.
    pub fn collect_within(
        mut self,
        limit: std::time::Duration,
    ) -> Result<Option<Vec<RecordBatch>>, EngineError> {
        let batches = &mut self.batches;
        let all = async {
            let mut all = Vec::new();
            while let Some(batch) = batches.next().await {
                all.push(batch?);
            }
            Ok::<_, DataFusionError>(all)
        };
        let all = async { tokio::time::timeout(limit, all).await };
        match self.workers.block_on(all) {
            Ok(all) => all.map(Some).map_err(|error| run_error(&error, &self.plan)),
            Err(_) => Ok(None),
        }
    }
}

impl Iterator for BatchStream<'_> {
    type Item = Result<RecordBatch, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.patience.wait(&self.workers, self.batches.next()) {
            Ok(next) => next?,
            Err(given_up) => return Some(Err(given_up)),
        };
        Some(next.map_err(|error| run_error(&error, &self.plan)))
    }
}

fn run_error(error: &DataFusionError, plan: &Arc<dyn ExecutionPlan>) -> EngineError {
    if let Some(ours) = told_by_us(error) {
        return ours;
    }
    let reading = matches!(
        error.find_root(),
        DataFusionError::ParquetError(_)
            | DataFusionError::ArrowError(..)
            | DataFusionError::ObjectStore(_)
            | DataFusionError::External(_)
            | DataFusionError::IoError(_)
    );
    match reading.then(|| damaged_file(plan)).flatten() {
        Some((path, problem)) => EngineError::DamagedPart { path, problem },
        None => EngineError::running(error),
    }
}

/// An error of ours that came through DataFusion: a damaged part that a scan met, a view of ours
/// that cannot be planned.
fn told_by_us(error: &DataFusionError) -> Option<EngineError> {
    let DataFusionError::External(inner) = error.find_root() else {
        return None;
    };
    match inner.downcast_ref::<EngineError>()? {
        EngineError::DamagedPart { path, problem } => Some(EngineError::DamagedPart {
            path: path.clone(),
            problem: problem.clone(),
        }),
        EngineError::BuiltIn { name, message } => Some(EngineError::BuiltIn {
            name,
            message: message.clone(),
        }),
        _ => None,
    }
}
