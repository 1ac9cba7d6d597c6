//! The org's logs and roster, fetched from a fake org over real connections.

mod auth;
pub mod connection;
mod first_run;
mod hours;
mod identity;
mod keys;
mod kill;
mod log_files;
mod login;
mod month;
mod mtls;
mod night;
mod privacy;
mod query;
mod read_only;
mod roster;
mod run;
mod status;
mod told;
mod transport;
