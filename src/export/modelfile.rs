//! Ollama's `Modelfile` (<https://docs.ollama.com/modelfile>): from which files a model is made, how a chat is written for it, and
//! what ends an answer.

use crate::data::encode::template::ChatTemplate;
use crate::data::{Message, Tokenizer};

/// The lines of a Modelfile. `from` and `adapter` are file names beside it.
pub fn modelfile(
    from: &str,
    adapter: Option<&str>,
    tokenizer: &Tokenizer,
    end_ids: &[u32],
    context: usize,
) -> String {
    let mut lines = vec![format!("FROM ./{from}")];
    lines.extend(adapter.map(|adapter| format!("ADAPTER ./{adapter}")));
    let bos = tokenizer.ends().ok().and_then(|(bos, _)| tokenizer.id_to_token(bos?));
    match tokenizer.chat_template().and_then(|template| go_template(template, bos.as_deref())) {
        Some(template) => lines.push(format!("TEMPLATE \"\"\"{template}\"\"\"")),
        None if tokenizer.has_chat_template() => {
            lines.push("# The chat template has no equal in Ollama's language; Ollama takes the one in the GGUF file.".into());
        }
        None => {}
    }
    let stops = end_ids.iter().filter_map(|&id| tokenizer.id_to_token(id));
    lines.extend(stops.map(|token| format!("PARAMETER stop \"{}\"", token.replace('"', "\\\""))));
    lines.push(format!("PARAMETER num_ctx {}", context.min(LONGEST_CONTEXT)));
    lines.join("\n") + "\n"
}

/// More takes memory that a short chat does not need.
const LONGEST_CONTEXT: usize = 8192;

/// What stands around the messages of a chat.
struct Pieces {
    /// Before a chat that begins with no system message.
    preamble: String,
    system: [String; 2],
    user: [String; 2],
    assistant: [String; 2],
}

/// The chat template in Go's language, if it writes every message of a role in the same way whatever comes before and after;
/// `None` for any other. Ollama writes the token that begins a text by itself.
fn go_template(template: &ChatTemplate, bos: Option<&str>) -> Option<String> {
    let pieces = pieces(template, bos)?;
    // Two braces would begin an instruction.
    let all =
        [&pieces.system, &pieces.user, &pieces.assistant].into_iter().flatten().chain([&pieces.preamble]);
    if all.clone().any(|text| text.contains("{{") || text.contains("\"\"\"")) {
        return None;
    }
    let Pieces { preamble, system, user, assistant } = &pieces;
    let begin = match preamble.is_empty() {
        true => String::new(),
        false => format!("{{{{ if ne (index .Messages 0).Role \"system\" }}}}{preamble}{{{{ end }}}}"),
    };
    let role = |name: &str, [before, after]: &[String; 2]| {
        format!("if eq .Role \"{name}\" }}}}{before}{{{{ .Content }}}}{after}{{{{ ")
    };
    Some(format!(
        "{begin}{{{{ range .Messages }}}}{{{{ {}else {}else {}end }}}}{{{{ end }}}}{}",
        role("system", system),
        role("user", user),
        role("assistant", assistant),
        assistant[0]
    ))
}

fn pieces(template: &ChatTemplate, bos: Option<&str>) -> Option<Pieces> {
    const TEXTS: [&str; 4] = ["S7y3tem", "U7ser1", "A7nswer", "U7ser2"];
    let message = |place: usize| {
        let role = ["system", "user", "assistant", "user"][place];
        Message::new(role, TEXTS[place])
    };
    let write = |places: &[usize], prompt: bool| {
        let messages: Vec<Message> = places.iter().map(|&place| message(place)).collect();
        let text = template.render(&messages, prompt).ok()?;
        Some(bos.and_then(|bos| text.strip_prefix(bos)).map_or(text.clone(), String::from))
    };
    let around = |text: &str, place: usize| {
        let (before, after) = text.split_once(TEXTS[place])?;
        Some((before.to_string(), after.to_string()))
    };
    // user, assistant, user: what is between them, and the prompt.
    let plain = write(&[1, 2, 3], false)?;
    let generation = write(&[1, 2, 3], true)?.strip_prefix(&plain)?.to_string();
    let (first, rest) = around(&plain, 1)?;
    let (question_answer, rest) = around(&rest, 2)?;
    let (answer_question, user_after) = around(&rest, 3)?;
    let user_after_answer = question_answer.strip_prefix(&user_after)?;
    (user_after_answer == generation).then_some(())?;
    let answered = write(&[1, 2], false)?;
    let (_, assistant_after) = around(&answered, 2)?;
    let user_before = answer_question.strip_prefix(&assistant_after)?.to_string();
    let preamble = first.strip_suffix(&user_before)?.to_string();
    let with_system = write(&[0, 1], false)?;
    let (system_before, rest) = around(&with_system, 0)?;
    let (system_question, _) = around(&rest, 1)?;
    let system_after = system_question.strip_suffix(&user_before)?.to_string();
    let pieces = Pieces {
        preamble,
        system: [system_before, system_after],
        user: [user_before, user_after],
        assistant: [generation, assistant_after],
    };
    // The whole of it, put together from the pieces.
    let chat = [0, 1, 2, 3, 2, 3];
    let part = |place: usize| {
        let [before, after] = [&pieces.system, &pieces.user, &pieces.assistant, &pieces.user][place];
        [before, TEXTS[place], after].concat()
    };
    let together: String = chat.into_iter().map(part).collect();
    (write(&chat, true)? == together + &pieces.assistant[0]).then_some(pieces)
}
