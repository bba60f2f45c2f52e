//! Reproducible random choices (SplitMix64). Knows nothing of pods.

use serde_json::Value;

pub(crate) struct Dice {
    state: u64,
    /// Chance of an unusual value where a usual one would do.
    pub(crate) mischief: f64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice { state: seed, mischief: 0.0 }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 <= probability
    }

    pub(crate) fn misbehaves(&mut self) -> bool {
        self.chance(self.mischief)
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// One of `choices` as a string, or now and then `null`.
    pub(crate) fn text(&mut self, choices: &[&str]) -> Value {
        if self.chance(0.05) { Value::Null } else { self.pick(choices).into() }
    }

    pub(crate) fn switch(&mut self) -> Value {
        self.pick(&[Some(true), Some(false), None]).into()
    }
}
