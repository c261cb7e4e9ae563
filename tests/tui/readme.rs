//! The README's table of keys. A stale one fails; `COWHERD_BLESS=1` writes it anew.

use std::path::Path;

const BEGIN: &str = "<!-- keys: made by `COWHERD_BLESS=1 cargo test --test tui readme` -->\n";
const END: &str = "<!-- /keys -->";

#[test]
fn the_readme_has_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (kept, after) = rest.split_once(END).unwrap();
    let table = cowherd::tui::key_table();
    if std::env::var_os("COWHERD_BLESS").is_some_and(|v| v == "1") {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(kept == table, "the keys in README.md are stale: COWHERD_BLESS=1 cargo test --test tui readme");
}
