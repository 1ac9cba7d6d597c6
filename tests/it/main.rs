//! Promises of the whole program, in one test binary: linking DataFusion once is enough.

mod canary;
mod ingest;
mod logs;
mod newcomer;
mod program;
mod rules;
mod traps;
