//! The differential matrix: images of every shape, changed by QEMU and cowherd in turns, against a
//! model in memory. After every step every view reads as the model says and both checks agree.
//!
//! `COWHERD_CASES=N` runs N cases instead of the short run, from the seed in `COWHERD_SEED`
//! (1 by default); `COWHERD_SEED=S` alone repeats that one. A failure prints its seed and steps.

use cowherd::image::State;

use crate::lab::{Lab, Random, assert_same};
use crate::matrix_shape::Shape;
use crate::{Case, case, guest, matrix_damage, matrix_steps};

/// Cases of a run that nobody asked to be longer.
const SHORT: u64 = 200;

pub(crate) fn cases() -> Vec<Case> {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let (first, count) = match (number("COWHERD_SEED"), number("COWHERD_CASES")) {
        (Some(seed), None) => (seed, 1),
        (seed, count) => (seed.unwrap_or(1), count.unwrap_or(SHORT)),
    };
    (first..first + count).map(|seed| case(format!("matrix::seed_{seed}"), move || one(seed))).collect()
}

/// The image of one case, and what it must hold.
pub(crate) struct Trial {
    pub(crate) lab: Lab,
    pub(crate) shape: Shape,
    pub(crate) random: Random,
    /// What a guest reads now.
    pub(crate) active: Vec<u8>,
    /// What each snapshot holds, in table order, by name.
    pub(crate) saved: Vec<(String, Vec<u8>)>,
    pub(crate) taken: u64,
    seed: u64,
    steps: Vec<String>,
}

/// The image.
pub(crate) const IMAGE: &str = "a.qcow2";
/// Its data file, in the shapes that have one.
pub(crate) const DATA: &str = "a.data";

impl Drop for Trial {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("COWHERD_SEED={}: {}\n  {}", self.seed, self.shape, self.steps.join("\n  "));
        }
    }
}

fn one(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..8 {
        random.next();
    }
    let lab = Lab::new();
    let shape = Shape::any(&mut random);
    let active = shape.make(&lab, &mut random);
    let mut trial =
        Trial { lab, shape, random, active, saved: Vec::new(), taken: 0, seed, steps: Vec::new() };
    trial.verify(true, true);
    let steps = 8 + trial.random.below(4);
    for step in 0..steps {
        let (did, ours) = matrix_steps::step(&mut trial);
        let who = if ours { "cowherd" } else { "QEMU" };
        trial.steps.push(format!("{step} {who}: {did}"));
        trial.verify(ours, step % 4 == 3 || step + 1 == steps);
    }
    for _ in 0..3 {
        let did = matrix_damage::damage(&trial.lab, &mut trial.random, &trial.shape);
        trial.steps.push(format!("damage: {did}"));
        matrix_damage::agree(&trial.lab);
    }
}

impl Trial {
    pub(crate) fn size(&self) -> u64 {
        self.active.len() as u64
    }

    fn verify(&self, ours: bool, by_qemu_too: bool) {
        let path = self.lab.path(IMAGE);
        let view = guest::view(&path, State::Active);
        let names: Vec<_> =
            view.layers()[0].image.snapshots().iter().map(|s| (s.name.clone(), s.virtual_size)).collect();
        let expected: Vec<_> = self.saved.iter().map(|(n, bytes)| (n.clone(), bytes.len() as u64)).collect();
        assert_eq!(names, expected, "the snapshots");
        assert_same("the active state", &guest::bytes(&view), &self.active);
        for (i, (name, bytes)) in self.saved.iter().enumerate() {
            assert_same(name, &guest::bytes(&guest::view(&path, State::Snapshot(i))), bytes);
        }
        if self.shape.data == Some(true) {
            // QEMU leaves whole clusters behind the end of the disk.
            let mut data = std::fs::read(self.lab.path(DATA)).unwrap();
            data.truncate(self.active.len());
            assert_same("the data file", &data, &self.active);
        }
        let report = view.layers()[0].image.check().unwrap();
        let own = match (report.corruptions, report.leaks) {
            (0, 0) => 0,
            (0, _) => 3,
            _ => 2,
        };
        let qemu = self.lab.try_tool("qemu-img", &["check", IMAGE]);
        let text = String::from_utf8_lossy(&qemu.stdout).into_owned();
        assert_eq!(Some(own), qemu.status.code(), "verdicts differ: {:#?}\n{text}", report.findings);
        assert!(own == 0 || !ours, "cowherd left it unclean: {:#?}\n{text}", report.findings);
        if by_qemu_too {
            assert_same("the active state, by QEMU", &self.lab.bytes(IMAGE, None), &self.active);
            for (name, bytes) in &self.saved {
                // QEMU reads a snapshot with the size that its image has now, not with its own.
                let theirs = self.lab.bytes(IMAGE, Some(name));
                let both = theirs.len().min(bytes.len());
                assert_same(&format!("{name}, by QEMU"), &theirs[..both], &bytes[..both]);
            }
        }
    }
}
