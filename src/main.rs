//! The program: a replica when it is started under the course's name, else the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    laconic::cli::main(std::env::args_os().collect())
}
