//! The texts of one row: what of it is shown to the model, and in which form.

use super::encoder::RowEncoder;
use super::example::Verdict;
use super::options::EncodeOptions;
use super::skipped::SkipReason;
use super::task::task;
use super::text::{EncodedText, RowError, RowTexts};
use super::tokenizer::Tokenizer;
use crate::data::types::{Message, RowContent};
use crate::recipe::Objective;

/// # Errors
/// See [`RowError`].
pub fn encode_row(content: &RowContent, tokenizer: &Tokenizer, options: &EncodeOptions) -> RowTexts {
    if content.is_blank() {
        return Err(SkipReason::Empty.into());
    }
    let all = options.objective == Objective::Text || options.train_on_prompt;
    let encoder = RowEncoder { tokenizer, options, all };
    if let Some(task) = task(content, options.objective) {
        return encoder.prompt(&task);
    }
    match content {
        RowContent::Labelled { text, .. } if options.objective == Objective::Classify => {
            Ok(vec![encoder.plain(text.clone())?])
        }
        RowContent::Sentences { texts, .. } => {
            let mut encoded = Vec::new();
            for text in texts {
                encoded.push(encoder.plain(text.clone())?);
            }
            Ok(encoded)
        }
        RowContent::Text(text) | RowContent::Labelled { text, .. } => {
            Ok(vec![encoder.document(text.clone(), true)?])
        }
        RowContent::Pair { system, prompt, completion } if tokenizer.has_chat_template() => {
            let mut messages: Vec<Message> = system.iter().map(|s| Message::new("system", s)).collect();
            messages.push(Message::new("user", prompt));
            let prompt_messages = messages.len();
            messages.push(Message::new("assistant", completion));
            encoder.chat(&messages, prompt_messages, &[])
        }
        RowContent::Pair { system, prompt, completion } => {
            let before = match system {
                Some(system) => format!("{system}\n\n{prompt}"),
                None => prompt.clone(),
            };
            let start = before.len();
            encoder.pair(before + completion, start)
        }
        RowContent::Chat { messages, prompt_messages, tools } => {
            encoder.chat(messages, *prompt_messages, tools)
        }
        RowContent::Preference { chosen, rejected } if chosen == rejected => {
            Err(SkipReason::SameAnswers.into())
        }
        RowContent::Preference { chosen, rejected } => {
            encode_answers(&[(chosen, Verdict::Chosen), (rejected, Verdict::Rejected)], tokenizer, options)
        }
        RowContent::Prompt(task) => encoder.prompt(task),
        RowContent::Unpaired { answer, label } => {
            let verdict = if *label { Verdict::Chosen } else { Verdict::Rejected };
            encode_answers(&[(answer, verdict)], tokenizer, options)
        }
    }
}

/// One text an answer, in which only the answer is trained; all of them or none.
fn encode_answers(
    answers: &[(&RowContent, Verdict)],
    tokenizer: &Tokenizer,
    options: &EncodeOptions,
) -> RowTexts {
    let as_sft = EncodeOptions { objective: Objective::Sft, train_on_prompt: false, ..*options };
    let mut texts: Vec<EncodedText> = Vec::new();
    for (content, verdict) in answers {
        let mut turns = match encode_row(content, tokenizer, &as_sft) {
            Err(RowError::Skipped(SkipReason::NoAssistantTurn)) if answers.len() > 1 => {
                return Err(SkipReason::NoAnswer(*verdict).into());
            }
            turns => turns?,
        };
        // The last text of a conversation that is split into turns is the one with the whole prompt.
        texts.extend(turns.pop().map(|text| EncodedText { verdict: Some(*verdict), ..text }));
    }
    // A reward is read off an answer's last token; TRL's `RewardTrainer` leaves out what it would cut.
    let longest = texts.iter().map(|text| text.full_length).max().unwrap_or(0);
    if options.objective == Objective::Reward && longest > options.max_seq_length {
        return Err(SkipReason::AnswerTooLong { tokens: longest }.into());
    }
    Ok(texts)
}
