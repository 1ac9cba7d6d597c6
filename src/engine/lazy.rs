//! The tables of a session by name, each made when a query first names it: there are about a
//! hundred, a query needs two or three, and planning a view is dearer than most answers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::SchemaProvider;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::{MemTable, TableProvider, ViewTable};
use datafusion::execution::SessionState;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;

use super::error::EngineError;
use super::expected::{self, EXPECTED_ACTIVITY, JudgedDays};
use super::params::Params;
use super::{prune, tables};
use crate::catalog::{Catalog, EventType};
use crate::lake::Part;

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Slot {
    Ready(Arc<dyn TableProvider>),
    /// A raw table: the place of its event type in the catalogue, or a type of its own.
    Event {
        event: EventPlace,
        parts: Vec<Part>,
    },
    /// The SQL of a view of ours.
    View {
        name: &'static str,
        sql: &'static str,
    },
    /// The SQL of a small view whose rows are made once.
    MadeOnce {
        name: &'static str,
        sql: &'static str,
        params: Params,
    },
    /// What the accounts normally do on the judged days.
    ExpectedActivity,
}

#[derive(Clone)]
pub(super) enum EventPlace {
    InCatalog(usize),
    Unknown(Box<EventType>),
}

/// The schema `public` of a session.
pub(super) struct LazyTables {
    catalog: Arc<Catalog>,
    slots: Mutex<BTreeMap<String, Slot>>,
    pub(super) judged: JudgedDays,
    /// The session's state as it is now; none once the session is gone.
    state: Box<dyn Fn() -> Option<SessionState> + Send + Sync>,
}

impl LazyTables {
    pub(super) fn new(context: &SessionContext, catalog: Arc<Catalog>) -> Self {
        let state = context.state_weak_ref();
        Self {
            catalog,
            slots: Mutex::default(),
            judged: JudgedDays::default(),
            state: Box::new(move || state.upgrade().map(|state| state.read().clone())),
        }
    }

    pub(super) fn add(&self, name: &str, slot: Slot) {
        self.slots().insert(name.to_owned(), slot);
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        // A map is whole whoever panicked while holding it.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, table: &str, slot: Slot) -> Result<Arc<dyn TableProvider>> {
        match slot {
            Slot::Ready(table) => Ok(table),
            Slot::Event { event, parts } => {
                let event = match &event {
                    EventPlace::InCatalog(at) => &self.catalog.event_types()[*at],
                    EventPlace::Unknown(event) => event,
                };
                tables::event_table(table, event, parts)
            }
            Slot::View { name, sql } => self.view(sql).await.map_err(|e| self.built_in(name, &e)),
            Slot::MadeOnce { name, sql, params } => {
                let rows = self.rows(sql, &params).await;
                rows.map_err(|e| self.built_in(name, &e))
            }
            Slot::ExpectedActivity => match expected::table(&self.state()?, &self.judged).await {
                Ok(table) => Ok(Arc::new(table)),
                Err(error) => Err(self.built_in(EXPECTED_ACTIVITY, &error)),
            },
        }
    }

    fn built_in(&self, name: &'static str, error: &DataFusionError) -> DataFusionError {
        let message = EngineError::planning(error, &self.table_names()).to_string();
        DataFusionError::External(Box::new(EngineError::BuiltIn { name, message }))
    }

    fn state(&self) -> Result<SessionState> {
        let gone = || DataFusionError::Internal("the session is gone".to_owned());
        (self.state)().ok_or_else(gone)
    }

    async fn rows(&self, sql: &str, params: &Params) -> Result<Arc<dyn TableProvider>> {
        let state = self.state()?;
        let plan = state.create_logical_plan(sql).await?;
        let plan = plan.with_param_values(params.values())?;
        let schema = Arc::clone(plan.schema().inner());
        let plan = state.create_physical_plan(&plan).await?;
        let batches = collect(plan, state.task_ctx()).await?;
        Ok(Arc::new(MemTable::try_new(schema, vec![batches])?))
    }

    async fn view(&self, sql: &str) -> Result<Arc<dyn TableProvider>> {
        let state = self.state()?;
        let plan = state.create_logical_plan(sql).await?;
        let plan = prune::without_empty_branches(plan, &state)?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}

#[async_trait]
impl SchemaProvider for LazyTables {
    fn table_names(&self) -> Vec<String> {
        self.slots().keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let slot = self.slots().get(name).cloned();
        let Some(slot) = slot else {
            return Ok(None);
        };
        if let Slot::Ready(table) = slot {
            return Ok(Some(table));
        }
        let table = self.make(name, slot).await?;
        self.add(name, Slot::Ready(Arc::clone(&table)));
        Ok(Some(table))
    }

    fn register_table(
        &self,
        name: String,
        table: Arc<dyn TableProvider>,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        self.add(&name, Slot::Ready(table));
        Ok(None)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.slots().contains_key(name)
    }
}

impl fmt::Debug for LazyTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.slots().keys()).finish()
    }
}
