//! Operations on a chain.

use crate::herd::{Act, Herd, LAYERS};
use crate::place::Place;

/// Other bases for the top of a chain of five.
///
/// qemu-img knows that the new base is part of the chain only when it is told in the folder of the
/// images, or with absolute names; otherwise it compares everything. Both ways are what people type.
pub(crate) fn rebase(place: Place) {
    let herd = Herd::new(place).with_another_family();
    let (changed, view) = (&["l4.qcow2"][..], "l4.qcow2");
    let act = |what, targets, ours, theirs| Act {
        what,
        rounds: 7,
        ours,
        theirs,
        changed,
        view,
        targets,
        from_above: false,
    };
    let lower = (10.0, 50.0);
    herd.duel(&Act {
        from_above: true,
        ..act(
            "rebase past one layer, named from the folder above",
            lower,
            "rebase work/l4.qcow2 --base work/l2.qcow2",
            "rebase -b l2.qcow2 -F qcow2 work/l4.qcow2",
        )
    });
    herd.duel(&Act {
        from_above: true,
        ..act(
            "rebase past three layers, named from the folder above",
            lower,
            "rebase work/l4.qcow2 --base work/base.qcow2",
            "rebase -b base.qcow2 -F qcow2 work/l4.qcow2",
        )
    });
    let any = (1.0, 1.0);
    herd.duel(&act(
        "rebase past one layer, where qemu-img sees it",
        any,
        "rebase l4.qcow2 --base l2.qcow2",
        "rebase -b l2.qcow2 -F qcow2 l4.qcow2",
    ));
    herd.duel(&act(
        "rebase past three layers, where qemu-img sees it",
        any,
        "rebase l4.qcow2 --base base.qcow2",
        "rebase -b base.qcow2 -F qcow2 l4.qcow2",
    ));
    herd.duel(&Act {
        rounds: 3,
        ..act(
            "rebase to another family",
            any,
            "rebase l4.qcow2 --base other.qcow2",
            "rebase -b other.qcow2 -F qcow2 l4.qcow2",
        )
    });
}

/// Everything below merged up into the top.
pub(crate) fn flatten(place: Place) {
    Herd::new(place).duel(&Act {
        what: "pull, to stand alone (2.6 GiB)",
        rounds: 5,
        ours: "pull l4.qcow2",
        theirs: "rebase -b '' l4.qcow2",
        changed: &["l4.qcow2"],
        view: "l4.qcow2",
        targets: (1.3, 1.3),
        from_above: false,
    });
}

/// Four layers into their base.
pub(crate) fn layers(place: Place) {
    Herd::new(place).duel(&Act {
        what: "commit of four layers (800 MiB)",
        rounds: 5,
        ours: "commit l4.qcow2 --base base.qcow2 --keep",
        theirs: "commit -q -b base.qcow2 l4.qcow2",
        changed: &LAYERS,
        view: "base.qcow2",
        targets: (2.0, 6.0),
        from_above: false,
    });
}
