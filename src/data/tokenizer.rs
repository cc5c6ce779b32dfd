//! Text to token ids and back, through the `tokenizers` crate.

use super::chat_template::{ChatTemplate, PLAIN_TEMPLATE};
use super::dataset::Message;
use crate::error::{Error, Result};
use crate::weights::checkpoint::TokenizerFiles;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A model's tokenizer and chat template. Cheap to clone.
#[derive(Clone)]
pub struct Tokenizer {
    shared: Arc<Shared>,
    /// How many tokens the model has embeddings for.
    rows: usize,
}

struct Shared {
    tokenizer: tokenizers::Tokenizer,
    /// Ids that text reaches only as a whole: special tokens and others added to the vocabulary.
    added_ids: HashSet<u32>,
    special_tokens: Vec<(String, String)>,
    chat_template: Option<ChatTemplate>,
    plain_template: ChatTemplate,
    /// The id with which the tokenizer begins every text, for models trained that way.
    prefix_id: Option<u32>,
    /// Whether a text cut where [`cut_at_word`] cuts it gives the same ids as the whole.
    can_cut: bool,
}

/// Token ids, and for each the bytes of the text that it stands for.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    pub ids: Vec<u32>,
    pub spans: Vec<Range<usize>>,
}

impl Tokenizer {
    /// # Errors
    /// A `tokenizer.json` that cannot be read, or a chat template with a syntax error.
    pub fn from_files(files: &TokenizerFiles) -> Result<Self> {
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(files.tokenizer_json.as_bytes())
            .map_err(|e| failed("tokenizer.json cannot be read", &*e))?;
        // Lengths are the business of `encode` and `batch`.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| failed("truncation cannot be switched off", &*e))?;

        let special_tokens = special_tokens(files);
        let chat_template = match &files.chat_template {
            Some(source) => Some(ChatTemplate::new(source, special_tokens.clone())?),
            None => None,
        };
        let plain_template = ChatTemplate::new(PLAIN_TEMPLATE, special_tokens.clone())?;
        let added_ids = tokenizer.get_added_tokens_decoder().into_keys().collect();
        let mut shared = Shared {
            tokenizer,
            added_ids,
            special_tokens,
            chat_template,
            plain_template,
            prefix_id: None,
            can_cut: false,
        };
        shared.can_cut = shared.can_cut()?;
        // BERT's `[CLS]` begins a text as another model's begin token does.
        let first = [shared.special_id("bos_token"), shared.special_id("cls_token")];
        let begins = shared.encode("", true)?.first().copied();
        shared.prefix_id = begins.filter(|id| first.contains(&Some(*id)));
        Ok(Tokenizer { shared: Arc::new(shared), rows: usize::MAX })
    }

    /// The same for a model that has embeddings for so many tokens: a text with a token beyond them is an error.
    ///
    /// # Errors
    /// Every text begins with such a token.
    pub fn for_rows(self, rows: usize) -> Result<Self> {
        let tokenizer = Tokenizer { rows, ..self };
        tokenizer.check_rows(tokenizer.prefix_id().as_slice())?;
        Ok(tokenizer)
    }

    /// Token ids of `text`. Special tokens written in the text are read as such.
    /// With `add_special_tokens` the tokenizer also adds those that it begins or ends a text with.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        let ids = self.shared.encode(text, add_special_tokens)?;
        self.check_rows(&ids)?;
        Ok(ids)
    }

    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        self.shared
            .tokenizer
            .decode(ids, skip_special_tokens)
            .map_err(|e| failed("these ids cannot be decoded", &*e))
    }

    /// Renders and encodes a conversation the way generation wants it. Models without a chat
    /// template get [`PLAIN_TEMPLATE`]; a system message the template cannot take joins the first
    /// user message.
    pub fn encode_chat(&self, messages: &[Message], add_generation_prompt: bool) -> Result<Vec<u32>> {
        let template = self.template();
        let text = template.render(&template.fold_system(messages), add_generation_prompt)?;
        let prefix = if self.has_chat_template() { None } else { self.prefix_id() };
        Ok(prefix.into_iter().chain(self.encode(&text, false)?).collect())
    }

    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.shared.tokenizer.token_to_id(token)
    }

    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.shared.tokenizer.id_to_token(id)
    }

    /// Entries of the vocabulary, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.shared.tokenizer.get_vocab_size(true)
    }

    pub fn bos_token_id(&self) -> Option<u32> {
        self.special_id("bos_token")
    }

    pub fn eos_token_id(&self) -> Option<u32> {
        self.special_id("eos_token")
    }

    /// The model's padding token, or its end token where it has none. Padding is masked by
    /// position, so which id it is does not matter to the loss, as long as the model has it.
    pub fn pad_token_id(&self) -> u32 {
        self.special_id("pad_token").or(self.eos_token_id()).unwrap_or(0)
    }

    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.shared.chat_template.as_ref()
    }

    pub fn has_chat_template(&self) -> bool {
        self.shared.chat_template.is_some()
    }

    /// The ids after which a turn is over: the end token, and the token with which the template ends
    /// what an assistant said.
    pub fn end_of_turn_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.eos_token_id().into_iter().collect();
        if let Some(id) = self.template_end_of_turn()
            && !ids.contains(&id)
        {
            ids.push(id);
        }
        ids
    }

    /// The model's own template, or the plain one.
    pub(super) fn template(&self) -> &ChatTemplate {
        self.shared.chat_template.as_ref().unwrap_or(&self.shared.plain_template)
    }

    /// The id that begins every text which is not rendered by a chat template.
    pub(super) fn prefix_id(&self) -> Option<u32> {
        self.shared.prefix_id
    }

    /// The ids with which the tokenizer ends every text; most have none.
    pub(super) fn suffix_ids(&self) -> Result<Vec<u32>> {
        let mut ids = self.encode("", true)?;
        if ids.first().is_some_and(|&id| Some(id) == self.prefix_id()) {
            ids.remove(0);
        }
        Ok(ids)
    }

    /// Token ids with the bytes that each stands for. The tokenizer adds nothing of its own.
    pub(super) fn tokens(&self, text: &str) -> Result<Tokens> {
        let mut tokens = Tokens::default();
        let mut from = 0;
        while from < text.len() {
            let rest = &text[from..];
            let length = if self.shared.can_cut { cut_at_word(rest, PIECE_BYTES) } else { rest.len() };
            self.shared.append_tokens(&rest[..length], from, &mut tokens)?;
            from += length;
        }
        self.check_rows(&tokens.ids)?;
        Ok(tokens)
    }

    /// A special token that the model has an embedding for.
    fn special_id(&self, name: &str) -> Option<u32> {
        self.shared.special_id(name).filter(|&id| (id as usize) < self.rows)
    }

    fn check_rows(&self, ids: &[u32]) -> Result<()> {
        let rows = self.rows;
        let Some(&id) = ids.iter().find(|&&id| id as usize >= rows) else { return Ok(()) };
        Err(Error::Tokenizer {
            reason: format!(
                "a text has the token \"{}\", number {id}, and the model has embeddings for {rows} tokens, 0 to {}; take the tokenizer \
                 that came with the model, or leave the token out of the text",
                self.id_to_token(id).unwrap_or_default(),
                rows.saturating_sub(1)
            ),
        })
    }

    fn template_end_of_turn(&self) -> Option<u32> {
        const ANSWER: &str = "An answer";
        let conversation = [Message::new("user", "Hello"), Message::new("assistant", ANSWER)];
        let text = self.template().render(&conversation, false).ok()?;
        let after = &text[text.rfind(ANSWER)? + ANSWER.len()..];
        let ids = self.encode(after, false).ok()?;
        ids.into_iter().find(|id| self.shared.added_ids.contains(id))
    }
}

impl Shared {
    fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, add_special_tokens)
            .map_err(|e| failed("this text cannot be encoded", &*e))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Appends the tokens of `piece`, which begins at byte `from` of the text.
    fn append_tokens(&self, piece: &str, from: usize, tokens: &mut Tokens) -> Result<()> {
        let encoding =
            self.tokenizer.encode(piece, false).map_err(|e| failed("this text cannot be encoded", &*e))?;
        tokens.ids.extend(encoding.get_ids());
        // Some tokenizers leave a token's leading space out of its offsets: a gap between two
        // tokens belongs to the later one.
        let mut end_so_far = 0;
        tokens.spans.extend(encoding.get_offsets().iter().map(|&(start, end)| {
            let start = start.min(end_so_far);
            end_so_far = end_so_far.max(end);
            from + start..from + end
        }));
        Ok(())
    }

    /// Tokenizers that put a mark before every text, or that have tokens of several words, cannot
    /// work piece by piece.
    fn can_cut(&self) -> Result<bool> {
        let has_phrases = self
            .tokenizer
            .get_added_tokens_decoder()
            .values()
            .any(|token| token.content.contains(char::is_whitespace));
        let is_sum = |whole: &str, at: usize| -> Result<bool> {
            let (a, b) = whole.split_at(at);
            Ok(self.encode(whole, false)? == [self.encode(a, false)?, self.encode(b, false)?].concat())
        };
        Ok(!has_phrases && is_sum("some words", 4)? && is_sum("a line\nand another", 7)?)
    }

    fn special_id(&self, name: &str) -> Option<u32> {
        let (_, token) = self.special_tokens.iter().find(|(known, _)| known == name)?;
        self.tokenizer.token_to_id(token)
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("special_tokens", &self.shared.special_tokens)
            .field("chat_template", &self.has_chat_template())
            .finish()
    }
}

/// The tokenizer needs a hundred times a text's memory, so a long text is encoded in pieces.
const PIECE_BYTES: usize = 256 << 10;

/// Length of the first piece of a long text, at least `wanted` bytes: up to the space between two
/// words or to the line end between a character and a word, where no tokenizer joins the sides.
fn cut_at_word(text: &str, wanted: usize) -> usize {
    let Some((_, tail)) =
        text.split_at_checked(text.floor_char_boundary(wanted)).filter(|(_, t)| !t.is_empty())
    else {
        return text.len();
    };
    let start = text.len() - tail.len();
    let mut before = [' ', ' '];
    for (offset, c) in tail.char_indices() {
        let [left, between] = before;
        if between == ' ' && left.is_ascii_alphabetic() && c.is_ascii_alphabetic() {
            return start + offset - 1;
        }
        if between == '\n' && !left.is_whitespace() && c.is_alphabetic() {
            return start + offset;
        }
        before = [between, c];
    }
    text.len()
}

/// `bos_token` and its kin by name, as chat templates see them.
fn special_tokens(files: &TokenizerFiles) -> Vec<(String, String)> {
    const OTHERS: [&str; 3] = ["sep_token", "cls_token", "mask_token"];
    let main = [
        ("bos_token", &files.bos_token),
        ("eos_token", &files.eos_token),
        ("unk_token", &files.unk_token),
        ("pad_token", &files.pad_token),
    ];
    let configured = |name: &str| {
        // Either the token itself or an object that holds it with its flags.
        let value = files.additional.get(name)?;
        value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_string)
    };
    main.into_iter()
        .map(|(name, token)| (name, token.clone().or_else(|| configured(name))))
        .chain(OTHERS.into_iter().map(|name| (name, configured(name))))
        .filter_map(|(name, token)| Some((name.to_string(), token?)))
        .collect()
}

fn failed(what: &str, error: &(dyn std::error::Error + Send + Sync)) -> Error {
    Error::Tokenizer { reason: format!("{what} ({error})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_words() {
        assert_eq!(cut_at_word("some words here", 2), 4);
        assert_eq!(cut_at_word("some words here", 7), 10);
        assert_eq!(cut_at_word("1 2 3  four\n five\nsix seven", 2), 18);
        assert_eq!(cut_at_word("天气。\n今天", 3), 10);
        assert_eq!(cut_at_word("some words", 100), 10);
        assert_eq!(cut_at_word("", 10), 0);
    }
}
