//! Text to token ids and back, through the `tokenizers` crate.

mod check;
mod pieces;
mod special_tokens;

use super::template::{ChatTemplate, PLAIN_TEMPLATE};
use crate::data::types::Message;
use crate::error::{Error, Result};
use crate::weights::checkpoint::TokenizerFiles;
use chrono::NaiveDateTime;
use pieces::{PIECE_BYTES, cut_at_word};
use special_tokens::{special_tokens, template_names};
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A model's tokenizer and chat template. Cheap to clone.
#[derive(Clone)]
pub struct Tokenizer {
    shared: Arc<Shared>,
    chat_template: Option<ChatTemplate>,
    /// What the template takes for now, where that is held.
    date: Option<NaiveDateTime>,
    /// The end token, where the chat template ends no answer.
    answer_end: Option<u32>,
    /// How many tokens the model has embeddings for.
    rows: usize,
}

struct Shared {
    tokenizer: tokenizers::Tokenizer,
    /// Ids that text reaches only as a whole: special tokens and others added to the vocabulary.
    added_ids: HashSet<u32>,
    /// Special tokens as text.
    control_tokens: Vec<String>,
    special_tokens: Vec<(String, String)>,
    plain_template: ChatTemplate,
    /// Templates of which none is the default, by name.
    template_names: Vec<String>,
    /// The id with which the tokenizer begins every text, for models trained that way.
    prefix_id: Option<u32>,
    /// Whether a text cut where [`cut_at_word`] cuts it gives the same ids as the whole.
    can_cut: bool,
}

/// Token ids, and for each the bytes of the text that it stands for.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    pub ids: Vec<u32>,
    pub spans: Vec<Range<usize>>,
}

impl Tokenizer {
    /// # Errors
    /// A `tokenizer.json` that cannot be read, or a chat template with a syntax error.
    pub fn from_files(files: &TokenizerFiles) -> Result<Self> {
        check::check(&files.tokenizer_json).map_err(|reason| Error::Tokenizer {
            reason: format!(
                "tokenizer.json cannot be read: {reason}; take the file that came with the model"
            ),
        })?;
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
        let added = tokenizer.get_added_tokens_decoder();
        let control_tokens = added.values().filter(|token| token.special).map(|token| token.content.clone());
        let control_tokens = control_tokens.filter(|token| !token.is_empty()).collect();
        let added_ids = added.into_keys().collect();
        let mut shared = Shared {
            tokenizer,
            added_ids,
            control_tokens,
            special_tokens,
            plain_template,
            template_names: match chat_template {
                Some(_) => Vec::new(),
                None => template_names(files),
            },
            prefix_id: None,
            can_cut: false,
        };
        shared.can_cut = shared.can_cut()?;
        // BERT's `[CLS]` begins a text as another model's begin token does.
        let first = [shared.special_id("bos_token"), shared.special_id("cls_token")];
        let begins = shared.encode("", true)?.first().copied();
        shared.prefix_id = begins.filter(|id| first.contains(&Some(*id)));
        let tokenizer = Tokenizer {
            shared: Arc::new(shared),
            chat_template,
            date: None,
            answer_end: None,
            rows: usize::MAX,
        };
        let answer_end = tokenizer.eos_token_id().filter(|_| tokenizer.ends_no_answer());
        Ok(Tokenizer { answer_end, ..tokenizer })
    }

    /// The same tokenizer, for whose chat template it is always `date`.
    pub fn on(&self, date: NaiveDateTime) -> Tokenizer {
        let chat_template = self.chat_template.as_ref().map(|template| template.on(date));
        Tokenizer { chat_template, date: Some(date), ..self.clone() }
    }

    /// The date that is held, where the chat template prints one.
    pub fn date(&self) -> Option<NaiveDateTime> {
        self.date.filter(|_| self.chat_template().is_some_and(ChatTemplate::prints_date))
    }

    /// Whether it gives the same tokens for the same rows as another: it is of the same model, and a date that the chat template
    /// prints is the same held one.
    pub fn encodes_as(&self, other: &Tokenizer) -> bool {
        let prints_now = self.chat_template().is_some_and(ChatTemplate::prints_date) && self.date.is_none();
        Arc::ptr_eq(&self.shared, &other.shared) && self.date() == other.date() && !prints_now
    }

    /// The same for a model that has embeddings for so many tokens: a text with a token beyond them is an error.
    ///
    /// # Errors
    /// Every text begins with such a token.
    pub fn for_rows(self, rows: usize) -> Result<Self> {
        let answer_end = self.answer_end.filter(|&id| (id as usize) < rows);
        let tokenizer = Tokenizer { rows, answer_end, ..self };
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
        // Some decoders count on a token.
        let is_left_out = |token: &String| skip_special_tokens && self.shared.control_tokens.contains(token);
        if !ids.iter().any(|&id| self.id_to_token(id).is_some_and(|token| !is_left_out(&token))) {
            return Ok(String::new());
        }
        self.shared
            .tokenizer
            .decode(ids, skip_special_tokens)
            .map_err(|e| failed("these ids cannot be decoded", &*e))
    }

    /// Renders and encodes a conversation the way generation wants it. Models without a chat
    /// template get [`PLAIN_TEMPLATE`]; a system message the template cannot take joins the first
    /// user message.
    ///
    /// # Errors
    /// What [`ChatTemplate::render`] refuses; several templates of which none is the default.
    pub fn encode_chat(&self, messages: &[Message], add_generation_prompt: bool) -> Result<Vec<u32>> {
        self.check_template()?;
        let template = self.template();
        let text = template.render(&template.fold_system(messages), add_generation_prompt)?;
        let prefix = if self.has_chat_template() { None } else { self.prefix_id() };
        let ends_with_answer = !add_generation_prompt && messages.last().is_some_and(Message::is_assistant);
        let end = self.answer_end.filter(|_| ends_with_answer);
        Ok(prefix.into_iter().chain(self.encode(&text, false)?).chain(end).collect())
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
        self.chat_template.as_ref()
    }

    pub fn has_chat_template(&self) -> bool {
        self.chat_template.is_some()
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
        self.chat_template.as_ref().unwrap_or(&self.shared.plain_template)
    }

    /// # Errors
    /// The model has several chat templates, and none of them is the default: which one is meant cannot be told.
    pub(super) fn check_template(&self) -> Result<()> {
        match self.shared.template_names.as_slice() {
            [] => Ok(()),
            names => Err(Error::ChatTemplate {
                reason: format!(
                    "the model holds templates by name ({}) and none called default; write the one to use into a file \
                     chat_template.jinja in the model's Hugging Face folder, and open that",
                    names.join(", ")
                ),
            }),
        }
    }

    /// The end token, where the chat template leaves an answer without any end: what is trained gets it, so that the model
    /// learns to stop.
    pub(super) fn answer_end(&self) -> Option<u32> {
        self.answer_end
    }

    /// Whether a rendered answer is followed by no token that could end it. Where that cannot be seen it is taken to be.
    pub(super) fn ends_no_answer(&self) -> bool {
        self.after_answer() == Some(None)
    }

    /// The special tokens, as text, that `text` holds: its tokenizer reads them as such.
    pub fn control_tokens_in(&self, text: &str) -> Vec<String> {
        let mut found: Vec<(usize, &String)> = self
            .shared
            .control_tokens
            .iter()
            .filter_map(|token| text.find(token.as_str()).map(|place| (place, token)))
            .collect();
        found.sort();
        found.into_iter().map(|(_, token)| token.clone()).collect()
    }

    /// The id that begins every text which is not rendered by a chat template.
    pub(super) fn prefix_id(&self) -> Option<u32> {
        self.shared.prefix_id
    }

    /// The id that begins every text that is rendered by no chat template, and those that end it; most tokenizers have none.
    ///
    /// # Errors
    /// Such an id is of no token of the model.
    pub fn ends(&self) -> Result<(Option<u32>, Vec<u32>)> {
        Ok((self.prefix_id(), self.suffix_ids()?))
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
        self.after_answer()?
    }

    /// The first token after a conversation's last answer that is no text, if there is one; `None` where that cannot be seen.
    fn after_answer(&self) -> Option<Option<u32>> {
        const ANSWER: &str = "An answer";
        let conversation = [Message::new("user", "Hello"), Message::new("assistant", ANSWER)];
        let text = self.template().render(&conversation, false).ok()?;
        let after = &text[text.rfind(ANSWER)? + ANSWER.len()..];
        let ids = self.encode(after, false).ok()?;
        Some(ids.into_iter().find(|id| self.shared.added_ids.contains(id)))
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

fn failed(what: &str, error: &(dyn std::error::Error + Send + Sync)) -> Error {
    Error::Tokenizer { reason: format!("{what} ({error})") }
}
