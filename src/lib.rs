//! orgwatch watches a Salesforce org's logs for misuse of its integration users.
//!
//! Modules import only from the floors below them:
//! floor 0 [`catalog`], [`config`], [`clock`], [`privacy`], [`words`], `https`;
//! floor 1 [`baseline`], [`registry`], [`enrich`],
//! [`lake`], [`salesforce`];
//! floor 2 [`ingest`], [`engine`]; floor 3 [`fetch`], [`rollup`], [`detect`],
//! [`suggest`], [`simulate`]; floor 4 [`alert`], [`doctor`],
//! [`evaluate`], [`hunt`], [`metrics`], [`report`]; floor 5 [`cli`].

pub mod alert;
pub mod baseline;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod detect;
pub mod doctor;
pub mod engine;
pub mod enrich;
pub mod evaluate;
pub mod fetch;
mod https;
pub mod hunt;
pub mod ingest;
pub mod lake;
pub mod metrics;
pub mod privacy;
pub mod registry;
pub mod report;
pub mod rollup;
pub mod salesforce;
pub mod simulate;
pub mod suggest;
pub mod words;
