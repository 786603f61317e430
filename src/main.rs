//! The program: a replica if it is started under the course's name, otherwise the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    laconic::cli::main(std::env::args_os().collect())
}
