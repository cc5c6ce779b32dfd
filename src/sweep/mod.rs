//! A sweep: the same run with several values of some settings, to find those with the lowest held-out loss.
//!
//! A grid trains every combination to its end. Successive halving (<https://arxiv.org/abs/1502.07943>) trains all of them a
//! little, keeps the better half, trains those as much again, and so on, until one is left to be trained to its end.

mod estimate;
mod values;

pub use estimate::Measured;

use crate::error::{Error, Result};
use crate::recipe::Recipe;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// More runs than anyone wants to wait for, and a typing error rather than a wish.
const MOST_RUNS: usize = 100;

/// What is tried, as typed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Sweep {
    pub settings: Vec<SweptSetting>,
    pub strategy: Strategy,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct SweptSetting {
    /// Dotted: `train.learning_rate`.
    pub key: String,
    /// `1e-4, 3e-4`, or a JSON list where a value holds a comma itself.
    pub values: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum Strategy {
    /// Every combination, to its end.
    Grid,
    /// After each rung the better half goes on.
    Halving,
}

/// Every run of a sweep, and how far each is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct SweepPlan {
    pub runs: Vec<SweepRun>,
    /// From the first, with all runs, to the last, whose runs are trained to their end.
    pub rungs: Vec<Rung>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct SweepRun {
    pub recipe: Recipe,
    /// What it has of the swept settings, in their order.
    pub changes: Vec<SettingValue>,
    /// The place of the first run whose steps cost as much, by which this one's time is estimated.
    pub costs_like: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct SettingValue {
    pub key: String,
    #[cfg_attr(test, ts(type = "unknown"))]
    pub value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Rung {
    /// Runs that take part.
    pub runs: usize,
    /// The share of its steps that each run has done at the end of the rung; 1 at the last.
    pub share: f64,
}

impl SweepPlan {
    /// Every combination of the values, put into `recipe`.
    ///
    /// # Errors
    /// No setting; an unknown one, one twice, or one that changes what the held-out loss is measured on; a value that its
    /// setting may not have, or has twice; more than 100 runs; a recipe that holds nothing out.
    pub fn new(recipe: &Recipe, sweep: &Sweep) -> Result<SweepPlan> {
        let invalid = |reason: String| Err(Error::InvalidRecipe { reason });
        if sweep.settings.is_empty() {
            return invalid(
                "a sweep needs a setting with values to try, such as train.learning_rate=1e-4,3e-4".into(),
            );
        }
        if recipe.eval.validation_fraction == 0.0 {
            return invalid(
                "a sweep compares by the loss on held-out rows; raise eval.validation_fraction above 0"
                    .into(),
            );
        }
        let mut combinations: Vec<Vec<SettingValue>> = vec![Vec::new()];
        for (place, setting) in sweep.settings.iter().enumerate() {
            if sweep.settings[..place].iter().any(|earlier| earlier.key == setting.key) {
                return invalid(format!(
                    "the sweep names {} twice; list all of its values once",
                    setting.key
                ));
            }
            let values = values::read(setting)?;
            if combinations.len() * values.len() > MOST_RUNS {
                return invalid(format!("the sweep has more than {MOST_RUNS} runs; try fewer values"));
            }
            combinations = combinations
                .iter()
                .flat_map(|changes| {
                    values.iter().map(|value| {
                        let change = SettingValue { key: setting.key.clone(), value: value.clone() };
                        changes.iter().cloned().chain([change]).collect()
                    })
                })
                .collect();
        }
        let mut runs: Vec<SweepRun> = Vec::new();
        for changes in combinations {
            let recipe = values::apply(recipe, &changes)?;
            let alike = runs.iter().position(|run| estimate::costs_alike(&run.recipe, &recipe));
            runs.push(SweepRun { recipe, changes, costs_like: alike.unwrap_or(runs.len()) });
        }
        let rungs = rungs(runs.len(), sweep.strategy);
        Ok(SweepPlan { runs, rungs })
    }

    /// The places of the runs that go on after rung `rung`, best first, by their held-out losses; `None` for a run that
    /// failed or is out already. Runs with the same loss keep their order.
    pub fn survivors(&self, rung: usize, losses: &[Option<f64>]) -> Vec<usize> {
        let mut ranked: Vec<(f64, usize)> = losses
            .iter()
            .enumerate()
            .filter_map(|(place, loss)| loss.filter(|loss| loss.is_finite()).map(|loss| (loss, place)))
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        let keep = self.rungs.get(rung + 1).map_or(0, |next| next.runs);
        ranked.into_iter().take(keep).map(|(_, place)| place).collect()
    }
}

/// All runs to their end; or half as many each time, each rung but the first doubling the steps done.
fn rungs(runs: usize, strategy: Strategy) -> Vec<Rung> {
    let mut counts = vec![runs];
    while strategy == Strategy::Halving && counts.last().is_some_and(|last| *last > 1) {
        counts.push(counts[counts.len() - 1].div_ceil(2));
    }
    let last = counts.len() - 1;
    let share = |rung: usize| 0.5f64.powi((last - rung) as i32);
    counts.iter().enumerate().map(|(rung, &runs)| Rung { runs, share: share(rung) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sweep(strategy: Strategy, settings: &[(&str, &str)]) -> Result<SweepPlan> {
        let settings = settings
            .iter()
            .map(|(key, values)| SweptSetting { key: key.to_string(), values: values.to_string() });
        SweepPlan::new(&Recipe::default(), &Sweep { settings: settings.collect(), strategy })
    }

    fn message(settings: &[(&str, &str)]) -> String {
        sweep(Strategy::Grid, settings).unwrap_err().to_string()
    }

    #[test]
    fn a_grid_has_every_combination_once() {
        let plan =
            sweep(Strategy::Grid, &[("train.learning_rate", "1e-4, 3e-4,1e-3"), ("lora.rank", "4,16")])
                .unwrap();
        let tried: Vec<(f64, usize)> =
            plan.runs.iter().map(|run| (run.recipe.train.learning_rate, run.recipe.lora.rank)).collect();
        assert_eq!(tried, [(1e-4, 4), (1e-4, 16), (3e-4, 4), (3e-4, 16), (1e-3, 4), (1e-3, 16)]);
        assert_eq!(plan.runs[3].changes[1], SettingValue { key: "lora.rank".into(), value: json!(16) });
        assert_eq!(plan.rungs, [Rung { runs: 6, share: 1.0 }]);
        // What is not swept stays.
        assert_eq!(plan.runs[0].recipe.lora.alpha, Recipe::default().lora.alpha);
    }

    #[test]
    fn words_and_lists_are_values_too() {
        let plan = sweep(
            Strategy::Grid,
            &[("method", "lora,full"), ("lora.target_modules", r#"[["q_proj"],["q_proj","v_proj"]]"#)],
        )
        .unwrap();
        assert_eq!(plan.runs.len(), 4);
        assert_eq!(plan.runs[3].recipe.lora.target_modules.names(), ["q_proj", "v_proj"]);
    }

    #[test]
    fn halving_keeps_the_better_half_until_one_is_left() {
        let rungs = |runs| -> Vec<(usize, f64)> {
            rungs(runs, Strategy::Halving).iter().map(|rung| (rung.runs, rung.share)).collect()
        };
        assert_eq!(rungs(6), [(6, 0.125), (3, 0.25), (2, 0.5), (1, 1.0)]);
        assert_eq!(rungs(2), [(2, 0.5), (1, 1.0)]);
        assert_eq!(rungs(1), [(1, 1.0)]);
        let plan = sweep(Strategy::Halving, &[("lora.rank", "1,2,4,8,16,32")]).unwrap();
        let losses = [Some(3.0), None, Some(1.0), Some(2.0), Some(f64::NAN), Some(2.0)];
        assert_eq!(plan.survivors(0, &losses), [2, 3, 5]);
        assert_eq!(plan.survivors(1, &[None, None, Some(1.5), Some(1.2), None, Some(1.4)]), [3, 5]);
        assert_eq!(plan.survivors(3, &losses), Vec::<usize>::new());
        // Where most have failed, those that are left go on.
        assert_eq!(plan.survivors(0, &[None, None, None, None, None, Some(4.0)]), [5]);
    }

    #[test]
    fn what_makes_no_sense_gets_one_sentence() {
        assert!(message(&[]).contains("train.learning_rate=1e-4,3e-4"));
        let text = message(&[("optim.learning_rate", "1e-4")]);
        assert!(
            text.contains("\"optim.learning_rate\"") && text.contains("\"train.learning_rate\""),
            "{text}"
        );
        let text = message(&[("train.learning_rate", "1e-4,fast")]);
        assert!(text.contains("train.learning_rate is \"fast\""), "{text}");
        assert!(message(&[("lora.rank", "4,0")]).contains("lora.rank is 0"));
        assert!(message(&[("lora.rank", "")]).contains("lora.rank has no values"));
        assert!(message(&[("lora.rank", "4,,8")]).contains("lora.rank has an empty value"));
        assert!(message(&[("lora.rank", "4,8,4")]).contains("lora.rank has the value 4 twice"));
        assert!(message(&[("lora.rank", "4"), ("lora.rank", "8")]).contains("lora.rank twice"));
        let many = (1..=101).map(|rank| rank.to_string()).collect::<Vec<_>>().join(",");
        assert!(message(&[("lora.rank", &many)]).contains("more than 100 runs"));
        for key in
            ["objective", "train.max_seq_length", "eval.validation_fraction", "preference.beta", "lora"]
        {
            assert!(message(&[(key, "1,2")]).contains(key), "{key}");
        }
        let mut recipe = Recipe::default();
        recipe.eval.validation_fraction = 0.0;
        let settings = vec![SweptSetting { key: "lora.rank".into(), values: "4,8".into() }];
        let error = SweepPlan::new(&recipe, &Sweep { settings, strategy: Strategy::Grid }).unwrap_err();
        assert!(error.to_string().contains("eval.validation_fraction"), "{error}");
    }
}
