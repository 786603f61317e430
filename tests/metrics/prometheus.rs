//! A real Prometheus beside a real run: it finds all replicas, and what it holds at the end is
//! their ledgers.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use laconic::raft::Member;
use laconic::sim::real::{RealOptions, run};
use serde_json::Value;
use tempfile::TempDir;

use super::real::options;
use super::{Place, get, ledger, short_scenario};

/// A Prometheus that does not outlive its test.
pub(super) struct Prometheus {
    child: Child,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Scrapes what `discovery` names, and evaluates the rules in `rules`.
    pub fn start(folder: &Path, discovery: &Path, rules: &[&Path]) -> Prometheus {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let configuration = folder.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 250ms, scrape_timeout: 250ms, \
             evaluation_interval: 250ms}}\n\
             rule_files: {rules:?}\n\
             scrape_configs:\n\
             - job_name: laconic\n  file_sd_configs: [{{files: [{}], refresh_interval: 1s}}]\n",
            discovery.display()
        );
        fs::write(&configuration, text).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus, of Debian's package");
        let prometheus = Prometheus { child, address };
        let start = Instant::now();
        while get(&prometheus.address, "/-/ready").is_none() {
            assert!(start.elapsed() < Duration::from_secs(30), "Prometheus does not get ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        prometheus
    }

    /// The labels and value of each series that `query` finds.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let series = self.ask("query", query, "");
        let value = |series: &Value| sample(&series["value"]);
        series.iter().map(|series| (series["metric"].clone(), value(series))).collect()
    }

    /// The highest finite value that `query` had in the last so many seconds, in any series.
    pub fn highest(&self, query: &str, seconds: u64) -> Option<f64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let range = format!("&start={}&end={now}&step=0.5", now - seconds as f64);
        let series = self.ask("query_range", query, &range);
        let values = series.iter().flat_map(|series| series["values"].as_array().unwrap());
        values.map(sample).filter(|value| value.is_finite()).max_by(f64::total_cmp)
    }

    fn ask(&self, how: &str, query: &str, range: &str) -> Vec<Value> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        let escaped = query.bytes().map(|byte| {
            if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
        });
        let path = format!("/api/v1/{how}?query={}{range}", escaped.collect::<String>());
        let answer = get(&self.address, &path).unwrap_or_else(|| panic!("refused: {query}"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// By replica, what the newest samples say of its messages.
    fn ledgers(&self) -> BTreeMap<String, BTreeMap<Place, u64>> {
        let mut ledgers: BTreeMap<String, BTreeMap<Place, u64>> = BTreeMap::new();
        for direction in ["sent", "received"] {
            // Behind the run its targets are gone, and their series with them: look back.
            let name = format!("laconic_messages_{direction}_total");
            for (labels, value) in self.query(&format!("last_over_time({name}[1m])")) {
                let label = |name: &str| labels[name].as_str().unwrap().to_owned();
                let place =
                    (direction, label("kind"), label("form"), label("cause"), label("peer"));
                ledgers.entry(label("replica")).or_default().insert(place, value as u64);
            }
        }
        ledgers
    }
}

/// Of a pair of time and value.
fn sample(pair: &Value) -> f64 {
    pair[1].as_str().unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs prometheus (Debian package)"]
fn prometheus_finds_all_replicas_and_ends_with_their_ledgers() {
    let folder = TempDir::new().unwrap();
    let discovery = folder.path().join("discovery.json");
    let prometheus = Prometheus::start(folder.path(), &discovery, &[]);
    let options = RealOptions {
        discovery: Some(discovery),
        hold: Duration::from_secs(5),
        ..options(folder.path())
    };
    let scenario = short_scenario();
    let (run, most_up) = std::thread::scope(|scope| {
        let runner = scope.spawn(|| run(&scenario, &options).unwrap());
        let mut most_up = 0;
        while !runner.is_finished() {
            let up = prometheus.query("up");
            most_up = most_up.max(up.iter().filter(|(_, value)| *value == 1.0).count());
            std::thread::sleep(Duration::from_millis(250));
        }
        (runner.join().unwrap(), most_up)
    });
    assert_eq!(most_up, 5);
    let ledgers = prometheus.ledgers();
    assert_eq!(ledgers.len(), 5);
    for (member, (replica, figures)) in (0..5).map(Member).zip(ledgers) {
        assert_eq!(replica, format!("{:04X}", member.0));
        assert_eq!(figures, ledger(&run.records, member, 5), "{replica}");
    }
}
