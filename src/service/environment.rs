//! What a replica takes from its environment (design §8).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The variables, each absent or set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `LACONIC_PROFILE`: an embedded profile's name, or the path of one; absent: `course`.
    pub profile: Option<String>,
    /// `LACONIC_LOG`: a filter of log lines, as in `info` or `laconic=debug`; absent: `warn`.
    pub log: Option<String>,
    /// `LACONIC_OUT`: the folder for `records/ID.bin`, `ID.prom` and `ID.address`; absent: no file
    /// is written.
    pub out: Option<PathBuf>,
    /// `LACONIC_BLACK_BOX`: the folder for `ID.box`, the replica's last records in a mapped file; a
    /// folder, since all replicas of a launcher share its environment. Absent: there is none.
    pub black_box: Option<PathBuf>,
    /// `LACONIC_METRICS_ADDRESS`: where `/metrics`, `/status` and `/healthz` are served, as a port
    /// on 127.0.0.1 or as IP:PORT, 0 for any free port; absent: nowhere.
    pub metrics_address: Option<SocketAddr>,
}

/// A variable that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadEnvironment {
    /// `LACONIC_LOG` is no filter.
    #[error("LACONIC_LOG: {filter:?} is no log filter: {reason}")]
    Log {
        /// Its value.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `LACONIC_METRICS_ADDRESS` is no address.
    #[error("LACONIC_METRICS_ADDRESS: must be PORT or IP:PORT, not {0:?}")]
    MetricsAddress(String),
}

impl Environment {
    /// That of this process. A variable that is set to nothing counts as absent; one that is not
    /// UTF-8 keeps replacement characters, and is then refused as the name that it is not.
    ///
    /// # Errors
    /// The first that cannot be used, of those that are read here.
    pub fn of_process() -> Result<Environment, BadEnvironment> {
        let value = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name| value(name).map(|value| value.to_string_lossy().into_owned());
        let address = text("LACONIC_METRICS_ADDRESS");
        Ok(Environment {
            profile: text("LACONIC_PROFILE"),
            log: text("LACONIC_LOG"),
            out: value("LACONIC_OUT").map(PathBuf::from),
            black_box: value("LACONIC_BLACK_BOX").map(PathBuf::from),
            metrics_address: address.map(|address| parse_address(&address)).transpose()?,
        })
    }
}

/// A port alone is one on loopback.
fn parse_address(text: &str) -> Result<SocketAddr, BadEnvironment> {
    let port = text.parse().map(|port| SocketAddr::from((IpAddr::from(Ipv4Addr::LOCALHOST), port)));
    port.or_else(|_| text.parse()).map_err(|_| BadEnvironment::MetricsAddress(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_on_loopback() {
        let parsed = |text: &str| parse_address(text).map(|address| address.to_string());
        assert_eq!(parsed("0").unwrap(), "127.0.0.1:0");
        assert_eq!(parsed("9100").unwrap(), "127.0.0.1:9100");
        assert_eq!(parsed("0.0.0.0:9100").unwrap(), "0.0.0.0:9100");
        assert_eq!(parsed("[::1]:9100").unwrap(), "[::1]:9100");
        for wrong in ["65536", "localhost:80", ":80", "127.0.0.1"] {
            let words = parse_address(wrong).unwrap_err().to_string();
            let wanted = "LACONIC_METRICS_ADDRESS: must be PORT or IP:PORT, not ";
            assert_eq!(words, format!("{wanted}{wrong:?}"));
        }
    }
}
