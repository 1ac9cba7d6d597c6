//! The threads that a session's queries run on.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

use super::error::EngineError;

/// Of a worker thread, as the main thread has it: operators stand on each other's shoulders, as
/// many as a view has.
const STACK_BYTES: usize = 8 << 20;

pub(super) struct Workers {
    threads: usize,
    running: Mutex<Runtime>,
}

impl Workers {
    pub fn start(threads: usize) -> Result<Self, EngineError> {
        let threads = threads.max(1);
        Ok(Self {
            threads,
            running: Mutex::new(runtime(threads)?),
        })
    }

    pub fn handle(&self) -> Handle {
        self.running().handle().clone()
    }

    /// Leaves the threads to themselves that are in the middle of a large step of a query which
    /// nobody waits for any more, and goes on with others. Where there are no others they are
    /// waited for.
    pub fn abandon(&self) {
        if let Ok(fresh) = runtime(self.threads) {
            std::mem::replace(&mut *self.running(), fresh).shutdown_background();
        }
    }

    fn running(&self) -> MutexGuard<'_, Runtime> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn runtime(threads: usize) -> Result<Runtime, EngineError> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("orgwatch-engine")
        .thread_stack_size(STACK_BYTES)
        .enable_time()
        .build()
        .map_err(EngineError::Start)
}
