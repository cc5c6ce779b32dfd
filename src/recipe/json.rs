//! Reading a recipe from JSON: unknown keys, wrong types, single settings by dotted key.

use super::Recipe;
use crate::error::{Error, Result};
use serde_json::Value;

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
    use crate::error::ErrorKind;
    use crate::recipe::Method;
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
        let nothing = message(json!({ "lora": { "target_modules": [] } }));
        assert!(nothing.contains("lora.target_modules is empty"), "{nothing}");
        let number = message(json!({ "lora": { "target_modules": 3 } }));
        assert!(number.contains("lora.target_modules") && number.contains("all-linear"), "{number}");
        assert!(message(json!({ "objective": "dance" })).contains("objective is \"dance\""));
        assert!(message(json!({ "preference": { "beta": 0 } })).contains("preference.beta is 0"));
        assert!(message(json!({ "preference": { "loss_type": "hinge" } })).contains("preference.loss_type"));
        let packed = json!({ "objective": "dpo", "train": { "packing": true } });
        assert!(message(packed).contains("train.packing is true"));
        let alone = json!({ "objective": "kto", "train": { "batch_size": 1 } });
        assert!(
            message(alone).contains("train.batch_size is 1, but it must be at least 2 for the objective kto")
        );
        let packed = json!({ "objective": "classify", "train": { "packing": true } });
        assert!(
            message(packed)
                .contains("train.packing is true, but it must be false for the objective classify")
        );
        let saved = |objective, module| {
            message(json!({ "objective": objective, "lora": { "modules_to_save": [module] } }))
        };
        assert!(
            saved("sft", "embeddings")
                .contains("lora.modules_to_save is \"embeddings\", but it must name one of")
        );
        assert!(saved("classify", "lm_head").contains("the objective classify has no lm_head to train"));
        assert!(saved("sft", "score").contains("the objective sft has no score to train"));
        let grpo = |key: &str, value: Value| message(json!({ "objective": "grpo", "grpo": { key: value } }));
        assert!(
            grpo("num_generations", json!(1)).contains("grpo.num_generations is 1, but it must be from 2")
        );
        assert!(grpo("temperature", json!(0)).contains("grpo.temperature is 0"));
        assert!(grpo("epsilon", json!(1)).contains("grpo.epsilon is 1"));
        assert!(grpo("num_iterations", json!(0)).contains("grpo.num_iterations is 0"));
        assert!(grpo("reward", json!("praise")).contains("grpo.reward is \"praise\""));
        assert!(grpo("reward", json!("regex")).contains("grpo.pattern is null, but the reward regex needs"));
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
        assert_eq!(recipe.lora.target_modules.names(), ["q_proj", "v_proj"]);
        let error = Recipe::set(&mut value, "train.max_step", "20").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownKey, "{error}");
    }
}
