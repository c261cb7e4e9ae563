use super::super::fixtures::{forest, node, snapshots};
use std::path::Path;

use super::super::{InUse, Node, Problem, ProblemKind};
use super::*;
use crate::chain::MAX_DEPTH;
use crate::storage::{Holder, LockState};

fn assert_drawn(forest: &Forest, ascii: bool, expected: &str) {
    let drawn = figure(forest, ascii).join("\n");
    let expected = expected.trim_matches('\n');
    assert!(drawn == expected, "drawn:\n{drawn}\nexpected:\n{expected}");
}

#[test]
fn a_chain_goes_to_the_right() {
    let chain = forest([
        node("base.img", None),
        node("sn1.qcow2", Some("base.img")),
        node("sn2.qcow2", Some("sn1.qcow2")),
    ]);
    assert_drawn(
        &chain,
        false,
        "
.-------.     .---------.     .----------.
| base  |<----|   sn1   |<----|   sn2    |
| (raw) |     | (qcow2) |     | (Active) |
'-------'     '---------'     '----------'
",
    );
}

#[test]
fn branches_go_below_and_the_longest_chain_stays_on_the_line() {
    let mut snap2 = node("Snap-2.qcow2", Some("Snap-1.qcow2"));
    snap2.snapshots = snapshots(&["sn0", "sn1"]);
    let notes = forest([
        node("RootBase.img", None),
        node("Snap-1.qcow2", Some("RootBase.img")),
        snap2,
        node("Snap-3.qcow2", Some("Snap-2.qcow2")),
        node("Overlay2.qcow2", Some("RootBase.img")),
        node("Overlay3.qcow2", Some("RootBase.img")),
    ]);
    assert_drawn(
        &notes,
        false,
        "
.----------.     .---------.     .--------.     .----------.
| RootBase |<----| Snap-1  |<----| Snap-2 |<----|  Snap-3  |
|  (raw)   |     | (qcow2) |     | ◆ sn0  |     | (Active) |
'----------'     '---------'     | ◆ sn1  |     '----------'
     ^                           '--------'
     |           .----------.
     +-----------| Overlay2 |
     |           | (Active) |
     |           '----------'
     |
     |           .----------.
     '-----------| Overlay3 |
                 | (Active) |
                 '----------'
",
    );
}

#[test]
fn problems_and_holders_are_said_without_colour() {
    let mut broken = node("broken.qcow2", Some("gone"));
    broken.problems.push(Problem { kind: ProblemKind::BackingMissing, message: String::new() });
    let mut running = node("f17.qcow2", None);
    let by = Some(Holder { pid: 812, program: "qemu".to_owned() });
    running.in_use = Some(InUse { by, mode: LockState::Write });
    running.snapshots = snapshots(&["", "a\x1b[2Jb"]);
    assert_drawn(
        &forest([broken, running]),
        true,
        "
.-------------------.
|      broken       |
|     (Active)      |
| ! backing-missing |
'-------------------'

.-------------------.
|        f17        |
|     (Active)      |
| * #1              |
| * a\\u{1b}[2Jb     |
| @ in use, pid 812 |
'-------------------'
",
    );
}

#[test]
fn long_and_equal_names_stay_apart() {
    let mut other = node("same.qcow2", None);
    other.path = "/d/sub/same.qcow2".into();
    let lines = figure(
        &forest([
            node("a-very-long-name-that-ends-in-1.qcow2", None),
            node("same.qcow2", None),
            other,
            node("two.img", None),
            node("two.qcow2", None),
        ]),
        false,
    );
    let all = lines.join("\n");
    for name in ["a-very-long-…t-ends-in-1", "d/same.qcow2", "sub/same.qcow2", "two.img", "two.qcow2"] {
        assert!(all.contains(name), "{name} is not in\n{all}");
    }
}

#[test]
fn boxes_are_where_they_are_drawn() {
    let mut wide = node("日本.qcow2", Some("base.img"));
    wide.snapshots = snapshots(&["s"]);
    let figure = layout(&forest([node("base.img", None), wide, node("c.qcow2", Some("base.img"))]), false);
    assert_eq!(figure.boxes.len(), 3);
    for at in &figure.boxes {
        // Columns before the box hold no wide character here but in the box itself.
        let top: Vec<char> = figure.lines[at.row].chars().collect();
        assert_eq!((top[at.col], top[at.col + at.width - 1]), ('.', '.'), "{at:?}");
        let bottom: Vec<char> = figure.lines[at.row + at.height - 1].chars().collect();
        assert_eq!((bottom[at.col], bottom[at.col + at.width - 1]), ('\'', '\''), "{at:?}");
    }
}

#[test]
fn a_chain_beyond_the_limit_is_counted_not_drawn() {
    let name = |i: usize| format!("{i:05}.qcow2");
    let chain = forest((0..2000).map(|i| node(&name(i), (i > 0).then(|| name(i - 1)).as_deref())));
    let figure = layout(&chain, true);
    assert_eq!(figure.boxes.len(), MAX_DEPTH);
    assert!(figure.lines.join("\n").contains(&format!("+{} more", 2000 - MAX_DEPTH)));
}

/// RootBase and the snapshots above it, as in the notes.
fn notes() -> Forest {
    forest([
        node("RootBase.img", None),
        node("Snap-1.qcow2", Some("RootBase.img")),
        node("Snap-2.qcow2", Some("Snap-1.qcow2")),
        node("Snap-3.qcow2", Some("Snap-2.qcow2")),
        node("Snap-4.qcow2", Some("Snap-3.qcow2")),
    ])
}

fn flows<'a>(label: &'static str, pairs: &[(&'a str, &'a str)]) -> Vec<DataFlow<'a>> {
    let path = |name: &'a str| Path::new(name);
    pairs.iter().map(|(from, into)| DataFlow { from: path(from), into: path(into), label }).collect()
}

fn assert_change(before: &Forest, after: &Forest, flows: &[DataFlow<'_>], expected: &str) {
    let drawn = change(before, after, flows, true).lines.join("\n");
    let expected = expected.trim_matches('\n');
    assert!(drawn == expected, "drawn:\n{drawn}\nexpected:\n{expected}");
}

#[test]
fn arrows_go_around_branches() {
    let mut before = notes().nodes;
    before.push(node("Overlay-2.qcow2", Some("Snap-1.qcow2")));
    let before = forest(before.into_iter().map(untied));
    let after = forest([
        node("RootBase.img", None),
        node("Snap-1.qcow2", Some("RootBase.img")),
        node("Overlay-2.qcow2", Some("Snap-1.qcow2")),
        node("Snap-3.qcow2", Some("Snap-1.qcow2")),
        node("Snap-4.qcow2", Some("Snap-3.qcow2")),
    ]);
    let mut flows = flows("commit data", &[("/d/Snap-2.qcow2", "/d/Snap-1.qcow2")]);
    flows.push(DataFlow {
        from: Path::new("/d/Snap-1.qcow2"),
        into: Path::new("/d/Overlay-2.qcow2"),
        label: "protect",
    });
    assert_change(
        &before,
        &after,
        &flows,
        "
now
.----------.     .---------.     .---------.     .---------.     .----------.
| RootBase |<----| Snap-1  |<----| Snap-2  |<----| Snap-3  |<----|  Snap-4  |
|  (raw)   |     | (qcow2) |     | (qcow2) |---. | (qcow2) |     | (Active) |
'----------'     '---------'     '---------'   | '---------'     '----------'
                      ^ |                      |
                      | |        .-----------. |
                      '-|--------| Overlay-2 | |
                        |        | (Active)  | |
                        |        '-----------' |
                        |                      |
                   .----|---commit data--------'
                   |    '-----protect------.
after              v                       |
.----------.     .---------.               |     .---------.     .----------.
| RootBase |<----| Snap-1  |<--------------|-----| Snap-3  |<----|  Snap-4  |
|  (raw)   |     | (qcow2) |               |     | (qcow2) |     | (Active) |
'----------'     '---------'               |     '---------'     '----------'
                      ^                    v
                      |          .-----------.
                      '----------| Overlay-2 |
                                 | (Active)  |
                                 '-----------'
",
    );
}

fn untied(mut node: Node) -> Node {
    node.children.clear();
    node
}

#[test]
fn a_long_chain_is_abbreviated_away_from_what_is_looked_at() {
    let name = |i: usize| format!("{i:02}.qcow2");
    let chain = forest((0..60).map(|i| node(&name(i), (i > 0).then(|| name(i - 1)).as_deref())));
    let drawn = layout_around(&chain, &[NodeId(30)], true).lines.join("\n");
    let expected = "
.---------.     .------------.     .---------.     .---------.     .---------.     .------------.     .----------.
|   00    |<----| .. 28 more |<----|   29    |<----|   30    |<----|   31    |<----| .. 27 more |<----|    59    |
| (qcow2) |     '------------'     | (qcow2) |     | (qcow2) |     | (qcow2) |     '------------'     | (Active) |
'---------'                        '---------'     '---------'     '---------'                        '----------'
";
    assert!(drawn == expected.trim_matches('\n'), "{drawn}");
}
