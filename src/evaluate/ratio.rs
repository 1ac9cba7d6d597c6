//! Shares, and how sure one can be of them.

use serde::{Deserialize, Serialize};

/// The 97.5th percentile of the normal distribution: both sides together leave out 5 %.
const Z: f64 = 1.959_963_984_540_054;

/// `hits` of `of`, with Wilson's 95 % interval. Of nothing there is no share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    pub hits: u64,
    pub of: u64,
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

impl Ratio {
    pub fn new(hits: u64, of: u64) -> Self {
        if of == 0 {
            return Self {
                hits,
                of,
                value: None,
                low: None,
                high: None,
            };
        }
        let n = of as f64;
        let p = hits as f64 / n;
        let z2 = Z * Z;
        let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        Self {
            hits,
            of,
            value: Some(round(p)),
            low: Some(round((middle - half).max(0.0))),
            high: Some(round((middle + half).min(1.0))),
        }
    }

    /// How many of `items` pass.
    pub fn count<T>(items: impl IntoIterator<Item = T>, passes: impl Fn(&T) -> bool) -> Self {
        let (mut hits, mut of) = (0, 0);
        for item in items {
            of += 1;
            hits += u64::from(passes(&item));
        }
        Self::new(hits, of)
    }
}

/// To the fourth digit: the rest is no knowledge, and the same everywhere.
pub fn round(x: f64) -> f64 {
    (x * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // Values of R's binom::binom.confint(…, methods = "wilson").
        let some = Ratio::new(8, 10);
        assert_eq!(
            (some.value, some.low, some.high),
            (Some(0.8), Some(0.4902), Some(0.9433))
        );
        let all = Ratio::new(20, 20);
        assert_eq!((all.low, all.high), (Some(0.8389), Some(1.0)));
        let none = Ratio::new(0, 5);
        assert_eq!((none.low, none.high), (Some(0.0), Some(0.4345)));
    }

    #[test]
    fn of_nothing_there_is_no_share() {
        let nothing = Ratio::new(0, 0);
        assert_eq!(
            (nothing.value, nothing.low, nothing.high),
            (None, None, None)
        );
    }
}
