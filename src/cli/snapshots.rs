//! Internal snapshots wherever they are printed.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::table::{self, Lean};
use crate::image::Snapshot;
use crate::text::{Shown, human_size};

/// qemu-img's keys, and the virtual size of each.
pub(super) fn as_json(snapshots: &[Snapshot]) -> Value {
    let one = |s: &Snapshot| {
        let mut value = json!({
            "id": s.id,
            "name": s.name,
            "vm-state-size": s.vm_state_size,
            "date-sec": s.date_sec,
            "date-nsec": s.date_nsec,
            "vm-clock-sec": s.vm_clock_nsec / 1_000_000_000,
            "vm-clock-nsec": s.vm_clock_nsec % 1_000_000_000,
            "virtual-size": s.virtual_size,
        });
        if let (Some(map), Some(count)) = (value.as_object_mut(), s.icount) {
            map.insert("icount".to_owned(), count.into());
        }
        value
    };
    snapshots.iter().map(one).collect()
}

/// A table for people.
pub(super) fn describe(snapshots: &[Snapshot]) -> Vec<String> {
    if snapshots.is_empty() {
        return Vec::new();
    }
    let head = ["ID", "SNAPSHOT", "TAKEN (UTC)", "SIZE", "MACHINE STATE"].map(str::to_owned).to_vec();
    let rows = snapshots.iter().map(|s| {
        vec![
            Shown::new(&s.id).into_string(),
            Shown::new(&s.name).into_string(),
            date(s.date_sec),
            human_size(s.virtual_size),
            if s.vm_state_size == 0 { "none".to_owned() } else { human_size(s.vm_state_size) },
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    table::lines(&[Lean::Left, Lean::Left, Lean::Left, Lean::Right, Lean::Right], &rows)
}

fn date(seconds: u32) -> String {
    match Timestamp::from_second(i64::from(seconds)) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => seconds.to_string(),
    }
}
