//! The program: everything it does is in [`cowherd::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    cowherd::cli::main(std::env::args_os())
}
