//! How large a synthetic org is.

/// The sizes on offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Size {
    /// 8 integrations, 25 people: some thousand rows a day
    Tiny,
    /// 40 integrations, 300 people: some tens of thousands of rows a day
    Small,
    /// 120 integrations, 1 500 people: about a hundred thousand rows a day
    Medium,
    /// 400 integrations, 8 000 people: about a million rows a day
    Large,
}

/// What a size means in numbers.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub integrations: usize,
    pub people: usize,
    pub admins: usize,
    /// People whose tokens the larger of the two vendors holds.
    pub tokens: usize,
    /// Times the calls of a usual machine.
    pub calls: f64,
    /// Visitors of the public site on a usual day.
    pub visitors: f64,
}

impl Size {
    pub fn scale(self) -> Scale {
        let scale = |integrations, people, admins, tokens, calls, visitors| Scale {
            integrations,
            people,
            admins,
            tokens,
            calls,
            visitors,
        };
        match self {
            Size::Tiny => scale(8, 25, 2, 6, 0.6, 20.0),
            Size::Small => scale(40, 300, 4, 24, 1.0, 120.0),
            Size::Medium => scale(120, 1500, 8, 80, 2.0, 500.0),
            Size::Large => scale(400, 8000, 20, 250, 8.0, 3000.0),
        }
    }
}
