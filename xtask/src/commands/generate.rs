//! `cargo xtask generate`: answers a prompt; the answer alone goes to stdout. A classifier's answer is the text's class,
//! a reward model's is what it gives an answer.

use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{ModelArguments, StrengthArgument, device_name};
use crate::browser::Job;
use crate::error::Result;
use crate::{inputs, progress, site};

#[derive(Args)]
pub struct Generate {
    #[command(flatten)]
    model: ModelArguments,
    /// A folder in PEFT's or mlx-lm's layout, or a GGUF adapter
    #[arg(long, value_name = "FOLDER|FILE")]
    adapter: Option<PathBuf>,
    #[command(flatten)]
    strength: StrengthArgument,
    /// What to answer; for a classifier the text to classify
    #[arg(long)]
    prompt: String,
    /// For a reward model: the answer to judge
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    answer: Option<String>,
    /// Continue the prompt as it is, without the chat template
    #[arg(long)]
    raw: bool,
    #[arg(long, default_value_t = 128)]
    max_new_tokens: u32,
    /// 0 always takes the likeliest token
    #[arg(long, default_value_t = 0.0, value_parser = number)]
    temperature: f64,
    /// Choose among the K likeliest tokens only; 0 is off
    #[arg(long, value_name = "K")]
    top_k: Option<u32>,
    /// Choose among the likeliest tokens that have this probability together
    #[arg(long, value_name = "P", value_parser = number)]
    top_p: Option<f64>,
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

impl Generate {
    pub fn run(self) -> Result<()> {
        progress::be_quiet();
        let adapter = self.adapter.as_deref().map(inputs::adapter).transpose()?;
        let model = inputs::model(&self.model.model)?;
        site::build()?;

        let request = json!({
            "adapter": adapter.is_some(), "strength": self.strength.strength, "max_new_tokens": self.max_new_tokens, "temperature": self.temperature,
            "top_k": self.top_k, "top_p": self.top_p, "seed": self.seed,
        });
        let mut request = with_prompt(request, &self.prompt, self.raw);
        if let (Some(answer), Some(messages)) = (&self.answer, request["messages"].as_array_mut()) {
            messages.push(json!({ "role": "assistant", "content": answer }));
        }
        let stream = stdout().is_terminal();
        Job::new(&device_name(self.model.device, &Value::Null), &model)
            .adapter(&adapter.unwrap_or_default())
            .generate("answer", request)
            .run(|event| {
                match event["event"].as_str() {
                    Some("model") => say_of_model(&event["model"], self.raw),
                    Some("text") if stream => {
                        print!("{}", event["delta"].as_str().unwrap_or_default());
                        stdout().flush()?;
                    }
                    Some("generated") if stream && event["report"]["stopped"] != "judged" => println!(),
                    Some("generated") => {
                        for label in event["report"]["labels"].as_array().into_iter().flatten() {
                            let share = label["probability"].as_f64().unwrap_or(0.0);
                            eprintln!("{:>6.1} %  {}", share * 100.0, label["label"].as_str().unwrap_or("?"));
                        }
                        println!("{}", event["report"]["text"].as_str().unwrap_or_default());
                    }
                    _ => {}
                }
                Ok(())
            })
    }
}

/// What of the model's files is not used, and that a model that was not made for chats is asked in a format that it may not know.
fn say_of_model(model: &Value, raw: bool) {
    for note in model["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("note: {note}");
    }
    let judges = model["labels"].as_array().is_some_and(|labels| !labels.is_empty());
    if !raw && model["has_chat_template"] == false && !judges && model["architecture"] != "bert" {
        eprintln!(
            "note: the model has no chat template: the prompt is written in a plain format (### User: … ### Assistant: …); \
             --raw gives it as it is"
        );
    }
}

/// JSON has no word for nan and inf, which `f64` would read.
fn number(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "it must be a number, such as 0.7".into())
}

/// The request with the prompt as a chat's only message, or as it is.
pub(super) fn with_prompt(mut request: Value, prompt: &str, raw: bool) -> Value {
    if raw {
        request["prompt"] = prompt.into();
        request["raw"] = true.into();
    } else {
        request["messages"] = json!([{ "role": "user", "content": prompt }]);
    }
    request
}
