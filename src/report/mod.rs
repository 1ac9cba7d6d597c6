//! Reports: what the lake and its ledger tell, in forms that leave the program.

pub mod html;
