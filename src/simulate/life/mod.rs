//! The daily life of an org: what happens on a day when nobody attacks and nothing is told.
//!
//! A day depends on the seed, the org and the date alone, so days can be made in any order.

mod guests;
mod machines;
mod people;
mod platform;

use chrono::NaiveDate;

use super::book::Book;

pub use guests::{Crowd, guest_act};
pub use machines::{PAGE_ROWS, query_call};
pub use people::{PasswordMonday, agent_of};

/// What stories ask of a day beyond its usual life.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub crowds: Vec<Crowd>,
    pub password_mondays: Vec<PasswordMonday>,
}

pub fn live(book: &mut Book<'_>, asked: &Asked, day: NaiveDate) {
    for machine in 0..book.org.machines.len() {
        machines::day(book, machine, day);
    }
    people::day(book, asked, day);
    guests::day(book, asked, day);
    platform::day(book, day);
}
