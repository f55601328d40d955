//! A real mesh measured: processes on this machine, their sockets, and their disk.
//!
//! `cargo bench --bench mesh` prints tables, `-- --json` the same as one JSON value, `-- --quick` takes seconds where the
//! whole takes minutes. `-- moves` measures, instead, what goes on while shards move. Without `--bench`, which `cargo bench`
//! passes, nothing is measured.
//!
//! | file | holds |
//! | --- | --- |
//! | `options` | what was asked for |
//! | `disk` | how fast the disk syncs by itself |
//! | `processes` | the nodes: started, made a mesh of, ended |
//! | `client` | what clients ask of them, over the control socket |
//! | `idle` | one task at a time |
//! | `load` | many clients at once |
//! | `moves` | the rate at which tasks are completed while shards move |
//! | `cost` | what the nodes' threads use |
//! | `figures` | quantiles |
//! | `report` | what came out, for people and for programs |
//! | `problem` | what can go wrong |
//!
//! All of it is one run, so that the disk and the mesh have the same machine; the disk is measured before and after. A task is
//! one step of the built-in agent `echo`, which needs no process. Nothing is asserted about times.

mod client;
mod cost;
mod disk;
mod figures;
mod idle;
mod load;
#[path = "../load/figures.rs"]
#[allow(dead_code, reason = "each bench uses a part")]
mod machine;
mod moves;
mod options;
mod problem;
mod processes;
mod report;

use client::Client;
use options::Options;
use problem::Problem;
use processes::{Mesh, Place};
use report::Report;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if given("--test") || !given("--bench") {
        return ExitCode::SUCCESS;
    }
    let Some(options) = Options::of(arguments.iter().map(String::as_str).filter(|argument| *argument != "--bench"))
    else {
        eprintln!("{}", options::USAGE);
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Measures until it is done, or was told to end. Dropping what is under way ends the nodes either way.
fn run(options: &Options) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Problem::Runtime)?;
    runtime.block_on(async {
        let listen = |kind| signal(kind).map_err(Problem::Runtime);
        let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        tokio::select! {
            _ = terminate.recv() => Err(Problem::ToldToEnd),
            _ = interrupt.recv() => Err(Problem::ToldToEnd),
            done = measure(options) => done,
        }
    })
}

async fn measure(options: &Options) -> Result<(), Problem> {
    let place = Place::new(options.folder.as_deref())?;
    match options.is_moves {
        false => loads(&place, options).await?.print(options.json),
        true => moves::measure(&place, options).await?.print(options.json),
    }
    Ok(())
}

async fn loads(place: &Place, options: &Options) -> Result<Report, Problem> {
    let mut report = Report::begin(options, place.path());
    say("the disk by itself");
    report.disk_before = disk::measure(place.path(), options.disk_time).await?;
    say("a mesh of three processes");
    let mesh = Mesh::start(place, options, 3).await?;
    let client = Client::ready(&mesh, options).await?;
    say("one task at a time");
    report.idle = idle::measure(&client, options).await?;
    for clients in &options.clients {
        say(&format!("{clients} clients"));
        report.load.push(load::measure(&client, &mesh, *clients, options.load_time).await?);
    }
    drop(mesh);
    say("the disk by itself, again");
    report.disk_after = disk::measure(place.path(), options.disk_time).await?;
    report.end();
    Ok(report)
}

/// Tells people what is measured now; results alone are on stdout.
fn say(what: &str) {
    eprintln!("measuring {what} …");
}
