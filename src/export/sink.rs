//! Where files go while they are made, and what is known of them before.

use crate::error::Result;
use serde::Serialize;

/// Takes files one after the other, piece by piece, so that none is ever whole in memory.
pub trait Sink {
    /// What is written from now on belongs to this file.
    ///
    /// # Errors
    /// It cannot be made.
    fn begin(&mut self, name: &str) -> Result<()>;

    /// # Errors
    /// There is no room, or whoever takes the bytes failed.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
}

/// The files of an export, known without a look at the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Manifest {
    pub files: Vec<FileEntry>,
    /// What to type to use them, a line each.
    pub usage: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct FileEntry {
    pub name: String,
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes: u64,
}

/// Bytes that are made and handed over at once.
pub(super) const PIECE: usize = 1 << 20;
