//! The settings of a recipe and what is written of them: `docs/recipe.md` has every key with its default. That the page explains
//! every key is tested on the page, in `www/e2e/settings.e2e.mjs`.

use loralet::recipe::Recipe;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Every key by its dotted name, with its default.
fn settings() -> BTreeMap<String, Value> {
    let recipe = serde_json::to_value(Recipe::default()).unwrap();
    let mut settings = BTreeMap::new();
    for (section, value) in recipe.as_object().unwrap() {
        match value {
            Value::Object(keys) => {
                settings.extend(keys.iter().map(|(key, value)| (format!("{section}.{key}"), value.clone())))
            }
            value => drop(settings.insert(section.clone(), value.clone())),
        }
    }
    settings
}

/// The items of the lists, "- `key` (`default`): what it may be", which may go over several lines.
fn documented() -> BTreeMap<String, (Value, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipe.md");
    let text = std::fs::read_to_string(path).unwrap();
    let items = text.split("\n- `").skip(1).map(|item| {
        let item = item.split("\n\n").next().unwrap_or_default();
        item.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    let read = |item: String| {
        let (key, rest) = item.split_once("` (`").unwrap_or_else(|| panic!("{item}"));
        let (default, may_be) = rest.split_once("`): ").unwrap_or_else(|| panic!("{item}"));
        let default = serde_json::from_str(default).unwrap_or_else(|error| panic!("{item}: {error}"));
        (key.to_string(), (default, may_be.to_string()))
    };
    items.map(read).collect()
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let documented = documented();
    for (key, default) in settings() {
        let (written, may_be) =
            documented.get(&key).unwrap_or_else(|| panic!("docs/recipe.md does not name {key}"));
        assert_eq!(written, &default, "the default of {key} in docs/recipe.md");
        assert!(may_be.len() > 5, "docs/recipe.md does not say what {key} may be");
    }
    let known = settings();
    let stray = documented.keys().find(|key| !known.contains_key(*key));
    assert_eq!(stray, None, "docs/recipe.md names a setting that there is not");
}

/// No key takes a value that cannot be one, and each refusal names its key.
#[test]
fn every_setting_is_checked() {
    for key in settings().into_keys() {
        for nonsense in [json!({ "a": [1] }), json!([[]]), json!("\u{0}")] {
            let mut recipe = json!({});
            Recipe::set(&mut recipe, &key, &nonsense.to_string()).unwrap();
            // Any text is a pattern for another reward than `regex`.
            if key == "grpo.pattern" && nonsense.is_string() {
                recipe["objective"] = "grpo".into();
                recipe["grpo"] = json!({ "reward": "regex", "pattern": "(" });
            }
            let said = Recipe::from_json(&recipe).expect_err(&format!("{key} takes {nonsense}")).to_string();
            assert!(said.contains(&key), "{key}: {said}");
        }
    }
}

#[test]
fn numbers_out_of_range_name_key_and_range() {
    let numbers: Vec<(String, Value)> =
        settings().into_iter().filter(|(_, default)| default.is_number()).collect();
    assert!(numbers.len() > 20);
    for (key, _) in numbers {
        let mut recipe = json!({});
        Recipe::set(&mut recipe, &key, "-1").unwrap();
        let said = Recipe::from_json(&recipe).expect_err(&format!("{key} takes -1")).to_string();
        assert!(said.contains(&format!("{key} is -1")), "{key}: {said}");
    }
    for (key, value, range) in [
        ("train.batch_size", "70000", "from 1 to 65536"),
        ("train.gradient_accumulation_steps", "70000", "from 1 to 65536"),
        ("train.max_seq_length", "2000000", "from 8 to 1048576"),
        ("train.epochs", "1e9", "at most 10000"),
        ("lora.rank", "2000", "from 1 to 1024"),
        ("eval.validation_fraction", "1", "from 0 to 0.9"),
    ] {
        let mut recipe = json!({});
        Recipe::set(&mut recipe, key, value).unwrap();
        let said = Recipe::from_json(&recipe).unwrap_err().to_string();
        assert!(said.contains(key) && said.contains(range), "{said}");
    }
}
