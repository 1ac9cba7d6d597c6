//! The org itself: signing in, queries and downloads by REST, into files of a folder. Knows
//! nothing of what becomes of them.

mod address;
mod answer;
mod authorize;
mod by_user;
mod callback;
mod client;
mod credentials;
mod data_sets;
mod download;
mod error;
mod export;
mod hidden;
mod http;
mod ip_ranges;
mod log_files;
mod oauth;
mod pace;
mod part_file;
mod probe;
mod query;
mod retry;
mod session;
mod sign_in;
mod soql;
mod table;
mod windows;

pub use authorize::{Approval, CALLBACK_PORT};
pub use callback::Callback;
pub use client::{Client, Usage};
pub use data_sets::{
    DataSet, HISTORIES, LOGIN_HISTORY, LOGIN_IP_RANGES_PERMISSION, ROSTER, SETUP_AUDIT_TRAIL,
    VERIFICATION_HISTORY,
};
pub use download::Downloaded;
pub use error::{Class, Retry, SalesforceError};
pub use export::Exported;
pub use log_files::{Interval, LOG_FILES, LOG_FILES_PERMISSION, Listing, LogFile};
pub use pace::{Pace, RealPace};
pub use sign_in::Identity;
pub use windows::Window;

pub use crate::config::Intervals;
