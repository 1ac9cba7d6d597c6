//! Finds the quotes of a chunk, 64 bytes at a time.

/// Places of the quotes, in order.
pub struct Quotes<'a> {
    bytes: &'a [u8],
    base: usize,
    mask: u64,
}

impl<'a> Quotes<'a> {
    pub fn new(bytes: &'a [u8], from: usize) -> Self {
        let base = from & !63;
        let mut quotes = Self {
            bytes,
            base,
            mask: 0,
        };
        quotes.load();
        quotes.mask &= u64::MAX << (from - base);
        quotes
    }

    fn load(&mut self) {
        let rest = self.bytes.get(self.base..).unwrap_or(&[]);
        self.mask = match rest.first_chunk::<64>() {
            Some(block) => quote_mask(block),
            None => rest
                .iter()
                .enumerate()
                .fold(0, |m, (i, b)| m | (u64::from(*b == b'"') << i)),
        };
    }

    #[inline(always)]
    pub fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            self.base += 64;
            if self.base >= self.bytes.len() {
                return None;
            }
            self.load();
        }
        let at = self.base + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(at)
    }
}

/// One bit per byte of the block: set where it is a quote.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn quote_mask(block: &[u8; 64]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&block[at..at + 8]);
        i64::from_le_bytes(bytes)
    };
    let mut mask = 0;
    for lane in 0..4 {
        let at = lane * 16;
        // SSE2 is part of every x86_64; these intrinsics read no memory.
        let hits = unsafe {
            _mm_movemask_epi8(_mm_cmpeq_epi8(
                _mm_set_epi64x(word(at + 8), word(at)),
                _mm_set1_epi8(b'"' as i8),
            ))
        };
        mask |= u64::from(hits as u32) << at;
    }
    mask
}

#[cfg(not(target_arch = "x86_64"))]
fn quote_mask(block: &[u8; 64]) -> u64 {
    block
        .iter()
        .enumerate()
        .fold(0, |m, (i, b)| m | (u64::from(*b == b'"') << i))
}
