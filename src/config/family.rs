//! What a rule is about, by the groups of the catalogue of detections.

/// Group of a rule. Suppressions of `Identity` findings are void while a `Misuse` or `Attack`
/// finding of the same user is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// A machine's account used as a machine would not (group A).
    Misuse,
    /// Weak or ageing ways to prove who one is (B).
    Credential,
    /// How accounts, permissions and apps are laid out (C).
    Identity,
    /// Traces of an attacker (D).
    Attack,
    /// Unlike the account's own past (E).
    Behaviour,
    /// What the program could not see (F).
    Coverage,
}

impl Family {
    pub const ALL: [Family; 6] = [
        Family::Misuse,
        Family::Credential,
        Family::Identity,
        Family::Attack,
        Family::Behaviour,
        Family::Coverage,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Family::Misuse => "misuse",
            Family::Credential => "credential",
            Family::Identity => "identity",
            Family::Attack => "attack",
            Family::Behaviour => "behaviour",
            Family::Coverage => "coverage",
        }
    }

    /// The family of a lower-case word, if it is one.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.as_str() == word)
    }
}
