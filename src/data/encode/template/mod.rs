//! Chat templates: the Jinja text that turns a conversation into the string a model was trained on.
//!
//! [`ChatTemplate::render`] gives what `apply_chat_template(tokenize=False)` of transformers gives,
//! to the character: blocks trimmed, Python's string methods, `raise_exception`, `strftime_now`,
//! `tojson` that leaves non-ASCII text and HTML alone, `break` and `continue`, `namespace`.
//! `{% generation %}` marks are read over: what to train on comes from `super::mask`.

mod budget;
mod filters;
mod guard;
mod message;
mod python;

use crate::data::shape::turn::REASONING;
use crate::data::types::{Message, Reasoning};
use crate::error::{Error, Result};
use budget::{Bounded, LONGEST, TOO_MUCH};
use chrono::NaiveDateTime;
use message::TemplateMessage;
use minijinja::{Environment, ErrorKind, Value, context};
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

/// The format for models that have no chat template of their own:
///
/// ```text
/// ### System:
/// …
///
/// ### User:
/// …
///
/// ### Assistant:
/// …<eos>
///
/// ```
pub const PLAIN_TEMPLATE: &str = "{% for message in messages %}\
{{ '### ' + message['role'] | capitalize + ':\\n' + message['content'] }}\
{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}\
{{ '\\n\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '### Assistant:\\n' }}{% endif %}";

#[derive(Debug, Clone)]
pub struct ChatTemplate {
    env: Arc<Environment<'static>>,
    special_tokens: Vec<(String, String)>,
    has_system_role: bool,
    /// Found when it is first asked for.
    reasoning_field: OnceLock<Option<&'static str>>,
    prints_date: bool,
}

/// Instructions that one rendering may take: a thousand times what a long conversation takes, and a second or so.
const FUEL: u64 = 20_000_000;

/// Bytes that a template may write of itself.
const MOST_RAW: u64 = 1 << 29;

const NAME: &str = "chat_template";

impl ChatTemplate {
    /// Compiles `source`. `special_tokens` are the names a template may use, such as
    /// `("bos_token", "<s>")`; a name that is missing prints as nothing.
    ///
    /// # Errors
    /// A template that cannot be read, or that does not come to an end.
    pub fn new(source: &str, special_tokens: Vec<(String, String)>) -> Result<Self> {
        let mut env = Environment::new();
        env.set_trim_blocks(true);
        env.set_lstrip_blocks(true);
        env.set_formatter(python::format);
        env.set_unknown_method_callback(python::method);
        filters::add(&mut env);
        guard::add_filters(&mut env);
        env.add_filter("tojson", python::tojson);
        env.add_filter("trim", python::trim);
        env.add_function("raise_exception", raise_exception);
        env.add_function("strftime_now", |format: &str| strftime(chrono::Local::now().naive_local(), format));
        let unreadable = |e| failed("cannot be read", &e);
        let guarded = guard::guarded(&without_generation_tags(source)).map_err(unreadable)?;
        // A text that is no expression is written for one unit of fuel, into a variable as well.
        env.set_fuel(Some(FUEL.min(MOST_RAW / guarded.longest_raw.max(1) as u64)));
        env.add_template_owned(NAME, guarded.source).map_err(unreadable)?;
        let mut template = ChatTemplate {
            env: Arc::new(env),
            special_tokens,
            has_system_role: true,
            reasoning_field: OnceLock::new(),
            prints_date: source.contains("strftime_now"),
        };
        template.has_system_role = template.takes_system_role()?;
        Ok(template)
    }

    /// The conversation as text. With `add_generation_prompt` it ends where the assistant is to
    /// begin speaking.
    ///
    /// # Errors
    /// What the template says with `raise_exception`, or what in it cannot be evaluated.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        self.render_with_tools(messages, &[], add_generation_prompt)
    }

    /// The conversation with the tools that may be called in it, each as `{"type": "function", "function": {…}}`.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`].
    pub fn render_with_tools(
        &self,
        messages: &[Message],
        tools: &[serde_json::Value],
        add_generation_prompt: bool,
    ) -> Result<String> {
        let has_reasoning = messages.iter().any(|message| message.reasoning.is_some());
        let field = if has_reasoning { self.reasoning_field() } else { None };
        self.render_reasoning(messages, tools, add_generation_prompt, field)
    }

    /// What the template calls the assistant's reasoning, if it writes it: `reasoning_content`, as a rule.
    pub fn reasoning_field(&self) -> Option<&'static str> {
        const PROBE: &str = "a thought before the answer";
        *self.reasoning_field.get_or_init(|| {
            let thought = Reasoning { field: REASONING[0], text: PROBE.into() };
            let answer = Message { reasoning: Some(thought), ..Message::new("assistant", "Yes.") };
            let conversation = [Message::new("user", "Hello"), answer];
            let writes = |field: &&'static str| {
                let text = self.render_reasoning(&conversation, &[], false, Some(*field));
                text.is_ok_and(|text| text.contains(PROBE))
            };
            REASONING.into_iter().find(writes)
        })
    }

    fn render_reasoning(
        &self,
        messages: &[Message],
        tools: &[serde_json::Value],
        add_generation_prompt: bool,
        reasoning_field: Option<&'static str>,
    ) -> Result<String> {
        let turns: Vec<TemplateMessage> =
            messages.iter().map(|message| TemplateMessage { message, reasoning_field }).collect();
        let special: std::collections::BTreeMap<&str, &str> =
            self.special_tokens.iter().map(|(name, token)| (name.as_str(), token.as_str())).collect();
        let conversation = Value::from_serialize(turns);
        let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        budget::begin(bytes);
        let context = context! {
            messages => conversation,
            tools => if tools.is_empty() { Value::from(()) } else { Value::from_serialize(tools) },
            documents => Value::from(()),
            add_generation_prompt,
            ..Value::from_serialize(special)
        };
        let template = self.env.get_template(NAME).map_err(|e| failed("cannot be read", &e))?;
        let mut out = Bounded::new(LONGEST.saturating_add(bytes.saturating_mul(16)));
        template
            .render_captured_to(context, &mut out)
            .map_err(|e| failed("cannot render this conversation", &e))?;
        let text = String::from_utf8(out.text)
            .map_err(|_| Error::ChatTemplate { reason: "writes what is not UTF-8 text".into() })?;
        if text.trim().is_empty() {
            return Err(Error::ChatTemplate {
                reason: "writes nothing for this conversation; take the template that came with the model"
                    .into(),
            });
        }
        Ok(text)
    }

    /// The same template, for which it is always `date`: a run that goes on tomorrow must see the texts of today.
    pub fn on(&self, date: NaiveDateTime) -> ChatTemplate {
        let mut env = Environment::clone(&self.env);
        env.add_function("strftime_now", move |format: &str| strftime(date, format));
        ChatTemplate { env: Arc::new(env), ..self.clone() }
    }

    /// Whether it may write the date into a conversation.
    pub fn prints_date(&self) -> bool {
        self.prints_date
    }

    /// Whether a system message reaches the text. Some templates refuse it, some drop it.
    pub fn has_system_role(&self) -> bool {
        self.has_system_role
    }

    /// The conversation as the template can take it: where there is no system role, a leading
    /// system message is put before the first user message, a blank line between them.
    pub fn fold_system<'m>(&self, messages: &'m [Message]) -> Cow<'m, [Message]> {
        let Some((system, rest)) = messages.split_first().filter(|(first, _)| first.role == "system") else {
            return Cow::Borrowed(messages);
        };
        if self.has_system_role {
            return Cow::Borrowed(messages);
        }
        let mut folded = rest.to_vec();
        match folded.first_mut().filter(|m| m.role == "user") {
            Some(user) => user.content = format!("{}\n\n{}", system.content, user.content),
            None => folded.insert(0, Message::new("user", system.content.clone())),
        }
        Cow::Owned(folded)
    }

    fn takes_system_role(&self) -> Result<bool> {
        const PROBE: &str = "a system message";
        let conversation = [Message::new("system", PROBE), Message::new("user", "Hello")];
        match self.render(&conversation, true) {
            Ok(text) => Ok(text.contains(PROBE)),
            Err(Error::ChatTemplate { reason })
                if [ENDLESS, TOO_MUCH].iter().any(|cause| reason.starts_with(cause)) =>
            {
                Err(Error::ChatTemplate { reason })
            }
            Err(_) => Ok(false),
        }
    }
}

/// `generation` blocks only mark the assistant's words; `if true` keeps their white-space control.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{%") {
        let (before, tag) = rest.split_at(open + 2);
        let Some((inner, after)) = tag.split_once("%}") else { break };
        let word = inner.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        let replacement = match word {
            "generation" => "if true",
            "endgeneration" => "endif",
            _ => word,
        };
        out.push_str(before);
        if replacement == word {
            out.push_str(inner);
        } else {
            out.push_str(&inner.replacen(word, replacement, 1));
        }
        out.push_str("%}");
        rest = after;
    }
    out.push_str(rest);
    out
}

fn raise_exception(message: String) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

/// Llama 3.2's template prints the date with `strftime_now`.
fn strftime(date: NaiveDateTime, format: &str) -> Result<String, minijinja::Error> {
    let mut text = String::new();
    write!(text, "{}", date.format(format)).map_err(|_| {
        minijinja::Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now: unknown format \"{format}\""),
        )
    })?;
    Ok(text)
}

const ENDLESS: &str = "does not come to an end";

fn failed(what: &str, error: &minijinja::Error) -> Error {
    if error.kind() == ErrorKind::OutOfFuel {
        let reason =
            format!("{ENDLESS}: its loops take too long; take the template that came with the model");
        return Error::ChatTemplate { reason };
    }
    if error.kind() == ErrorKind::WriteFailure {
        let reason =
            format!("{TOO_MUCH}: it writes many megabytes; take the template that came with the model");
        return Error::ChatTemplate { reason };
    }
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_string);
    if detail.starts_with(TOO_MUCH) {
        return Error::ChatTemplate {
            reason: format!("{detail}; take the template that came with the model"),
        };
    }
    let place = error.line().map(|line| format!(" (line {line} of the template)")).unwrap_or_default();
    Error::ChatTemplate { reason: format!("{what}: {detail}{place}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> Result<String> {
        let tokens = vec![("eos_token".to_string(), "</s>".to_string())];
        let messages = [Message::new("user", " Größe <b> \x1c"), Message::new("assistant", "Yes.")];
        ChatTemplate::new(source, tokens)?.render(&messages, true)
    }

    #[test]
    fn values_print_as_in_python() {
        assert_eq!(render("{{ true }} {{ none }} {{ bos_token }}{{ eos_token }}").unwrap(), "True None </s>");
        assert_eq!(
            render("{{ messages[0].content | trim }}|{{ messages[0]['content'].strip() }}").unwrap(),
            "Größe <b>|Größe <b>"
        );
    }

    #[test]
    fn tojson_is_json_dumps() {
        assert_eq!(
            render("{{ messages[0] | tojson }}").unwrap(),
            r#"{"role": "user", "content": " Größe <b> \u001c"}"#
        );
        assert_eq!(render("{{ 'ü😀' | tojson(ensure_ascii=true) }}").unwrap(), r#""\u00fc\ud83d\ude00""#);
        assert_eq!(
            render("{{ {'b': [1, 2.5], 'a': {}} | tojson(indent=2, sort_keys=true) }}").unwrap(),
            "{\n  \"a\": {},\n  \"b\": [\n    1,\n    2.5\n  ]\n}"
        );
    }

    #[test]
    fn generation_marks_are_read_over() {
        let source = "{% for m in messages %}\n  {%- generation %}\n{{ m.role }}\n  {% endgeneration -%}\n{% endfor %}";
        assert_eq!(render(source).unwrap(), "user\nassistant\n");
    }

    #[test]
    fn a_template_raises_in_its_own_words() {
        let message = render("{{ raise_exception('Only user and assistant!') }}").unwrap_err().to_string();
        assert!(message.contains("Only user and assistant!"), "{message}");
        assert_eq!(render("{% for %}").unwrap_err().kind(), crate::error::ErrorKind::ChatTemplate);
    }

    #[test]
    fn the_date_is_today() {
        let year = render("{{ strftime_now('%Y') }}").unwrap();
        assert!(year.parse::<i32>().is_ok_and(|year| year > 2020), "{year}");
        assert_eq!(
            render("{{ strftime_now('%!') }}").unwrap_err().kind(),
            crate::error::ErrorKind::ChatTemplate
        );
    }

    #[test]
    fn the_date_can_be_held() {
        let template = ChatTemplate::new("{{ strftime_now('%d %b %Y %H:%M') }}", Vec::new()).unwrap();
        let date = "2024-02-29T23:59:58".parse().unwrap();
        let held = template.on(date).render(&[Message::new("user", "a")], true).unwrap();
        assert_eq!(held, "29 Feb 2024 23:59");
        assert!(template.prints_date());
    }

    #[test]
    fn a_template_that_writes_nothing_says_so() {
        let message = render("{% if false %}x{% endif %}\n").unwrap_err().to_string();
        assert!(message.starts_with("chat template: writes nothing for this conversation"), "{message}");
    }

    #[test]
    fn a_template_that_does_not_end_is_refused_when_it_is_read() {
        let nested = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}\
            {% endfor %}{% endfor %}{% endfor %}x";
        let message = ChatTemplate::new(nested, Vec::new()).unwrap_err().to_string();
        // On a busy machine the time is up before the fuel.
        let is_told =
            [ENDLESS, TOO_MUCH].iter().any(|why| message.starts_with(&format!("chat template: {why}")));
        assert!(is_told, "{message}");
    }

    #[test]
    fn loop_controls_slices_and_namespaces_work() {
        let source = "{% set ns = namespace(n=0) %}{% for m in messages[::-1] %}{% set ns.n = ns.n + 1 %}\
            {% if loop.last %}{% break %}{% endif %}{{ m.role }}{% endfor %}{{ ns.n }}";
        assert_eq!(render(source).unwrap(), "assistant2");
    }

    #[test]
    fn a_dropped_system_message_is_folded() {
        let source =
            "{% for m in messages %}{% if m.role != 'system' %}[{{ m.content }}]{% endif %}{% endfor %}";
        let template = ChatTemplate::new(source, Vec::new()).unwrap();
        assert!(!template.has_system_role());
        let folded =
            template.fold_system(&[Message::new("system", "S"), Message::new("user", "U")]).into_owned();
        assert_eq!(template.render(&folded, false).unwrap(), "[S\n\nU]");
        let alone = [Message::new("system", "S")];
        let folded = template.fold_system(&alone);
        assert_eq!(template.render(&folded, false).unwrap(), "[S]");
    }
}
