//! Converting in place, and taking it back.
//!
//! Until sector 0 is switched the file is the old image; what is behind its end is cut off when the job does
//! not get so far. To raw the last moments are fenced: from the moment the file is cut until its first
//! sector is the guest's, it is nothing that anybody could read.

use std::path::Path;
use std::sync::Arc;

use super::Phase;
use super::journal::{At, Journal, Log};
use super::run::Run;
use crate::error::{Error, Kind, Place, Result};
use crate::image::convert::{self, Proof, Start, Unrolled};
use crate::image::{self, Format, NewImage, probe};
use crate::plan::Step;
use crate::storage::File;

impl Run<'_> {
    /// Puts a fence around an image.
    pub(super) fn fence(&mut self, image: &Path, of: Format) -> Result<()> {
        self.progress.enter(Phase::Finishing);
        self.report.written_bytes += image::MARK_BYTES;
        image::fence(&*self.files.get(image)?.image, of, true)
    }

    pub(super) fn convert(
        &mut self,
        image: &Path,
        from: &NewImage,
        to: &NewImage,
        index: usize,
    ) -> Result<()> {
        self.progress.enter(Phase::Copying);
        let done = match (from, to) {
            (NewImage::Qcow2(_), NewImage::Qcow2(_)) => self.amend(image, to, index),
            (_, NewImage::Raw { .. }) => self.unroll(image, to, index),
            _ => self.lay(image, from.format(), to, index),
        };
        done.at(image)
    }

    fn amend(&mut self, image: &Path, to: &NewImage, index: usize) -> Result<()> {
        let files = self.files.get(image)?;
        self.progress.enter(Phase::Verifying);
        let proof = convert::prove_amended(&files, to, &mut |_| self.checkpoint())?;
        self.proved(image, proof, index);
        self.progress.enter(Phase::Copying);
        self.wrote(convert::amend(&files, to, false)?);
        Ok(())
    }

    /// Says that the job lives, and whether it may go on.
    fn checkpoint(&self) -> Result<()> {
        self.journal.as_ref().map_or(Ok(()), Journal::beat)?;
        self.progress.checkpoint()
    }

    /// Reports what the last conversion of an image shows: the ones before it lead there.
    fn proved(&mut self, image: &Path, proof: Proof, index: usize) {
        let again = |step: &Step| matches!(step, Step::Convert { image: other, .. } if other == image);
        if !self.task.steps.iter().skip(index + 1).any(again) {
            let report = self.report.compared.get_or_insert_default();
            report.views += proof.states;
            report.compared_bytes += proof.bytes;
            report.shared_bytes += proof.shared_bytes;
        }
    }

    fn lay(&mut self, image: &Path, from: Format, to: &NewImage, index: usize) -> Result<()> {
        let file = self.files.get(image)?.image;
        if self.again {
            if self.is_switched(&*file, image)? {
                return Ok(());
            }
            self.cut(&*file, image)?;
        }
        let laid = convert::lay(&file, from, to, &mut |_| self.checkpoint())?;
        self.progress.enter(Phase::Verifying);
        let proof = convert::prove(&file, from, to, &laid.switch, &mut |_| self.checkpoint());
        self.proved(image, proof.inspect_err(|_| drop(file.set_len(laid.switch.old.len)))?, index);
        self.progress.enter(Phase::Syncing);
        laid.switch.make(&*file)?;
        self.wrote(laid.written);
        Ok(())
    }

    /// Whether the switch was made before the job was cut off. Nobody else wrote to the file since.
    fn is_switched(&self, file: &dyn File, image: &Path) -> Result<bool> {
        let began = self.journal.as_ref().and_then(|journal| journal.log().began(image));
        Ok(began.is_some_and(|began| Start::of(file).is_ok_and(|now| now.sector != began.sector)))
    }

    /// Cuts off what was behind the end of the old image.
    fn cut(&self, file: &dyn File, image: &Path) -> Result<()> {
        let began = self.journal.as_ref().and_then(|journal| journal.log().began(image));
        match began {
            Some(began) if file.len()? > began.len => file.set_len(began.len),
            _ => Ok(()),
        }
    }

    fn unroll(&mut self, image: &Path, to: &NewImage, index: usize) -> Result<()> {
        let files = self.files.get(image)?;
        let known = self.journal.as_ref().and_then(|journal| journal.log().will_start(image).cloned());
        if let Some(start) = known {
            return self.become_raw(&files.image, &start);
        }
        let (progress, pace, journal) = (self.progress, &mut self.pace, &self.journal);
        let Unrolled { written, switch } = convert::unroll(&files, &mut |bytes| {
            journal.as_ref().map_or(Ok(()), Journal::beat)?;
            pace.moved(bytes, progress);
            progress.checkpoint()
        })?;
        self.wrote(written);
        self.progress.enter(Phase::Verifying);
        let proof = convert::prove(&files.image, Format::Qcow2, to, &switch, &mut |_| self.checkpoint())?;
        self.proved(image, proof, index);
        self.progress.enter(Phase::Syncing);
        if let Some(journal) = &mut self.journal {
            journal.will_start(At { path: image.to_path_buf(), start: switch.new.clone() })?;
        }
        self.committed = true;
        self.no_way_back(index)?;
        self.report.written_bytes += image::MARK_BYTES;
        self.become_raw(&files.image, &switch.new)
    }

    /// The last steps to raw. Each can be done again: the journal knows the sector.
    fn become_raw(&self, file: &Arc<dyn File>, start: &Start) -> Result<()> {
        if probe(&**file)? == Format::Qcow2 && Start::of(&**file)?.sector != start.sector {
            image::fence(&**file, Format::Qcow2, true)?;
        }
        file.set_len(start.len)?;
        file.sync()?;
        start.put(&**file)
    }

    /// Takes a conversion back, wherever it was cut off.
    pub(super) fn unconvert(&self, image: &Path, from: &NewImage, to: &NewImage, log: &Log) -> Result<()> {
        let files = self.files.get(image)?;
        let undone = match (from, to) {
            (NewImage::Qcow2(_), NewImage::Qcow2(_)) => convert::amend(&files, from, false).map(|_| ()),
            // As long as this is possible, it is a qcow2 that reads as before.
            (_, NewImage::Raw { .. }) => Ok(()),
            _ => match log.began(image) {
                Some(began) => began.put(&*files.image),
                None => Err(Error::new(Kind::Internal, "nobody noted how the file began")),
            },
        };
        undone.at(image)
    }
}
