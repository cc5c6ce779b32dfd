//! One error type for the whole crate: a variant per cause, a sentence per variant.
//!
//! Every message names the file, line or tensor, says what is wrong, and says what to do.

use std::borrow::Cow;

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

impl Error {
    /// A stable code for programs; the sentence is for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::UnknownKey { .. } => "unknown_key",
            Error::InvalidSetting { .. } => "invalid_setting",
            Error::InvalidRecipe { .. } => "invalid_recipe",
            Error::InvalidModelFile { .. } => "invalid_model_file",
            Error::InvalidTensor { .. } => "invalid_tensor",
            Error::Unsupported { .. } => "unsupported",
            Error::MissingFile { .. } => "missing_file",
            Error::Unreadable { .. } => "unreadable",
            Error::ModelTooLarge { .. } => "model_too_large",
            Error::InvalidData { .. } => "invalid_data",
            Error::InvalidDataLine { .. } => "invalid_data_line",
            Error::ChatTemplate { .. } => "chat_template",
            Error::Tokenizer { .. } => "tokenizer",
            Error::Prompt { .. } => "prompt",
            Error::Training { .. } => "training",
            Error::Stopped => "stopped",
            Error::InvalidAdapter { .. } => "invalid_adapter",
            Error::InvalidCheckpoint { .. } => "invalid_checkpoint",
            Error::Device { .. } => "device",
            Error::DeviceLost { .. } => "device_lost",
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
