//! Promises of the whole program, in one test binary: linking DataFusion once is enough.

mod answers;
mod canary;
mod cases;
mod command_line;
mod corpus;
mod deploy;
mod deployed_night;
mod dkim;
mod enrich;
mod evaluate;
mod exports;
mod fake;
#[path = "../fake_salesforce/mod.rs"]
mod fake_salesforce;
mod fetch;
mod findings_lake;
mod hook_server;
mod hostile;
mod hunts;
mod ingest;
mod invariants;
mod late;
mod life;
mod logs;
mod loss;
mod mail;
mod mail_faults;
mod mail_groups;
mod mmdb;
mod newcomer;
mod night;
mod night_faults;
mod notebooks;
mod operations;
mod other_tools;
mod postfix;
mod program;
mod questions;
mod report;
mod roster;
mod rules;
mod sample;
mod shapes;
mod shared_folder;
mod shell;
mod simulate;
mod smtp_server;
mod sqllogic;
mod suggest;
mod traps;
mod watch;
mod webhook;
mod webhook_faults;
mod workbench;

/// The program's own allocator: planning is mostly small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
