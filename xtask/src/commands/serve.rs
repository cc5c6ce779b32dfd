//! `cargo xtask serve`: the page on localhost.

use std::process::{Command, Stdio};

use clap::Args;

use crate::error::Result;
use crate::server::{JobFiles, Server};
use crate::{process, provision, site};

#[derive(Args)]
pub struct Serve {
    /// Where to listen; 0 takes any free port
    #[arg(long, default_value_t = 8790)]
    port: u16,
    /// Only serve; do not open a browser
    #[arg(long)]
    no_open: bool,
}

impl Serve {
    pub fn run(self) -> Result<()> {
        process::side_by_side(vec![
            Box::new(site::build),
            Box::new(|| provision::default_model().map(drop)),
        ])?;
        let server = Server::start(self.port, JobFiles::default())?;
        let url = format!("http://localhost:{}/", server.port);
        println!("Loralet is at {url} (end with Ctrl-C)");
        if !self.no_open {
            open(&url);
        }
        server.wait();
        Ok(())
    }
}

/// Opens the user's browser; where there is none the printed address has to do.
fn open(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    if process::which(opener).is_some() {
        let _ = Command::new(opener)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
    }
}
