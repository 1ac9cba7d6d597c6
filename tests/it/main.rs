//! Promises of the whole program, in one test binary: linking DataFusion once is enough.

mod canary;
mod corpus;
mod ingest;
mod logs;
mod program;
mod rules;
mod traps;
