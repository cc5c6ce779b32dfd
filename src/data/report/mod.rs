//! What a user should know of a data set before training on it.

mod account;
mod preview;
mod statement;
mod summary;

pub use account::account;
pub use preview::{PreviewPiece, PreviewRow, preview};
pub use statement::{Statement, Subject};
pub use summary::{DataReport, LengthBin, report};
