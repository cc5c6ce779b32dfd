//! From a file of examples to batches of tokens, in the order in which the bytes go; each stage imports only from those before it.
//!
//! ```text
//! bytes ─ read ─► records ─ shape ─► Dataset ─ curate ─► Dataset ─ encode ─► Examples ─ batch ─► Batch
//!                                                           │                   │
//!                                                           └──────► report ◄───┘
//! ```
//!
//! Nothing here reads a disk or knows a device: bytes come in, numbers go out. What a user's file
//! can get wrong is answered with one sentence that names the file and the line.

pub mod batch;
pub mod curate;
pub mod encode;
mod general;
mod listing;
mod read;
mod report;
mod shape;
mod types;

pub use batch::{Batch, BatchOptions, BatchRow, collate, epoch_batches, held_out, split};
pub use curate::{Change, Finding, FindingKind, FoundRow};
pub use encode::classes::{number_classes, only_held_out};
pub use encode::example::Verdict;
pub use encode::skipped::{SkipReason, SkippedRow};
pub use encode::template::ChatTemplate;
pub use encode::tokenizer::Tokenizer;
pub use encode::{
    Contrast, EncodeOptions, Encoded, Example, Preference, Question, Sequence, encode_dataset, question,
};
pub use general::GeneralText;
pub use listing::RowList;
pub use read::DataFile;
pub use report::{
    DataReport, LengthBin, PreviewPiece, PreviewRow, Statement, Subject, account, preview, report,
};
pub use shape::classes::{ClassCount, class_counts, classes};
pub use shape::read_dataset;
pub use types::{DataShape, Dataset, Message, Reasoning, Row, RowContent, Task};
