//! Settings that were changed and change nothing, so that nobody waits for what they promise.

use super::{DpoLossType, Method, Objective, PreferenceRecipe, Recipe, RewardKind, SchedulerType};
use serde::Serialize;
use serde_json::Value;

impl Recipe {
    /// A sentence for each objective or method that makes no use of settings which are not at their defaults.
    pub fn unused_settings(&self) -> Vec<String> {
        let default = Recipe::default();
        let (objective, preference) = (self.objective, &self.preference);
        let mut unused = Vec::new();
        match objective {
            Objective::Dpo | Objective::Kto | Objective::Orpo => {
                let plain = PreferenceRecipe { beta: preference.beta, ..default.preference.clone() };
                let used = match objective {
                    Objective::Dpo => PreferenceRecipe { loss_type: preference.loss_type, ..plain },
                    Objective::Kto => {
                        PreferenceRecipe { loss_type: DpoLossType::Sigmoid, ..preference.clone() }
                    }
                    _ => plain,
                };
                unused.extend(changed("preference", preference, &used));
            }
            _ => unused.extend(changed("preference", preference, &default.preference)),
        }
        if objective != Objective::Grpo {
            unused.extend(changed("grpo", &self.grpo, &default.grpo));
        }
        if objective != Objective::Contrastive {
            unused.extend(changed("contrastive", &self.contrastive, &default.contrastive));
        }
        if self.data.train_on_prompt && !matches!(objective, Objective::Sft | Objective::Text) {
            unused.push("data.train_on_prompt".into());
        }
        let mut sentences = Vec::new();
        if !unused.is_empty() {
            let unused = unused.join(", ");
            sentences.push(format!(
                "settings that are not used with the objective \"{}\": {unused}",
                objective.name()
            ));
        }
        let lora: Vec<String> = changed("lora", &self.lora, &default.lora).collect();
        if self.method != Method::Lora && !lora.is_empty() {
            sentences
                .push(format!("settings that are used only with the method \"lora\": {}", lora.join(", ")));
        }
        let overrides = self.overrides(&default);
        sentences.extend(overrides.into_iter().map(|(key, why)| format!("{key} is not used: {why}")));
        sentences
    }

    /// Settings that another setting takes the place of, and which.
    fn overrides(&self, default: &Recipe) -> Vec<(&'static str, &'static str)> {
        let (train, grpo, eval) = (&self.train, &self.grpo, &self.eval);
        let samples = self.objective == Objective::Grpo;
        let mut overrides = Vec::new();
        let mut say = |is_unused: bool, key, why| {
            if is_unused {
                overrides.push((key, why));
            }
        };
        say(
            train.epochs != default.train.epochs && train.max_steps.is_some(),
            "train.epochs",
            "train.max_steps says how long the run is",
        );
        say(
            train.warmup_ratio != default.train.warmup_ratio
                && train.lr_scheduler_type == SchedulerType::Constant,
            "train.warmup_ratio",
            "the rate of train.lr_scheduler_type \"constant\" does not rise; \"constant_with_warmup\" does",
        );
        say(
            eval.eval_steps != default.eval.eval_steps && eval.validation_fraction == 0.0 && !eval.probe,
            "eval.eval_steps",
            "no row is held out and eval.probe is off, so there is nothing to evaluate",
        );
        say(
            samples && grpo.pattern.is_some() && grpo.reward != RewardKind::Regex,
            "grpo.pattern",
            "it belongs to the reward \"regex\"",
        );
        say(
            samples && grpo.target_length != default.grpo.target_length && grpo.reward != RewardKind::Length,
            "grpo.target_length",
            "it belongs to the reward \"length\"",
        );
        overrides
    }
}

/// The settings of a section that are other than in `used`.
fn changed<T: Serialize>(section: &str, given: &T, used: &T) -> impl Iterator<Item = String> {
    let json = |section: &T| serde_json::to_value(section).unwrap_or(Value::Null);
    let (given, used) = (json(given), json(used));
    let keys: Vec<String> = given.as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect();
    keys.into_iter().filter(move |key| given[key] != used[key]).map(move |key| format!("{section}.{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_of_another_objective_are_named() {
        let unused = |recipe: Value| Recipe::from_json(&recipe).unwrap().unused_settings();
        assert!(unused(json!({})).is_empty());
        let dpo = json!({ "objective": "dpo", "preference": { "beta": 0.5, "loss_type": "ipo" } });
        assert!(unused(dpo).is_empty());
        let full = json!({
            "method": "full", "preference": { "beta": 0.5 }, "grpo": { "num_generations": 4 }, "lora": { "rank": 8 }
        });
        assert_eq!(
            unused(full),
            [
                "settings that are not used with the objective \"sft\": preference.beta, grpo.num_generations",
                "settings that are used only with the method \"lora\": lora.rank"
            ]
        );
        let orpo = json!({ "objective": "orpo", "preference": { "beta": 0.5, "desirable_weight": 2 } });
        let said = "settings that are not used with the objective \"orpo\": preference.desirable_weight";
        assert_eq!(unused(orpo), [said]);
    }

    #[test]
    fn settings_that_another_setting_overrides_are_named() {
        let unused = |recipe: Value| Recipe::from_json(&recipe).unwrap().unused_settings();
        let steps = json!({ "train": { "epochs": 3, "max_steps": 10, "warmup_ratio": 0.1 } });
        assert_eq!(unused(steps), ["train.epochs is not used: train.max_steps says how long the run is"]);
        let constant = json!({ "train": { "lr_scheduler_type": "constant", "warmup_ratio": 0.1 } });
        assert!(unused(constant)[0].starts_with("train.warmup_ratio is not used"));
        let grpo = json!({ "objective": "grpo", "grpo": { "reward": "length", "target_length": 5, "pattern": "a" } });
        assert_eq!(unused(grpo), ["grpo.pattern is not used: it belongs to the reward \"regex\""]);
        let never = json!({ "eval": { "eval_steps": 5, "validation_fraction": 0, "probe": false } });
        assert!(unused(never)[0].starts_with("eval.eval_steps is not used"));
    }
}
