//! `cargo xtask eval`: loss and what else the objective measures, of a model on a data file; with an adapter, of the tuned
//! model and of the base.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::{ModelArguments, RecipeArguments, device_name};
use crate::browser::Job;
use crate::error::Result;
use crate::recorder::{say_account, say_notes};
use crate::{inputs, progress, site};

#[derive(Args)]
pub struct Eval {
    #[command(flatten)]
    model: ModelArguments,
    /// A folder with adapter_config.json and adapter_model.safetensors
    #[arg(long, value_name = "FOLDER")]
    adapter: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// What the loss is: text, sft, dpo, orpo, kto, grpo, classify, reward or contrastive [default: the recipe's]
    #[arg(long)]
    objective: Option<String>,
    /// Only the rows that a run with this recipe holds out (eval.validation_fraction, train.seed), not the whole file
    #[arg(long)]
    held_out: bool,
    /// Is it worth it? Asks held-out rows of the base, of the base with examples in its prompt, and of the tuned model
    #[arg(long, conflicts_with = "held_out")]
    worth: bool,
    /// Held-out rows to ask at most
    #[arg(long, default_value_t = 12, requires = "worth", value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    /// Rows of the training split to put into a prompt
    #[arg(long, default_value_t = 4, requires = "worth")]
    examples: u64,
    /// Text, or questions with answers, to measure forgetting by, in place of the built-in text
    #[arg(long, value_name = "FILE")]
    probe: Option<PathBuf>,
    /// The adapter of a reward model, for the objective grpo with grpo.reward=reward_model
    #[arg(long, value_name = "FOLDER")]
    reward_model: Option<PathBuf>,
    #[command(flatten)]
    recipe: RecipeArguments,
}

impl Eval {
    pub fn run(self) -> Result<()> {
        progress::be_quiet();
        let data = inputs::file(&self.data, "data file")?;
        let probe = self.probe.as_deref().map(|path| inputs::file(path, "probe")).transpose()?;
        let reward_model = self.reward_model.as_deref().map(inputs::adapter).transpose()?.unwrap_or_default();
        let adapter = self.adapter.as_deref().map(inputs::adapter).transpose()?.unwrap_or_default();
        let mut recipe = inputs::recipe(self.recipe.recipe.as_deref(), &self.recipe.set)?;
        if let Some(objective) = self.objective {
            recipe["objective"] = objective.into();
        }
        let model = inputs::model(&self.model.model)?;
        site::build()?;

        let mut result = Map::new();
        let job = Job::new(&device_name(self.model.device, &recipe), &model)
            .adapter(&adapter)
            .data(&data)
            .probe(probe.as_ref())
            .reward_model(&reward_model)
            .recipe(recipe);
        let job = match self.worth {
            true => job.worth(self.rows, self.examples),
            false if adapter.is_empty() => job.score(false, self.held_out),
            false => job.score(true, self.held_out).score(false, self.held_out),
        };
        job.run(|event| {
            match event["event"].as_str() {
                Some("scored") if event["adapter"] == false && !adapter.is_empty() => {
                    result.insert("base".into(), event["evaluation"].clone());
                }
                Some("scored") => {
                    result.extend(event["evaluation"].as_object().cloned().unwrap_or_default());
                }
                Some("worth") => drop(result.insert("worth".into(), event["worth"].clone())),
                Some("model") => {
                    progress::be_loud();
                    say_notes(&event["model"]);
                    progress::be_quiet();
                    result.insert("model".into(), event["model"]["name"].clone());
                }
                Some("data") => {
                    // All rows are scored, or those that are held out: that none is would be an error.
                    progress::be_loud();
                    say_account(&event["data"], |about| about != "held_out");
                    progress::be_quiet();
                    result.insert("account".into(), event["data"]["account"].clone());
                    for name in ["file", "shape", "rows", "examples"] {
                        result.insert(name.into(), event["data"][name].clone());
                    }
                }
                Some("device") => drop(result.insert("device".into(), event["device"]["kind"].clone())),
                _ => {}
            }
            Ok(())
        })?;
        result.insert("held_out".into(), (self.held_out || self.worth).into());
        result.insert(
            "adapter".into(),
            self.adapter.map_or(Value::Null, |dir| json!(dir.display().to_string())),
        );
        println!("{}", Value::Object(result));
        Ok(())
    }
}
