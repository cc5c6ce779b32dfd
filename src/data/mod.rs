//! From a file of examples to batches of tokens.
//!
//! ```text
//! bytes ─ formats ─► records ─ detect ─► Dataset ─ encode ─► Examples ─ batch ─► Batch
//!                                           │      (chat_template, mask, tokenizer)
//!                                           └─────── report, preview
//! ```
//!
//! Nothing here reads a disk or knows a device: bytes come in, numbers go out. What a user's file
//! can get wrong is answered with one sentence that names the file and the line.

pub mod account;
pub mod batch;
pub mod chat_template;
pub mod classes;
mod columns;
mod contrast;
pub mod curate;
pub mod dataset;
mod detect;
pub mod encode;
pub mod formats;
pub mod general;
mod mapping;
mod mask;
mod messages;
mod parts;
mod preference;
mod preference_batch;
mod preview;
mod python;
mod rating;
pub mod report;
mod row;
mod skipped;
pub mod task;
mod template_filters;
mod template_guard;
pub mod tokenizer;
mod tokenizer_check;
mod tools;
mod turn;
mod unused;

pub use account::{Statement, Subject, account};
pub use batch::{Batch, BatchOptions, BatchRow, collate, epoch_batches, split};
pub use chat_template::ChatTemplate;
pub use classes::ClassCount;
pub use curate::{Change, Finding, FindingKind, FoundRow};
pub use dataset::{DataShape, Dataset, Message, Reasoning, Row, RowContent};
pub use encode::{Contrast, EncodeOptions, Encoded, Example, Preference, Sequence, encode_dataset};
pub use formats::{DataFile, read_dataset};
pub use general::GeneralText;
pub use preview::{PreviewPiece, PreviewRow, preview};
pub use report::{DataReport, LengthBin, RowList, report};
pub use row::Verdict;
pub use skipped::{SkipReason, SkippedRow};
pub use task::Task;
pub use tokenizer::Tokenizer;
