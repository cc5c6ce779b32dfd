//! How long a sweep takes, from a measured step.

use super::SweepPlan;
use crate::recipe::Recipe;
use serde::{Deserialize, Serialize};

/// What was measured of one run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Measured {
    /// The run's place in the plan.
    pub run: usize,
    /// Steps of the whole run.
    pub steps: usize,
    pub step_seconds: f64,
    /// One validation, with the forgetting probe where there is one.
    pub evaluation_seconds: f64,
    /// Until the first step can begin.
    pub start_seconds: f64,
}

impl SweepPlan {
    /// Seconds that the whole sweep takes. Which runs will be in the later rungs of successive halving is not known, so those
    /// count as the mean of all.
    pub fn seconds(&self, measured: &[Measured]) -> f64 {
        let mut seconds = 0.0;
        let mut share_before = 0.0;
        for rung in &self.rungs {
            let of_all: f64 = self
                .runs
                .iter()
                .filter_map(|run| {
                    let measured = measured.iter().find(|measured| measured.run == run.costs_like)?;
                    Some(measured.seconds(share_before, rung.share, run.recipe.eval.eval_steps))
                })
                .sum();
            seconds += of_all * rung.runs as f64 / self.runs.len() as f64;
            share_before = rung.share;
        }
        seconds
    }
}

impl Measured {
    /// From one share of the run's steps to another, with the validations on the way and at the end.
    fn seconds(&self, from: f64, to: f64, eval_steps: usize) -> f64 {
        let (from, to) = (steps_at(from, self.steps), steps_at(to, self.steps));
        let validations = to.div_ceil(eval_steps) - from / eval_steps;
        self.start_seconds
            + (to - from) as f64 * self.step_seconds
            + validations as f64 * self.evaluation_seconds
    }
}

/// The steps that are a share of a run's: at least one.
fn steps_at(share: f64, steps: usize) -> usize {
    (share * steps as f64).ceil() as usize
}

/// Whether two runs have as many steps, each of as much work: settings that only change numbers are left aside. A low-rank
/// path is little beside the layer that it belongs to, so its rank is one of these.
pub fn costs_alike(a: &Recipe, b: &Recipe) -> bool {
    let without_numbers = |recipe: &Recipe| {
        let (mut recipe, usual) = (recipe.clone(), Recipe::default());
        recipe.lora.rank = usual.lora.rank;
        recipe.lora.alpha = usual.lora.alpha;
        recipe.lora.use_rslora = usual.lora.use_rslora;
        recipe.lora.loraplus_lr_ratio = usual.lora.loraplus_lr_ratio;
        recipe.train.learning_rate = usual.train.learning_rate;
        recipe.train.lr_scheduler_type = usual.train.lr_scheduler_type;
        recipe.train.warmup_ratio = usual.train.warmup_ratio;
        recipe.train.weight_decay = usual.train.weight_decay;
        recipe.train.max_grad_norm = usual.train.max_grad_norm;
        recipe
    };
    without_numbers(a) == without_numbers(b)
}

#[cfg(test)]
mod tests {
    use super::super::{Strategy, Sweep, SweptSetting};
    use super::*;

    fn plan(strategy: Strategy, settings: &[(&str, &str)]) -> SweepPlan {
        let settings = settings
            .iter()
            .map(|(key, values)| SweptSetting { key: key.to_string(), values: values.to_string() });
        SweepPlan::new(&Recipe::default(), &Sweep { settings: settings.collect(), strategy }).unwrap()
    }

    fn measured(run: usize, steps: usize, step_seconds: f64) -> Measured {
        Measured { run, steps, step_seconds, evaluation_seconds: 10.0, start_seconds: 1.0 }
    }

    #[test]
    fn one_measured_step_stands_for_runs_that_cost_as_much() {
        let plan = plan(Strategy::Grid, &[("train.learning_rate", "1e-4,1e-3"), ("train.batch_size", "2,4")]);
        let alike: Vec<usize> = plan.runs.iter().map(|run| run.costs_like).collect();
        assert_eq!(alike, [0, 1, 0, 1]);
        // Two runs of 40 steps of 0.5 s and two of 20 of 0.9 s; a validation every 20 steps.
        let seconds = plan.seconds(&[measured(0, 40, 0.5), measured(1, 20, 0.9)]);
        assert!((seconds - 2.0 * (1.0 + 20.0 + 20.0) - 2.0 * (1.0 + 18.0 + 10.0)).abs() < 1e-9, "{seconds}");
    }

    #[test]
    fn halving_trains_each_run_only_as_far_as_it_gets() {
        let plan = plan(Strategy::Halving, &[("lora.rank", "1,2,4,8")]);
        // 4 runs to step 10, 2 from there to 20, 1 to 40; each time with a validation at the end.
        let seconds = plan.seconds(&[measured(0, 40, 0.5)]);
        let expected = 4.0 * (1.0 + 5.0 + 10.0) + 2.0 * (1.0 + 5.0 + 10.0) + (1.0 + 10.0 + 10.0);
        assert!((seconds - expected).abs() < 1e-9, "{seconds}");
    }
}
