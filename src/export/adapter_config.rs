//! Reading PEFT's `adapter_config.json`: which layers an adapter belongs to, and how wide and strong its paths are. Each setting
//! that changes what an adapter computes is honoured, or refused by its name.

use super::path_pattern::{self, PathPattern};
use crate::adapters::{Target, target};
use crate::error::{Error, Result};
use crate::models::Model;
use crate::recipe::{LoraRecipe, TargetModules};
use crate::weights::safetensors::NamedTensor;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

/// The file's name.
pub(super) const CONFIG: &str = "adapter_config.json";

/// What PEFT's `LoraConfig` has where the file says nothing.
const DEFAULT_RANK: u64 = 8;
const DEFAULT_ALPHA: f64 = 8.0;

/// A pattern of megabytes would stop the page, and so would many.
const LARGEST_PATTERN: usize = 1 << 20;
const MOST_PATTERNS: usize = 64;

/// Keys that are read here, and those that change nothing for an adapter that is trained: who made it, how it was trained.
const KNOWN: [&str; 28] = [
    "peft_type",
    "r",
    "lora_alpha",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "use_dora",
    "modules_to_save",
    "init_lora_weights",
    "bias",
    "task_type",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "lora_dropout",
    "auto_mapping",
    "peft_version",
    "megatron_core",
    "qalora_group_size",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "ensure_weight_tying",
    "loftq_config",
];

/// Values of `init_lora_weights` that leave the base as it is.
const PLAIN_BEGINNINGS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// What the file says, for one base.
pub(super) struct AdapterConfig {
    pub lora: LoraRecipe,
    /// In the model's order.
    pub targets: Vec<Target>,
}

/// Reads the settings. `stored` are the adapter's tensors, under the names of this crate's parameters; ranks are compared with
/// them, so that nothing is ever made of a rank that only the file claims.
///
/// # Errors
/// A setting that is wrong, or that Loralet does not compute; a layer without its tensor; a rank that is not the tensors'.
pub(super) fn read(config: &Value, base: &Model, stored: &[NamedTensor]) -> Result<AdapterConfig> {
    let Some(keys) = config.as_object() else { return Err(invalid("it is not a JSON object".into())) };
    check_kind(config)?;
    check_beginning(&config["init_lora_weights"])?;
    check_bias(&config["bias"], base)?;
    let unknown = |key: &String, value: &Value| !KNOWN.contains(&key.as_str()) && says_something(value);
    if let Some((key, value)) = keys.iter().find(|(key, value)| unknown(key, value)) {
        return Err(invalid(format!(
            "{key} is {value}, which Loralet does not compute; merge the adapter into its base with PEFT and open that, or take the \
             line out if it changes nothing"
        )));
    }
    if config["task_type"] == "SEQ_CLS" && !base.is_encoder() && base.score().is_none() {
        return Err(invalid(
            "task_type is \"SEQ_CLS\", but the adapter has no tensor score.weight, which tells the classes apart; save it again \
             with modules_to_save=[\"score\"]"
                .into(),
        ));
    }
    let saved = names(config, "modules_to_save")?;
    check_saved(&saved, stored)?;
    if flag(config, "ensure_weight_tying")? && !saved.is_empty() {
        return Err(invalid("ensure_weight_tying is true, which Loralet does not compute; merge the adapter into its base with PEFT and open that".into()));
    }
    let paths = target_paths(config, base)?;
    let mut lora = LoraRecipe {
        alpha: alpha("lora_alpha", config.get("lora_alpha"))?,
        use_rslora: flag(config, "use_rslora")?,
        use_dora: flag(config, "use_dora")?,
        modules_to_save: saved
            .into_iter()
            .filter(|module| module == "embed_tokens" || module == "lm_head")
            .collect(),
        ..LoraRecipe::default()
    };
    let targets = sized(config, paths, lora.alpha, stored)?;
    let default_rank = rank("r", config.get("r"))?;
    lora.rank = usize::try_from(default_rank).unwrap_or(targets[0].rank);
    lora.target_modules = TargetModules::Named(target::names(base, &lora, &targets));
    Ok(AdapterConfig { lora, targets })
}

fn check_kind(config: &Value) -> Result<()> {
    match config["peft_type"].as_str() {
        Some("LORA") => Ok(()),
        Some(kind) => Err(invalid(format!(
            "peft_type is \"{kind}\", and Loralet computes \"LORA\" only; merge the adapter into its base with PEFT and open that"
        ))),
        None => Err(invalid(
            "it has no peft_type, so it is not PEFT's; give the adapter folder that PEFT's save_pretrained writes".into(),
        )),
    }
}

/// PiSSA, OLoRA and others take a part out of the base's weights and begin the adapter with it, so that the adapter fits no other base.
fn check_beginning(value: &Value) -> Result<()> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::String(name) if PLAIN_BEGINNINGS.contains(&name.to_lowercase().as_str()) => Ok(()),
        value => Err(invalid(format!(
            "init_lora_weights is {value}: such an adapter was trained beside a base whose weights were changed first, and computes \
             something else beside this one; save it with PEFT as a plain adapter (save_pretrained with \
             path_initial_model_for_weight_conversion), or merge it into its base and open that"
        ))),
    }
}

/// A decoder has no biases that could have been trained.
fn check_bias(value: &Value, base: &Model) -> Result<()> {
    match value.as_str() {
        None if value.is_null() => Ok(()),
        Some("none") => Ok(()),
        Some("all" | "lora_only") if !base.is_encoder() => Ok(()),
        _ => Err(invalid(format!(
            "bias is {value}, and Loralet takes adapters without trained biases, \"none\"; merge the adapter into its base with PEFT \
             and open that"
        ))),
    }
}

/// PEFT lists heads that a model may not have; a module that has tensors must be one that Loralet replaces.
fn check_saved(saved: &[String], stored: &[NamedTensor]) -> Result<()> {
    let is_known = |module: &str| matches!(module, "embed_tokens" | "lm_head" | "score");
    let has_tensors =
        |module: &str| stored.iter().any(|(name, ..)| name.split('.').any(|part| part == module));
    match saved.iter().find(|module| !is_known(module) && has_tensors(module)) {
        Some(module) => Err(invalid(format!(
            "modules_to_save names \"{module}\", and Loralet takes embed_tokens, lm_head and score; merge the adapter into its base \
             with PEFT and open that"
        ))),
        None => Ok(()),
    }
}

/// The paths of the layers that the adapter is of, as PEFT finds them.
fn target_paths(config: &Value, base: &Model) -> Result<Vec<String>> {
    let is_target = Modules::read(config, "target_modules")?.ok_or_else(|| {
        invalid("it has no target_modules; name the layers that the adapter is of, or save it again".into())
    })?;
    let is_excluded = Modules::read(config, "exclude_modules")?;
    let in_layers = Layers::read(config, &is_target)?;
    let prefix = &super::peft::trunk(base);
    let paths = base.linear_paths();
    if let Modules::Named(names) = &is_target {
        let is_unknown = |name: &&String| !paths.iter().any(|path| is_end(name, path, prefix));
        if let Some(unknown) = names.iter().find(is_unknown) {
            return Err(invalid(format!(
                "target module \"{unknown}\" is not a linear layer of this model's blocks, which are {}; open the base it was trained \
                 on, or merge the adapter into it with PEFT",
                base.linear_modules().join(", ")
            )));
        }
    }
    let targets: Vec<String> = paths
        .into_iter()
        .filter(|path| is_target.mean(path, prefix) && in_layers.hold(path))
        .filter(|path| !is_excluded.as_ref().is_some_and(|excluded| excluded.mean(path, prefix)))
        .collect();
    match targets.is_empty() {
        true => Err(invalid(format!(
            "target_modules, {}, with layers_to_transform and exclude_modules, names no linear layer of this model; open the base it \
             was trained on",
            config["target_modules"]
        ))),
        false => Ok(targets),
    }
}

/// Modules by the ends of their paths, by a regular expression of the whole path, or all.
enum Modules {
    Named(Vec<String>),
    Matching(Regex),
    All,
}

impl Modules {
    fn read(config: &Value, key: &str) -> Result<Option<Modules>> {
        Ok(match &config[key] {
            Value::Null => None,
            Value::String(text) if text.eq_ignore_ascii_case("all-linear") => Some(Modules::All),
            Value::String(text) => Some(Modules::Matching(pattern(key, text, &format!(r"\A(?:{text})\z"))?)),
            _ => match names(config, key)? {
                names if names.is_empty() => None,
                names => Some(Modules::Named(names)),
            },
        })
    }

    fn mean(&self, path: &str, prefix: &str) -> bool {
        match self {
            Modules::Named(names) => names.iter().any(|name| is_end(name, path, prefix)),
            Modules::Matching(pattern) => {
                pattern.is_match(path) || pattern.is_match(&format!("{prefix}{path}"))
            }
            Modules::All => true,
        }
    }
}

/// Whether a name is a module's path or its end, in whole parts.
fn is_end(name: &str, path: &str, prefix: &str) -> bool {
    let path = format!(".{prefix}{path}");
    let name = name.strip_prefix(prefix).unwrap_or(name);
    path.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

/// `layers_to_transform` and `layers_pattern`.
struct Layers {
    /// `None` for all.
    numbers: Option<Vec<u64>>,
    patterns: Vec<Regex>,
}

impl Layers {
    fn read(config: &Value, modules: &Modules) -> Result<Layers> {
        let key = "layers_to_transform";
        let wrong =
            || invalid(format!("{key} is {}; it must be a whole number or a list of them", config[key]));
        let numbers = match &config[key] {
            Value::Null => None,
            Value::Array(numbers) if numbers.is_empty() => None,
            Value::Array(numbers) => {
                Some(numbers.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>().ok_or_else(wrong)?)
            }
            number => Some(vec![number.as_u64().ok_or_else(wrong)?]),
        };
        if numbers.is_some() && !matches!(modules, Modules::Named(_)) {
            return Err(invalid(format!(
                "{key} is set beside target_modules that are one text, and PEFT reads it beside a list only; write the layers into \
                 the text, or list the modules"
            )));
        }
        let patterns = match &config["layers_pattern"] {
            Value::String(text) if text.is_empty() => Vec::new(),
            Value::String(text) => vec![text.clone()],
            _ => names(config, "layers_pattern")?,
        };
        let patterns = match numbers.is_some() && patterns.is_empty() {
            true => vec![r"[^.]*".into()],
            false => patterns,
        };
        check_number("layers_pattern", patterns.len())?;
        let compiled = patterns
            .iter()
            .map(|text| pattern("layers_pattern", text, &format!(r"\A.*\.{text}\.(\d+)\.")))
            .collect::<Result<_>>()?;
        Ok(Layers { numbers, patterns: compiled })
    }

    fn hold(&self, path: &str) -> bool {
        let Some(numbers) = &self.numbers else { return true };
        let number = self.patterns.iter().find_map(|pattern| pattern.captures(path));
        let number = number.and_then(|found| found.get(1)?.as_str().parse::<u64>().ok());
        number.is_some_and(|number| numbers.contains(&number))
    }
}

/// The targets with their ranks and alphas, which patterns may set for some of them; the tensors confirm the ranks.
fn sized(
    config: &Value,
    paths: Vec<String>,
    default_alpha: f64,
    stored: &[NamedTensor],
) -> Result<Vec<Target>> {
    let default_rank = rank("r", config.get("r"))?;
    let (ranks, alphas) = (patterns(config, "rank_pattern")?, patterns(config, "alpha_pattern")?);
    let of = |patterns: &[(PathPattern, String, Value)], path: &str| {
        patterns
            .iter()
            .find(|(pattern, ..)| pattern.is_match(path))
            .map(|(_, key, value)| (key.clone(), value.clone()))
    };
    let mut targets = Vec::with_capacity(paths.len());
    for path in paths {
        let (key, rank) = match of(&ranks, &path) {
            Some((key, value)) => {
                let key = format!("rank_pattern \"{key}\"");
                let rank = rank(&key, Some(&value))?;
                (key, rank)
            }
            None => ("r".to_string(), default_rank),
        };
        let alpha = match of(&alphas, &path) {
            Some((key, value)) => alpha(&format!("alpha_pattern \"{key}\""), Some(&value))?,
            None => default_alpha,
        };
        let name = format!("{path}.lora_A.weight");
        let Some((_, shape, _)) = stored.iter().find(|(stored, ..)| *stored == name) else {
            return Err(Error::InvalidAdapter {
                file: super::peft::WEIGHTS.into(),
                reason: format!(
                    "tensor \"{}{name}\" is missing, although target_modules in {CONFIG} names its layer; save the adapter again, or \
                     correct target_modules or layers_to_transform",
                    super::peft::PREFIX
                ),
            });
        };
        let found = shape.first().copied().unwrap_or(0);
        if found as u64 != rank {
            return Err(invalid(format!(
                "{key} is {rank}, but tensor \"{}{name}\" is {shape:?}, of rank {found}; correct {key}, or save the adapter again",
                super::peft::PREFIX
            )));
        }
        targets.push(Target { path, rank: found, alpha });
    }
    Ok(targets)
}

/// Patterns of module paths with what they set, in the file's order, of which the first that fits counts.
fn patterns(config: &Value, key: &str) -> Result<Vec<(PathPattern, String, Value)>> {
    let map = match &config[key] {
        Value::Null => return Ok(Vec::new()),
        Value::Object(map) => map,
        other => {
            return Err(invalid(format!(
                "{key} is {other}; it must be an object from module names to numbers"
            )));
        }
    };
    check_number(key, map.keys().filter(|text| !path_pattern::is_plain(text)).count())?;
    map.iter()
        .map(|(text, value)| {
            let pattern = match path_pattern::is_plain(text) {
                true => PathPattern::Plain(text.clone()),
                false => PathPattern::Matching(pattern(key, text, &format!(r"\A(?:.*\.)?(?:{text})\z"))?),
            };
            Ok((pattern, text.clone(), value.clone()))
        })
        .collect()
}

fn check_number(key: &str, patterns: usize) -> Result<()> {
    match patterns > MOST_PATTERNS {
        true => Err(invalid(format!(
            "{key} has {patterns} regular expressions, and at most {MOST_PATTERNS} are taken; write the modules' paths instead"
        ))),
        false => Ok(()),
    }
}

fn pattern(key: &str, text: &str, whole: &str) -> Result<Regex> {
    RegexBuilder::new(whole).size_limit(LARGEST_PATTERN).build().map_err(|error| {
        // The last line of the message says what is wrong; those before it draw where.
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
        invalid(format!(
            "{key} has the regular expression \"{text}\", which cannot be used ({reason}); list the modules by name"
        ))
    })
}

fn rank(key: &str, value: Option<&Value>) -> Result<u64> {
    let Some(value) = value else { return Ok(DEFAULT_RANK) };
    let rank = value.as_u64().filter(|rank| *rank > 0);
    rank.ok_or_else(|| invalid(format!("\"{key}\" must be a whole number above 0, and is {value}")))
}

fn alpha(key: &str, value: Option<&Value>) -> Result<f64> {
    let Some(value) = value else { return Ok(DEFAULT_ALPHA) };
    let alpha = value.as_f64().filter(|alpha| (*alpha as f32).is_finite() && *alpha > 0.0);
    alpha.ok_or_else(|| invalid(format!("\"{key}\" must be a number above 0, and is {value}")))
}

fn flag(config: &Value, key: &str) -> Result<bool> {
    match &config[key] {
        Value::Null => Ok(false),
        Value::Bool(flag) => Ok(*flag),
        other => Err(invalid(format!("{key} is {other}; it must be true or false"))),
    }
}

/// A list of names; none where the file has null.
fn names(config: &Value, key: &str) -> Result<Vec<String>> {
    let wrong = || invalid(format!("{key} is {}; it must be a list of names", config[key]));
    match &config[key] {
        Value::Null => Ok(Vec::new()),
        Value::String(name) => Ok(vec![name.clone()]),
        Value::Array(names) => {
            names.iter().map(|name| name.as_str().map(String::from)).collect::<Option<_>>().ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// Whether a setting that is not known may change something: it is not null, false or empty.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

fn invalid(reason: String) -> Error {
    Error::InvalidAdapter { file: CONFIG.into(), reason }
}
