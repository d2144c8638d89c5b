//! The command line: runs a command, and prints its error with all sources.

use std::error::Error;
use std::iter;
use std::process::ExitCode;

use clap::Parser;
use herald::config::{Cli, Command};

mod commands;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or_else(|| Command::Serve(Box::new(cli.serve)));
    match commands::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let sources = iter::successors(Some(&error as &dyn Error), |&error| error.source());
            let message: Vec<String> = sources.map(ToString::to_string).collect();
            eprintln!("herald: {}", message.join(": "));
            ExitCode::FAILURE
        }
    }
}
