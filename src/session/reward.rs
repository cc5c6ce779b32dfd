//! What a [`Session`] rewards answers by in a run with the objective `grpo`.

use super::Session;
use crate::data::Example;
use crate::error::{Error, Result};
use crate::export::{self, OutputFile, peft};
use crate::generate::Caller;
use crate::models::Decoder;
use crate::recipe::{Objective, Recipe, RewardKind};
use crate::rewards::{Reward, person::Person};
use crate::train::rollout::Rollouts;

impl Session {
    /// Opens the adapter of a reward model, one trained with the objective `reward` on the open model; `grpo.reward`
    /// "reward_model" asks it from the next run on. The files are those of an adapter's folder, or one zip of them.
    ///
    /// # Errors
    /// No model yet; a missing file or tensor; an adapter of another model, or one that is no reward model.
    pub fn open_reward_model(&mut self, files: &[OutputFile]) -> Result<()> {
        let base = &self.model()?.base;
        let loaded = match files {
            [zip] if zip.name.ends_with(".zip") => peft::load(&export::unzip(&zip.name, &zip.bytes)?, base)?,
            files => peft::load(files, base)?,
        };
        if loaded.labels.as_ref().is_none_or(|labels| labels.len() != 1) {
            return Err(Error::InvalidAdapter {
                file: "adapter_model.safetensors".into(),
                reason: "it is not a reward model, whose score head has one row; open an adapter that was trained with the \
                         objective reward"
                    .into(),
            });
        }
        self.reward_model = Some(loaded);
        Ok(())
    }

    pub fn close_reward_model(&mut self) {
        self.reward_model = None;
    }

    /// Who rates the answers of the runs that begin from now on with `grpo.reward` "person"; `None` for nobody.
    pub fn set_person(&mut self, person: Option<Person>) {
        self.person = person;
    }

    /// Who may stop the answers that runs sample from now on, between two tokens: the step then fails with [`Error::Stopped`] and
    /// changes nothing. `None` for nobody.
    pub fn set_caller(&mut self, caller: Option<Caller>) {
        self.caller = caller;
    }

    /// How a run with this recipe samples and rewards answers; `None` where it does not.
    pub(super) fn rollouts_for(&self, recipe: &Recipe, examples: &[Example]) -> Result<Option<Rollouts>> {
        if recipe.objective != Objective::Grpo {
            return Ok(None);
        }
        let model = self.model()?;
        let lacks_answer =
            |example: &&Example| example.task.as_ref().is_none_or(|task| task.answer.is_none());
        if let (RewardKind::ExactMatch, Some(example)) =
            (recipe.grpo.reward, examples.iter().find(lacks_answer))
        {
            let dataset = self.dataset()?;
            return Err(Error::InvalidDataLine {
                file: dataset.file.clone(),
                line: dataset.rows[example.row].line,
                reason: "has no \"answer\" that the reward exact_match could compare with; add it, or set grpo.reward to regex, \
                         length, reward_model or person"
                    .into(),
            });
        }
        let reward = self.reward_for(recipe)?;
        Ok(Some(Rollouts::new(recipe, &model.tokenizer, &model.end_ids, reward, self.caller.clone())))
    }

    /// What a run with this recipe rewards answers by.
    ///
    /// # Errors
    /// No reward model, or nobody to ask, where the recipe wants one.
    pub(super) fn reward_for(&self, recipe: &Recipe) -> Result<Reward> {
        let base = &self.model()?.base;
        let judge = self.reward_model.as_ref().map(|judge| judge.tuned(base));
        let judge: Option<Decoder> = judge.map(|judge| judge.decoder().cloned()).transpose()?;
        Reward::new(&recipe.grpo, judge, self.person.clone())
    }
}
