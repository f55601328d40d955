//! The command line of RelayMesh: it parses, calls and prints. What it calls lives in the other crates.

mod cli;
mod dev;
mod error;
mod exit;
mod mesh;
mod output;
mod sim;
mod tasks;
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
        Command::Tasks(command) => tasks::run(command, &output),
        Command::Dev(arguments) => dev::run(&arguments, &output),
        Command::AgentShim => return relaymesh_io_tokio::agents::shim::main(),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::complain(&error);
            error.exit().into()
        }
    }
}
