//! `cargo xtask build`: the page as it ships.

use clap::Args;

use crate::error::Result;
use crate::{paths, site};

#[derive(Args)]
pub struct Build {}

impl Build {
    pub fn run(self) -> Result<()> {
        site::build()?;
        println!("The page is in {}", paths::shown(&paths::www().join("dist")));
        Ok(())
    }
}
