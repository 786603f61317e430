//! `--shard`: which part of some work a process does, by its arguments or by what the scheduler of
//! a cluster says.

use crate::journal::Shard;

/// A shard as it was asked for: without a number, the environment has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedShard {
    number: Option<u64>,
    of: u64,
}

/// `I/N`, or `/N`.
pub fn parse_shard(text: &str) -> Result<AskedShard, String> {
    let rule = || format!("{text:?} must be I/N with I from 1 to N, as in 2/8, or /N");
    let (number, of) = text.split_once('/').ok_or_else(rule)?;
    let of: u64 = of.parse().ok().filter(|of| (1..=100_000).contains(of)).ok_or_else(rule)?;
    if number.is_empty() {
        return Ok(AskedShard { number: None, of });
    }
    let number: u64 = number.parse().map_err(|_| rule())?;
    let is_one = (1..=of).contains(&number);
    is_one.then_some(AskedShard { number: Some(number), of }).ok_or_else(rule)
}

/// The shard to do, by the arguments, else by what a cluster's scheduler says of this job.
pub fn shard_of(
    asked: Option<AskedShard>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Shard, String> {
    let number = |name: &str| -> Result<Option<u64>, String> {
        let Some(text) = variable(name) else {
            return Ok(None);
        };
        let words = || format!("{name}: {text:?} is no whole number");
        text.parse().map(Some).map_err(|_| words())
    };
    let index = number("JOB_COMPLETION_INDEX")?.map(|index| index.saturating_add(1));
    let task = number("SLURM_ARRAY_TASK_ID")?;
    let (min, count) = (number("SLURM_ARRAY_TASK_MIN")?, number("SLURM_ARRAY_TASK_COUNT")?);
    let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
    let place = task.map(|task| (task.saturating_sub(min.unwrap_or(0)) / step).saturating_add(1));
    let shard = match (asked, place, count) {
        (Some(AskedShard { number: Some(number), of }), _, _) => Shard { number, of },
        (Some(AskedShard { number: None, of }), place, _) => {
            let words = "--shard /N: neither JOB_COMPLETION_INDEX nor SLURM_ARRAY_TASK_ID says I";
            Shard { number: index.or(place).ok_or(words)?, of }
        }
        (None, Some(number), Some(of)) => Shard { number, of },
        (None, None, _) if index.is_some() => {
            return Err("JOB_COMPLETION_INDEX says I; --shard /N must say of how many".to_owned());
        }
        (None, _, _) => Shard::WHOLE,
    };
    let Shard { number, of } = shard;
    let is_one = (1..=of).contains(&number);
    is_one.then_some(shard).ok_or_else(|| format!("there is no shard {number} of {of}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shard that is done with these arguments, among these variables.
    fn shard(asked: &str, variables: &[(&str, &str)]) -> Result<Shard, String> {
        let asked = (!asked.is_empty()).then(|| parse_shard(asked)).transpose()?;
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        shard_of(asked, variable)
    }

    #[test]
    fn a_shard_is_what_was_asked_for_or_what_the_scheduler_says() {
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "7"),
            ("SLURM_ARRAY_TASK_MIN", "5"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        let kubernetes = [("JOB_COMPLETION_INDEX", "0")];
        assert_eq!(shard("", &[]), Ok(Shard::WHOLE));
        assert_eq!(shard("2/3", &slurm), Ok(Shard { number: 2, of: 3 }));
        assert_eq!(shard("", &slurm), Ok(Shard { number: 3, of: 4 }));
        assert_eq!(shard("/9", &slurm), Ok(Shard { number: 3, of: 9 }));
        assert_eq!(shard("/2", &kubernetes), Ok(Shard { number: 1, of: 2 }));
        for (asked, variables, rule) in [
            ("", &kubernetes[..], "--shard /N must say of how many"),
            ("/2", &[][..], "neither JOB_COMPLETION_INDEX nor SLURM_ARRAY_TASK_ID"),
            ("/2", &slurm, "there is no shard 3 of 2"),
            ("", &[("SLURM_ARRAY_TASK_ID", "x")], "SLURM_ARRAY_TASK_ID: \"x\" is no whole number"),
            ("/2", &[("JOB_COMPLETION_INDEX", "18446744073709551615")], "there is no shard"),
            ("0/2", &[], "must be I/N"),
            ("2", &[], "must be I/N"),
            ("1/x", &[], "must be I/N"),
        ] {
            let refused = shard(asked, variables).unwrap_err();
            assert!(refused.contains(rule), "{asked}: {refused}");
        }
    }
}
