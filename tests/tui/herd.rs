//! A forest and a plan made by hand: the same on every machine, for journeys and pictures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cowherd::chain::{Chain, Gate, Held, Layer, STRIP, StateSpec, Strip, Strips, View, ViewSpec};
use cowherd::forest::{Backing, Forest, InUse, Node, NodeId, Problem, ProblemKind, SnapshotNode};
use cowherd::image::{Format, State};
use cowherd::job::{Leftover, Phase, Snapshot};
use cowherd::plan::{
    Copy, CopyMode, Cost, FileState, Flow, Hazard, HazardKind, Judged, Kept, Plan, Ranges, Standing, States,
    Step,
};
use cowherd::storage::{Holder, LockState, Stamp};

pub const FOLDER: &str = "/var/lib/libvirt/images";
pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

pub fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

pub fn node(name: &str, backing: Option<&str>, disk: u64) -> Node {
    let format = if name.ends_with(".img") { Format::Raw } else { Format::Qcow2 };
    Node {
        path: path(name),
        format: Some(format),
        virtual_size: 20 * GIB,
        cluster_size: if format == Format::Raw { 0 } else { 65536 },
        disk_size: disk,
        exclusive_bytes: Some(disk),
        backing: backing.map(|b| Backing {
            name: b.to_owned(),
            format: Some(if b.ends_with(".img") { "raw" } else { "qcow2" }.to_owned()),
            resolved: Some(path(b)),
            node: None,
        }),
        children: Vec::new(),
        snapshots: Arc::default(),
        in_use: None,
        domains: Vec::new(),
        dirty: false,
        corrupt: false,
        encrypted: false,
        data_file: None,
        problems: Vec::new(),
    }
}

pub fn snapshot(id: u32, name: &str, date: &str, own: u64) -> SnapshotNode {
    SnapshotNode {
        id: id.to_string(),
        name: name.to_owned(),
        date: date.to_owned(),
        virtual_size: 20 * GIB,
        vm_state_size: 0,
        exclusive_bytes: Some(own),
    }
}

/// Sorts, ties children to parents.
pub fn forest(nodes: Vec<Node>) -> Forest {
    let mut forest = Forest { roots: vec![FOLDER.into()], nodes, ..Forest::default() };
    forest.nodes.sort_by(|a, b| a.path.cmp(&b.path));
    for i in 0..forest.nodes.len() {
        let target = forest.nodes[i].backing.as_ref().and_then(|b| b.resolved.clone());
        let Some(parent) = target.and_then(|path| forest.find(&path)) else { continue };
        forest.nodes[i].backing.as_mut().unwrap().node = Some(parent);
        forest.nodes[parent.0 as usize].children.push(NodeId(i as u32));
    }
    forest
}

/// The notes' chain with a branch, the mixed chain, a guest that runs, and a broken image.
pub fn herd() -> Forest {
    let mut image_a = node("imageA.qcow2", None, 2 * GIB + 300 * MIB);
    image_a.snapshots = vec![snapshot(1, "sn0", "2026-10-05T09:12:00Z", 212 * MIB)].into();
    let mut image_b = node("imageB.qcow2", Some("imageA.qcow2"), 498 * MIB);
    image_b.snapshots = vec![
        snapshot(1, "sn0", "2026-11-02T10:00:00Z", 120 * MIB),
        snapshot(2, "sn1", "2026-11-09T10:00:00Z", 75 * MIB + 512 * 1024),
    ]
    .into();
    let mut image_c = node("imageC.qcow2", Some("imageB.qcow2"), 311 * MIB);
    image_c.snapshots = vec![snapshot(1, "sn0", "2026-11-16T18:30:00Z", 64 * MIB)].into();
    image_c.in_use = Some(InUse {
        by: Some(Holder { pid: 812, program: "qemu-system-x86".into() }),
        mode: LockState::Write,
    });
    let mut broken = node("broken.qcow2", Some("gone.qcow2"), 196 * 1024);
    broken.backing.as_mut().unwrap().resolved = None;
    broken.problems = vec![Problem {
        kind: ProblemKind::BackingMissing,
        message: "backing file \"gone.qcow2\" cannot be reached: No such file or directory".into(),
    }];
    forest(vec![
        node("RootBase.img", None, 4 * GIB + 100 * MIB),
        node("Snap-1.qcow2", Some("RootBase.img"), 840 * MIB),
        node("Snap-2.qcow2", Some("Snap-1.qcow2"), 392 * MIB),
        node("Snap-3.qcow2", Some("Snap-2.qcow2"), 456 * MIB),
        node("Snap-4.qcow2", Some("Snap-3.qcow2"), 2 * GIB + 900 * MIB),
        node("Overlay-2.qcow2", Some("Snap-1.qcow2"), 61 * MIB),
        image_a,
        image_b,
        image_c,
        broken,
    ])
}

/// A linear chain of `layers` images.
pub fn long_chain(layers: usize) -> Forest {
    let name = |i: usize| format!("layer-{i:02}.qcow2");
    let below = |i: usize| (i > 0).then(|| name(i - 1));
    forest((0..layers).map(|i| node(&name(i), below(i).as_deref(), (i as u64 + 1) * MIB)).collect())
}

/// `commit Snap-2 into Snap-1`, with `Overlay-2` to be protected.
pub fn commit_plan(before: &Forest, keep: bool) -> Plan {
    let (top, base, child, sibling) =
        (path("Snap-2.qcow2"), path("Snap-1.qcow2"), path("Snap-3.qcow2"), path("Overlay-2.qcow2"));
    let find = |p: &Path| before.find(p).unwrap();
    let mut after = before.relinked(find(&child), Some(find(&base)));
    if !keep {
        after = after.removed(find(&top));
    }
    let copy = |mode, from: &Path, into: &Path, data_bytes| {
        Step::Copy(Copy {
            mode,
            from: ViewSpec::active(from),
            into: into.into(),
            format: Format::Qcow2,
            states: States::Active,
            ranges: Ranges::Committed { top: top.clone(), base: base.clone(), unit: 1 },
            resize_to: None,
            compress: false,
            sparse: false,
            data_bytes,
            zero_bytes: 0,
        })
    };
    let mut steps = vec![
        copy(CopyMode::Fill, &base, &sibling, 38 * MIB),
        copy(CopyMode::Overwrite, &top, &base, 392 * MIB),
        Step::Relink {
            image: child.clone(),
            backing: Some("Snap-1.qcow2".into()),
            format: Some(Format::Qcow2),
            of: Format::Qcow2,
        },
    ];
    if !keep {
        steps.push(Step::Trash { file: top.clone() });
    }
    steps.push(Step::Verify { image: base.clone(), format: Format::Qcow2 });
    Plan {
        rooms: Vec::new(),
        operation: "commit",
        title: "commit Snap-2.qcow2 into Snap-1.qcow2".into(),
        kept: [&sibling, &child].map(|path| kept(path)).to_vec(),
        views_changed: vec!["Snap-1.qcow2".into()],
        steps,
        cost: Cost {
            read_bytes: 430 * MIB,
            write_bytes: 431 * MIB,
            freed_bytes: 0,
            freed_after_trash_bytes: if keep { 0 } else { 392 * MIB },
            peak_extra_bytes: 412 * MIB,
            exact: true,
        },
        hazards: vec![
            Hazard::new(
                HazardKind::OtherChildren,
                "Overlay-2.qcow2 also reads through Snap-1.qcow2; it gets its own copy of 38 MiB first",
            ),
            Hazard::new(
                HazardKind::OtherFolders,
                "images outside /var/lib/libvirt/images may depend on Snap-1.qcow2 too",
            ),
        ],
        undo: "Snap-2.qcow2 waits in the trash; Snap-1.qcow2 keeps what was committed.".into(),
        qemu_img: vec![
            "qemu-img commit -b Snap-1.qcow2 Snap-2.qcow2".into(),
            "qemu-img rebase -u -b Snap-1.qcow2 -F qcow2 Snap-3.qcow2".into(),
        ],
        before: before.clone(),
        after,
        files: changed([&top, &base, &child, &sibling]),
        flows: vec![
            Flow { from: base.clone(), into: sibling, label: "protect" },
            Flow { from: top, into: base, label: "commit data" },
        ],
        gate: Gate::closed(),
    }
}

/// `delete Snap-2`, pulled up into `Snap-3`.
pub fn delete_plan(before: &Forest) -> Plan {
    let (gone, base, child) = (path("Snap-2.qcow2"), path("Snap-1.qcow2"), path("Snap-3.qcow2"));
    let find = |p: &Path| before.find(p).unwrap();
    let commit = commit_plan(before, false);
    Plan {
        operation: "delete",
        title: "delete Snap-2.qcow2".into(),
        views_changed: vec!["Snap-2.qcow2".into()],
        steps: commit.steps.iter().skip(2).cloned().collect(),
        cost: Cost { read_bytes: 311 * MIB, write_bytes: 312 * MIB, ..commit.cost },
        hazards: commit.hazards.into_iter().skip(1).collect(),
        undo: "cowherd trash restore Snap-2.qcow2, for as long as what it is based on does not change".into(),
        qemu_img: vec!["qemu-img rebase -b Snap-1.qcow2 -F qcow2 Snap-3.qcow2".into()],
        after: before.relinked(find(&child), Some(find(&base))).removed(find(&gone)),
        files: changed([&gone, &child]),
        flows: vec![Flow { from: gone, into: child, label: "stream data" }],
        ..commit_plan(before, false)
    }
}

/// What reads the same afterwards.
fn kept(path: &Path) -> Kept {
    let view = ViewSpec::active(path);
    Kept { was: view.clone(), view, bytes: 20 * GIB }
}

fn changed<const N: usize>(paths: [&Path; N]) -> Vec<FileState> {
    let file = |path: &Path| FileState {
        path: path.to_path_buf(),
        stamp: Stamp::of(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))).unwrap(),
        changes: true,
        live: false,
        data: None,
    };
    paths.into_iter().map(file).collect()
}

/// A job half-way through copying.
pub fn half_way(done: u64, millis: u64) -> Snapshot {
    Snapshot {
        phase: Phase::Copying,
        step: 1,
        steps: 5,
        done,
        total: 430 * MIB,
        elapsed: Duration::from_millis(millis),
    }
}

/// Two neighbours merged into one of them.
pub fn cleanup_plan(before: &Forest, views: usize) -> Plan {
    let ways = "Snap-1.qcow2, Snap-2.qcow2: merging down into Snap-1.qcow2 writes 392 MiB; pulling what is read up \
                would write 1.1 GiB";
    let commit = commit_plan(before, false);
    Plan {
        operation: "cleanup",
        title: format!("clean up: {views} view{}, 1 file to the trash", if views == 1 { "" } else { "s" }),
        hazards: vec![Hazard::new(HazardKind::OtherWay, ways)],
        ..commit
    }
}

/// How the images stand.
pub fn judged(forest: &Forest) -> Vec<Judged> {
    let one = |node: &Node| {
        let child = node.children.first().and_then(|id| forest.get(*id));
        let (standing, why) = match (child, node.problems.first(), &node.in_use) {
            (_, _, Some(_)) => (Standing::InUse, "qemu-system-x86 has it open".to_owned()),
            (_, Some(problem), _) => (Standing::Orphaned, problem.message.clone()),
            (Some(child), ..) => (Standing::Needed, format!("{} is based on it", child.name())),
            (None, ..) => {
                (Standing::Unclaimed, "nothing is based on it, and no domain here names it".to_owned())
            }
        };
        Judged { path: node.path.clone(), standing, why, disk_size: node.disk_size, candidates: Vec::new() }
    };
    forest.nodes.iter().map(one).collect()
}

/// Strips for the chain of a view, as scattered as guests write; `None` when a layer is missing.
pub fn strips(forest: &Forest, view: &ViewSpec) -> Option<Strips> {
    let mut chain = vec![forest.find(&view.path)?];
    while let Some(backing) = &forest.get(*chain.last()?)?.backing {
        chain.push(backing.node?);
    }
    let top = forest.get(chain[0])?;
    let state = |i: usize| match &view.state {
        StateSpec::Id(id) if i == 0 => {
            top.snapshots.iter().position(|s| s.id == *id).map_or(State::Active, State::Snapshot)
        }
        _ => State::Active,
    };
    let mut seen = vec![false; STRIP];
    let piece = 20 * GIB / STRIP as u64;
    let mut layers = Vec::new();
    for (i, id) in chain.iter().enumerate() {
        let node = forest.get(*id)?;
        let mut strip = strip(&node.path, state(i), node.disk_size / piece, id.0.into());
        for (held, seen) in strip.pieces.iter_mut().zip(&mut seen) {
            if !*seen {
                (held.data_seen, held.zero_seen) = (held.data, held.zero);
                *seen |= held.data + held.zero > 0;
            }
        }
        total(&mut strip);
        layers.push(strip);
    }
    let snapshot = |(i, s): (usize, &SnapshotNode)| {
        let own = strip(&top.path, State::Snapshot(i), s.exclusive_bytes.unwrap_or(0) / piece, 7 + i as u64);
        let mut own = own;
        for (held, now) in own.pieces.iter_mut().zip(&layers[0].pieces) {
            if now.data > 0 {
                (held.data, held.data_seen) = (piece, piece);
            }
        }
        total(&mut own);
        own
    };
    let snapshots = top.snapshots.iter().enumerate().map(snapshot).collect();
    Some(Strips { span: 20 * GIB, layers, snapshots, more_snapshots: 0 })
}

fn strip(path: &Path, state: State, wanted: u64, seed: u64) -> Strip {
    let piece = 20 * GIB / STRIP as u64;
    let mut pieces = vec![Held::default(); STRIP];
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut left = wanted.max(20);
    while left > 0 {
        let (at, len) = (next(STRIP as u64), (1 + next(60)).min(left));
        (at..at + len).for_each(|at| pieces[at as usize % STRIP].data = piece);
        left -= len;
    }
    for _ in 0..3 {
        let at = next(STRIP as u64 - 40) as usize;
        pieces[at..at + 30].fill(Held { zero: piece, ..Held::default() });
    }
    let total = Held::default();
    Strip { path: path.into(), state, size: 20 * GIB, pieces, total }
}

fn total(strip: &mut Strip) {
    strip.total = strip.pieces.iter().fold(Held::default(), |sum, held| Held {
        data: sum.data + held.data,
        zero: sum.zero + held.zero,
        data_seen: sum.data_seen + held.data_seen,
        zero_seen: sum.zero_seen + held.zero_seen,
    });
}

/// A disk in memory that reads `bytes`.
pub fn disk(name: &str, bytes: Vec<u8>) -> View {
    let file = Arc::new(cowherd::storage::MemFile::new(name, bytes));
    let image = cowherd::image::open(file as Arc<dyn cowherd::storage::File>, Some(Format::Raw)).unwrap();
    Chain::from_layers(vec![Layer::new(path(name), image)]).view(State::Active)
}

/// A job on `name` that was cut off.
pub fn interrupted(name: &str) -> Leftover {
    Leftover {
        journal: path(&format!(".{name}.journal")),
        title: format!("commit {name} into Snap-1.qcow2"),
        done: 2,
        steps: 5,
        rolling_back: false,
        can_roll_back: true,
        running: false,
        files: vec![path(name)],
        remaining: Vec::new(),
    }
}
