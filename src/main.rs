//! The command line: runs a command, and prints its error with all sources.

use std::error::Error;
use std::iter;
use std::process::ExitCode;

use clap::Parser;
use herald::config::{Cli, Command};
use mimalloc::MiMalloc;

mod commands;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or_else(|| Command::Serve(Box::new(cli.serve)));
    match commands::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let sources = iter::successors(Some(&error as &dyn Error), |&error| error.source());
            let mut message: Vec<String> = sources.map(ToString::to_string).collect();
            // Some errors repeat their source as their own text.
            message.dedup();
            eprintln!("herald: {}", message.join(": "));
            ExitCode::FAILURE
        }
    }
}
