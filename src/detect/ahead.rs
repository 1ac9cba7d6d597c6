//! Plans a run's questions ahead: to plan a rule takes as long as to answer it, and that is work for
//! a single thread.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use super::runner::{Answers, Bindings, Ready};

/// Most plans that wait. Some rules are planned in a moment and answered slowly, and the other way
/// round.
const MAX_WAITING: usize = 4;

/// As the main thread has it: plans are deep.
const STACK_BYTES: usize = 8 << 20;

/// A question that has been planned, and how long that took.
pub(super) type Planned<'a> = (Ready<'a>, Duration);

/// Calls `ask` with what hands out the questions one by one and in their order, planned while those
/// before them are answered. None: there is no other thread to plan on.
pub(super) fn plan_ahead<'a, T>(
    answers: &'a dyn Answers,
    questions: Vec<(&'a str, Bindings)>,
    ask: impl FnOnce(&mut dyn FnMut() -> Option<Planned<'a>>) -> T,
) -> T {
    thread::scope(|scope| {
        let (planned, asked) = sync_channel(MAX_WAITING);
        let plan = move || {
            for (sql, bindings) in questions {
                let started = Instant::now();
                let ready = answers.ready(sql, bindings);
                if planned.send((ready, started.elapsed())).is_err() {
                    break;
                }
            }
        };
        let planner = thread::Builder::new()
            .name("orgwatch-plan".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, plan);
        if let Err(error) = planner {
            tracing::warn!(%error, "no thread to plan on: each rule is planned when its turn comes");
        }
        ask(&mut || asked.recv().ok())
    })
}
