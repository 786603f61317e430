//! "Did you mean": finds the known word that a misspelt word may stand for.

use strsim::jaro_winkler;

/// How similar two words must be, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The word of `known` that is most similar to `word`, if any is similar. Of equally similar ones,
/// the first.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best = None;
    for other in known {
        let alike = jaro_winkler(word, other);
        if alike >= ALIKE && best.is_none_or(|(most, _)| alike > most) {
            best = Some((alike, other));
        }
    }
    best.map(|(_, other)| other)
}

/// What is added to a line that refuses `word`: a question, or nothing.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or(String::new(), |other| format!(", did you mean {other}?"))
}

/// Shortens serde's message about an unknown key. It lists all known keys; only the unknown key and
/// the nearest known one are kept. Other messages stay as they are.
pub fn shorten_unknown_field(message: &str) -> String {
    let Some((head, known)) =
        message.split_once(", expected").filter(|(head, _)| head.starts_with("unknown field"))
    else {
        return message.to_owned();
    };
    let field = head.split('`').nth(1).unwrap_or_default();
    head.to_owned() + &did_you_mean(field, known.split('`').skip(1).step_by(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keys_is_recognised_and_another_word_is_not() {
        let known = ["budget", "clock_drift_ppm", "shared_keys", "simple-1", "simple-2"];
        for (word, wanted) in [
            ("bugdet", Some("budget")),
            ("clock_drift", Some("clock_drift_ppm")),
            ("simple-9", Some("simple-1")),
            ("simple2", Some("simple-2")),
            ("comment", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), wanted, "{word}");
        }
    }

    #[test]
    fn of_serdes_list_the_nearest_is_left() {
        let said = "unknown field `bugdet`, expected one of `mix`, `budget`";
        assert_eq!(shorten_unknown_field(said), "unknown field `bugdet`, did you mean budget?");
        let said = "unknown field `x`, expected `mix`";
        assert_eq!(shorten_unknown_field(said), "unknown field `x`");
        let said = "invalid type: string \"a\", expected u64";
        assert_eq!(shorten_unknown_field(said), said);
    }
}
