//! Metadata contexts: what can be asked about the blocks of a view ("Metadata querying").

use crate::chain::{View, ViewExtent};
use crate::error::Result;
use crate::image::ExtentKind;
use crate::units::Guest;

/// Most descriptors in one reply. A client asks again where a reply ends early, as the section
/// "Structured reply types" wants it to.
const MOST: usize = 32 << 10;
/// Most runs that are looked at for one reply.
const LOOKS: usize = 256 << 10;

/// `NBD_STATE_HOLE` and `NBD_STATE_ZERO` of `base:allocation`.
const HOLE: u32 = 1 << 0;
const ZERO: u32 = 1 << 1;

/// A metadata context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// `base:allocation`: what reads as zeros without being read is a hole, everything else is data, as
    /// qemu-nbd has it. Space that an image keeps for zeros is no data, so a copy leaves it out.
    Allocation,
    /// `qemu:allocation-depth`: 0 where no image holds the run, 1 for the top one, 2 for the one below it
    /// (QEMU's document "NBD", section "qemu namespace").
    Depth,
}

impl Context {
    pub(super) const ALL: [Self; 2] = [Self::Allocation, Self::Depth];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Allocation => "base:allocation",
            Self::Depth => "qemu:allocation-depth",
        }
    }

    /// The number in status replies.
    pub(super) fn id(self) -> u32 {
        self as u32
    }

    /// Whether a query means this context. Those that end with the namespace are wildcards when contexts
    /// are listed, and mean nothing when they are selected.
    pub(super) fn is_meant(self, query: &[u8], listing: bool) -> bool {
        let name = self.name().as_bytes();
        let namespace = query.ends_with(b":") && query.iter().filter(|b| **b == b':').count() == 1;
        name == query || (listing && namespace && name.starts_with(query))
    }

    fn status(self, run: &ViewExtent) -> u32 {
        match self {
            Self::Allocation if run.reads_zero() => HOLE | ZERO,
            Self::Allocation => 0,
            Self::Depth if run.kind == ExtentKind::Unallocated => 0,
            Self::Depth => u32::try_from(run.depth).unwrap_or(u32::MAX).saturating_add(1),
        }
    }

    /// Length and status of the blocks from `from` on, at most `len` bytes of them, at least one block
    /// unless it fails; only one when that is asked for.
    pub(super) fn describe(self, view: &View, from: u64, len: u32, one: bool) -> Result<Vec<(u32, u32)>> {
        let end = from.saturating_add(u64::from(len)).min(view.size());
        let most = if one { 1 } else { MOST };
        let mut found: Vec<(u32, u32)> = Vec::new();
        let mut cursor = view.cursor();
        let mut at = from;
        for _ in 0..LOOKS {
            if at >= end {
                break;
            }
            let run = match cursor.extent_at(Guest(at), end - at) {
                Ok(run) => run,
                // The client learns of it when it asks from there on.
                Err(_) if !found.is_empty() => break,
                Err(e) => return Err(e),
            };
            // No longer than what was asked for, which has 32 bits.
            let (len, status) = (u32::try_from(run.len).unwrap_or(u32::MAX), self.status(&run));
            let full = found.len() == most;
            match found.last_mut() {
                Some(last) if last.1 == status => last.0 = last.0.saturating_add(len),
                _ if full => break,
                _ => found.push((len, status)),
            }
            at = run.end();
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_only_list() {
        let meant = |query: &str, listing| {
            let all = Context::ALL.into_iter().filter(|c| c.is_meant(query.as_bytes(), listing));
            all.map(Context::name).collect::<Vec<_>>()
        };
        for (query, listed, selected) in [
            ("base:", vec!["base:allocation"], vec![]),
            ("qemu:", vec!["qemu:allocation-depth"], vec![]),
            ("base:allocation", vec!["base:allocation"], vec!["base:allocation"]),
            ("qemu:allocation-depth", vec!["qemu:allocation-depth"], vec!["qemu:allocation-depth"]),
            ("qemu:dirty-bitmap:", vec![], vec![]),
            ("base:alloc", vec![], vec![]),
            ("base", vec![], vec![]),
            (":", vec![], vec![]),
            ("", vec![], vec![]),
            ("x-other:", vec![], vec![]),
        ] {
            assert_eq!(meant(query, true), listed, "{query}");
            assert_eq!(meant(query, false), selected, "{query}");
        }
    }
}
