//! The command line of RelayMesh: it parses, calls and prints. What it calls lives in the other crates.

mod cli;
mod error;
mod mesh;
mod output;
mod sim;
mod wall;
mod whole;

use clap::Parser;
use cli::{Cli, Command};
use error::Exit;
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Where even that cannot be printed, the exit code still says it.
            let _ = usage.print();
            return if usage.use_stderr() { Exit::Usage } else { Exit::Held }.into();
        }
    };
    let output = Output::new(cli.format());
    let done = match cli.command {
        Command::Sim(arguments) => sim::run(&arguments, &output),
        Command::Mesh(command) => mesh::run(&command, &output),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::complain(&error);
            error.exit().into()
        }
    }
}
