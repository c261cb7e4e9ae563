//! Clean up, judged by QEMU: what stays reads as before, what goes is gone, and every check is clean.

use crate::commit::{leaf_with_snapshots, raw_base, sibling};
use crate::lab::{Lab, assert_same};
use crate::{Case, case};

/// A herd, what is wished, and the views and files that are to be gone.
struct Wish {
    make: fn(&Lab),
    options: &'static str,
    gone: &'static [&'static str],
    /// Files that stay as what others were merged into.
    stores: &'static [&'static str],
}

const WISHES: &[(&str, Wish)] = &[
    ("a_layer", Wish { make: sibling, options: "--delete l2.qcow2", gone: &["l2.qcow2"], stores: &[] }),
    (
        "two_layers",
        Wish {
            make: leaf_with_snapshots,
            options: "--delete l2.qcow2 --delete l3.qcow2",
            gone: &["l3.qcow2"],
            stores: &["l2.qcow2"],
        },
    ),
    (
        "a_layer_and_a_snapshot",
        Wish {
            make: leaf_with_snapshots,
            options: "--delete l1.qcow2 --delete l4.qcow2@sn0",
            gone: &["l1.qcow2", "l4.qcow2@sn0"],
            stores: &[],
        },
    ),
    (
        "all_but_the_last_over_raw",
        Wish { make: raw_base, options: "--keep-last 1", gone: &["l2.qcow2"], stores: &["l1.img"] },
    ),
];

pub(crate) fn cases() -> Vec<Case> {
    let one =
        |(name, wish): &'static (&'static str, Wish)| case(format!("cleaning::{name}"), || clean_up(wish));
    WISHES.iter().map(one).collect()
}

fn clean_up(wish: &Wish) {
    let lab = Lab::new();
    (wish.make)(&lab);
    let before = lab.views();
    let answer = lab.run(&format!("cleanup {} --yes --accept no-undo", wish.options)).expect(0);
    assert!(answer.text().contains(" on the file system"), "{}", answer.text());
    let now = lab.views();
    for (view, old) in &before {
        if wish.gone.contains(&view.as_str()) {
            assert!(!now.contains_key(view), "{view} is still there: {}", answer.text());
        } else if !wish.stores.contains(&view.as_str()) {
            let new = now.get(view).unwrap_or_else(|| panic!("{view} is gone: {}", answer.text()));
            assert_same(view, new, old);
        }
    }
    lab.assert_clean();
}
