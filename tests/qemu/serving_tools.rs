//! `serve` as the programs of libnbd read it.

use serde_json::Value;

use crate::lab::{Lab, assert_same};
use crate::served::Served;
use crate::{Case, case, reading};

const NEEDS: &[&str] = &["qemu-img", "qemu-io", "nbdcopy", "nbdinfo"];

pub(crate) fn cases() -> Vec<Case> {
    let all: [(&str, fn()); 3] = [
        ("serving_tools::nbdcopy", copy),
        ("serving_tools::nbdinfo_map", map),
        ("serving_tools::nbdinfo", info),
    ];
    all.into_iter().map(|(name, run)| case(name, run).needs(NEEDS)).collect()
}

fn herd() -> Lab {
    let lab = Lab::new();
    reading::mixed(&lab);
    lab
}

fn copy() {
    let lab = herd();
    for view in ["d.qcow2", "d.qcow2@sn0", "a.qcow2@old", "base.img", "c.qed"] {
        let served = Served::new(&lab, view);
        let expected = lab.cat(view);
        // Many requests on many connections, and the least that is possible.
        for how in [&["--connections=4", "--requests=16"][..], &["--synchronous", "--request-size=4096"]] {
            let copy = lab.outside().join("copy");
            let _ = std::fs::remove_file(&copy);
            lab.tool("nbdcopy", &[how, &[&served.uri, copy.to_str().unwrap()]].concat());
            assert_same(&format!("{view} {how:?}"), &std::fs::read(&copy).unwrap(), &expected);
        }
    }
}

/// Start, length and number of the status, neighbours joined.
fn extents(map: &[u8]) -> Vec<(u64, u64, u64)> {
    let mut runs: Vec<(u64, u64, u64)> = Vec::new();
    let map: Value = serde_json::from_slice(map).unwrap();
    for entry in map.as_array().unwrap() {
        let number = |key: &str| entry[key].as_u64().unwrap();
        match runs.last_mut() {
            Some(last) if last.2 == number("type") => last.1 += number("length"),
            _ => runs.push((number("offset"), number("length"), number("type"))),
        }
    }
    runs
}

fn map() {
    let lab = herd();
    for view in ["d.qcow2", "a.qcow2@old", "base.img", "c.qed"] {
        let served = Served::new(&lab, view);
        let map = lab.run(&format!("map --json {view}")).expect(0).json();
        let found = extents(&lab.tool("nbdinfo", &["--map", "--json", &served.uri]));
        let depths = extents(&lab.tool("nbdinfo", &["--map=qemu:allocation-depth", "--json", &served.uri]));
        let at = |runs: &[(u64, u64, u64)], at: u64| {
            let run = runs.iter().find(|run| run.0 <= at && at < run.0 + run.1).unwrap();
            (run.0 + run.1, run.2)
        };
        for entry in map.as_array().unwrap() {
            let start = entry["start"].as_u64().unwrap();
            let end = start + entry["length"].as_u64().unwrap();
            let status = if entry["zero"] == true { 3 } else { 0 };
            let told = at(&found, start);
            assert!(told.0 >= end && told.1 == status, "{view}: {entry}: {told:?}");
            if entry["present"] == true {
                let told = at(&depths, start);
                let depth = entry["depth"].as_u64().unwrap() + 1;
                assert!(told.0 >= end && told.1 == depth, "{view}: {entry}: {told:?}");
            }
        }
    }
}

fn info() {
    let lab = herd();
    let served = Served::new(&lab, "d.qcow2@sn0");
    let info: Value = serde_json::from_slice(&lab.tool("nbdinfo", &["--json", &served.uri])).unwrap();
    let export = &info["exports"][0];
    assert_eq!(info["structured"], true);
    assert_eq!(export["export-size"], 7 << 20);
    assert_eq!(export["description"], "d.qcow2@sn0");
    assert_eq!(export["is_read_only"], true);
    assert_eq!(export["can_multi_conn"], true);
    let contexts = serde_json::json!(["base:allocation", "qemu:allocation-depth"]);
    assert_eq!(export["contexts"], contexts);
    assert_eq!(
        (&export["block_size_minimum"], &export["block_size_preferred"]),
        (&Value::from(1), &Value::from(65_536))
    );
    lab.tool("nbdinfo", &["--is", "read-only", &served.uri]);
    let listed: Value =
        serde_json::from_slice(&lab.tool("nbdinfo", &["--list", "--json", &served.uri])).unwrap();
    assert_eq!(listed["exports"].as_array().unwrap().len(), 1);
}
