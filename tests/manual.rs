//! The man pages and the completions in `assets/`, generated from the commands, the hazards, the exit codes and
//! the keys. A stale one fails; `COWHERD_BLESS=1 cargo test --test manual` makes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use cowherd::plan::{Consent, HazardKind, HazardSeverity};
use cowherd::{cli, tui};

fn is_blessed() -> bool {
    std::env::var_os("COWHERD_BLESS").is_some_and(|v| v == "1")
}

/// Compares what is kept in `folder` with what is made now: every file, and no other.
fn kept(folder: &str, made: &BTreeMap<String, Vec<u8>>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets").join(folder);
    if is_blessed() {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        made.iter().for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes).unwrap());
    }
    let here = folder.read_dir().map_or_else(|_| Vec::new(), |all| all.flatten().collect());
    let mut names: Vec<_> = here.iter().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let wanted: Vec<_> = made.keys().cloned().collect();
    let stale = "is stale; after a look: COWHERD_BLESS=1 cargo test --test manual";
    assert_eq!(names, wanted, "{} {stale}", folder.display());
    for (name, bytes) in made {
        assert!(std::fs::read(folder.join(name)).unwrap() == *bytes, "{}/{name} {stale}", folder.display());
    }
}

fn command() -> Command {
    // Not as wide as a terminal that happens to be there.
    let mut command = cli::command().term_width(100);
    command.build();
    command
}

#[test]
fn completions() {
    let mut made = BTreeMap::new();
    for (shell, name) in
        [(Shell::Bash, "cowherd.bash"), (Shell::Zsh, "_cowherd"), (Shell::Fish, "cowherd.fish")]
    {
        let mut bytes = Vec::new();
        generate(shell, &mut cli::command(), "cowherd", &mut bytes);
        made.insert(name.to_owned(), bytes);
    }
    kept("completions", &made);
}

#[test]
fn man_pages() {
    let mut made = BTreeMap::new();
    let top = command();
    made.insert("cowherd.1".to_owned(), top_page(&top));
    pages(&top, "cowherd", &mut made);
    kept("man", &made);
    let page = String::from_utf8(made["cowherd.1"].clone()).unwrap();
    for kind in HazardKind::ALL {
        assert!(page.contains(&kind.name().replace('-', "\\-")), "{kind} is not explained");
    }
}

/// A page for each command, and for each command of a command.
fn pages(of: &Command, name: &str, made: &mut BTreeMap<String, Vec<u8>>) {
    for command in of.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("{name}-{}", command.get_name());
        // A command's name lasts as long as the program.
        let lasting: &'static str = name.clone().leak();
        let page = command.clone().name(lasting).disable_help_flag(true).disable_version_flag(true);
        let mut bytes = Vec::new();
        Man::new(page).date("").source("cowherd").manual("cowherd").render(&mut bytes).unwrap();
        made.insert(format!("{name}.1"), bytes);
        pages(command, &name, made);
    }
}

fn top_page(top: &Command) -> Vec<u8> {
    let man = Man::new(top.clone()).date("").source("cowherd").manual("cowherd");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    man.render_subcommands_section(&mut page).unwrap();
    let mut rest = Roff::new();
    hazards(&mut rest);
    section(
        &mut rest,
        "EXIT STATUS",
        cli::exit_codes().iter().map(|(code, meaning)| (*code, (*meaning).to_owned())),
    );
    keys(&mut rest);
    let files = [
        (
            ".cowherd-trash",
            "beside an image: files that operations moved away, each with a note of what it was",
        ),
        ("/etc/libvirt, ~/.config/libvirt", "the definitions of domains, which are read and never changed"),
    ];
    section(&mut rest, "FILES", files.map(|(name, what)| (name, what.to_owned())).into_iter());
    let variables = [
        ("NO_COLOR", "no colours"),
        ("COWHERD_LIBVIRT_DIRS", "folders with definitions of domains, instead of the usual ones"),
    ];
    section(&mut rest, "ENVIRONMENT", variables.map(|(name, what)| (name, what.to_owned())).into_iter());
    rest.to_writer(&mut page).unwrap();
    page
}

fn section<'a>(page: &mut Roff, name: &str, items: impl Iterator<Item = (&'a str, String)>) {
    page.control("SH", [name]);
    for (term, what) in items {
        page.control("TP", []).text([bold(term)]).text([roman(what)]);
    }
}

fn hazards(page: &mut Roff) {
    let items = HazardKind::ALL.into_iter().map(|kind| {
        let needs = match kind.consent() {
            Consent::None => String::new(),
            Consent::ByName if kind.mildest() < HazardSeverity::Danger => {
                format!(" Where it is a danger, --accept {kind} is needed.")
            }
            Consent::ByName => format!(" Needs --accept {kind}."),
            Consent::Never(_) => " Where it is a danger, the plan cannot run.".to_owned(),
        };
        (kind.name(), format!("{}.{needs}", kind.meaning()))
    });
    section(page, "HAZARDS", items);
}

/// The rows of the table of keys: where, the key, what it does.
fn keys(page: &mut Roff) {
    page.control("SH", ["KEYS"]);
    for row in tui::key_table().lines().skip(2) {
        let cells: Vec<_> =
            row.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect();
        let [place, key, rest @ ..] = cells.as_slice() else { panic!("{row}") };
        page.control("TP", []).text([bold(key)]).text([roman(format!("{place}: {}", rest.join(": ")))]);
    }
}
