//! The recipe: everything a run needs to be repeated, as the user typed it.
//!
//! A [`Recipe`] is plain JSON whose every field has a documented default. It is checked
//! once, in [`Recipe::from_json`]; [`crate::train::Plan`] holds what it resolves to for
//! one model and data set.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the loss is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum Objective {
    /// Continued pretraining: every token of raw text is a target.
    Text,
    /// Supervised fine-tuning: the assistant's tokens are targets.
    Sft,
}

/// Which weights move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum Method {
    /// Low-rank adapters beside frozen weights (<https://arxiv.org/abs/2106.09685>).
    Lora,
    /// Every weight of the model.
    Full,
}

/// How the learning rate moves after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum SchedulerType {
    Linear,
    Cosine,
    /// No warm-up, no decay.
    Constant,
    ConstantWithWarmup,
}

/// Where to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum DeviceChoice {
    /// A real GPU through WebGPU if there is one, the CPU otherwise.
    Auto,
    Webgpu,
    Cpu,
    /// Native builds with the `vulkan` feature only.
    Vulkan,
}

/// How the frozen base weights are kept on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum BaseDtype {
    Auto,
    F32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Recipe {
    pub objective: Objective,
    pub method: Method,
    pub lora: LoraRecipe,
    pub train: TrainRecipe,
    pub eval: EvalRecipe,
    pub data: DataRecipe,
    pub device: DeviceChoice,
    pub base_dtype: BaseDtype,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct LoraRecipe {
    /// Width of the low-rank path. Default 16.
    pub rank: usize,
    /// The path is scaled by alpha / rank. Default 32.
    pub alpha: f64,
    /// Share of the path's inputs zeroed while training. Default 0.
    pub dropout: f64,
    /// Linear layers that get an adapter. Default: all seven of a Llama block.
    pub target_modules: Vec<String>,
    /// Scale by alpha / √rank instead (<https://arxiv.org/abs/2312.03732>). Default false.
    pub use_rslora: bool,
    /// Weight-decomposed LoRA. Not available yet; must be false.
    pub use_dora: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct TrainRecipe {
    /// Peak learning rate. Default 2e-4.
    pub learning_rate: f64,
    /// Passes over the training rows. Default 1.
    pub epochs: f64,
    /// Optimizer steps; overrides `epochs` when set.
    pub max_steps: Option<usize>,
    /// Rows in a micro-batch. Default 4.
    pub batch_size: usize,
    /// Micro-batches to an optimizer step. Default 1.
    pub gradient_accumulation_steps: usize,
    /// Longer rows are cut, in tokens. Default 512.
    pub max_seq_length: usize,
    /// Put several rows into one sequence, each attending only to itself. Default false.
    pub packing: bool,
    /// Default linear.
    pub lr_scheduler_type: SchedulerType,
    /// Share of the steps over which the rate rises from zero. Default 0.05.
    pub warmup_ratio: f64,
    /// AdamW's decoupled weight decay. Default 0.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm; 0 switches it off. Default 1.
    pub max_grad_norm: f64,
    /// Same recipe, data and device kind: same losses. Default 42.
    #[cfg_attr(test, ts(type = "number"))]
    pub seed: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct EvalRecipe {
    /// Share of the rows held out. Default 0.1.
    pub validation_fraction: f64,
    /// Steps between evaluations. Default 20.
    pub eval_steps: usize,
    /// Not available yet; must be null.
    pub early_stopping_patience: Option<usize>,
    /// Reserved for the forgetting probe; it has no effect yet.
    pub forgetting_probe: bool,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct DataRecipe {
    /// Put the prompt's tokens into the loss too. Default false.
    pub train_on_prompt: bool,
    /// Which columns are which, where detection is not enough.
    pub mapping: Option<crate::data::ColumnMapping>,
}

/// The linear layers of a Llama block, in checkpoint order.
pub const LINEAR_MODULES: [&str; 7] =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            objective: Objective::Sft,
            method: Method::Lora,
            lora: LoraRecipe::default(),
            train: TrainRecipe::default(),
            eval: EvalRecipe::default(),
            data: DataRecipe::default(),
            device: DeviceChoice::Auto,
            base_dtype: BaseDtype::Auto,
        }
    }
}

impl Default for LoraRecipe {
    fn default() -> Self {
        LoraRecipe {
            rank: 16,
            alpha: 32.0,
            dropout: 0.0,
            target_modules: LINEAR_MODULES.map(String::from).to_vec(),
            use_rslora: false,
            use_dora: false,
        }
    }
}

impl Default for TrainRecipe {
    fn default() -> Self {
        TrainRecipe {
            learning_rate: 2e-4,
            epochs: 1.0,
            max_steps: None,
            batch_size: 4,
            gradient_accumulation_steps: 1,
            max_seq_length: 512,
            packing: false,
            lr_scheduler_type: SchedulerType::Linear,
            warmup_ratio: 0.05,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
            seed: 42,
        }
    }
}

impl Default for EvalRecipe {
    fn default() -> Self {
        EvalRecipe {
            validation_fraction: 0.1,
            eval_steps: 20,
            early_stopping_patience: None,
            forgetting_probe: true,
        }
    }
}

impl LoraRecipe {
    /// The factor on the low-rank path: alpha / rank, or alpha / √rank for rsLoRA.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        if self.use_rslora { self.alpha / rank.sqrt() } else { self.alpha / rank }
    }
}

impl Recipe {
    /// Reads a recipe, filling what is left out with defaults, and checks it.
    ///
    /// # Errors
    /// An unknown key (the nearest known one is named), a value of the wrong type, or a
    /// value outside its range.
    pub fn from_json(value: &Value) -> Result<Recipe> {
        let known = serde_json::to_value(Recipe::default()).expect("a recipe is plain JSON");
        check_keys(value, &known, "")?;
        let recipe: Recipe = serde_path(value)?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// Sets one dotted key (`train.max_steps`) of a recipe that is still JSON.
    ///
    /// `text` is read as JSON where it is JSON and as a string otherwise; for a key that
    /// holds a list, `a,b` is a list too.
    ///
    /// # Errors
    /// An unknown key. The value is checked later, by [`Recipe::from_json`].
    pub fn set(value: &mut Value, key: &str, text: &str) -> Result<()> {
        let known = serde_json::to_value(Recipe::default()).expect("a recipe is plain JSON");
        let pointer = format!("/{}", key.replace('.', "/"));
        let Some(default) = known.pointer(&pointer) else {
            return Err(unknown_key(key, &all_keys(&known, "")));
        };
        let parsed = serde_json::from_str(text).unwrap_or_else(|_| {
            if default.is_array() {
                text.split(',').map(|part| Value::from(part.trim())).collect()
            } else {
                Value::from(text)
            }
        });
        let mut place = value;
        for part in key.split('.') {
            if !place.is_object() {
                *place = Value::Object(Default::default());
            }
            place = &mut place[part];
        }
        *place = parsed;
        Ok(())
    }

    fn validate(&self) -> Result<()> {
        let lora = &self.lora;
        let train = &self.train;
        check(lora.rank >= 1 && lora.rank <= 1024, "lora.rank", lora.rank, "a whole number from 1 to 1024")?;
        check(lora.alpha.is_finite() && lora.alpha > 0.0, "lora.alpha", lora.alpha, "a number above 0")?;
        check((0.0..1.0).contains(&lora.dropout), "lora.dropout", lora.dropout, "from 0 to below 1")?;
        check(!lora.use_dora, "lora.use_dora", true, "false: DoRA is not available yet")?;
        check(!lora.target_modules.is_empty(), "lora.target_modules", "empty", "at least one module name")?;
        for module in &lora.target_modules {
            if !LINEAR_MODULES.contains(&module.as_str()) {
                return Err(Error::InvalidSetting {
                    key: "lora.target_modules".into(),
                    value: format!("\"{module}\""),
                    expected: format!("it must name one of {}", LINEAR_MODULES.join(", ")),
                });
            }
        }
        let rate = train.learning_rate;
        check(
            rate.is_finite() && rate > 0.0 && rate <= 1.0,
            "train.learning_rate",
            rate,
            "above 0 and at most 1",
        )?;
        check(
            train.epochs.is_finite() && train.epochs > 0.0,
            "train.epochs",
            train.epochs,
            "a number above 0",
        )?;
        check(train.max_steps != Some(0), "train.max_steps", 0, "at least 1, or null to use train.epochs")?;
        check(train.batch_size >= 1, "train.batch_size", train.batch_size, "at least 1")?;
        let accumulation = train.gradient_accumulation_steps;
        check(accumulation >= 1, "train.gradient_accumulation_steps", accumulation, "at least 1")?;
        check(train.max_seq_length >= 8, "train.max_seq_length", train.max_seq_length, "at least 8 tokens")?;
        check(
            (0.0..=1.0).contains(&train.warmup_ratio),
            "train.warmup_ratio",
            train.warmup_ratio,
            "from 0 to 1",
        )?;
        check(
            (0.0..=1.0).contains(&train.weight_decay),
            "train.weight_decay",
            train.weight_decay,
            "from 0 to 1",
        )?;
        let norm = train.max_grad_norm;
        check(norm.is_finite() && norm >= 0.0, "train.max_grad_norm", norm, "0 (off) or more")?;
        let fraction = self.eval.validation_fraction;
        check((0.0..=0.9).contains(&fraction), "eval.validation_fraction", fraction, "from 0 to 0.9")?;
        check(self.eval.eval_steps >= 1, "eval.eval_steps", self.eval.eval_steps, "at least 1")?;
        check(
            self.eval.early_stopping_patience.is_none(),
            "eval.early_stopping_patience",
            "set",
            "null: early stopping is not available yet",
        )
    }
}

fn check(holds: bool, key: &str, value: impl std::fmt::Display, expected: &str) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        key: key.into(),
        value: value.to_string(),
        expected: format!("it must be {expected}"),
    })
}

fn check_keys(value: &Value, known: &Value, path: &str) -> Result<()> {
    let (Some(given), Some(known_map)) = (value.as_object(), known.as_object()) else {
        if path.is_empty() {
            return Err(Error::InvalidRecipe { reason: "it must be a JSON object".into() });
        }
        return Ok(());
    };
    for (key, inner) in given {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match known_map.get(key) {
            // A mapping's keys are the column mapping's own, which serde checks.
            Some(_) if full == "data.mapping" => {}
            Some(known_inner) => check_keys(inner, known_inner, &full)?,
            None => return Err(unknown_key(&full, &all_keys(known, path))),
        }
    }
    Ok(())
}

fn all_keys(known: &Value, path: &str) -> Vec<String> {
    let Some(map) = known.as_object() else { return Vec::new() };
    map.iter()
        .flat_map(|(key, inner)| {
            let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let below = all_keys(inner, &full);
            if below.is_empty() { vec![full] } else { below }
        })
        .collect()
}

fn unknown_key(key: &str, known: &[String]) -> Error {
    let leaf = key.rsplit('.').next().unwrap_or(key);
    let suggestion = known
        .iter()
        .map(|candidate| {
            let candidate_leaf = candidate.rsplit('.').next().unwrap_or(candidate);
            let score = strsim::jaro_winkler(leaf, candidate_leaf).max(strsim::jaro_winkler(key, candidate));
            (score, candidate)
        })
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.clone());
    Error::UnknownKey { key: key.into(), suggestion }
}

/// Deserialises section by section, so that an error can name its key.
fn serde_path(value: &Value) -> Result<Recipe> {
    let mut merged = serde_json::to_value(Recipe::default()).expect("a recipe is plain JSON");
    for (section, inner) in value.as_object().into_iter().flatten() {
        if merged[section].is_object() && !inner.is_object() {
            return Err(Error::InvalidSetting {
                key: section.clone(),
                value: inner.to_string(),
                expected: "it must be a JSON object".into(),
            });
        }
        let entries: Vec<(String, Value)> = match (inner.as_object(), merged[section].is_object()) {
            (Some(map), true) => map.iter().map(|(k, v)| (format!("/{section}/{k}"), v.clone())).collect(),
            _ => vec![(format!("/{section}"), inner.clone())],
        };
        for (pointer, entry) in entries {
            let place = merged.pointer_mut(&pointer).expect("keys were checked");
            let before = std::mem::replace(place, entry.clone());
            if let Err(error) = serde_json::from_value::<Recipe>(merged.clone()) {
                return Err(Error::InvalidSetting {
                    key: pointer.trim_start_matches('/').replace('/', "."),
                    value: entry.to_string(),
                    expected: format!("{error} (the default is {before})"),
                });
            }
        }
    }
    serde_json::from_value(merged).map_err(|error| Error::InvalidRecipe { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(value: Value) -> String {
        Recipe::from_json(&value).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_recipe_is_the_default() {
        assert_eq!(Recipe::from_json(&json!({})).unwrap(), Recipe::default());
    }

    #[test]
    fn unknown_keys_name_the_nearest_known_one() {
        let text = message(json!({ "train": { "learning_rat": 1e-4 } }));
        assert!(
            text.contains("\"train.learning_rat\"") && text.contains("\"train.learning_rate\""),
            "{text}"
        );
        let text = message(json!({ "lr": 1 }));
        assert!(text.contains("\"lr\""), "{text}");
    }

    #[test]
    fn values_out_of_range_name_their_key() {
        assert!(message(json!({ "lora": { "rank": 0 } })).contains("lora.rank is 0"));
        assert!(message(json!({ "train": { "batch_size": -1 } })).contains("train.batch_size"));
        assert!(message(json!({ "train": { "learning_rate": "fast" } })).contains("train.learning_rate"));
        assert!(message(json!({ "lora": { "target_modules": ["q"] } })).contains("q_proj"));
        assert!(message(json!({ "objective": "dance" })).contains("objective"));
        assert!(message(json!({ "train": 3 })).contains("train is 3"));
        assert!(message(json!([])).contains("JSON object"));
    }

    #[test]
    fn set_reads_numbers_lists_and_words() {
        let mut value = json!({});
        Recipe::set(&mut value, "train.max_steps", "20").unwrap();
        Recipe::set(&mut value, "method", "full").unwrap();
        Recipe::set(&mut value, "lora.target_modules", "q_proj,v_proj").unwrap();
        let recipe = Recipe::from_json(&value).unwrap();
        assert_eq!(recipe.train.max_steps, Some(20));
        assert_eq!(recipe.method, Method::Full);
        assert_eq!(recipe.lora.target_modules, ["q_proj", "v_proj"]);
        assert!(Recipe::set(&mut value, "train.max_step", "20").is_err());
    }
}
