//! The program: everything it does is in [`cowherd::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    // A file that may not become so long is a failed call like any other, not the end of the program.
    let seen = std::sync::Arc::default();
    let _ = signal_hook::flag::register(signal_hook::consts::signal::SIGXFSZ, seen);
    cowherd::cli::main(std::env::args_os())
}
