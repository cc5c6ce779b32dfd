//! How a command ends when it does not end well.

use std::fmt;

/// Why a command stops; its `Display` is what the user reads on stderr.
#[derive(Debug)]
pub enum Failure {
    /// What the user gave cannot be used (exit code 2): one clear sentence.
    Input(String),
    /// Something must be installed that this program may not install (exit code 2).
    Missing { what: String, command: String },
    /// Everything else (exit code 1).
    Failed(String),
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Input(_) | Failure::Missing { .. } => 2,
            Failure::Failed(_) => 1,
        }
    }

    pub fn failed(reason: impl Into<String>) -> Self {
        Failure::Failed(reason.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Input(sentence) | Failure::Failed(sentence) => write!(f, "{sentence}"),
            Failure::Missing { what, command } => {
                write!(
                    f,
                    "{what} is missing and may not be installed from here; run this and try again:\n  {command}"
                )
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Failed(error.to_string())
    }
}

/// Adds what was being done to an error that only says what went wrong.
pub trait Context<T> {
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure::Failed(format!("{doing}: {error}")))
    }
}
