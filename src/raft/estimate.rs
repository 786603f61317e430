//! What is measured of one link: its round trip and its loss.

use std::hash::{Hash, Hasher};

use super::types::Micros;

/// How many of the latest samples the median is taken of.
const WINDOW: usize = 3;

/// Smoothed round trip and its deviation (RFC 6298). Each append is a round with a number, so an
/// answer always tells which send it answers, and Karn's rule needs no code of its own.
///
/// Two things prevent that a pause of the network is taken for a long way. Samples do not overlap,
/// so all answers held up by one pause are one sample. And the smoothed value is the median of the
/// latest three samples. That median is reliable, so a shift by a factor of two is followed at
/// once.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundTrip {
    recent: [Micros; WINDOW],
    samples: usize,
    /// When the latest sample came. The next sample must begin later.
    sampled_at: Micros,
    smoothed: Micros,
    deviation: Micros,
}

impl Hash for RoundTrip {
    /// Of the number of samples only that counts which decides something: whether there are enough
    /// (see `fingerprint`). The latest samples are taken from the oldest on.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let RoundTrip { recent, samples, sampled_at, smoothed, deviation } = self;
        let latest = (*samples..*samples + WINDOW).map(|place| recent[place % WINDOW]);
        latest.for_each(|sample| sample.hash(hasher));
        ((*samples).min(WINDOW), sampled_at, smoothed, deviation).hash(hasher);
    }
}

impl RoundTrip {
    /// Takes the sample of a message sent at `began` and answered at `now`, over `hops` messages
    /// there and back. A direct answer has two.
    pub fn sample(&mut self, began: Micros, now: Micros, hops: usize) {
        if self.samples > 0 && began < self.sampled_at {
            return;
        }
        let took_us = now.since(began).0;
        // Most answers are direct, and a division takes long.
        let took_us = if hops == 2 { took_us } else { took_us * 2 / hops.max(1) as u64 };
        let took = Micros(took_us.max(1));
        self.sampled_at = now;
        self.recent[self.samples % WINDOW] = took;
        self.samples += 1;
        let sample = self.typical();
        let has_shifted =
            sample > Micros(self.smoothed.0 * 2) || self.smoothed > Micros(sample.0 * 2);
        if self.samples < WINDOW || has_shifted {
            (self.smoothed, self.deviation) = (sample, Micros(sample.0 / 2));
        } else {
            let off = self.smoothed.0.abs_diff(sample.0);
            self.deviation = Micros((self.deviation.0 * 3 + off) / 4);
            self.smoothed = Micros((self.smoothed.0 * 7 + sample.0) / 8);
        }
    }

    /// The median of the latest samples. With only two of them, the smaller one: the third is zero
    /// then.
    fn typical(&self) -> Micros {
        let [one, other, third] = self.recent;
        match self.samples {
            0 | 1 => one,
            _ => one.min(other).max(one.max(other).min(third)),
        }
    }

    /// The smoothed round trip; `None` before the first sample.
    pub fn smoothed(&self) -> Option<Micros> {
        (self.samples > 0).then_some(self.smoothed)
    }

    /// Whether there are enough samples to trust: one alone may be an answer that was held up.
    pub const fn is_sure(&self) -> bool {
        self.samples >= WINDOW
    }

    /// How long to wait for an answer (RFC 6298, section 2): four deviations above the smoothed
    /// round trip, and at least half of it. `None` before the first sample.
    pub fn timeout(&self) -> Option<Micros> {
        let margin = (self.deviation.0 * 4).max(self.smoothed.0 / 2);
        self.smoothed().map(|smoothed| smoothed + Micros(margin))
    }
}

/// How many messages the short memory of a loss holds.
const SHORT_MEMORY: u64 = 64;

/// How many messages the long memory of a loss holds.
const LONG_MEMORY: u64 = 1_024;

/// How many messages are as sure as what an earlier leader has told of the loss.
const TOLD_COUNTS_AS: u64 = 200;

/// How many silences in a row loss explains at most.
const MOST_SILENCES_BY_LOSS: u8 = 10;

/// Loss explains a silence as long as members that live would be as silent in more of a million
/// cases.
pub const CHANCE_OF_SILENCE_BY_LOSS: u64 = 10_000;

/// The largest loss that a leader tells its followers, in parts per million (rule R29).
pub const MOST_LOSS_TOLD: u64 = 500_000;

/// The share of messages that are lost, as exponential averages over some 64 and some 1,024 of
/// them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loss {
    parts_per_million: u64,
    /// The average with the long memory.
    lasting_ppm: u64,
    /// How many messages are known of, at most as many as the long memory holds.
    known: u64,
}

impl Loss {
    /// What an earlier leader has told, as sure as so few messages make it.
    pub const fn told(parts_per_million: u64) -> Loss {
        Loss { parts_per_million, lasting_ppm: parts_per_million, known: TOLD_COUNTS_AS }
    }

    /// Notes that so many messages arrived.
    pub fn arrived(&mut self, messages: usize) {
        for _ in 0..messages {
            self.parts_per_million -= self.parts_per_million / SHORT_MEMORY;
            self.lasting_ppm -= self.one_of_known(self.lasting_ppm);
        }
    }

    /// Notes that a message was lost.
    pub fn lost(&mut self) {
        self.parts_per_million +=
            (1_000_000 - self.parts_per_million.min(1_000_000)) / SHORT_MEMORY;
        self.lasting_ppm += self.one_of_known(1_000_000 - self.lasting_ppm.min(1_000_000));
    }

    /// Notes one more message, and returns its share of `all`.
    const fn one_of_known(&mut self, all: u64) -> u64 {
        if self.known < LONG_MEMORY {
            self.known += 1;
            all / self.known
        } else {
            // The same, but by a constant, which is much faster.
            all / LONG_MEMORY
        }
    }

    /// What the loss is at most, as far as can be told, in parts per million: two standard
    /// deviations above the average of the long memory, and no less than two below the recent
    /// average. With few messages known that is much.
    pub fn at_most_ppm(&self) -> u64 {
        let known = self.known.max(SHORT_MEMORY);
        let average = self.lasting_ppm.min(1_000_000);
        let careful = average + 2 * deviation(average, known) + 2_000_000 / known;
        let recent = self.parts_per_million.min(1_000_000);
        let risen = recent.saturating_sub(2 * deviation(recent, 2 * SHORT_MEMORY));
        of_silences(careful.max(risen).min(1_000_000))
    }

    /// How likely it is that so many messages all arrive, in parts per million.
    pub fn all_arrive(&self, messages: usize) -> u64 {
        all_arrive(self.parts_per_million, messages)
    }

    /// The same by the long memory.
    pub fn lasting_all_arrive(&self, messages: usize) -> u64 {
        all_arrive(self.lasting_ppm(), messages)
    }

    /// The loss by the long memory, which a silence that goes on changes little, in parts per
    /// million. As long as few messages are known, the others are taken to have arrived.
    pub fn lasting_ppm(&self) -> u64 {
        (self.lasting_ppm * self.known / self.known.max(SHORT_MEMORY)).min(1_000_000)
    }

    /// The estimated loss, in parts per million.
    pub const fn parts_per_million(&self) -> u64 {
        self.parts_per_million
    }
}

/// The standard deviation of a share of so many messages, in parts per million.
fn deviation(share_ppm: u64, messages: u64) -> u64 {
    (share_ppm * (1_000_000 - share_ppm) / messages).isqrt()
}

/// The loss of one message, in parts per million, if `counted_ppm` was counted. A silence counts as
/// one lost message and none that arrived, an answer as two that arrived. But the question may have
/// arrived, and only its answer was lost.
fn of_silences(counted_ppm: u64) -> u64 {
    // Each of the two arrives in q cases. Then (1 - q^2) / (1 + q^2) is counted.
    let square = (1_000_000 - counted_ppm) * 1_000_000_000_000 / (1_000_000 + counted_ppm);
    1_000_000 - square.isqrt()
}

/// How often in a row a question may have failed by loss alone: as long as that is likelier than
/// `chance_ppm`. `all_arrive_ppm` is how likely one question and its answer arrive.
pub fn silences_by_loss(all_arrive_ppm: u64, chance_ppm: u64) -> u8 {
    let silence = 1_000_000 - all_arrive_ppm;
    let mut all = silence;
    let mut silences = 1;
    while all > chance_ppm && silences < MOST_SILENCES_BY_LOSS {
        all = all * silence / 1_000_000;
        silences += 1;
    }
    silences
}

/// How likely it is that so many messages all arrive, in parts per million.
pub fn all_arrive(loss_ppm: u64, messages: usize) -> u64 {
    let one = 1_000_000 - loss_ppm.min(1_000_000);
    (0..messages).fold(1_000_000, |all, _| all * one / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(samples: &[u64]) -> RoundTrip {
        let mut trip = RoundTrip::default();
        let mut now = Micros(0);
        for sample in samples {
            trip.sample(now, now + Micros(*sample), 2);
            now += Micros(sample + 1);
        }
        trip
    }

    #[test]
    fn fingerprints_count_samples_only_as_far_as_they_decide_something() {
        let hash = |samples: &[u64]| {
            let mut trip = RoundTrip::default();
            for took in samples {
                trip.sample(trip.sampled_at, trip.sampled_at + Micros(*took), 2);
            }
            trip.sampled_at = Micros(0);
            std::hash::BuildHasher::hash_one(&rustc_hash::FxBuildHasher, trip)
        };
        // After some samples that are all alike the deviation stays as it is.
        assert_eq!(hash(&[7; 9]), hash(&[7; 10]));
        assert_eq!(hash(&[7; 9]), hash(&[7; 99]));
        assert_ne!(hash(&[7; 2]), hash(&[7; 3]));
        assert_ne!(hash(&[7, 7, 8]), hash(&[8, 7, 7]), "the next sample takes the oldest's place");
    }

    #[test]
    fn one_pause_is_no_long_way_but_three_in_a_row_are() {
        let steady = sampled(&[500; 20]).timeout();
        assert_eq!(sampled(&[500; 20]).smoothed(), Some(Micros(500)));
        let mut paused = [500; 20];
        paused[10] = 100_000;
        assert_eq!(sampled(&paused).timeout(), steady);
        paused[11..13].fill(100_000);
        assert_eq!(sampled(&paused[..12]).smoothed(), Some(Micros(100_000)), "two in three");
        assert_eq!(sampled(&paused[..15]).smoothed(), Some(Micros(500)), "and back");
        // A pause at the very beginning is outvoted soon, too.
        assert_eq!(sampled(&[100_000, 500]).smoothed(), Some(Micros(500)));
    }

    #[test]
    fn answers_held_up_together_are_one_sample() {
        let mut trip = sampled(&[500; 10]);
        let before = trip.timeout();
        let begun = Micros(100_000);
        for late in 0..20 {
            trip.sample(begun + Micros(late), Micros(300_000 + late), 2);
        }
        assert_eq!(trip.timeout(), before);
    }

    #[test]
    fn a_chain_of_hops_is_measured_as_what_a_direct_answer_would_take() {
        let mut trip = RoundTrip::default();
        trip.sample(Micros(0), Micros(900), 3);
        assert_eq!(trip.smoothed(), Some(Micros(600)));
    }

    #[test]
    fn the_timeout_of_a_steady_link_stays_above_its_round_trip() {
        let trip = sampled(&[150_000; 200]);
        assert_eq!(trip.smoothed(), Some(Micros(150_000)));
        assert_eq!(trip.timeout(), Some(Micros(225_000)));
    }

    /// RFC 6298: the deviation takes in a quarter, the round trip an eighth of what is new.
    #[test]
    fn round_trip_and_deviation_are_smoothed_as_the_rfc_says() {
        let after = |samples| (sampled(samples).smoothed(), sampled(samples).timeout());
        let us = |us| Some(Micros(us));
        assert_eq!(after(&[800]), (us(800), us(800 + 4 * 400)));
        assert_eq!(after(&[800; 3]), (us(800), us(800 + 4 * 300)));
        // The median is 800 once more.
        assert_eq!(after(&[800, 800, 800, 1_000]), (us(800), us(800 + 4 * 225)));
        assert_eq!(after(&[800, 800, 800, 1_000, 1_000]), (us(825), us(825 + 4 * 218)));
        assert_eq!(after(&[800, 800, 800, 600, 600]), (us(775), us(775 + 4 * 218)));
    }

    /// A tenth of 100 messages: a standard deviation is 3 %, and two messages more may be lost.
    #[test]
    fn what_the_loss_is_at_most_is_two_standard_deviations_above_the_average() {
        let mut loss = Loss::default();
        for message in 0..100 {
            if message % 10 == 9 { loss.lost() } else { loss.arrived(1) }
        }
        let expected = of_silences(100_000 + 2 * 30_000 + 20_000);
        assert!(loss.at_most_ppm().abs_diff(expected) < 500, "{}", loss.at_most_ppm());
    }

    /// Of questions and answers each is lost in so many cases.
    #[test]
    fn what_silences_count_for_is_the_loss_of_one_message() {
        for loss_ppm in [0, 10_000, 100_000, 400_000, 900_000] {
            let arrive = 1.0 - loss_ppm as f64 / 1e6;
            let (lost, arrived) = (1.0 - arrive * arrive, 2.0 * arrive * arrive);
            let counted = (lost / (lost + arrived) * 1e6).round() as u64;
            assert!(of_silences(counted).abs_diff(loss_ppm) <= 5, "{counted}");
        }
        assert_eq!(of_silences(1_000_000), 1_000_000);
    }

    /// A rise of the loss shows first in the short memory.
    #[test]
    fn what_the_loss_is_at_most_rises_soon_but_not_with_each_message() {
        let mut loss = Loss { known: LONG_MEMORY, ..Loss::default() };
        (0..2).for_each(|_| loss.lost());
        assert!(loss.at_most_ppm() < 10_000, "{}", loss.at_most_ppm());
        (0..30).for_each(|_| loss.lost());
        assert!(loss.at_most_ppm() > 150_000, "{}", loss.at_most_ppm());
        // Half of twice 64 messages: a standard deviation is 4.4 %.
        let half = Loss { parts_per_million: 500_000, lasting_ppm: 0, known: LONG_MEMORY };
        assert_eq!(half.at_most_ppm(), of_silences(500_000 - 2 * 44_194));
    }

    #[test]
    fn what_the_loss_is_at_most_comes_down_as_more_is_known() {
        let mut loss = Loss::default();
        assert!(loss.at_most_ppm() >= 30_000, "nothing is known");
        let mut bound = |messages| {
            for message in 0..messages {
                if message % 5 == 0 { loss.lost() } else { loss.arrived(1) }
            }
            loss.at_most_ppm()
        };
        let (few, many) = (bound(30), bound(2_000));
        assert!(few > 280_000 && (200_000..260_000).contains(&many), "{few} {many}");
    }

    #[test]
    fn loss_follows_what_is_lost() {
        let mut loss = Loss::default();
        for message in 0..2_000 {
            if message % 5 == 0 { loss.lost() } else { loss.arrived(1) }
        }
        assert!((150_000..250_000).contains(&loss.parts_per_million()), "{loss:?}");
    }

    #[test]
    fn a_round_trip_is_sure_from_the_third_sample_on() {
        assert_eq!((sampled(&[]).smoothed(), sampled(&[]).is_sure()), (None, false));
        assert!(!sampled(&[100, 100]).is_sure() && sampled(&[100, 100, 100]).is_sure());
    }

    #[test]
    fn a_sample_may_begin_when_the_one_before_has_come() {
        let mut trip = RoundTrip::default();
        trip.sample(Micros(0), Micros(100), 2);
        trip.sample(Micros(99), Micros(999), 2);
        assert_eq!(trip.samples, 1, "they overlap");
        trip.sample(Micros(100), Micros(200), 2);
        assert_eq!(trip.samples, 2);
    }

    #[test]
    fn twice_as_long_or_half_as_long_is_no_shift_yet() {
        let smoothed = |samples: &[u64]| sampled(samples).smoothed();
        assert_eq!(smoothed(&[100, 100, 100, 200, 200]), Some(Micros((100 * 7 + 200) / 8)));
        assert_eq!(smoothed(&[100, 100, 100, 201, 201]), Some(Micros(201)));
        assert_eq!(smoothed(&[200, 200, 200, 100, 100]), Some(Micros((200 * 7 + 100) / 8)));
        assert_eq!(smoothed(&[200, 200, 200, 99, 99]), Some(Micros(99)));
    }

    #[test]
    fn the_long_memory_of_loss_holds_so_many_messages_and_no_more() {
        let full = Loss { known: LONG_MEMORY, lasting_ppm: 1_000_000, ..Loss::default() };
        let mut loss = full;
        loss.arrived(1);
        assert_eq!(loss.lasting_ppm, 1_000_000 - 1_000_000 / LONG_MEMORY);
        let mut loss = Loss { known: LONG_MEMORY - 1, ..full };
        loss.arrived(1);
        assert_eq!(
            (loss.known, loss.lasting_ppm),
            (LONG_MEMORY, 1_000_000 - 1_000_000 / LONG_MEMORY)
        );
    }
}
