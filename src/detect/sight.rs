//! Whether a rule could see: one without its input is blind, which is not the same as having found
//! nothing.

/// Verdict on a rule's inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    Sees,
    /// Had input before, has none now; the text says which and since when.
    Blind(String),
    NeverHadInput(String),
}

impl Sight {
    pub(super) fn darkness(&self) -> u8 {
        match self {
            Sight::Sees => 0,
            Sight::Blind(_) => 1,
            Sight::NeverHadInput(_) => 2,
        }
    }
}
