//! How a query is built: what it selects, from where, in which order and how many.

use serde::Deserialize;

use super::super::soql::Piece;

/// One `[[shape]]` of the data file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    class: String,
    select_begins_with: Option<String>,
    call: Option<[String; 2]>,
    from: Option<String>,
    order_by: Option<String>,
    limit_up_to: Option<u64>,
}

/// Longest word that means something here.
const WORD_BYTES: usize = 40;

/// What of a query the rules ask for. Of the outermost query but for calls.
#[derive(Default)]
pub(super) struct Outline {
    depth: u32,
    /// Words and signs before the present one: `fields (` before `all`.
    last: [String; 3],
    /// Function with which the first SELECT list begins.
    begins_with: Option<String>,
    selects: bool,
    from: Option<String>,
    /// ORDER BY has come and its fields may follow.
    orders: bool,
    /// Bit n: the n-th rule's call, or the n-th rule's order.
    calls: u64,
    ordered: u64,
    limit: Option<u64>,
}

impl Outline {
    pub fn take(&mut self, piece: &Piece, rules: &[Rule]) {
        let word = match piece {
            Piece::Word(word) if word.len() <= WORD_BYTES => word.to_lowercase(),
            Piece::Sign(sign) => {
                self.sign(*sign);
                sign.to_string()
            }
            Piece::Word(_) | Piece::Literal(_) | Piece::Search(_) => "?".to_owned(),
        };
        if word == ")" {
            let [_, _, argument] = &self.last;
            for (n, rule) in rules.iter().enumerate() {
                let called = rule.call.as_ref().is_some_and(|[function, wanted]| {
                    self.last[0] == *function && self.last[1] == "(" && argument == wanted
                });
                self.calls |= u64::from(called) << n;
            }
        }
        if word == "(" && self.last[1] == "select" && !self.selects {
            self.begins_with = Some(self.last[2].clone());
        }
        self.selects |= self.last[1] == "select";
        if self.depth == 0 {
            self.clause(&word, rules);
        }
        self.last.rotate_left(1);
        self.last[2] = word;
    }

    fn sign(&mut self, sign: char) {
        match sign {
            '(' => self.depth = self.depth.saturating_add(1),
            ')' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    fn clause(&mut self, word: &str, rules: &[Rule]) {
        let last = self.last[2].as_str();
        match last {
            "from" if self.from.is_none() => self.from = Some(word.to_owned()),
            "limit" => self.limit = word.parse().ok(),
            "order" if word == "by" => self.orders = true,
            _ => {}
        }
        if word == "limit" {
            self.orders = false;
        }
        if self.orders {
            for (n, rule) in rules.iter().enumerate() {
                let named = rule.order_by.as_deref() == Some(word);
                self.ordered |= u64::from(named) << n;
            }
        }
    }

    /// The classes whose every demand is met.
    pub fn classes<'r>(&self, rules: &'r [Rule]) -> Vec<&'r str> {
        let asked =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let rules = rules.iter().enumerate();
        rules
            .filter(|(n, rule)| {
                let bit = |bits: u64| bits & (1 << n) != 0;
                asked(&rule.select_begins_with, &self.begins_with)
                    && asked(&rule.from, &self.from)
                    && (rule.call.is_none() || bit(self.calls))
                    && (rule.order_by.is_none() || bit(self.ordered))
                    && rule
                        .limit_up_to
                        .is_none_or(|most| self.limit.is_some_and(|limit| limit <= most))
            })
            .map(|(_, rule)| rule.class.as_str())
            .collect()
    }
}
