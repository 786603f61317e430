//! The periods of partitions, on a track of the network's process.

use std::io::Write;

use serde_json::json;

use super::chrome::{ChromeFile, Place, Slice, SliceTime};
use crate::raft::{MemberSet, Micros};

/// The present partition, if there is one.
#[derive(Debug, Default)]
pub(super) struct Partition {
    place: Option<Place>,
    standing: Option<(Micros, String)>,
}

impl Partition {
    /// From `at` on, `majority` is one side of a partition; if it is empty, there is no partition.
    pub fn on_partitioned<W: Write>(
        &mut self,
        at: Micros,
        majority: MemberSet,
        chrome: &mut ChromeFile<W>,
    ) {
        self.draw(at, chrome);
        if majority.is_empty() {
            return chrome.moment(at, "partition ends");
        }
        let side: Vec<String> = majority.iter().map(|member| member.to_string()).collect();
        let name = format!("partition: majority {}", side.join(", "));
        chrome.moment(at, &name);
        self.standing = Some((at, name));
    }

    /// Ends the run.
    pub fn finish<W: Write>(mut self, end: Micros, chrome: &mut ChromeFile<W>) {
        self.draw(end, chrome);
    }

    /// Draws the slice of the partition that ended at `at`.
    fn draw<W: Write>(&mut self, at: Micros, chrome: &mut ChromeFile<W>) {
        let Some((since, name)) = self.standing.take() else {
            return;
        };
        let place = *self.place.get_or_insert_with(|| chrome.new_network_place("partitions"));
        let span = SliceTime { begin: since.0 * 1_000, width: at.since(since).0 * 1_000 };
        let (category, details) = ("partition", json!({}));
        chrome.slice(place, span, &Slice { category, name, details, tips: Vec::new() });
    }
}
