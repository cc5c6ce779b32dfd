//! Files made to hang, to crash or to fill the memory. `fuzz/` runs the same readers on bytes that it invents; what it found lies in
//! `findings/`, a folder a reader.
//!
//! - `growth`: what is large is read in time that grows with its size alone.
//! - `limits`: what a file claims is checked before it is believed.
//! - `programs`: chat templates that do not end, or that fill the memory.
//! - `mutations`: whole files, cut, turned and overwritten at random.

use crate::support::{hostile, readers};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod growth;
mod limits;
mod mutations;
mod programs;

/// A reader takes up to two seconds for such a file. What grows with the square of it takes minutes, and the machine may do other
/// things as well.
const LONGEST: Duration = Duration::from_secs(60);

fn in_time<T>(what: &str, read: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = read();
    let taken = begun.elapsed();
    assert!(taken < LONGEST, "{what} took {taken:?}");
    result
}

#[test]
fn no_reader_fails_on_an_earlier_finding() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/native/hostile/findings");
    let mut findings = Vec::new();
    for reader in std::fs::read_dir(&folder).unwrap() {
        let files = std::fs::read_dir(reader.unwrap().path()).unwrap();
        findings.extend(files.map(|file| file.unwrap().path()));
    }
    assert!(!findings.is_empty());
    for path in findings {
        let bytes = std::fs::read(&path).unwrap();
        // A finding of one reader may be one for another.
        for (name, read) in readers::READERS {
            in_time(&format!("{name} of {}", path.display()), || read(&bytes));
        }
    }
}

fn fixture(path: &str) -> Vec<u8> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
