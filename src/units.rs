//! Offsets that cannot be mixed up, and arithmetic that cannot wrap.
//!
//! A guest offset is a byte position on the virtual disk; a host offset is a byte position in one
//! image file. Confusing them is the classic way to destroy an image, so they are two types.

use std::fmt;
use std::ops::Range;

macro_rules! offset {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The position `bytes` further on; `None` when that does not fit 64 bits.
            pub fn checked_add(self, bytes: u64) -> Option<Self> {
                self.0.checked_add(bytes).map(Self)
            }

            /// Whether the position is a multiple of `unit`, a power of two.
            pub fn is_aligned(self, unit: u64) -> bool {
                self.0 & (unit - 1) == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

offset! {
    /// A byte position on a virtual disk, as the guest sees it.
    Guest
}
offset! {
    /// A byte position in one image file.
    Host
}

/// `value` rounded down to a multiple of `unit` (a power of two).
pub const fn align_down(value: u64, unit: u64) -> u64 {
    value & !(unit - 1)
}

/// `value` rounded up to a multiple of `unit` (a power of two), saturating at the largest one.
pub const fn align_up(value: u64, unit: u64) -> u64 {
    match value.checked_add(unit - 1) {
        Some(v) => align_down(v, unit),
        None => align_down(u64::MAX, unit),
    }
}

/// How many `unit`s (a power of two) `value` bytes need.
pub const fn div_up(value: u64, unit: u64) -> u64 {
    value / unit + if value.is_multiple_of(unit) { 0 } else { 1 }
}

/// `range` widened to whole `unit`s (a power of two).
pub const fn widen(range: &Range<u64>, unit: u64) -> Range<u64> {
    align_down(range.start, unit)..align_up(range.end, unit)
}

/// A size as operators write it: digits and an optional `k`, `M`, `G`, `T` or `P` (1024).
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "p" | "pib" => 1 << 50,
        _ => return None,
    };
    match digits.split_once('.') {
        None => digits.parse::<u64>().ok()?.checked_mul(factor),
        Some(_) => {
            let value: f64 = digits.parse().ok()?;
            let bytes = value * factor as f64;
            (bytes.is_finite() && bytes >= 0.0 && bytes < u64::MAX as f64).then_some(bytes as u64)
        }
    }
}

/// A size to be, by itself or against the size that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewSize {
    /// This many bytes.
    To(u64),
    /// So many more.
    Plus(u64),
    /// So many less.
    Minus(u64),
}

impl NewSize {
    /// A size, or how much more (`+N`) or less (`-N`), as for qemu-img.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.as_bytes().first() {
            Some(b'+') => parse_size(&text[1..]).map(Self::Plus),
            Some(b'-') => parse_size(&text[1..]).map(Self::Minus),
            _ => parse_size(text).map(Self::To),
        }
    }

    /// Bytes, when there are `now`; `None` when none would be left, or more than can be counted.
    pub fn from(self, now: u64) -> Option<u64> {
        match self {
            Self::To(size) => Some(size),
            Self::Plus(more) => now.checked_add(more),
            Self::Minus(less) => now.checked_sub(less),
        }
        .filter(|size| (1..=i64::MAX as u64 - 512).contains(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_saturates_instead_of_wrapping() {
        assert_eq!(align_up(u64::MAX, 4096), u64::MAX - 4095);
        assert_eq!(align_up(4097, 4096), 8192);
        assert_eq!(align_up(0, 4096), 0);
        assert_eq!(div_up(u64::MAX, 512), u64::MAX / 512 + 1);
    }

    #[test]
    fn sizes_as_operators_write_them() {
        assert_eq!(parse_size("20G"), Some(20 << 30));
        assert_eq!(parse_size("1.5M"), Some(3 << 19));
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("16777216T"), None);
        assert_eq!(parse_size("12 apples"), None);
        assert_eq!(parse_size(""), None);
    }
}
