//! A row as it is asked of a model, with other rows as examples in its prompt.

use super::example::Example;
use super::options::EncodeOptions;
use super::row::encode_row;
use super::text::{EncodedText, RowError, RowTexts};
use super::tokenizer::Tokenizer;
use crate::data::types::{Message, RowContent, Task};
use crate::error::Result;
use crate::recipe::Objective;
use serde_json::Value;

/// A row as a question to a model.
#[derive(Debug, Clone)]
pub struct Question {
    /// Token ids, examples included, up to where the answer begins.
    pub prompt: Vec<u32>,
    /// The row's own conversation and its answer, without the examples.
    pub task: Task,
    /// The prompt and the row's own answer, which alone is a target; `None` where the row has none.
    pub answered: Option<Example>,
    /// The same with the answer that people like less, of a preference row.
    pub rejected: Option<Example>,
}

/// The last answer of a row as a question, after `examples`, other rows with their answers. Each example is a turn of the same
/// conversation; for a model without a chat template, pairs are joined as they stand, with an empty line between.
/// `None` where there is nothing to ask or to show, where the template does not write it, and where prompt and answer are longer
/// than `longest` tokens.
///
/// # Errors
/// A text that cannot be tokenised.
pub fn question(
    row: &RowContent,
    examples: &[&RowContent],
    tokenizer: &Tokenizer,
    longest: usize,
) -> Result<Option<Question>> {
    let Some(own) = Turns::of(row) else { return Ok(None) };
    let shown: Option<Vec<Turns>> = examples.iter().map(|example| Turns::of(example)).collect();
    let shown = shown.filter(|shown| shown.iter().all(|turns| turns.answer.is_some()));
    let Some(shown) = shown else { return Ok(None) };
    let encoder = Encoder { tokenizer, longest, tools: &own.tools };
    let encoded = match row {
        RowContent::Pair { system, prompt, completion } if !tokenizer.has_chat_template() => {
            let mut before = String::new();
            for example in examples {
                if let RowContent::Pair { prompt, completion, .. } = example {
                    before.extend([prompt, completion.as_str(), "\n\n"]);
                }
            }
            if let Some(system) = system {
                before.insert_str(0, &format!("{system}\n\n"));
            }
            encoder.pair(before + prompt, completion)?
        }
        _ => encoder.chat(&with_examples(&own.prompt, &shown), &own)?,
    };
    let task = Task { prompt: own.prompt, tools: own.tools, answer: own.answer.map(|answer| answer.content) };
    Ok(encoded.map(|Encoded { prompt, answered, rejected }| Question { prompt, task, answered, rejected }))
}

/// A conversation up to an answer.
struct Turns {
    prompt: Vec<Message>,
    answer: Option<Message>,
    rejected: Option<Message>,
    tools: Vec<Value>,
}

impl Turns {
    fn of(row: &RowContent) -> Option<Turns> {
        let turns = match row {
            RowContent::Pair { system, prompt, completion } => {
                let system = system.iter().map(|system| Message::new("system", system));
                Turns {
                    prompt: system.chain([Message::new("user", prompt)]).collect(),
                    answer: Some(Message::new("assistant", completion)),
                    rejected: None,
                    tools: Vec::new(),
                }
            }
            RowContent::Chat { messages, prompt_messages, tools } => {
                // A turn that only calls a tool has no words to compare.
                let says = |message: &Message| message.is_assistant() && !message.content.trim().is_empty();
                let is_answer = |at: &usize| says(&messages[*at]) && !messages[*at].context_only;
                let last = (*prompt_messages..messages.len()).rev().find(is_answer)?;
                Turns {
                    prompt: messages[..last].to_vec(),
                    answer: Some(messages[last].clone()),
                    rejected: None,
                    tools: tools.clone(),
                }
            }
            RowContent::Preference { chosen, rejected } => {
                Turns { rejected: Turns::of(rejected)?.answer, ..Turns::of(chosen)? }
            }
            RowContent::Unpaired { answer, label: true } => Turns::of(answer)?,
            RowContent::Prompt(Task { prompt, tools, answer }) => Turns {
                prompt: prompt.clone(),
                answer: answer.as_ref().map(|answer| Message::new("assistant", answer)),
                rejected: None,
                tools: tools.clone(),
            },
            RowContent::Text(_)
            | RowContent::Labelled { .. }
            | RowContent::Sentences { .. }
            | RowContent::Unpaired { label: false, .. } => return None,
        };
        turns.prompt.iter().any(|message| message.role != "system" && !message.is_blank()).then_some(turns)
    }
}

/// A conversation with others before it, whose system messages are left out: there is one at most, at the beginning.
fn with_examples(prompt: &[Message], examples: &[Turns]) -> Vec<Message> {
    let is_system = |message: &&Message| message.role == "system";
    let turns = examples.iter().flat_map(|example| example.prompt.iter().chain(&example.answer));
    let turns = turns.chain(prompt).filter(|message| !is_system(message));
    prompt.iter().filter(is_system).chain(turns).cloned().collect()
}

struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    longest: usize,
    tools: &'a [Value],
}

struct Encoded {
    prompt: Vec<u32>,
    answered: Option<Example>,
    rejected: Option<Example>,
}

impl Encoder<'_> {
    fn chat(&self, prompt: &[Message], own: &Turns) -> Result<Option<Encoded>> {
        let asked = Task { prompt: prompt.to_vec(), tools: self.tools.to_vec(), answer: None };
        let Some(asked) = self.text(&RowContent::Prompt(asked))? else { return Ok(None) };
        let with = |answer: &Option<Message>| -> Result<Option<Option<Example>>> {
            let Some(answer) = answer else { return Ok(Some(None)) };
            let messages = prompt.iter().chain([answer]).cloned().collect();
            let (prompt_messages, tools) = (prompt.len(), self.tools.to_vec());
            Ok(self.example(&RowContent::Chat { messages, prompt_messages, tools })?.map(Some))
        };
        let (Some(answered), Some(rejected)) = (with(&own.answer)?, with(&own.rejected)?) else {
            return Ok(None);
        };
        Ok(Some(Encoded { prompt: asked.tokens.ids, answered, rejected }))
    }

    /// Prompt and completion are one text for the tokenizer, as they are in training.
    fn pair(&self, prompt: String, completion: &str) -> Result<Option<Encoded>> {
        let row = RowContent::Pair { system: None, prompt, completion: completion.into() };
        let Some(answered) = self.example(&row)? else { return Ok(None) };
        let begin = answered.loss_mask.iter().position(|&target| target).unwrap_or(0);
        let prompt = answered.input_ids[..begin].to_vec();
        Ok(Some(Encoded { prompt, answered: Some(answered), rejected: None }))
    }

    fn example(&self, row: &RowContent) -> Result<Option<Example>> {
        let options = self.options();
        let text = self.text(row)?;
        Ok(text.map(|text| text.example(0..text.tokens.ids.len(), 0, &options)))
    }

    /// The last of a row's texts, if it is whole.
    fn text(&self, row: &RowContent) -> Result<Option<EncodedText>> {
        let texts: RowTexts = encode_row(row, self.tokenizer, &self.options());
        match texts {
            Ok(mut texts) => Ok(texts.pop().filter(|text| text.full_length <= self.longest)),
            Err(RowError::Skipped(_)) => Ok(None),
            Err(RowError::Failed(error)) => Err(error),
        }
    }

    fn options(&self) -> EncodeOptions {
        EncodeOptions { objective: Objective::Sft, max_seq_length: self.longest, train_on_prompt: false }
    }
}
