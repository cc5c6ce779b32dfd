//! Patterns of `rank_pattern` and `alpha_pattern`: most are the paths of modules, of which there may be thousands.

use regex::Regex;

/// What a path or its end, in whole parts, must be.
pub(super) enum PathPattern {
    /// A path as it is written, but that a point stands for any character.
    Plain(String),
    Matching(Regex),
}

impl PathPattern {
    pub fn is_match(&self, path: &str) -> bool {
        match self {
            PathPattern::Plain(text) => path.len().checked_sub(text.len()).is_some_and(|start| {
                let (before, end) = path.as_bytes().split_at(start);
                let is_alike = |(wanted, found): (u8, &u8)| wanted == b'.' || wanted == *found;
                before.last().is_none_or(|last| *last == b'.') && text.bytes().zip(end).all(is_alike)
            }),
            PathPattern::Matching(pattern) => pattern.is_match(path),
        }
    }
}

/// Whether a pattern has no other sign of a regular expression than points. Paths are ASCII.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
}
