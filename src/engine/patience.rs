//! How long a session waits for an answer: until the time that a query was given is over, or until
//! somebody stops it from another thread.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::error::EngineError;

const GO_ON: u8 = 0;
const STOPPED: u8 = 1;
const TIME_IS_OVER: u8 = 2;

/// Stops the running query of a session; from any thread, as often as one likes.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    given: AtomicU8,
    wake: Notify,
}

impl Stop {
    pub fn now(&self) {
        self.give(STOPPED);
    }

    fn give(&self, why: u8) {
        self.0.given.store(why, Ordering::SeqCst);
        self.0.wake.notify_waiters();
    }

    async fn given(&self) -> u8 {
        loop {
            // Listens first and looks then, so that no signal comes in between.
            let woken = self.0.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            match self.0.given.load(Ordering::SeqCst) {
                GO_ON => woken.await,
                why => return why,
            }
        }
    }
}

/// What a session waits by. It waits for ever until it is told otherwise.
#[derive(Debug, Default)]
pub(super) struct Patience {
    stop: Stop,
    /// The time that the question was given, and what ends the watch over it.
    limit: Mutex<Option<(Duration, Sender<()>)>>,
    begun: AtomicBool,
    gave_up: AtomicBool,
}

impl Patience {
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Whether somebody may lose it.
    pub fn has_limits(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    /// Whether some work was left before its end, since this was asked last.
    pub fn gave_up(&self) -> bool {
        self.gave_up.swap(false, Ordering::SeqCst)
    }

    /// A new question: earlier signals are forgotten, and the time runs from now.
    pub fn begin(&self, limit: Option<Duration>) {
        self.begun.store(true, Ordering::SeqCst);
        let mut current = self.limit();
        // An earlier watch ends with its sender, before the signals are forgotten.
        *current = None;
        self.stop.give(GO_ON);
        *current = limit.map(|limit| (limit, self.watch(limit)));
    }

    /// Watches the clock on a thread of its own: those of the engine may all be at work.
    fn watch(&self, limit: Duration) -> Sender<()> {
        let (sender, ended) = channel();
        let stop = self.stop.clone();
        let watch = move || {
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                stop.give(TIME_IS_OVER);
            }
        };
        let spawned = std::thread::Builder::new()
            .name("orgwatch-clock".into())
            .spawn(watch);
        // Without the thread the query has all the time it wants.
        drop(spawned);
        sender
    }

    /// The outcome of `work`, unless the time is over or somebody stops it before. The work is
    /// dropped then, which ends the query.
    pub fn wait<T>(
        &self,
        workers: &Handle,
        work: impl Future<Output = T>,
    ) -> Result<T, EngineError> {
        let why = workers.block_on(async {
            tokio::select! {
                biased;
                why = self.stop.given() => Err(why),
                outcome = work => Ok(outcome),
            }
        });
        why.map_err(|why| {
            self.gave_up.store(true, Ordering::SeqCst);
            let limit = self.limit().as_ref().map(|(limit, _)| *limit);
            match limit.filter(|_| why == TIME_IS_OVER) {
                Some(limit) => EngineError::TimedOut { limit },
                None => EngineError::Stopped,
            }
        })
    }

    fn limit(&self) -> MutexGuard<'_, Option<(Duration, Sender<()>)>> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
