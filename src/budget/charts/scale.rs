//! Scales: from a value to a share of the area, and the values that get a tick.

/// How values are spread over the area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Evenly.
    Linear,
    /// By their square root: small values get more room, and 0 has a place too.
    Root,
    /// By their logarithm: equal factors get equal room. Only for values above 0.
    Logarithm,
}

/// A scale from `least` to `most`.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The value at its beginning.
    pub least: f64,
    /// The value at its end. If it equals `least`, the scale ends a little later.
    pub most: f64,
    /// How values are spread over it.
    pub spacing: Spacing,
}

impl Scale {
    /// A scale from `least` to `most`.
    pub fn new(spacing: Spacing, least: f64, most: f64) -> Scale {
        Scale { least, most: if most > least { most } else { least + 1.0 }, spacing }
    }

    /// The place of `value`, from 0 to 1.
    pub fn share(&self, value: f64) -> f64 {
        let spacing = |value: f64| match self.spacing {
            Spacing::Linear => value,
            Spacing::Root => value.max(0.0).sqrt(),
            Spacing::Logarithm => value.max(f64::MIN_POSITIVE).ln(),
        };
        (spacing(value) - spacing(self.least)) / (spacing(self.most) - spacing(self.least))
    }

    /// The place of `value` in percent, for an attribute.
    pub fn percent(&self, value: f64) -> String {
        percent(self.share(value))
    }

    /// About `wanted` round values on the scale, in steps of 1, 2 or 5 times a power of ten.
    pub fn ticks(&self, wanted: usize) -> Vec<f64> {
        let rough = (self.most - self.least) / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power);
        let step = step.fold(power, |chosen, step| if chosen < rough { step } else { chosen });
        let first = (self.least / step).ceil() as i64;
        let last = (self.most / step + 1e-9).floor() as i64;
        (first..=last).map(|place| place as f64 * step).collect()
    }

    /// The values 1, 2 and 5 times a power of ten that lie on the scale; where they are few, round
    /// values at equal distances. For scales by logarithm.
    pub fn round_values(&self) -> Vec<f64> {
        let powers = self.least.log10().floor() as i32..=self.most.log10().floor() as i32;
        let values = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|d| d * 10f64.powi(power)));
        let values: Vec<f64> =
            values.filter(|value| (self.least..=self.most).contains(value)).collect();
        if values.len() < 3 { self.ticks(5) } else { values }
    }
}

/// A share of the width, as an attribute.
pub fn percent(share: f64) -> String {
    format!("{}%", coordinate(share * 100.0))
}

/// A coordinate with no more digits than the eye can see.
pub fn coordinate(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_lie_within() {
        let ticks = |least, most, wanted| Scale::new(Spacing::Linear, least, most).ticks(wanted);
        assert_eq!(ticks(0.0, 37.0, 4), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(ticks(0.0, 1.0, 2), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(0.0, 0.0, 1), [0.0, 1.0]);
    }

    #[test]
    fn values_on_a_scale_by_logarithm_are_round() {
        let values = |least, most| Scale::new(Spacing::Logarithm, least, most).round_values();
        assert_eq!(values(700.0, 12_000.0), [1_000.0, 2_000.0, 5_000.0, 10_000.0]);
        assert_eq!(values(900.0, 5_500.0), [1_000.0, 2_000.0, 5_000.0], "three are enough");
        assert_eq!(values(650.0, 1_100.0), [700.0, 800.0, 900.0, 1_000.0, 1_100.0]);
    }

    #[test]
    fn ends_lie_at_the_ends_however_values_are_spread() {
        for spacing in [Spacing::Linear, Spacing::Root, Spacing::Logarithm] {
            let scale = Scale::new(spacing, 1.0, 16.0);
            assert_eq!((scale.share(1.0), scale.share(16.0)), (0.0, 1.0), "{spacing:?}");
        }
        assert_eq!(Scale::new(Spacing::Root, 0.0, 4.0).share(1.0), 0.5);
        assert_eq!(Scale::new(Spacing::Logarithm, 1.0, 16.0).share(4.0), 0.5);
    }
}
