//! What would have come of a run with other knobs from a moment on: the same virtual run twice,
//! once as it was and once retuned there.

use std::collections::BTreeMap;

use super::experiment::{Experiment, ExperimentError, Rerun};
use crate::archive::RecordFileError;
use crate::raft::{Member, Micros};
use crate::record::Record;
use crate::sim::virtual_time::{Keep, Retuning, run, run_retuned};

/// Both runs.
#[derive(Clone, Debug)]
pub struct Forked {
    /// The run as it was.
    pub without: Rerun,
    /// The run that was retuned.
    pub with: Rerun,
}

/// Why a run cannot be forked.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// A run could not be done or analysed.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// A run could not be done.
    #[error(transparent)]
    Records(#[from] RecordFileError),
    /// The run that was done again is not the one that was kept.
    #[error(
        "this version of the program does not repeat the run: at {at} s it was {kept:?}, and is \
         {repeated:?}"
    )]
    Differs {
        /// When they differ first.
        at: Micros,
        /// What was kept.
        kept: String,
        /// What comes instead.
        repeated: String,
    },
}

/// Repeats the run of `experiment` with `seed` whose records are `kept`, as it was and retuned. It
/// must be the same run, up to that moment and by every source's own records.
///
/// # Errors
/// If it is another run, or cannot be done or analysed.
pub fn fork(
    experiment: &Experiment,
    seed: u64,
    retuning: &Retuning,
    kept: impl Iterator<Item = Record>,
) -> Result<Forked, ForkError> {
    let Experiment { scenario, tuning, .. } = experiment;
    let options = experiment.options(tuning, seed, Keep::Memory);
    let without = run(scenario, &options)?;
    check_same(kept, &without.records, retuning.at)?;
    let with = run_retuned(scenario, &options, retuning)?;
    Ok(Forked {
        without: experiment.analyse(tuning, without)?,
        with: experiment.analyse(tuning, with)?,
    })
}

/// Checks that each source's records before `until` are the same.
fn check_same(
    kept: impl Iterator<Item = Record>,
    repeated: &[Record],
    until: Micros,
) -> Result<(), ForkError> {
    let by_source = |records: &mut dyn Iterator<Item = Record>| {
        let mut sources: BTreeMap<Member, Vec<Record>> = BTreeMap::new();
        for record in records.filter(|record| record.at < until) {
            sources.entry(record.source).or_default().push(record);
        }
        sources
    };
    let kept = by_source(&mut { kept });
    let repeated = by_source(&mut repeated.iter().copied());
    let none = Vec::new();
    let differences = kept.keys().chain(repeated.keys()).filter_map(|source| {
        let [one, other] = [&kept, &repeated].map(|records| records.get(source).unwrap_or(&none));
        let place = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
        Some((one.get(place).copied(), other.get(place).copied()))
    });
    let at = |(one, other): &(Option<Record>, Option<Record>)| {
        [one, other].into_iter().flatten().map(|record| record.at).min().unwrap_or(until)
    };
    let Some(first) = differences.min_by_key(at) else {
        return Ok(());
    };
    let told = |record: Option<Record>| record.map_or("nothing".into(), |r| r.to_string());
    Err(ForkError::Differs { at: at(&first), kept: told(first.0), repeated: told(first.1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{Event, Tuning};
    use crate::record::Fact;
    use crate::sim::scenario::Scenario;
    use crate::tuning_file;

    fn experiment() -> Experiment {
        let tuning = tuning_file::load("fast").unwrap().tuning;
        let scenario = Scenario::load("crash-4").unwrap();
        Experiment { scenario, tuning, precise: false, seeds: Vec::new() }
    }

    fn records(experiment: &Experiment, retuning: Option<&Retuning>) -> Vec<Record> {
        let options = experiment.options(&experiment.tuning, 4, Keep::Memory);
        let done = match retuning {
            None => run(&experiment.scenario, &options),
            Some(retuning) => run_retuned(&experiment.scenario, &options, retuning),
        };
        done.unwrap().records
    }

    /// Up to the moment both runs are one. From there on each living replica has the knobs.
    #[test]
    fn a_fork_is_the_same_run_up_to_its_moment_and_another_one_after_it() {
        let experiment = experiment();
        let at = Micros::from_seconds(15);
        let tuning = Tuning { linger_us: 4_000, ..experiment.tuning.clone() };
        let without = records(&experiment, None);
        let with = records(&experiment, Some(&Retuning { at, tuning }));
        check_same(with.iter().copied(), &without, at).unwrap();
        let later = Micros::from_seconds(16);
        assert!(check_same(with.iter().copied(), &without, later).is_err());
        let retuned: Vec<&Record> =
            with.iter().filter(|record| matches!(record.fact, Fact::Retuned { .. })).collect();
        // One was killed before.
        assert_eq!(retuned.len(), 4);
        assert!(retuned.iter().all(|record| record.fact == Fact::Retuned { knobs: 1 }));
        assert!(retuned.iter().all(|record| record.at.since(at) < Micros::from_millis(1)));
        let batches = |records: &[Record]| {
            let is_batch = |record: &&Record| {
                record.at > at && matches!(record.fact, Fact::State(Event::BatchSent { .. }))
            };
            records.iter().filter(is_batch).count()
        };
        assert!(batches(&with) < batches(&without), "company came in time");
    }

    #[test]
    fn a_run_that_is_another_one_is_refused_with_the_first_difference() {
        let experiment = experiment();
        let at = Micros::from_millis(12_500);
        let retuning = Retuning { at, tuning: experiment.tuning.clone() };
        let kept = records(&experiment, None);
        let forked =
            |kept: &[Record]| fork(&experiment, 4, &retuning, kept.iter().copied()).map(drop);
        forked(&kept).unwrap();
        let place = kept.iter().position(|record| record.at > Micros::from_seconds(9)).unwrap();
        let mut other = kept.clone();
        let gone = other.remove(place);
        let refused = forked(&other).unwrap_err();
        assert!(matches!(refused, ForkError::Differs { at, .. } if at == gone.at), "{refused}");
        assert!(refused.to_string().contains("does not repeat the run"), "{refused}");
        // What comes after the moment is another matter.
        let after = kept.iter().position(|record| record.at > at).unwrap();
        let mut other = kept.clone();
        other.truncate(after);
        forked(&other).unwrap();
    }
}
