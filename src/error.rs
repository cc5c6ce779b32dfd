//! One error type for the whole crate: a variant per cause, a sentence per variant.
//!
//! Every message names the file, line or tensor, says what is wrong, and says what to do.

use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    // Recipe
    #[error("recipe: unknown key \"{}\"{}", short(.key), nearest(.suggestion))]
    UnknownKey { key: String, suggestion: Option<String> },
    #[error("recipe: {} is {}, but {expected}", short(.key), short(.value))]
    InvalidSetting { key: String, value: String, expected: String },
    #[error("recipe: {}", short(.reason))]
    InvalidRecipe { reason: String },

    // Model files
    #[error("{file}: {}", short(.reason))]
    InvalidModelFile { file: String, reason: String },
    #[error("{file}: tensor \"{}\" {}", short(.tensor), short(.reason))]
    InvalidTensor { file: String, tensor: String, reason: String },
    #[error("{file}: {} is not supported; {supported}", short(.what))]
    Unsupported { file: String, what: String, supported: String },
    #[error("{file} is missing; {remedy}")]
    MissingFile { file: String, remedy: String },
    #[error("{file}: cannot be read ({reason})")]
    Unreadable { file: String, reason: String },
    #[error("the model does not fit: {reason}")]
    ModelTooLarge { reason: String },

    // Data files
    #[error("{file}: {}", short(.reason))]
    InvalidData { file: String, reason: String },
    #[error("{file}, line {line}: {}", short(.reason))]
    InvalidDataLine { file: String, line: usize, reason: String },
    #[error("chat template: {}", short(.reason))]
    ChatTemplate { reason: String },
    #[error("tokenizer: {}", short(.reason))]
    Tokenizer { reason: String },
    #[error("prompt: {reason}")]
    Prompt { reason: String },

    // Training, devices, files of our own
    #[error("training: {reason}")]
    Training { reason: String },
    #[error("training: it was stopped")]
    Stopped,
    #[error("adapter {file}: {}", short(.reason))]
    InvalidAdapter { file: String, reason: String },
    #[error("checkpoint: {reason}")]
    InvalidCheckpoint { reason: String },
    #[error("device: {reason}")]
    Device { reason: String },
    /// Whatever was on the device is gone, and it computes no more.
    #[error("the GPU was lost ({reason})")]
    DeviceLost { reason: String },
}

/// What kind of error, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum ErrorKind {
    UnknownKey,
    InvalidSetting,
    InvalidRecipe,
    InvalidModelFile,
    InvalidTensor,
    Unsupported,
    MissingFile,
    Unreadable,
    ModelTooLarge,
    InvalidData,
    InvalidDataLine,
    ChatTemplate,
    Tokenizer,
    Prompt,
    Training,
    Stopped,
    InvalidAdapter,
    InvalidCheckpoint,
    Device,
    DeviceLost,
}

/// An error as programs get it: they act by `kind` and `key`, and leave the sentence to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ErrorReport {
    pub kind: ErrorKind,
    /// What the error is about, as it is spelled: the dotted name of a setting, a tensor, a file. `None` where `kind` says it all.
    pub key: Option<String>,
    /// The values in the sentence, by name.
    #[cfg_attr(test, ts(type = "Record<string, string>"))]
    pub args: BTreeMap<&'static str, String>,
    /// The sentence, in English.
    pub message: String,
}

impl Error {
    pub fn report(&self) -> ErrorReport {
        let args = self.args().into_iter().map(|(name, value)| (name, short(&value).into_owned())).collect();
        ErrorReport {
            kind: self.kind(),
            key: self.key().map(str::to_string),
            args,
            message: self.to_string(),
        }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::UnknownKey { .. } => ErrorKind::UnknownKey,
            Error::InvalidSetting { .. } => ErrorKind::InvalidSetting,
            Error::InvalidRecipe { .. } => ErrorKind::InvalidRecipe,
            Error::InvalidModelFile { .. } => ErrorKind::InvalidModelFile,
            Error::InvalidTensor { .. } => ErrorKind::InvalidTensor,
            Error::Unsupported { .. } => ErrorKind::Unsupported,
            Error::MissingFile { .. } => ErrorKind::MissingFile,
            Error::Unreadable { .. } => ErrorKind::Unreadable,
            Error::ModelTooLarge { .. } => ErrorKind::ModelTooLarge,
            Error::InvalidData { .. } => ErrorKind::InvalidData,
            Error::InvalidDataLine { .. } => ErrorKind::InvalidDataLine,
            Error::ChatTemplate { .. } => ErrorKind::ChatTemplate,
            Error::Tokenizer { .. } => ErrorKind::Tokenizer,
            Error::Prompt { .. } => ErrorKind::Prompt,
            Error::Training { .. } => ErrorKind::Training,
            Error::Stopped => ErrorKind::Stopped,
            Error::InvalidAdapter { .. } => ErrorKind::InvalidAdapter,
            Error::InvalidCheckpoint { .. } => ErrorKind::InvalidCheckpoint,
            Error::Device { .. } => ErrorKind::Device,
            Error::DeviceLost { .. } => ErrorKind::DeviceLost,
        }
    }

    /// What the error is about; see [`ErrorReport::key`].
    pub fn key(&self) -> Option<&str> {
        match self {
            Error::UnknownKey { key, .. } | Error::InvalidSetting { key, .. } => Some(key),
            Error::InvalidTensor { tensor, .. } => Some(tensor),
            Error::InvalidModelFile { file, .. }
            | Error::Unsupported { file, .. }
            | Error::MissingFile { file, .. }
            | Error::Unreadable { file, .. }
            | Error::InvalidData { file, .. }
            | Error::InvalidDataLine { file, .. }
            | Error::InvalidAdapter { file, .. } => Some(file),
            Error::InvalidRecipe { .. }
            | Error::ModelTooLarge { .. }
            | Error::ChatTemplate { .. }
            | Error::Tokenizer { .. }
            | Error::Prompt { .. }
            | Error::Training { .. }
            | Error::Stopped
            | Error::InvalidCheckpoint { .. }
            | Error::Device { .. }
            | Error::DeviceLost { .. } => None,
        }
    }

    fn args(&self) -> Vec<(&'static str, String)> {
        match self {
            Error::UnknownKey { suggestion, .. } => {
                suggestion.iter().map(|key| ("suggestion", key.clone())).collect()
            }
            Error::InvalidSetting { value, expected, .. } => {
                vec![("value", value.clone()), ("expected", expected.clone())]
            }
            Error::InvalidTensor { file, reason, .. } => {
                vec![("file", file.clone()), ("reason", reason.clone())]
            }
            Error::Unsupported { what, supported, .. } => {
                vec![("what", what.clone()), ("supported", supported.clone())]
            }
            Error::MissingFile { remedy, .. } => vec![("remedy", remedy.clone())],
            Error::InvalidDataLine { line, reason, .. } => {
                vec![("line", line.to_string()), ("reason", reason.clone())]
            }
            Error::Stopped => Vec::new(),
            Error::InvalidRecipe { reason }
            | Error::InvalidModelFile { reason, .. }
            | Error::Unreadable { reason, .. }
            | Error::ModelTooLarge { reason }
            | Error::InvalidData { reason, .. }
            | Error::ChatTemplate { reason }
            | Error::Tokenizer { reason }
            | Error::Prompt { reason }
            | Error::Training { reason }
            | Error::InvalidAdapter { reason, .. }
            | Error::InvalidCheckpoint { reason }
            | Error::Device { reason }
            | Error::DeviceLost { reason } => vec![("reason", reason.clone())],
        }
    }
}

/// The last cause of an error that another library spreads over lines, with a backtrace below.
pub fn last_cause(text: &str) -> &str {
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Backtrace"));
    let causes = lines.filter(|line| !line.is_empty() && *line != "Caused by:");
    causes.last().unwrap_or("it gives no reason").trim_end_matches('.')
}

/// What a file says of itself may be as long as the file.
fn short(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 2000;
    match text.char_indices().nth(LONGEST) {
        None => text.into(),
        Some((cut, _)) => format!("{}…", &text[..cut]).into(),
    }
}

fn nearest(suggestion: &Option<String>) -> String {
    match suggestion {
        Some(key) => format!("; did you mean \"{key}\"?"),
        None => "; see the recipe reference for the known keys".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_the_setting_and_what_it_may_be() {
        let error = Error::InvalidSetting {
            key: "lora.rank".into(),
            value: "0".into(),
            expected: "it must be at least 1".into(),
        };
        let ErrorReport { kind, key, args, message } = error.report();
        assert_eq!((kind, key.as_deref()), (ErrorKind::InvalidSetting, Some("lora.rank")));
        assert_eq!(
            args,
            BTreeMap::from([("value", "0".into()), ("expected", "it must be at least 1".into())])
        );
        assert_eq!(message, "recipe: lora.rank is 0, but it must be at least 1");
    }

    #[test]
    fn programs_get_kinds_as_they_always_were_spelled() {
        let json = serde_json::to_value(Error::Stopped.report()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "kind": "stopped", "key": null, "args": {}, "message": "training: it was stopped",
            })
        );
    }

    #[test]
    fn what_a_file_says_of_itself_is_cut_in_a_report() {
        let error = Error::InvalidTensor {
            file: "m.gguf".into(),
            tensor: "output.weight".into(),
            reason: "x".repeat(100_000),
        };
        let report = error.report();
        assert_eq!(report.key.as_deref(), Some("output.weight"));
        assert_eq!(report.args["file"], "m.gguf");
        assert!(report.args["reason"].len() < 3000);
    }
}
