//! A plan as `--dry-run --json` prints it.

use serde_json::{Value, json};

use crate::forest;
use crate::plan::Plan;

/// The documented schema.
pub(super) fn of(plan: &Plan) -> Value {
    json!({
        "operation": plan.operation,
        "title": plan.title,
        "views_changed": plan.views_changed,
        "steps": plan.steps,
        "cost": plan.cost,
        "hazards": plan.hazards,
        "undo": plan.undo,
        "qemu_img": plan.qemu_img,
        "flows": plan.flows,
        "forest_before": forest::to_json(&plan.before),
        "forest_after": forest::to_json(&plan.after),
    })
}
