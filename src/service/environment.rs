//! What a replica takes from its environment (design §8).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The environment variables, each set or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `LACONIC_PROFILE`: an embedded profile's name, or the path of a profile; not set: `course`.
    pub profile: Option<String>,
    /// `LACONIC_LOG`: a filter of log lines, as in `info` or `laconic=debug`; not set: `warn`.
    pub log: Option<String>,
    /// `LACONIC_OUT`: the folder for `records/ID.bin`, `ID.prom` and `ID.address`; not set: these
    /// files are not written.
    pub out: Option<PathBuf>,
    /// `LACONIC_BLACK_BOX`: the folder for `ID.box`, the replica's last records in a mapped file.
    /// It is a folder because all replicas of a launcher share its environment. Not set: there is
    /// no black box.
    pub black_box: Option<PathBuf>,
    /// `LACONIC_SPANS`: `1` or `1/N`: one of how many steps gets spans, in the file `spans/ID.json`
    /// of `LACONIC_OUT`. Not set: there are no spans.
    pub spans: Option<String>,
    /// `LACONIC_METRICS_ADDRESS`: where `/metrics`, `/status` and `/healthz` are served: a port on
    /// 127.0.0.1, IP:PORT or HOST:PORT, with port 0 for any free port. Not set: nowhere. Whether
    /// the host exists is known only when the port is opened.
    pub metrics_address: Option<String>,
}

/// An environment variable that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadEnvironment {
    /// `LACONIC_LOG` is not a filter.
    #[error("LACONIC_LOG: {filter:?} is no log filter: {reason}")]
    Log {
        /// The variable's value.
        filter: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// `LACONIC_SPANS` is not `1` or `1/N`.
    #[error("LACONIC_SPANS: {0:?} is neither 1 nor 1/N, N from 1 to 1000000")]
    Spans(String),
    /// `LACONIC_SPANS` is set, but not the folder.
    #[error("LACONIC_SPANS: spans are written below LACONIC_OUT, which is not set")]
    SpansWithoutOut,
    /// `LACONIC_METRICS_ADDRESS` is not an address.
    #[error("LACONIC_METRICS_ADDRESS: must be PORT, IP:PORT or HOST:PORT, not {0:?}")]
    MetricsAddress(String),
}

impl Environment {
    /// The environment of this process. A variable with an empty value counts as not set. A value
    /// that is not UTF-8 keeps replacement characters, so it is refused as a wrong name later.
    ///
    /// # Errors
    /// The first variable that cannot be used, of those that are checked here.
    pub fn of_process() -> Result<Environment, BadEnvironment> {
        let value = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name| value(name).map(|value| value.to_string_lossy().into_owned());
        let address = text("LACONIC_METRICS_ADDRESS");
        Ok(Environment {
            profile: text("LACONIC_PROFILE"),
            log: text("LACONIC_LOG"),
            out: value("LACONIC_OUT").map(PathBuf::from),
            black_box: value("LACONIC_BLACK_BOX").map(PathBuf::from),
            spans: text("LACONIC_SPANS"),
            metrics_address: address.map(|address| parse_address(&address)).transpose()?,
        })
    }
}

/// A port alone means that port on 127.0.0.1.
fn parse_address(text: &str) -> Result<String, BadEnvironment> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(format!("{}:{port}", Ipv4Addr::LOCALHOST));
    }
    let is_host = |host: &str| {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        !host.is_empty() && host.chars().all(fits)
    };
    let names_one = |(host, port): (&str, &str)| is_host(host) && port.parse::<u16>().is_ok();
    let fits = text.parse::<SocketAddr>().is_ok() || text.rsplit_once(':').is_some_and(names_one);
    fits.then(|| text.to_owned()).ok_or_else(|| BadEnvironment::MetricsAddress(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_on_loopback() {
        let parsed = parse_address;
        assert_eq!(parsed("0").unwrap(), "127.0.0.1:0");
        assert_eq!(parsed("9100").unwrap(), "127.0.0.1:9100");
        assert_eq!(parsed("0.0.0.0:9100").unwrap(), "0.0.0.0:9100");
        assert_eq!(parsed("[::1]:9100").unwrap(), "[::1]:9100");
        assert_eq!(parsed("localhost:80").unwrap(), "localhost:80");
        for wrong in ["65536", "localhost:", ":80", "127.0.0.1", "a host:80", "here"] {
            let words = parse_address(wrong).unwrap_err().to_string();
            let wanted = "LACONIC_METRICS_ADDRESS: must be PORT, IP:PORT or HOST:PORT, not ";
            assert_eq!(words, format!("{wanted}{wrong:?}"));
        }
    }
}
