//! Names of keys: `j`, `ctrl-d`, `shift-tab`, `down`. Tests and the binding table spell them alike.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The key called `name`, or `None` for an unknown name.
pub fn key(name: &str) -> Option<KeyEvent> {
    let (modifiers, rest) = match name.strip_prefix("ctrl-") {
        Some(rest) => (KeyModifiers::CONTROL, rest),
        None => (KeyModifiers::NONE, name),
    };
    let code = match rest {
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "pgup" => KeyCode::PageUp,
        "pgdn" => KeyCode::PageDown,
        "tab" => KeyCode::Tab,
        "shift-tab" => KeyCode::BackTab,
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "space" => KeyCode::Char(' '),
        "backspace" => KeyCode::Backspace,
        "f1" => KeyCode::F(1),
        "f2" => KeyCode::F(2),
        _ => {
            let mut chars = rest.chars();
            let only = chars.next().filter(|_| chars.next().is_none());
            KeyCode::Char(only?)
        }
    };
    Some(KeyEvent::new(code, modifiers))
}

/// Whether two events are the same key, whatever else the terminal reports about them.
pub(super) fn same(a: &KeyEvent, b: &KeyEvent) -> bool {
    let control = |e: &KeyEvent| e.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT);
    a.code == b.code && control(a) == control(b)
}

/// Whether two names mean the same key.
pub(super) fn alike(a: &str, b: &str) -> bool {
    matches!((key(a), key(b)), (Some(a), Some(b)) if same(&a, &b))
}

/// A key's name as people read it: `Ctrl-d`, `↓`, `Enter`.
pub(super) fn label(name: &str, ascii: bool) -> String {
    if let Some(rest) = name.strip_prefix("ctrl-") {
        return format!("Ctrl-{rest}");
    }
    let text = match (name, ascii) {
        ("up", false) => "↑",
        ("down", false) => "↓",
        ("left", false) => "←",
        ("right", false) => "→",
        ("up", true) => "Up",
        ("down", true) => "Down",
        ("left", true) => "Left",
        ("right", true) => "Right",
        ("home", _) => "Home",
        ("end", _) => "End",
        ("pgup", _) => "PgUp",
        ("pgdn", _) => "PgDn",
        ("tab", _) => "Tab",
        ("shift-tab", _) => "Shift-Tab",
        ("enter", _) => "Enter",
        ("esc", _) => "Esc",
        ("space", _) => "Space",
        ("f1", _) => "F1",
        ("f2", _) => "F2",
        (other, _) => other,
    };
    text.to_owned()
}
