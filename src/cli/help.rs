//! `help`: the commands, one command, and the topics that belong to none.

use clap::CommandFactory;

use super::args::{Cli, Help};
use super::exit;
use super::out::Out;
use super::table::{self, Lean};
use crate::config::Config;
use crate::error::{Error, Kind};
use crate::forest::DOMAIN_FOLDERS;
use crate::plan::{Consent, HazardKind, HazardSeverity};
use crate::text::Shown;
use crate::tui;

pub(super) fn run(args: &Help, out: &mut Out) -> anyhow::Result<u8> {
    match args.topic.first().map(String::as_str) {
        Some("hazards") => out.lines(hazards())?,
        Some("exit-codes") => out.lines(exit_codes())?,
        Some("keys") => out.lines(keys())?,
        _ => out.line(command_help(&args.topic)?.trim_end())?,
    }
    Ok(exit::DONE)
}

fn hazards() -> Vec<String> {
    let head = ["HAZARD", "SEVERITY", "NEEDS", "MEANING"].map(str::to_owned).to_vec();
    let rows = HazardKind::ALL.into_iter().map(|kind| {
        let needs = match kind.consent() {
            Consent::None => "nothing".to_owned(),
            Consent::ByName if kind.mildest() < HazardSeverity::Danger => {
                format!("--accept {kind} where it is a danger")
            }
            Consent::ByName => format!("--accept {kind}"),
            Consent::Never(_) if kind.mildest() < HazardSeverity::Danger => {
                "cannot run where it is a danger".to_owned()
            }
            Consent::Never(_) => "cannot run".to_owned(),
        };
        let word = |severity: HazardSeverity| format!("{severity:?}").to_lowercase();
        let severity = match kind.mildest() {
            least if least == kind.severity() => word(least),
            least => format!("{} to {}", word(least), word(kind.severity())),
        };
        vec![kind.name().to_owned(), severity, needs, kind.meaning().to_owned()]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let mut lines = table::lines(&[Lean::Left; 4], &rows);
    lines.push(String::new());
    lines.push(format!(
        "Domains are read from libvirt's files, where they can be read; {DOMAIN_FOLDERS} names other folders."
    ));
    lines
}

/// What can have other keys in the configuration.
fn keys() -> Vec<String> {
    let head = ["ACTION", "KEYS", "DOES"].map(str::to_owned).to_vec();
    let rows =
        tui::actions().into_iter().map(|(name, keys, help)| vec![name.to_owned(), keys, help.to_owned()]);
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let mut lines = table::lines(&[Lean::Left; 3], &rows);
    if let Some(place) = Config::place() {
        lines.push(String::new());
        lines.push(format!("Other keys go into {}:", Shown::path(&place)));
        lines.extend(["", "[keys]", "commit = \"C\"", "quit = [\"q\", \"ctrl-q\"]"].map(str::to_owned));
    }
    lines
}

fn exit_codes() -> Vec<String> {
    let rows: Vec<_> =
        exit::TABLE.iter().map(|(code, meaning)| vec![(*code).to_owned(), (*meaning).to_owned()]).collect();
    table::lines(&[Lean::Right, Lean::Left], &rows)
}

fn command_help(topic: &[String]) -> Result<String, Error> {
    let mut command = Cli::command();
    command.build();
    let mut at = &mut command;
    for word in topic {
        at = at.find_subcommand_mut(word).ok_or_else(|| {
            Error::new(Kind::Usage, format!("no help on \"{word}\"")).remedy(
                "`cowherd help` lists the commands; the other topics are hazards, exit-codes and keys",
            )
        })?;
    }
    Ok(at.render_long_help().to_string())
}
