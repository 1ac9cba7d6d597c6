//! The report as one HTML file that a security team reads in a browser, on a phone or on paper.
//!
//! [`Content`] is the plain value, [`render`] makes the page of it. The file stands alone: no
//! script, no picture, font or style from elsewhere, no link out of it, and a content security
//! policy that says so to the browser. Charts are SVG drawn here; each has a table that tells the
//! same. Text from logs is made printable and escaped in one place, where the page is written.
//!
//! The same content gives the same bytes.

mod chart;
mod content;
mod error;
mod figure;
mod health;
mod page;
mod rows;
mod severity;
mod sight;
#[cfg(test)]
mod tests;
mod timeline;
mod write;

pub use content::{
    Capped, Content, Drift, Ending, Finding, Gathers, Past, Period, Statement, Suppression,
};
pub use error::ReportError;
pub use health::{Delivery, FileTrouble, Health, LastRun, RunLine, Tonight, suppressions};
pub use sight::Unseen;
pub use timeline::{Account, Question, Timeline, timelines};
pub use write::render;
