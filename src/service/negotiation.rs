//! The format in which a client wants the metrics (RFC 9110, section 12.5).

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING};

use crate::metrics::exposition::Format;

/// OpenMetrics if the client names it and does not prefer the text format; otherwise the text
/// format, whatever else the client asks for. A scrape is never refused because of its headers.
pub(super) fn wanted_format(headers: &HeaderMap) -> Format {
    let mut liked = [0.0_f64; 2];
    for item in items(headers, ACCEPT.as_str()) {
        let version = item.parameter("version");
        let place = match item.name {
            "application/openmetrics-text" if version.is_none_or(|v| v == "1.0.0") => 1,
            "text/plain" if version.is_none_or(|v| v == "0.0.4") => 0,
            _ => continue,
        };
        liked[place] = liked[place].max(item.quality());
    }
    let [text, open_metrics] = liked;
    if open_metrics > 0.0 && open_metrics >= text { Format::OpenMetrics } else { Format::Text }
}

/// Whether the client accepts gzip, by name or by a wildcard.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let of = |name: &str| {
        let mut items = items(headers, ACCEPT_ENCODING.as_str());
        items.find(|item| item.name.eq_ignore_ascii_case(name)).map(|item| item.quality())
    };
    of("gzip").or_else(|| of("*")).is_some_and(|quality| quality > 0.0)
}

/// One item of a header's list.
struct Item<'a> {
    name: &'a str,
    parameters: &'a str,
}

impl<'a> Item<'a> {
    fn parameter(&self, name: &str) -> Option<&'a str> {
        let pairs = self.parameters.split(';').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim().trim_matches('"'))
    }

    /// How much the client prefers this item, from 0 (not at all) to 1.
    fn quality(&self) -> f64 {
        self.parameter("q").map_or(1.0, |quality| quality.parse().unwrap_or(0.0))
    }
}

/// The items of the header `name`. A header that is not text has none.
fn items<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = Item<'a>> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        Item { name: name.trim(), parameters }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn asked(name: &'static str, value: &'static str) -> HeaderMap {
        [(name.parse().unwrap(), HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn open_metrics_is_for_those_who_name_it_and_like_nothing_better() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, wanted) in [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text; version=\"1.0.0\"; q=0.3", Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=0.5, text/plain", Format::Text),
            ("text/plain;version=0.0.4", Format::Text),
            ("*/*", Format::Text),
            ("", Format::Text),
            ("application/openmetrics-text;q=much", Format::Text),
        ] {
            assert_eq!(wanted_format(&asked("accept", accept)), wanted, "{accept}");
        }
        assert_eq!(wanted_format(&HeaderMap::new()), Format::Text);
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (encoding, wanted) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.1", true),
            ("*", true),
            ("gzip;q=0, *", false),
            ("br", false),
            ("identity", false),
            ("", false),
        ] {
            let taken = takes_gzip(&asked("accept-encoding", encoding));
            assert_eq!(taken, wanted, "{encoding}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
