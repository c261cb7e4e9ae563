//! Moving guest data compressed: read in batches, compressed on all cores, stored in guest order.

use super::Progress;
use super::mover::Pace;
use crate::chain::View;
use crate::error::Result;
use crate::image::{Packer, State, Target};
use crate::plan::{Source, StateRun, StateRuns};
use crate::units::Guest;

/// Guest bytes of one batch; a unit at least.
const BATCH: u64 = 4 << 20;

/// Takes every run of a source to an image that can hold compressed units.
pub(super) struct Packing<'a> {
    pub(super) source: &'a Source,
    pub(super) progress: &'a Progress,
    pub(super) pace: &'a mut Pace,
    pub(super) packer: Packer,
}

impl Packing<'_> {
    /// Does it. What is not zeros in a unit that is not known to be is found by looking.
    pub(super) fn drive(self, runs: StateRuns<'_>, target: &mut dyn Target) -> Result<()> {
        let view = self.source.view(State::Active)?;
        let unit = target.unit();
        let most = BATCH.max(unit) / unit * unit;
        let mut buf = Vec::new();
        for run in runs {
            let StateRun { run, .. } = run?;
            if run.zero && target.zero(run.at, run.len)? {
                continue;
            }
            let (mut at, end) = (run.at.0, run.at.0 + run.len);
            while at < end {
                let n = most.min(end - at);
                self.batch(view, at, n, target, &mut buf)?;
                self.progress.advance(n);
                self.pace.moved(n, self.progress);
                at += n;
            }
        }
        Ok(())
    }

    fn batch(
        &self,
        view: &View,
        at: u64,
        len: u64,
        target: &mut dyn Target,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        self.progress.checkpoint()?;
        let unit = target.unit() as usize;
        // The last unit of a disk may reach beyond its end, where everything is zeros.
        buf.clear();
        buf.resize((len as usize).div_ceil(unit) * unit, 0);
        view.read_at(Guest(at), &mut buf[..len as usize])?;
        let packed = self.pack(buf, unit);
        for (i, (unit_bytes, packed)) in buf.chunks(unit).zip(packed).enumerate() {
            let place = Guest(at + (i * unit) as u64);
            let stored = match packed {
                Packed::Zeros => target.zero(place, unit as u64)?,
                Packed::Smaller(packed) => target.put_packed(place, &packed)?,
                Packed::AsItIs => false,
            };
            if !stored {
                let (host, n) = target.allocate(place, unit as u64)?;
                target.file().write_at(host.0, unit_bytes)?;
                target.map(place, host, n)?;
            }
        }
        Ok(())
    }

    /// Every unit compressed, by as many threads as there are cores.
    fn pack(&self, buf: &[u8], unit: usize) -> Vec<Packed> {
        let units: Vec<&[u8]> = buf.chunks(unit).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(units.len().max(1));
        let share = units.len().div_ceil(threads).max(1);
        let one = |unit: &[u8]| match unit.iter().all(|b| *b == 0) {
            true => Packed::Zeros,
            false => (self.packer)(unit).map_or(Packed::AsItIs, Packed::Smaller),
        };
        let all = |units: &[&[u8]]| units.iter().map(|unit| one(unit)).collect::<Vec<_>>();
        std::thread::scope(|scope| {
            let workers: Vec<_> = units.chunks(share).map(|part| (part, scope.spawn(|| all(part)))).collect();
            // A worker that died leaves its share to be stored as it is.
            workers
                .into_iter()
                .flat_map(|(part, worker)| {
                    worker.join().unwrap_or_else(|_| part.iter().map(|_| Packed::AsItIs).collect())
                })
                .collect()
        })
    }
}

enum Packed {
    Zeros,
    Smaller(Vec<u8>),
    AsItIs,
}
