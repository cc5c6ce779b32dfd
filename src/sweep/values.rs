//! The values that a sweep tries: read, and put into recipes.

use super::{SettingValue, SweptSetting};
use crate::error::{Error, Result};
use crate::recipe::Recipe;
use serde_json::Value;

/// Settings that leave the held-out rows and their loss what they are, so that losses can be compared. A name that ends
/// in a dot stands for its whole section.
const COMPARABLE: [&str; 4] = ["method", "lora.", "train.", "data.general_fraction"];
/// Which tokens count, and which rows are held out.
const NOT_COMPARABLE: [&str; 2] = ["train.max_seq_length", "train.seed"];

/// `1e-4, 3e-4`: each JSON or a word; or one JSON list of values.
///
/// # Errors
/// An unknown setting, or one whose runs could not be compared; no values, an empty one, or one that is there twice.
pub fn read(setting: &SweptSetting) -> Result<Vec<Value>> {
    let SweptSetting { key, values: text } = setting;
    // Says which name was meant, where there is no such setting.
    Recipe::set(&mut Value::Object(Default::default()), key, "0")?;
    let invalid = |reason: String| Err(Error::InvalidRecipe { reason });
    let comparable =
        COMPARABLE.iter().any(|name| key == name || (name.ends_with('.') && key.starts_with(name)));
    if !comparable || NOT_COMPARABLE.contains(&key.as_str()) {
        return invalid(format!(
            "{key} cannot be swept: it changes what the held-out loss is measured on, or is no single setting; \
             sweep over method, lora.*, train.* (but train.max_seq_length and train.seed) or data.general_fraction"
        ));
    }
    if text.trim().is_empty() {
        return invalid(format!("{key} has no values to try; write them as {key}=1,2"));
    }
    let values = match serde_json::from_str(text) {
        Ok(Value::Array(values)) => values,
        _ => {
            let parts: Vec<&str> = text.split(',').map(str::trim).collect();
            if parts.contains(&"") {
                return invalid(format!(
                    "{key} has an empty value among \"{text}\"; write them as {key}=1,2"
                ));
            }
            parts
                .iter()
                .map(|part| serde_json::from_str(part).unwrap_or_else(|_| Value::from(*part)))
                .collect()
        }
    };
    // 1e-4 and 0.0001 are one value.
    match values.iter().enumerate().find(|(place, value)| values[..*place].contains(value)) {
        Some((_, value)) => invalid(format!("{key} has the value {value} twice; each is tried once")),
        None if values.is_empty() => invalid(format!("{key} has no values to try; write them as {key}=1,2")),
        None => Ok(values),
    }
}

/// # Errors
/// A value that its setting may not have.
pub fn apply(recipe: &Recipe, changes: &[SettingValue]) -> Result<Recipe> {
    let mut json = serde_json::to_value(recipe).expect("a recipe is plain JSON");
    for SettingValue { key, value } in changes {
        let pointer = format!("/{}", key.replace('.', "/"));
        *json.pointer_mut(&pointer).expect("the key was checked") = value.clone();
    }
    Recipe::from_json(&json)
}
