//! What the user names on the command line: models, adapters, data, recipes. Checked before anything starts.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Failure, Result};
use crate::provision;
use crate::server::files_in;

/// A model by the name that goes into adapters, and its files.
pub struct Model {
    pub name: String,
    pub files: Vec<(String, PathBuf)>,
}

/// A `.gguf` file, a folder, or one of the models that need no download of the user's own.
pub fn model(given: &str) -> Result<Model> {
    match given {
        "smollm2" => {
            let path = provision::default_model()?;
            // The name that PEFT and transformers know the base by.
            Ok(Model { name: "HuggingFaceTB/SmolLM2-135M-Instruct".into(), files: vec![named(path)] })
        }
        "minilm" => from_folder("sentence-transformers/all-MiniLM-L6-v2", &provision::minilm()?),
        "tiny" => from_folder("loralet/tiny", &crate::paths::www().join("public/models/tiny")),
        _ => {
            let path = Path::new(given);
            if path.is_dir() {
                from_folder(&file_name(path), path)
            } else if path.is_file() {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                Ok(Model { name: stem, files: vec![named(path.into())] })
            } else {
                Err(Failure::Input(format!(
                    "there is no model {given}: give a .gguf file, a folder with config.json, tokenizer.json and \
                     *.safetensors, or one of the names smollm2, minilm and tiny"
                )))
            }
        }
    }
}

/// The files of a folder in PEFT's layout; those of a head too, where it has one: `config.json` names the classes, and
/// `score.safetensors` is an encoder's. Or those of a folder in mlx-lm's layout, or one GGUF file.
pub fn adapter(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    if dir.extension().is_some_and(|extension| extension == "gguf") {
        return Ok(vec![file(dir, "adapter")?]);
    }
    // What the page writes by `train` lies one folder deeper; either is meant.
    let dir = if dir.join("adapter/adapter_config.json").is_file() {
        dir.join("adapter")
    } else {
        dir.to_path_buf()
    };
    // mlx-lm's folder.
    if dir.join("adapters.safetensors").is_file() && dir.join("adapter_config.json").is_file() {
        let names = ["adapter_config.json", "adapters.safetensors"];
        return Ok(names.map(|name| (name.to_string(), dir.join(name))).into());
    }
    let names = ["adapter_config.json", "adapter_model.safetensors"];
    for name in names {
        if !dir.join(name).is_file() {
            let whole = [dir.clone(), dir.join("adapter")];
            if let Some(whole) = whole.iter().find(|dir| dir.join("model.safetensors").is_file()) {
                return Err(Failure::Input(format!(
                    "{0} holds a whole model, not an adapter: give it as --model {0}",
                    whole.display()
                )));
            }
            return Err(Failure::Input(format!(
                "the adapter folder {} has no {name}: give the folder that train wrote or one in PEFT's or mlx-lm's layout",
                dir.display()
            )));
        }
    }
    let head = ["config.json", "score.safetensors"].into_iter().filter(|name| dir.join(name).is_file());
    Ok(names.into_iter().chain(head).map(|name| (name.to_string(), dir.join(name))).collect())
}

/// A file that must be there.
pub fn file(path: &Path, what: &str) -> Result<(String, PathBuf)> {
    if path.is_file() {
        return Ok(named(path.into()));
    }
    let problem = if path.is_dir() { "is a folder, not a file" } else { "does not exist" };
    Err(Failure::Input(format!("the {what} {} {problem}", path.display())))
}

/// The recipe file's JSON with each `key.path=value` put in. What the keys mean is the trainer's to check.
pub fn recipe(file: Option<&Path>, settings: &[String]) -> Result<Value> {
    let mut recipe = match file {
        None => Value::Object(Map::new()),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::Input(format!("the recipe {} cannot be read: {error}", path.display()))
            })?;
            serde_json::from_str(&text).map_err(|error| {
                Failure::Input(format!("the recipe {} is not JSON: {error}", path.display()))
            })?
        }
    };
    for setting in settings {
        let (key, value) = setting.split_once('=').ok_or_else(|| {
            Failure::Input(format!("--set {setting} has no value: write it as --set train.max_steps=20"))
        })?;
        set(&mut recipe, key, value)?;
    }
    Ok(recipe)
}

/// Sets one field by its path; the value is JSON where it parses as such, text otherwise.
fn set(recipe: &mut Value, key: &str, value: &str) -> Result<()> {
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.into()));
    let mut at = recipe;
    for part in key.split('.') {
        let Value::Object(fields) = at else {
            return Err(Failure::Input(format!(
                "--set {key}={value}: there are no fields above {part} in the recipe"
            )));
        };
        at = fields.entry(part).or_insert_with(|| Value::Object(Map::new()));
    }
    *at = value;
    Ok(())
}

fn from_folder(name: &str, dir: &Path) -> Result<Model> {
    let files = files_in(dir);
    let has = |part: &str| files.iter().any(|(file, _)| file.ends_with(part));
    let Some(missing) = ["config.json", ".safetensors"].into_iter().find(|part| !has(part)) else {
        return Ok(Model { name: name.into(), files });
    };
    Err(Failure::Input(format!(
        "the folder {} has no {missing}: a model folder holds config.json, tokenizer.json and *.safetensors",
        dir.display()
    )))
}

fn named(path: PathBuf) -> (String, PathBuf) {
    (file_name(&path), path)
}

fn file_name(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
    absolute.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_json_or_text() {
        let settings =
            ["train.max_steps=20", "objective=sft", "lora.target_modules=[\"q_proj\"]", "train.epochs=0.5"];
        let settings: Vec<String> = settings.map(String::from).into();
        assert_eq!(
            recipe(None, &settings).unwrap(),
            json!({
                "train": { "max_steps": 20, "epochs": 0.5 },
                "objective": "sft",
                "lora": { "target_modules": ["q_proj"] }
            })
        );
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let error = |setting: &str| recipe(None, &[setting.into()]).unwrap_err().to_string();
        assert!(error("train.max_steps").contains("--set train.max_steps"));
        let clash = recipe(None, &["train=3".into(), "train.epochs=1".into()]).unwrap_err();
        assert!(clash.to_string().contains("train.epochs"), "{clash}");
    }

    #[test]
    fn a_missing_model_is_bad_input() {
        let Err(error) = model("/no/such/model.gguf") else { panic!("it does not exist") };
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("/no/such/model.gguf"));
    }
}
