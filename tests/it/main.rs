//! Promises of the whole program, in one test binary: linking DataFusion once is enough.

mod canary;
mod command_line;
mod ingest;
mod logs;
mod night;
mod other_tools;
mod program;
mod questions;
mod rules;
mod sample;
mod traps;
