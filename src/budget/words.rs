//! Numbers, times and names for people, in the same form for the terminal, Markdown, the HTML page
//! and its charts.

use serde_json::Value;

use crate::raft::Why;

/// A number with groups of three digits and at most `decimals` decimals, without trailing zeros. A
/// number too small for that keeps one significant digit, so that only 0 is printed as 0.
pub fn number(value: f64, decimals: usize) -> String {
    let tiny = value != 0.0 && value.abs() < 0.5 * 10f64.powi(-(decimals as i32));
    let decimals = if tiny { (-value.abs().log10().floor()) as usize } else { decimals };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

/// A count with groups of three digits.
pub fn count(value: u64) -> String {
    number(value as f64, 0)
}

/// A count with its noun: `1 election`, `2,000 elections`.
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

/// Microseconds in a fitting unit: µs, ms or s.
pub fn time(us: f64) -> String {
    let size = us.abs();
    if size >= 1e6 {
        format!("{} s", number(us / 1e6, 2))
    } else if size >= 1e3 {
        format!("{} ms", number(us / 1e3, 2))
    } else {
        format!("{} µs", number(us, 0))
    }
}

/// A number with its unit: `1 batch`, `311 batches`. A time gets a fitting unit. Units are named in
/// the plural, except `µs`.
pub fn measured(value: f64, unit: &str) -> String {
    if unit == "µs" {
        return time(value);
    }
    let one = match unit.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => unit
            .strip_suffix("es")
            .filter(|stem| stem.ends_with("ch"))
            .map_or_else(|| unit.strip_suffix('s').unwrap_or(unit).to_owned(), str::to_owned),
    };
    format!("{} {}", number(value, 2), if value == 1.0 { &one } else { unit })
}

/// The value of the limit `name`, allowed or spent. It is a time if the name says so.
pub fn limited(name: &str, value: f64) -> String {
    if name.ends_with("_us") { time(value) } else { number(value, 2) }
}

/// The name of a limit in words, without its unit, which the value has.
pub fn limit(name: &str) -> String {
    spaced(name.strip_suffix("_us").unwrap_or(name))
}

/// The text with a capital first letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// A moment of the run in seconds, to the millisecond.
pub fn moment(us: u64) -> String {
    format!("{:.3} s", us as f64 / 1e6)
}

/// A share of 1 in percent.
pub fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0, if share < 0.1 { 1 } else { 0 }))
}

/// Bytes in a fitting unit.
pub fn bytes(count: u64) -> String {
    match count {
        1_000_000.. => format!("{} MB", number(count as f64 / 1e6, 2)),
        1_000.. => format!("{} kB", number(count as f64 / 1e3, 1)),
        _ => format!("{count} B"),
    }
}

/// A name of the schema in words: `catch_up` is `catch up`.
pub fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

/// Why a message was sent, as reports say it: `yes to replicate`.
pub fn why_words(why: Why) -> String {
    let cause = spaced(why.cause().name());
    match why {
        Why::Own(_) => cause,
        Why::Relay(_) => format!("relay of {cause}"),
        Why::Ack(_) => format!("yes to {cause}"),
        Why::Reject(_) => format!("no to {cause}"),
    }
}

/// The value of the knob `name` in words: a time gets a fitting unit.
pub fn knob_value(name: &str, of_profile: &Value) -> String {
    of_profile.as_f64().map_or_else(|| value(of_profile), |number| limited(name, number))
}

/// A knob's value. Text has no quotes.
pub fn value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_only_zero_is_zero() {
        let told =
            [(0.0, "0"), (1_234_567.0, "1,234,567"), (-1_234.5, "-1,234.5"), (0.004, "0.004")];
        for (value, wanted) in told {
            assert_eq!(number(value, 2), wanted);
        }
        assert_eq!((number(3.294, 2), number(2.0, 2)), ("3.29".to_owned(), "2".to_owned()));
    }

    #[test]
    fn a_unit_agrees_with_its_number() {
        let told = [(1.0, "batches", "1 batch"), (2.0, "batches", "2 batches")];
        let more = [(1.0, "entries", "1 entry"), (1.0, "messages", "1 message")];
        let time = [(102.0, "µs", "102 µs"), (520_740.0, "µs", "520.74 ms")];
        for (value, unit, wanted) in told.into_iter().chain(more).chain(time) {
            assert_eq!(measured(value, unit), wanted);
        }
    }

    #[test]
    fn a_time_has_one_unit() {
        let told = [(999.0, "999 µs"), (520_740.0, "520.74 ms"), (1_210_000.0, "1.21 s")];
        for (us, wanted) in told {
            assert_eq!(time(us), wanted);
        }
    }

    #[test]
    fn a_number_that_is_too_small_keeps_one_digit_and_bytes_have_a_fitting_unit() {
        assert_eq!([number(0.000_4, 2), number(0.005, 2), number(0.0, 2)], ["0.0004", "0.01", "0"]);
        let told = [999, 1_000, 999_999, 1_000_000, 2_340_000].map(bytes);
        assert_eq!(told, ["999 B", "1 kB", "1,000 kB", "1 MB", "2.34 MB"]);
    }
}
