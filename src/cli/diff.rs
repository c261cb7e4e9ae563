//! `diff`: where two views are not the same.

use serde_json::json;

use super::args::Diff;
use super::out::Out;
use super::{exit, opening};
use crate::chain::{Content, Differs};
use crate::text::human_size;

/// Ranges are told in pieces of this size where content was compared.
const UNIT: u64 = 4096;

pub(super) fn run(args: &Diff, out: &mut Out) -> anyhow::Result<u8> {
    let old = opening::view(&args.old, &args.reading, &args.allow, out)?;
    let new = opening::view(&args.new, &args.reading, &args.allow, out)?;
    let content = if args.unread { Content::Unread } else { Content::Compared };
    let end = old.size().max(new.size());
    let (mut bytes, mut first) = (0, true);
    for range in Differs::new(Some(&new), Some(&old), end, UNIT, content) {
        let range = range?;
        let length = range.end - range.start;
        bytes += length;
        match args.json {
            true => {
                out.bytes(if first { b"[" } else { b",\n" })?;
                let entry = json!({ "start": range.start, "length": length, "zero": range.zero });
                out.bytes(entry.to_string().as_bytes())?;
            }
            false if first => {
                out.line(format!("{:>14}  {:>14}  is now", "start", "length"))?;
                line(out, range.start, length, range.zero)?;
            }
            false => line(out, range.start, length, range.zero)?,
        }
        first = false;
    }
    old.still_there()?;
    new.still_there()?;
    match args.json {
        true => out.line(if first { "[]" } else { "]" })?,
        false if out.quiet => {}
        false => {
            let most = if args.unread { "at most " } else { "" };
            out.line(format!("{most}{} differ", human_size(bytes)))?;
        }
    }
    Ok(if first { exit::DONE } else { exit::FAILED })
}

fn line(out: &mut Out, start: u64, length: u64, zero: bool) -> std::io::Result<()> {
    out.line(format!("{start:>14}  {length:>14}  {}", if zero { "zeros" } else { "data" }))
}
