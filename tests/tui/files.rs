//! The UI on real floors and real files: what the keys did is seen on disk.

use std::path::Path;

use cowherd::chain::{Opener, View};
use cowherd::image::State;
use cowherd::tui::{Floors, Options};
use cowherd::units::Guest;

use super::stage::{Shared, Stage};

fn view(folder: &Path, name: &str) -> View {
    Opener::for_path(&folder.join(name)).open(&folder.join(name)).unwrap().view(State::Active)
}

/// A sum over every guest byte that is not zero without reading.
pub(crate) fn content(folder: &Path, name: &str) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let view = view(folder, name);
    let mut sum = DefaultHasher::new();
    let mut buffer = vec![0; 1 << 16];
    for run in view.extents(0, view.size()) {
        let run = run.unwrap();
        let mut at = run.start.0;
        while !run.reads_zero() && at < run.end() {
            let n = buffer.len().min((run.end() - at) as usize);
            view.read_at(Guest(at), &mut buffer[..n]).unwrap();
            for (i, chunk) in buffer[..n].chunks(512).enumerate() {
                if chunk.iter().any(|b| *b != 0) {
                    sum.write_u64(at + 512 * i as u64);
                    sum.write(chunk);
                }
            }
            at += n as u64;
        }
    }
    sum.finish()
}

#[test]
fn a_commit_leaves_every_other_view_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let herd = folder.path().join("herd");
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_cowherd"))
        .args(["demo", "--no-tui"])
        .arg(&herd)
        .output()
        .unwrap();
    assert!(made.status.success());
    let others = ["RootBase.img", "Overlay-2.qcow2", "Snap-3.qcow2", "Snap-4.qcow2", "imageC.qcow2"];
    let before: Vec<_> = others.iter().map(|name| content(&herd, name)).collect();
    let top = content(&herd, "Snap-2.qcow2");

    let options = Options { gate: cowherd::chain::Gate::for_paths([&herd]), ..Options::default() };
    let mut stage =
        Stage::on_engine(100, 24, Floors::shared(), Shared::default(), vec![herd.clone()], &options);
    stage.play("/Snap-2<enter><esc>c<idle>").sees("Plan: commit Snap-2.qcow2 into Snap-1.qcow2");
    stage.play("y<wait:✓ done><idle>").lacks("Snap-2.qcow2  ");

    let after: Vec<_> = others.iter().map(|name| content(&herd, name)).collect();
    assert_eq!(before, after);
    assert_eq!(content(&herd, "Snap-1.qcow2"), top, "the base reads what the top read");
    assert!(!herd.join("Snap-2.qcow2").exists(), "in the trash");
    let chain = Opener::for_path(&herd).open(&herd.join("Snap-4.qcow2")).unwrap();
    let names: Vec<_> = chain.layers().iter().map(|l| l.path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["Snap-4.qcow2", "Snap-3.qcow2", "Snap-1.qcow2", "RootBase.img"]);
}

#[test]
fn changes_in_the_folder_appear_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let herd = folder.path().join("herd");
    let demo = |folder: &Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cowherd"));
        assert!(command.args(["demo", "--no-tui"]).arg(folder).output().unwrap().status.success());
    };
    demo(&herd);
    let options = Options { gate: cowherd::chain::Gate::for_paths([&herd]), ..Options::default() };
    let mut stage =
        Stage::on_engine(100, 30, Floors::shared(), Shared::default(), vec![herd.clone()], &options);
    stage.play("/Snap-3<enter><esc>");
    std::fs::copy(herd.join("imageA.qcow2"), herd.join("a-new-one.qcow2")).unwrap();
    stage.play("<wait:a-new-one.qcow2><idle>");
    assert!(stage.selected_line().contains("Snap-3"), "the selection stays");
    std::fs::create_dir(herd.join("below")).unwrap();
    demo(&herd.join("below").join("deep"));
    stage.play("<wait:below/deep/imageA><idle>");
    std::fs::remove_file(herd.join("a-new-one.qcow2")).unwrap();
    stage.play("<gone:a-new-one.qcow2><idle>");
}
