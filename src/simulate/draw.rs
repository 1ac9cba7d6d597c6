//! Chance that can be repeated: every part of an org draws from a stream of its own, named after
//! the part and keyed by the seed, so that a part that is added or left out leaves the others as
//! they were.
//!
//! The numbers are BLAKE3's output stream, which its specification fixes, and only integers,
//! additions and multiplications are made of them: no release of a library and no machine's
//! mathematics can change what a seed means.

/// Bytes taken from the stream at a time.
const CHUNK: usize = 512;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// One stream of random numbers.
pub struct Draw {
    stream: blake3::OutputReader,
    chunk: [u8; CHUNK],
    used: usize,
}

impl Draw {
    /// The stream of a part, named by words; each list of words has its own.
    pub fn new(seed: u64, words: &[&str]) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("orgwatch simulate 1");
        hash.update(&seed.to_le_bytes());
        for word in words {
            hash.update(&(word.len() as u64).to_le_bytes());
            hash.update(word.as_bytes());
        }
        Self {
            stream: hash.finalize_xof(),
            chunk: [0; CHUNK],
            used: CHUNK,
        }
    }

    pub fn bits(&mut self) -> u64 {
        if self.used + 8 > CHUNK {
            self.stream.fill(&mut self.chunk);
            self.used = 0;
        }
        let mut word = [0; 8];
        word.copy_from_slice(&self.chunk[self.used..self.used + 8]);
        self.used += 8;
        u64::from_le_bytes(word)
    }

    /// From 0 up to, but not including, 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From 0 up to, but not including, `end`; 0 where that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// From `first` to `last`, both included.
    pub fn between(&mut self, first: i64, last: i64) -> i64 {
        let span = last.saturating_sub(first).max(0) as u64;
        first + self.below(span + 1) as i64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// An index into a list of that length; 0 for an empty one.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// One of a list that is never empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.index(list.len())]
    }

    /// One of a list of words that is never empty.
    pub fn word(&mut self, list: &[&'static str]) -> &'static str {
        list[self.index(list.len())]
    }

    /// Around 0 with a spread of 1: a sum of uniform numbers, never beyond ±6.
    pub fn around(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// How often something happens that happens `mean` times on average.
    pub fn count(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > 8.0 {
            return (mean + mean.sqrt() * self.around()).max(0.0).round() as u64;
        }
        // Sixty-four chances to happen once come close enough, and need no logarithm.
        let each = mean / 64.0;
        (0..64).filter(|_| self.chance(each)).count() as u64
    }

    /// Letters and digits, as in record ids.
    pub fn letters(&mut self, length: usize) -> String {
        self.text(length, BASE62)
    }

    /// As Salesforce writes its hashes of sessions and logins: may hold `+` and `/`.
    pub fn key(&mut self, length: usize) -> String {
        self.text(length, BASE64)
    }

    fn text(&mut self, length: usize, alphabet: &[u8]) -> String {
        let mut text = String::with_capacity(length);
        while text.len() < length {
            // Ten letters from one number: the last bits are as good as the first.
            let mut rest = self.bits();
            for _ in 0..10.min(length - text.len()) {
                text.push(char::from(
                    alphabet[(rest % alphabet.len() as u64) as usize],
                ));
                rest /= alphabet.len() as u64;
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_and_words_and_on_nothing_else() {
        let first = |seed, words: &[&str]| Draw::new(seed, words).bits();
        assert_eq!(first(7, &["machine", "a"]), first(7, &["machine", "a"]));
        assert_ne!(first(7, &["machine", "a"]), first(8, &["machine", "a"]));
        assert_ne!(first(7, &["ab", "c"]), first(7, &["a", "bc"]));
        // What a seed means is fixed for ever.
        assert_eq!(first(7, &["machine"]), FIRST_OF_SEVEN);
    }

    const FIRST_OF_SEVEN: u64 = 6_131_278_963_220_134_898;

    #[test]
    fn numbers_stay_in_their_range_and_around_their_mean() {
        let mut draw = Draw::new(1, &["test"]);
        assert!((0..10_000).all(|_| (0.0..1.0).contains(&draw.unit())));
        assert!((0..10_000).all(|_| (-3..=5).contains(&draw.between(-3, 5))));
        assert_eq!(draw.below(0), 0);
        assert_eq!(draw.between(4, 4), 4);
        for mean in [0.3, 3.0, 40.0] {
            let sum: u64 = (0..20_000).map(|_| draw.count(mean)).sum();
            let seen = sum as f64 / 20_000.0;
            assert!((seen - mean).abs() < 0.05 * mean + 0.02, "{mean} {seen}");
        }
        assert_eq!(draw.key(16).len(), 16);
        assert_eq!(draw.letters(23).len(), 23);
    }
}
