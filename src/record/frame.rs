//! A record as 64 bytes on disk: time, four words of its fact, a number, one half word, tag,
//! source, six small numbers and 32 bits of an XXH3 of all that, little-endian throughout. The
//! number orders frames in a ring, where places do not tell the order. In files it is 0.

use std::ops::Range;

use strum::VariantArray;
use xxhash_rust::xxh3::xxh3_64;

use super::fact::{Fact, Fate, Record};
use crate::interface::Address;
use crate::raft::{Event, Form, Member, MemberSet, Micros, To, Why};

/// Version of the schema and of the frames.
pub const VERSION: u32 = 4;

/// Bytes of a frame.
pub const FRAME_BYTES: usize = 64;

/// Stands for "everyone" in place of a receiver's rank.
const EVERYONE: u8 = 255;

/// The bytes of a frame that hold its number.
const NUMBER: Range<usize> = 40..48;
/// The bytes of a frame that hold its checksum.
const CHECKSUM: Range<usize> = 60..64;

/// The parts of a fact. Small numbers are packed into one word where they are known: the processor
/// would have to wait if bytes were stored one by one and then read as a word.
struct Cells {
    tag: u8,
    /// Six bytes, the first one lowest.
    small: u64,
    half: u32,
    words: [u64; 4],
}

/// Packs small numbers into one word.
const fn pack<const COUNT: usize>(small: [u8; COUNT]) -> u64 {
    let mut packed = 0;
    let mut place = COUNT;
    while place > 0 {
        place -= 1;
        packed = packed << 8 | small[place] as u64;
    }
    packed
}

/// The frame of `record` in a file whose frames are in order.
pub fn encode(record: &Record) -> [u8; FRAME_BYTES] {
    encode_numbered(record, 0)
}

/// The frame of `record` with the number `number` of its source.
pub fn encode_numbered(record: &Record, number: u64) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    encode_into(&mut frame, record, number);
    frame
}

/// As [`encode_numbered`], but writes to where the frame belongs. Inlined, since callers know which
/// fact it is.
#[inline(always)]
pub fn encode_into(frame: &mut [u8; FRAME_BYTES], record: &Record, number: u64) {
    let Cells { tag, small, half, words } = lay_out(&record.fact);
    let tail = pack([tag, record.source.0]) << 32 | u64::from(half);
    let [first, second, third, fourth] = words;
    let words =
        [record.at.0, first, second, third, fourth, number, tail | small << 48, small >> 16];
    for (place, word) in words.into_iter().enumerate() {
        frame[place * 8..place * 8 + 8].copy_from_slice(&word.to_le_bytes());
    }
    let checksum = checksum(frame);
    frame[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
}

/// The checksum of a frame whose own checksum is still 0. Half of XXH3 is enough, as it must only
/// detect an interrupted write. It covers all 64 bytes: that way words are read just as they were
/// stored, which is fast. The last 60 bytes would be read in other words.
fn checksum(frame: &[u8; FRAME_BYTES]) -> u32 {
    xxh3_64(frame) as u32
}

/// The number that [`encode_into`] gave `frame`.
pub fn number(frame: &[u8; FRAME_BYTES]) -> u64 {
    frame[NUMBER].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// The record in `frame`; `None` if the checksum is wrong or the content makes no sense.
pub fn decode(frame: &[u8; FRAME_BYTES]) -> Option<Record> {
    let word = |at: usize| frame[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let half = |at: usize| frame[at..at + 4].try_into().map(u32::from_le_bytes).ok();
    let mut without = *frame;
    without[CHECKSUM].fill(0);
    if half(CHECKSUM.start)? != checksum(&without) {
        return None;
    }
    let cells = Cells {
        tag: frame[52],
        small: word(52)? >> 16,
        half: half(48)?,
        words: [word(8)?, word(16)?, word(24)?, word(32)?],
    };
    Some(Record { at: Micros(word(0)?), source: Member(frame[53]), fact: read(&cells)? })
}

fn cells<const SMALL: usize, const WORDS: usize>(
    tag: u8,
    small: [u8; SMALL],
    half: u32,
    words: [u64; WORDS],
) -> Cells {
    let mut cells = Cells { tag, small: pack(small), half, words: [0; 4] };
    cells.words[..WORDS].copy_from_slice(&words);
    cells
}

#[inline(always)]
fn lay_out(fact: &Fact) -> Cells {
    match *fact {
        Fact::Sent { to, number, kind, why, term, first, entries, bytes } => {
            let to = match to {
                To::Member(member) => member.0,
                To::Everyone => EVERYONE,
            };
            let (form, cause) = (why.form() as u8, why.cause() as u8);
            let words = [number, term, first, entries.into()];
            cells(1, [to, kind as u8, form, cause], bytes, words)
        }
        Fact::Received { from, number, kind, why, term, disposition } => {
            let (form, cause) = (why.form() as u8, why.cause() as u8);
            let small = [from.0, kind as u8, disposition as u8, form, cause];
            cells(2, small, 0, [number, term])
        }
        Fact::Garbage { reason, bytes } => cells(3, [reason as u8], bytes, []),
        Fact::Asked { client, request, operation } => {
            cells(4, [operation as u8], client.0.into(), [request])
        }
        Fact::Held { client, request } => cells(5, [], client.0.into(), [request]),
        Fact::Answered { client, request, outcome, index, term } => {
            cells(6, [outcome as u8], client.0.into(), [request, index, term])
        }
        Fact::State(event) => state_cells(event),
        Fact::Routed { from, to, number, fate, bytes } => {
            cells(7, [from.0, to.0, fate as u8], bytes, [number])
        }
        Fact::Killed { member, by_itself } => cells(8, [member.0, by_itself.into()], 0, []),
        Fact::Partitioned { majority } => cells(9, [], majority.0, []),
        Fact::Woken => cells(10, [], 0, []),
        Fact::Taken { client, request, index, term } => {
            cells(11, [], client.0.into(), [request, index, term])
        }
        Fact::Refused { client, request, reason, bytes } => {
            cells(12, [reason as u8], client.0.into(), [request, bytes.into()])
        }
        Fact::Retuned { knobs } => cells(13, [knobs], 0, []),
    }
}

/// The tags of events start here.
const FIRST_STATE: u8 = 32;

#[inline(always)]
fn state_cells(event: Event) -> Cells {
    let (tag, small, words): (u8, [u8; 3], [u64; 3]) = match event {
        Event::TermStarted { term } => (1, [0; 3], [term, 0, 0]),
        Event::LeaderHeard { leader, term } => (2, [leader.0, 0, 0], [term, 0, 0]),
        Event::BecamePreCandidate { term } => (3, [0; 3], [term, 0, 0]),
        Event::BecameCandidate { term } => (4, [0; 3], [term, 0, 0]),
        Event::BecameLeader { term, heard_commit, opened } => {
            (5, [0; 3], [term, heard_commit, opened])
        }
        Event::SteppedDown { term, reason } => (6, [reason as u8, 0, 0], [term, 0, 0]),
        Event::Voted { candidate, term } => (7, [candidate.0, 0, 0], [term, 0, 0]),
        Event::Appended { first, last, term } => (8, [0; 3], [first, last, term]),
        Event::Truncated { first, last } => (9, [0; 3], [first, last, 0]),
        Event::Committed { through } => (10, [0; 3], [through, 0, 0]),
        Event::BatchSent { first, last } => (11, [0; 3], [first, last, 0]),
        Event::ResendTimeout { member, attempt, batch_waits } => {
            (12, [member.0, attempt, batch_waits.into()], [0; 3])
        }
        Event::Suspected { member } => (13, [member.0, 0, 0], [0; 3]),
        Event::Trusted { member } => (14, [member.0, 0, 0], [0; 3]),
        Event::LeaderGivenUp { leader, term } => (15, [leader.0, 0, 0], [term, 0, 0]),
    };
    cells(FIRST_STATE + tag, small, 0, words)
}

fn read(cells: &Cells) -> Option<Fact> {
    let (small, words) = (cells.small.to_le_bytes(), cells.words);
    let client = Address(cells.half as u16);
    Some(match cells.tag {
        1 => Fact::Sent {
            to: if small[0] == EVERYONE { To::Everyone } else { To::Member(Member(small[0])) },
            number: words[0],
            kind: variant(small[1])?,
            why: read_why(small[2], small[3])?,
            term: words[1],
            first: words[2],
            entries: words[3].try_into().ok()?,
            bytes: cells.half,
        },
        2 => Fact::Received {
            from: Member(small[0]),
            number: words[0],
            kind: variant(small[1])?,
            why: read_why(small[3], small[4])?,
            term: words[1],
            disposition: variant(small[2])?,
        },
        3 => Fact::Garbage { reason: variant(small[0])?, bytes: cells.half },
        4 => Fact::Asked { client, request: words[0], operation: variant(small[0])? },
        5 => Fact::Held { client, request: words[0] },
        6 => Fact::Answered {
            client,
            request: words[0],
            outcome: variant(small[0])?,
            index: words[1],
            term: words[2],
        },
        7 => Fact::Routed {
            from: Member(small[0]),
            to: Member(small[1]),
            number: words[0],
            fate: *Fate::ROUTED.get(usize::from(small[2]))?,
            bytes: cells.half,
        },
        8 => Fact::Killed { member: Member(small[0]), by_itself: small[1] != 0 },
        9 => Fact::Partitioned { majority: MemberSet(cells.half) },
        10 => Fact::Woken,
        11 => Fact::Taken { client, request: words[0], index: words[1], term: words[2] },
        12 => Fact::Refused {
            client,
            request: words[0],
            reason: variant(small[0])?,
            bytes: words[1].try_into().ok()?,
        },
        13 => Fact::Retuned { knobs: small[0] },
        tag => Fact::State(read_state(tag.checked_sub(FIRST_STATE)?, small, words)?),
    })
}

/// The variant that `code` stands for.
fn variant<T: Copy + VariantArray>(code: u8) -> Option<T> {
    T::VARIANTS.get(usize::from(code)).copied()
}

fn read_why(form: u8, cause: u8) -> Option<Why> {
    let cause = variant(cause)?;
    Some(match variant(form)? {
        Form::Own => Why::Own(cause),
        Form::Relay => Why::Relay(cause),
        Form::Ack => Why::Ack(cause),
        Form::Reject => Why::Reject(cause),
    })
}

fn read_state(tag: u8, small: [u8; 8], words: [u64; 4]) -> Option<Event> {
    let (member, term) = (Member(small[0]), words[0]);
    Some(match tag {
        1 => Event::TermStarted { term },
        2 => Event::LeaderHeard { leader: member, term },
        3 => Event::BecamePreCandidate { term },
        4 => Event::BecameCandidate { term },
        5 => Event::BecameLeader { term, heard_commit: words[1], opened: words[2] },
        6 => Event::SteppedDown { term, reason: variant(small[0])? },
        7 => Event::Voted { candidate: member, term },
        8 => Event::Appended { first: words[0], last: words[1], term: words[2] },
        9 => Event::Truncated { first: words[0], last: words[1] },
        10 => Event::Committed { through: words[0] },
        11 => Event::BatchSent { first: words[0], last: words[1] },
        12 => Event::ResendTimeout { member, attempt: small[1], batch_waits: small[2] != 0 },
        13 => Event::Suspected { member },
        14 => Event::Trusted { member },
        15 => Event::LeaderGivenUp { leader: member, term: words[0] },
        _ => return None,
    })
}
