//! That both sides say the same.

use std::process::Output;

use serde_json::Value;

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Every value under these keys; what is missing counts as 0.
fn same_values(ours: &Value, theirs: &Value, keys: &[&str]) {
    for key in keys {
        let of = |value: &Value| value.get(key).filter(|v| !v.is_null()).cloned().unwrap_or(0.into());
        assert_eq!(of(ours), of(theirs), "{key}");
    }
}

/// Facts of one image, or of each image of a chain.
pub(crate) fn info(ours: &Output, theirs: &Output) {
    let list = |value: Value| match value {
        Value::Array(all) => all,
        one => vec![one],
    };
    let (ours, theirs) = (list(json(ours)), list(json(theirs)));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        same_values(ours, theirs, &["format", "virtual-size", "actual-size", "backing-filename"]);
    }
}

/// Maps, entry by entry. `zero` is left out: where data lies in a hole of the file, as it does in our
/// images, QEMU looks there and says so.
pub(crate) fn map(ours: &Output, theirs: &Output) {
    let (ours, theirs) = (json(ours), json(theirs));
    let (ours, theirs) = (ours.as_array().unwrap(), theirs.as_array().unwrap());
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        let keys = ["start", "length", "depth", "present", "data", "compressed", "offset"];
        same_values(ours, theirs, &keys);
    }
}

/// Numbers of a check.
pub(crate) fn check(ours: &Output, theirs: &Output) {
    assert_eq!(ours.status.code(), theirs.status.code());
    let keys = [
        "corruptions",
        "leaks",
        "total-clusters",
        "allocated-clusters",
        "fragmented-clusters",
        "compressed-clusters",
        "image-end-offset",
    ];
    same_values(&json(ours), &json(theirs), &keys);
}

/// The same for QED, of which qemu-img counts the clusters of the first table only.
pub(crate) fn check_qed(ours: &Output, theirs: &Output) {
    assert_eq!(ours.status.code(), theirs.status.code());
    same_values(&json(ours), &json(theirs), &["corruptions", "leaks", "total-clusters"]);
}

/// Both find two views equal.
pub(crate) fn equal(ours: &Output, theirs: &Output) {
    assert_eq!((ours.status.code(), theirs.status.code()), (Some(0), Some(0)), "{ours:?} {theirs:?}");
}

/// Both find them different, at the same place.
pub(crate) fn different(ours: &Output, theirs: &Output) {
    assert_eq!((ours.status.code(), theirs.status.code()), (Some(1), Some(1)), "{ours:?} {theirs:?}");
    // They name the sector, we the byte.
    let at = json(ours)["first_difference"].as_u64().unwrap() / 512 * 512;
    let words = String::from_utf8_lossy(&theirs.stdout).into_owned();
    assert!(words.contains(&format!("mismatch at offset {at}!")), "{at}: {words}");
}
