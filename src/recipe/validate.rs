//! Which values a setting may have.

use super::{Objective, Recipe, RewardKind, SAVED_MODULES, TargetModules};
use crate::error::{Error, Result};

impl Recipe {
    /// One sentence for the first setting that is outside its range.
    pub(super) fn validate(&self) -> Result<()> {
        let lora = &self.lora;
        let train = &self.train;
        check(lora.rank >= 1 && lora.rank <= 1024, "lora.rank", lora.rank, "a whole number from 1 to 1024")?;
        check(lora.alpha.is_finite() && lora.alpha > 0.0, "lora.alpha", lora.alpha, "a number above 0")?;
        check((0.0..1.0).contains(&lora.dropout), "lora.dropout", lora.dropout, "from 0 to below 1")?;
        check(
            (1.0..=1024.0).contains(&lora.loraplus_lr_ratio),
            "lora.loraplus_lr_ratio",
            lora.loraplus_lr_ratio,
            "from 1, which is off, to 1024",
        )?;
        let key = "lora.target_modules";
        let expected = "\"all-linear\", or names of linear layers, at least one";
        let names_nothing = matches!(&lora.target_modules, TargetModules::Named(names) if names.is_empty());
        check(!names_nothing, key, "empty", expected)?;
        // Which layers there are, the model knows.
        let is_name = |name: &String| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        };
        if let Some(name) = lora.target_modules.names().iter().find(|name| !is_name(name)) {
            check(false, key, format!("{name:?}"), expected)?;
        }
        let rate = train.learning_rate;
        check(
            rate.is_finite() && rate > 0.0 && rate <= 1.0,
            "train.learning_rate",
            rate,
            "above 0 and at most 1",
        )?;
        check(
            train.epochs > 0.0 && train.epochs <= 10_000.0,
            "train.epochs",
            train.epochs,
            "above 0 and at most 10000",
        )?;
        check(train.max_steps != Some(0), "train.max_steps", 0, "at least 1, or null to use train.epochs")?;
        let (rows, accumulation) = (train.batch_size, train.gradient_accumulation_steps);
        check((1..=65_536).contains(&rows), "train.batch_size", rows, "from 1 to 65536")?;
        let expected = "from 1 to 65536";
        check(
            (1..=65_536).contains(&accumulation),
            "train.gradient_accumulation_steps",
            accumulation,
            expected,
        )?;
        let longest = train.max_seq_length;
        let expected = "from 8 to 1048576 tokens";
        check((8..=1_048_576).contains(&longest), "train.max_seq_length", longest, expected)?;
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
        self.validate_modules_to_save()?;
        self.validate_rows()?;
        self.validate_preference()?;
        self.validate_grpo()?;
        self.validate_contrastive()?;
        self.validate_forgetting()?;
        let max_rows = self.data.max_rows;
        check(
            max_rows.is_none_or(|rows| rows >= 2),
            "data.max_rows",
            max_rows.unwrap_or(0),
            "at least 2, or null for all",
        )?;
        let fraction = self.eval.validation_fraction;
        check((0.0..=0.9).contains(&fraction), "eval.validation_fraction", fraction, "from 0 to 0.9")?;
        check(self.eval.eval_steps >= 1, "eval.eval_steps", self.eval.eval_steps, "at least 1")?;
        self.validate_early_stopping()
    }

    /// What holds a model to what it knew.
    fn validate_forgetting(&self) -> Result<()> {
        let (fraction, kl) = (self.data.general_fraction, self.train.kl_to_base);
        let share = "from 0 to 0.9, the share of the training rows that are general text";
        check((0.0..=0.9).contains(&fraction), "data.general_fraction", fraction, share)?;
        check(kl.is_finite() && kl >= 0.0, "train.kl_to_base", kl, "0 (off) or more")?;
        let learns_tokens = matches!(self.objective, Objective::Text | Objective::Sft);
        let expected = format!("0 for the objective {}: only text and sft have it", self.objective.name());
        check(learns_tokens || fraction == 0.0, "data.general_fraction", fraction, &expected)?;
        check(learns_tokens || kl == 0.0, "train.kl_to_base", kl, &expected)
    }

    fn validate_early_stopping(&self) -> Result<()> {
        let Some(patience) = self.eval.early_stopping_patience else { return Ok(()) };
        let key = "eval.early_stopping_patience";
        check(patience >= 1, key, patience, "at least 1, or null to switch early stopping off")?;
        let expected =
            "null while eval.validation_fraction is 0: without held-out rows there is nothing to stop by";
        check(self.eval.validation_fraction > 0.0, key, patience, expected)
    }

    fn validate_modules_to_save(&self) -> Result<()> {
        let named = |name: &String, expected: String| {
            let value = format!("\"{name}\"");
            Err(Error::InvalidSetting { key: "lora.modules_to_save".into(), value, expected })
        };
        for module in &self.lora.modules_to_save {
            if !SAVED_MODULES.contains(&module.as_str()) {
                return named(module, format!("it must name one of {}", SAVED_MODULES.join(", ")));
            }
            let judges = self.objective.has_score_head();
            if (module == "lm_head" && !self.objective.writes_text()) || (module == "score" && !judges) {
                let objective = self.objective.name();
                return named(
                    module,
                    format!("the objective {objective} has no {module} to train; leave it out"),
                );
            }
        }
        Ok(())
    }

    /// Objectives that look at a row as a whole.
    fn validate_rows(&self) -> Result<()> {
        let what = match self.objective {
            Objective::Classify | Objective::Contrastive => "text",
            Objective::Grpo => "answer",
            objective if objective.is_preference() => "answer",
            _ => return Ok(()),
        };
        let expected =
            format!("false for the objective {}: each {what} needs its own row", self.objective.name());
        check(!self.train.packing, "train.packing", true, &expected)
    }

    fn validate_preference(&self) -> Result<()> {
        let preference = &self.preference;
        for (key, value) in [
            ("preference.beta", preference.beta),
            ("preference.desirable_weight", preference.desirable_weight),
            ("preference.undesirable_weight", preference.undesirable_weight),
        ] {
            check(value.is_finite() && value > 0.0, key, value, "a number above 0")?;
        }
        if !self.objective.is_preference() {
            return Ok(());
        }
        let expected =
            "at least 2 for the objective kto: each answer is also tried on another prompt of its batch";
        let large_enough = self.objective != Objective::Kto || self.train.batch_size >= 2;
        check(large_enough, "train.batch_size", self.train.batch_size, expected)
    }

    fn validate_grpo(&self) -> Result<()> {
        let grpo = &self.grpo;
        let expected = "from 2 to 256: answers to a prompt are compared with each other";
        let generations = grpo.num_generations;
        check((2..=256).contains(&generations), "grpo.num_generations", generations, expected)?;
        check(grpo.max_completion_length >= 1, "grpo.max_completion_length", 0, "at least 1 token")?;
        let temperature = grpo.temperature;
        let expected = "above 0 and at most 10: answers that are all the same teach nothing";
        check(temperature > 0.0 && temperature <= 10.0, "grpo.temperature", temperature, expected)?;
        check(grpo.beta.is_finite() && grpo.beta >= 0.0, "grpo.beta", grpo.beta, "0 (off) or more")?;
        let inside = grpo.epsilon > 0.0 && grpo.epsilon < 1.0;
        check(inside, "grpo.epsilon", grpo.epsilon, "above 0 and below 1")?;
        let iterations = grpo.num_iterations;
        check((1..=100).contains(&iterations), "grpo.num_iterations", iterations, "from 1 to 100")?;
        check(grpo.target_length >= 1, "grpo.target_length", 0, "at least 1 word")?;
        if self.objective == Objective::Grpo && grpo.reward == RewardKind::Regex {
            grpo.regex()?;
        }
        Ok(())
    }

    fn validate_contrastive(&self) -> Result<()> {
        let scale = self.contrastive.scale;
        check(scale.is_finite() && scale > 0.0, "contrastive.scale", scale, "a number above 0")?;
        let expected =
            "at least 2 for the objective contrastive: a text is set against the others of its batch";
        let large_enough = self.objective != Objective::Contrastive || self.train.batch_size >= 2;
        check(large_enough, "train.batch_size", self.train.batch_size, expected)
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
