//! Where events come from: the terminal and signals, each on a thread of its own.

use std::thread;

use anyhow::Result;
use crossbeam_channel::{Receiver, Sender, bounded};
use crossterm::event::{Event, KeyEvent, MouseEvent};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Something that happened outside.
#[derive(Debug, Clone)]
pub enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something (only while it is ours).
    Mouse(MouseEvent),
    /// The terminal has another size.
    Resize,
    /// A signal asks us to stop, or the terminal is gone.
    Signal(i32),
}

/// Reads the real terminal and signals until the process ends.
pub(super) fn listen() -> Result<Receiver<Input>> {
    let (send, receive) = bounded(256);
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT])?;
    let from_signals = send.clone();
    thread::spawn(move || {
        for signal in signals.forever() {
            if from_signals.send(Input::Signal(signal)).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || read(&send));
    Ok(receive)
}

fn read(send: &Sender<Input>) {
    loop {
        let input = match crossterm::event::read() {
            Ok(Event::Key(key)) if key.is_press() || key.is_repeat() => Input::Key(key),
            Ok(Event::Paste(text)) => Input::Paste(text),
            Ok(Event::Mouse(mouse)) => Input::Mouse(mouse),
            Ok(Event::Resize(..)) => Input::Resize,
            Ok(_) => continue,
            // The terminal went away without a signal.
            Err(_) => Input::Signal(SIGHUP),
        };
        let over = matches!(input, Input::Signal(_));
        if send.send(input).is_err() || over {
            return;
        }
    }
}
