use crate::recipe::SchedulerType;

/// The learning rate by step, as transformers' `get_scheduler` computes it.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    pub kind: SchedulerType,
    pub peak: f64,
    pub warmup_steps: usize,
    pub total_steps: usize,
}

impl Schedule {
    /// The rate of the update after `done` earlier ones; the first of a warm-up is 0.
    pub fn learning_rate(&self, done: usize) -> f64 {
        if self.kind == SchedulerType::Constant {
            return self.peak;
        }
        if done < self.warmup_steps {
            return self.peak * done as f64 / self.warmup_steps as f64;
        }
        let decay_steps = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = ((done - self.warmup_steps) as f64 / decay_steps).min(1.0);
        match self.kind {
            SchedulerType::Linear => self.peak * (1.0 - progress),
            SchedulerType::Cosine => self.peak * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            SchedulerType::Constant | SchedulerType::ConstantWithWarmup => self.peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(kind: SchedulerType) -> Vec<f64> {
        let schedule = Schedule { kind, peak: 1.0, warmup_steps: 2, total_steps: 6 };
        (0..7).map(|step| schedule.learning_rate(step)).collect()
    }

    #[test]
    fn rates_follow_transformers() {
        assert_eq!(rates(SchedulerType::Linear), [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]);
        assert_eq!(rates(SchedulerType::ConstantWithWarmup), [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(rates(SchedulerType::Constant), [1.0; 7]);
        let cosine = rates(SchedulerType::Cosine);
        assert!((cosine[4] - 0.5).abs() < 1e-12 && cosine[6].abs() < 1e-12);
    }
}
