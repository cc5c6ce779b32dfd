//! Loralet's commands: `cargo xtask <command>`.
//!
//! Each command sets up what it needs (`provision`), builds what is out of date (`site`) and does its work
//! (`commands`). Whatever trains or generates does so in headless Chromium (`browser`), through the
//! page's own worker. Results go to stdout, everything else to stderr.

mod browser;
mod commands;
mod driver;
mod error;
mod figures;
mod inputs;
mod native;
mod paths;
mod process;
mod progress;
mod provision;
mod recorder;
mod server;
mod site;

use std::process::ExitCode;

use clap::Parser;

use commands::Command;

/// Fine-tune small language models in the browser, from the command line.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
