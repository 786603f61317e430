//! Sentences of interface §1 and §4 that an engine must obey: sockets, polling, processes. Each
//! test is named after its sentence. The rest of §2 to §5 is tested beside the course's state
//! machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use laconic::raft::{Member, Micros};
use laconic::record::{Fact, Record, SIMULATOR};
use laconic::sim::course::Over;
use laconic::sim::course::score::Conclusion;
use laconic::sim::delays::{Delays, Quantiles};
use laconic::sim::real::{self, RealOptions, RealRun};
use laconic::sim::scenario::{Event, EventKind, Scenario};
use laconic::sim::virtual_time::{self, Keep, VirtualOptions, VirtualRun};
use laconic::tuning_file;
use tempfile::TempDir;

fn options(seed: u64) -> VirtualOptions {
    VirtualOptions {
        seed,
        tuning: tuning_file::load("course").unwrap().tuning,
        precise: false,
        through_codec: false,
        delays: Delays::embedded(),
        records: Keep::Memory,
    }
}

fn run_virtual(scenario: &Scenario, options: &VirtualOptions) -> VirtualRun {
    virtual_time::run(scenario, options).unwrap()
}

/// Requests 60 ms apart, from the very start.
fn every_60_ms(seconds: u64) -> Scenario {
    let mut scenario = Scenario::load("simple-2").unwrap();
    scenario.lifetime = Micros::from_seconds(seconds);
    scenario.requests = seconds * 1_000 / 60;
    scenario.lifetime = Micros::from_millis(scenario.requests * 60);
    scenario.start_wait = Micros(0);
    scenario.end_wait = Micros::from_millis(200);
    scenario
}

/// Replicas that send nothing for as long as a short run takes.
fn silent(seed: u64) -> VirtualOptions {
    let mut options = VirtualOptions { delays: Delays::none(), ..options(seed) };
    options.tuning.startup_silence_us = 100_000_000;
    options.tuning.hold_time_us = 100_000_000;
    options
}

/// How much after its due time each request was created, in microseconds.
fn lateness(conclusion: &Conclusion, spacing: Micros) -> Vec<u64> {
    let due = (0..).map(|place| place * spacing.0);
    let operations = conclusion.history.iter();
    operations.zip(due).map(|(operation, due)| operation.invoked_at.0 - due).collect()
}

/// How many requests were created at the same time as another.
fn bunched(conclusion: &Conclusion) -> usize {
    let times: Vec<Micros> = conclusion.history.iter().map(|o| o.invoked_at).collect();
    times.iter().filter(|time| times.iter().filter(|other| other == time).count() > 1).count()
}

#[test]
fn wait_for_packets_for_at_most_100_ms() {
    let run = run_virtual(&every_60_ms(6), &silent(1));
    let late = lateness(&run.conclusion, Micros::from_millis(60));
    assert_eq!((late.len(), run.conclusion.counts.messages), (100, 0));
    assert_eq!(late.iter().max(), Some(&100_000));
    assert!(run.conclusion.history.iter().all(|o| o.invoked_at.0 % 100_000 == 0));
}

#[test]
fn with_silent_replicas_half_are_50_ms_late_and_four_in_five_go_out_together_with_another() {
    let run = run_virtual(&every_60_ms(6), &silent(1));
    let late = lateness(&run.conclusion, Micros::from_millis(60));
    let late = late.iter().filter(|late| **late >= 50_000).count();
    assert!((50..=60).contains(&late), "{late} of 100");
    assert_eq!(bunched(&run.conclusion), 80);
}

#[test]
fn with_precise_timing_every_request_goes_out_when_it_is_due() {
    let run = run_virtual(&every_60_ms(6), &VirtualOptions { precise: true, ..silent(1) });
    let late = lateness(&run.conclusion, Micros::from_millis(60));
    assert_eq!((late.iter().max(), bunched(&run.conclusion)), (Some(&1), 0));
}

/// The times between two requests of the same edge, in microseconds.
fn gaps_within_edges(conclusion: &Conclusion) -> Vec<u64> {
    let times: Vec<u64> = conclusion.history.iter().map(|o| o.invoked_at.0).collect();
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.filter(|gap| *gap < 30_000).collect()
}

/// Only the pace takes time.
fn paced(seed: u64) -> VirtualOptions {
    let delays = Delays { pace: Delays::embedded().pace, ..Delays::none() };
    VirtualOptions { delays, ..silent(seed) }
}

#[test]
fn requests_of_one_edge_are_created_one_by_one() {
    let mut scenario = every_60_ms(60);
    let run = run_virtual(&scenario, &paced(1));
    assert_eq!(bunched(&run.conclusion), 0);
    let mut gaps = gaps_within_edges(&run.conclusion);
    gaps.sort_unstable();
    let at = |percent: usize| gaps[(gaps.len() - 1) * percent / 100];
    println!("{} gaps, {} / {} / {} us", gaps.len(), at(10), at(50), at(90));
    assert!(gaps.len() >= 350, "{} pairs in 1,000 requests", gaps.len());
    assert!((80..=105).contains(&at(10)) && (130..=170).contains(&at(50)), "{gaps:?}");
    assert!((450..=650).contains(&at(90)), "{gaps:?}");
    let precise = run_virtual(&scenario, &VirtualOptions { precise: true, ..paced(1) });
    let late = lateness(&precise.conclusion, Micros::from_millis(60));
    assert_eq!(late.iter().max(), Some(&1), "precise timing has no pace");
    scenario.pace = false;
    let burst = run_virtual(&scenario, &paced(1));
    let silent = run_virtual(&scenario, &silent(1));
    let times = |run: &VirtualRun| lateness(&run.conclusion, Micros::from_millis(60));
    assert_eq!(times(&burst), times(&silent), "without a pace nothing takes time");
    assert_eq!(gaps_within_edges(&burst.conclusion).iter().max(), Some(&0));
}

/// How many requests a replica took in at the same time as the one before.
fn taken_in_together(records: &[Record]) -> usize {
    let mut asked: Vec<(u8, Micros)> = records
        .iter()
        .filter(|record| matches!(record.fact, Fact::Asked { .. }))
        .map(|record| (record.source.0, record.at))
        .collect();
    asked.sort_unstable();
    asked.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

#[test]
fn at_the_pace_requests_reach_replicas_one_by_one() {
    let mut scenario = Scenario::load("simple-2").unwrap();
    // With few messages the simulator is woken seldom, and an edge brings more requests.
    let tuning = tuning_file::load("fast").unwrap().tuning;
    let together = |scenario: &Scenario| {
        let options = |seed| VirtualOptions { tuning: tuning.clone(), ..options(seed) };
        let runs = (1..=5).map(|seed| run_virtual(scenario, &options(seed)));
        runs.map(|run| taken_in_together(&run.records)).sum::<usize>()
    };
    let one_by_one = together(&scenario);
    scenario.pace = false;
    let in_bursts = together(&scenario);
    println!("of 2,500 requests: {one_by_one} at the pace, {in_bursts} in bursts");
    // A replica that was cold takes in what came while it woke: at the pace that is one in six.
    assert!(in_bursts > 500 && one_by_one * 3 < in_bursts * 2, "{one_by_one} {in_bursts}");
}

#[test]
fn it_works_100_to_200_us_on_each_datagram() {
    let mut scenario = Scenario::load("simple-2").unwrap();
    let mut options = VirtualOptions { delays: paced(1).delays, ..options(1) };
    options.delays.replica_wake_us = Quantiles::of(vec![1]).into();
    let gaps = |scenario: &Scenario| -> Vec<u64> {
        let read = read_in_order(&run_virtual(scenario, &options).records);
        read.windows(2).map(|pair| pair[1].0.since(pair[0].0).0).collect()
    };
    let paced = gaps(&scenario);
    assert!(paced.len() > 1_000 && paced.iter().all(|gap| *gap >= 100), "{paced:?}");
    assert!(paced.iter().filter(|gap| **gap <= 200).count() > 300, "{paced:?}");
    scenario.pace = false;
    assert!(gaps(&scenario).iter().filter(|gap| **gap < 100).count() > 300);
}

/// The datagrams between replicas in the order in which the simulator read them: the time, the
/// sender, and the sender's number for the message.
fn read_in_order(records: &[Record]) -> Vec<(Micros, Member, u64)> {
    let mut datagrams: Vec<_> = records
        .iter()
        .filter_map(|record| match record.fact {
            Fact::Routed { from, number, .. } => Some((record.at, from, number)),
            _ => None,
        })
        .collect();
    // A broadcast has one record for each receiver.
    datagrams.dedup();
    datagrams
}

#[test]
fn read_one_datagram_from_each_ready_socket_in_the_order_of_ids() {
    let mut scenario = Scenario::load("simple-2").unwrap();
    scenario.requests = 5_000;
    // Handling takes no time, so all that is read in one turn has the same time. The simulator
    // wakes late, so a replica can have sent two datagrams by then.
    let mut delays = Delays::none();
    delays.replica_wake_us = Quantiles::of(vec![1]).into();
    delays.simulator_wake_us = Quantiles::of(vec![100]).into();
    let options = VirtualOptions { delays, ..options(3) };
    let read = read_in_order(&run_virtual(&scenario, &options).records);
    let turns: Vec<_> = read.chunk_by(|one, other| one.0 == other.0).collect();
    for turn in &turns {
        assert!(turn.is_sorted_by(|one, other| one.1 < other.1), "{turn:?}");
    }
    let largest = turns.iter().map(|turn| turn.len()).max();
    assert!(largest >= Some(3), "no turn found three sockets ready: {largest:?}");
}

#[test]
fn when_a_kill_falls_due_in_the_same_bunch_as_a_request_to_the_leader_that_request_is_lost() {
    let scenario = Scenario::load("crash-4").unwrap();
    let mut lost = 0;
    for seed in 1..=10 {
        let run = run_virtual(&scenario, &options(seed));
        lost += run.conclusion.unanswered.len();
        for story in &run.conclusion.unanswered {
            let after = story.killed_at.map(|at| at.since(story.created_at));
            assert!(after.is_some_and(|after| after < Micros(2_000)), "seed {seed}: {story:?}");
        }
    }
    assert!(lost >= 15, "two a run are normal in crash-4, {lost} in ten");
}

#[test]
fn what_a_replica_had_sent_and_the_simulator_had_not_read_when_it_is_killed_is_not_counted() {
    let mut scenario = Scenario::load("crash-3").unwrap();
    scenario.lifetime = Micros::from_seconds(12);
    scenario.requests = 6_000;
    scenario.max_packets = 900_000;
    // The simulator is slow, so that datagrams wait for it.
    let mut delays = Delays::embedded();
    delays.simulator_handling_us = Quantiles::of(vec![300]);
    let mut unread = 0;
    for seed in 1..=10 {
        let options = VirtualOptions { delays: delays.clone(), ..options(seed) };
        let run = run_virtual(&scenario, &options);
        let counted: u64 = run.balances.iter().map(|balance| balance.counted).sum();
        assert_eq!(counted, run.conclusion.counts.messages, "seed {seed}");
        assert!(run.balances.iter().all(|balance| balance.is_even()), "{:?}", run.balances);
        let mut killed = run.records.iter().filter_map(|record| match record.fact {
            Fact::Killed { member, by_itself: false } => Some((member, record.at)),
            _ => None,
        });
        let (member, at) = killed.next().expect("a kill");
        let read = read_in_order(&run.records);
        assert!(read.iter().all(|(read_at, from, _)| *from != member || *read_at <= at));
        unread += run.balances[member.rank()].unread;
    }
    assert!(unread > 0, "no replica was killed with anything unread");
}

#[test]
fn a_partition_is_recorded_by_its_majority_side_when_it_begins_and_ends() {
    let run = run_virtual(&Scenario::load("partition-2").unwrap(), &options(1));
    let sides: Vec<(u64, usize)> = run
        .records
        .iter()
        .filter_map(|record| match record.fact {
            Fact::Partitioned { majority } if record.source == SIMULATOR => {
                Some((record.at.0 / 1_000_000, majority.len()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(sides, [(10, 3), (15, 0), (23, 3), (28, 0)]);
}

/// A replica written in bash, with a folder for its notes.
struct Script(TempDir);

impl Script {
    /// Says hello and then runs `lines`. In them, `$1` is the port, `$2` is the ID, and `note` adds
    /// a line to the notes.
    fn new(lines: &str) -> Script {
        let script = Script(tempfile::tempdir().unwrap());
        let notes = script.0.path().join("notes").display().to_string();
        let text = format!(
            "#!/bin/bash\n\
             note() {{ echo \"$*\" >>{notes}; }}\n\
             exec 3<>/dev/udp/127.0.0.1/$1\n\
             printf '{{\"src\":\"%s\",\"dst\":\"FFFF\",\"leader\":\"FFFF\",\"type\":\"hello\"}}' \
             $2 >&3\n\
             {lines}\n"
        );
        fs::write(script.program(), text).unwrap();
        fs::set_permissions(script.program(), fs::Permissions::from_mode(0o755)).unwrap();
        script
    }

    fn program(&self) -> PathBuf {
        self.0.path().join("replica")
    }

    fn options(&self) -> RealOptions {
        let program = Some(self.program());
        RealOptions { seed: 1, program, foreign: true, ..RealOptions::default() }
    }

    fn run(&self, scenario: &Scenario, options: &RealOptions) -> RealRun {
        real::run(scenario, options).unwrap()
    }

    fn notes(&self) -> Vec<String> {
        let notes = fs::read_to_string(self.0.path().join("notes")).unwrap_or_default();
        notes.lines().map(str::to_owned).collect()
    }
}

/// Shell words that wait until the process is told to stop.
const STAY: &str = "sleep 600 & wait";

/// A scenario of two seconds in which a replica is killed after one.
fn with_a_kill() -> Scenario {
    let mut scenario = every_60_ms(2);
    scenario.events = vec![Event { kind: EventKind::KillNonLeader, at: Micros::from_seconds(1) }];
    scenario
}

#[test]
fn the_other_ids_come_in_arbitrary_order_different_for_each_replica() {
    let script = Script::new(&format!("note \"$@\"; {STAY}"));
    script.run(&every_60_ms(1), &script.options());
    let notes = script.notes();
    assert_eq!(notes.len(), 5, "{notes:?}");
    let mut orders = Vec::new();
    for note in &notes {
        let mut words = note.split(' ');
        let port = words.next().unwrap();
        let ids: Vec<&str> = words.collect();
        assert!(port.parse::<u16>().is_ok_and(|port| port > 0), "{note}");
        let mut all = ids.clone();
        all.sort_unstable();
        assert_eq!(all, ["0000", "0001", "0002", "0003", "0004"], "no other argument is given");
        orders.push(ids[1..].is_sorted());
    }
    assert!(orders.contains(&false), "every replica has the others in order: {notes:?}");
}

#[test]
fn stdout_and_stderr_are_pipes_or_dev_null_with_silence() {
    let lines = format!("note $(readlink /proc/$$/fd/1) $(readlink /proc/$$/fd/2); {STAY}");
    let script = Script::new(&lines);
    script.run(&every_60_ms(1), &script.options());
    let pipes = script.notes();
    let both = |note: &String| note.matches("pipe:").count() == 2;
    assert!(pipes.len() == 5 && pipes.iter().all(both), "{pipes:?}");
    let script = Script::new(&lines);
    script.run(&every_60_ms(1), &RealOptions { silence: true, ..script.options() });
    assert_eq!(script.notes(), ["/dev/null /dev/null"; 5]);
}

#[test]
fn with_silence_a_replica_that_ends_by_itself_is_not_noticed() {
    let script = Script::new("sleep 0.5");
    let run = script.run(&every_60_ms(2), &script.options());
    assert_eq!((run.conclusion.counts.died, run.conclusion.over), (5, Some(Over::NobodyLives)));
    let run = script.run(&every_60_ms(2), &RealOptions { silence: true, ..script.options() });
    assert_eq!((run.conclusion.counts.died, run.conclusion.over), (0, Some(Over::TimeIsUp)));
}

#[test]
fn closing_stdout_or_stderr_is_taken_for_the_replicas_death() {
    for closed in ["1", "2"] {
        let script = Script::new(&format!("exec {closed}>&-; {STAY}"));
        let run = script.run(&every_60_ms(2), &script.options());
        assert_eq!(run.conclusion.counts.died, 5, "descriptor {closed}");
    }
}

#[test]
fn the_simulator_closes_the_replicas_socket_first_and_then_waits_for_the_process_to_exit() {
    // Each line of /proc/net/udp names the port of one socket, in hex digits.
    let lines = format!(
        "open() {{ grep -c \":$(printf %04X $port) 00000000:0000\" /proc/net/udp; }}\n\
         port=$1\n\
         note start $(open)\n\
         trap 'note stop $(open); sleep 0.3; exit' TERM\n\
         {STAY}"
    );
    let script = Script::new(&lines);
    let run = script.run(&with_a_kill(), &script.options());
    let notes = script.notes();
    let count = |note: &str| notes.iter().filter(|other| *other == note).count();
    assert_eq!((count("start 1"), count("stop 0")), (5, 5), "{notes:?}");
    assert_eq!((run.conclusion.counts.killed, run.exits.len()), (1, 1));
    assert!(run.exits[0] >= Micros::from_millis(300), "{:?}", run.exits);
    // The simulator does nothing else meanwhile, so requests that fell due are late by as much.
    let late = lateness(&run.conclusion, Micros::from_millis(60));
    assert!(late.iter().any(|late| *late >= 200_000), "{late:?}");
}

#[test]
fn on_a_quiet_network_requests_go_out_in_bunches_in_a_real_run_too() {
    let script = Script::new(STAY);
    let mut scenario = every_60_ms(3);
    let run = script.run(&scenario, &script.options());
    let gaps = gaps_within_edges(&run.conclusion);
    // At the pace no request is created sooner after another than the pace's shortest time.
    assert!(gaps.len() >= 12 && gaps.iter().all(|gap| *gap >= 82), "{gaps:?}");
    scenario.pace = false;
    let run = script.run(&scenario, &script.options());
    assert_eq!(run.conclusion.history.len(), 50);
    assert!(bunched(&run.conclusion) >= 30, "{} of 50", bunched(&run.conclusion));
    let precise = RealOptions { precise: true, ..script.options() };
    let run = script.run(&every_60_ms(3), &precise);
    // On a busy machine a few requests may be held up.
    assert!(bunched(&run.conclusion) <= 15, "{} of 50", bunched(&run.conclusion));
}
