//! The real terminal: taken on start, given back on every way out.
//!
//! A panic of the UI's own thread restores the terminal before it is reported; a panic of a worker
//! does not touch it (the worker's owner turns it into an error).

use std::io::{self, Stdout, Write, stdout};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use rustix::process::{Signal, kill_current_process_group};

/// What the UI asks of a terminal beside drawing.
pub trait Host {
    /// Puts text on the clipboard, if the terminal lets programs do that.
    fn copy(&mut self, text: &str);

    /// Takes the mouse or gives it back.
    fn mouse(&mut self, on: bool);

    /// Gives the terminal back, stops until somebody continues the process, and takes it again.
    fn suspend(&mut self) -> io::Result<()>;

    /// Called before a frame is drawn.
    fn begin_frame(&mut self) {}

    /// Called after a frame was drawn.
    fn end_frame(&mut self) {}
}

static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal as ratatui draws on it.
pub(super) type RealTerminal = Terminal<CrosstermBackend<Stdout>>;

/// Holds the terminal in raw mode on its alternate screen; gives it back when dropped.
#[derive(Debug)]
pub(super) struct Session;

impl Session {
    pub(super) fn take() -> Result<(Self, RealTerminal)> {
        restore_on_panic();
        // First, so that a terminal taken half is given back too.
        let session = Self;
        take().context("cannot take over the terminal")?;
        let terminal =
            Terminal::new(CrosstermBackend::new(stdout())).context("cannot draw on the terminal")?;
        Ok((session, terminal))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Idempotent; failures are ignored, since the terminal may be gone.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            stdout(),
            EndSynchronizedUpdate,
            DisableMouseCapture,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
    }
}

fn restore_on_panic() {
    let ui = thread::current().id();
    HOOK.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().id() == ui {
                give_back();
            }
            // A worker's report would be drawn across the screen; its owner shows an error instead.
            if !TAKEN.load(Ordering::SeqCst) {
                report(info);
            }
        }));
    });
}

impl Host for Session {
    fn copy(&mut self, text: &str) {
        let mut out = stdout();
        let _ = write!(out, "\x1b]52;c;{}\x07", base64(text.as_bytes()));
        let _ = out.flush();
    }

    fn mouse(&mut self, on: bool) {
        let _ = match on {
            true => execute!(stdout(), EnableMouseCapture),
            false => execute!(stdout(), DisableMouseCapture),
        };
    }

    fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // The whole group, as the terminal's own Ctrl-z does: a wrapper such as cargo stops too.
        kill_current_process_group(Signal::TSTP)?;
        take()
    }

    fn begin_frame(&mut self) {
        let _ = queue!(stdout(), BeginSynchronizedUpdate);
    }

    fn end_frame(&mut self) {
        let _ = execute!(stdout(), EndSynchronizedUpdate);
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= group.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_rfc() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in pairs {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
