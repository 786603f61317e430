//! A real Prometheus beside a real run: it finds all replicas, and at the end it holds exactly the
//! messages that their records count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use laconic::raft::Member;
use laconic::record::{Fact, RequestId, request_id};
use laconic::sim::real::{RealOptions, run};
use serde_json::Value;
use tempfile::TempDir;

use super::dashboards::folder as dashboards;
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
    /// Scrapes the targets in the files `discoveries`, and evaluates the rule files `rules` of the
    /// folder `dashboards`.
    pub fn start(folder: &Path, discoveries: &[&Path], rules: &[&str]) -> Prometheus {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let configuration = folder.join("prometheus.yml");
        let rules: Vec<PathBuf> = rules.iter().map(|name| dashboards().join(name)).collect();
        let text = format!(
            "global: {{scrape_interval: 250ms, scrape_timeout: 250ms, \
             evaluation_interval: 250ms}}\n\
             rule_files: {rules:?}\n\
             scrape_configs:\n\
             - job_name: laconic\n  file_sd_configs: \
             [{{files: {discoveries:?}, refresh_interval: 1s}}]\n"
        );
        fs::write(&configuration, text).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage")
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

    /// The highest finite value that `query` had in the last `seconds`, in any series.
    pub fn highest(&self, query: &str, seconds: u64) -> Option<f64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let range = format!("&start={}&end={now}&step=0.5", now - seconds as f64);
        let series = self.ask("query_range", query, &range);
        let values = series.iter().flat_map(|series| series["values"].as_array().unwrap());
        values.map(sample).filter(|value| value.is_finite()).max_by(f64::total_cmp)
    }

    /// The exemplars that the series of `query` had in the last minute: their labels and values.
    pub fn exemplars(&self, query: &str) -> Vec<(Value, f64)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let data = self.data("query_exemplars", query, &format!("&start={}&end={now}", now - 60.0));
        let series = data.as_array().unwrap().iter();
        let exemplars = series.flat_map(|series| series["exemplars"].as_array().unwrap().clone());
        let value = |exemplar: &Value| exemplar["value"].as_str().unwrap().parse().unwrap();
        exemplars.map(|exemplar| (exemplar["labels"].clone(), value(&exemplar))).collect()
    }

    fn ask(&self, how: &str, query: &str, range: &str) -> Vec<Value> {
        self.data(how, query, range)["result"].as_array().unwrap().clone()
    }

    fn data(&self, how: &str, query: &str, range: &str) -> Value {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        let escaped = query.bytes().map(|byte| {
            if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
        });
        let path = format!("/api/v1/{how}?query={}{range}", escaped.collect::<String>());
        let answer = get(&self.address, &path).unwrap_or_else(|| panic!("refused: {query}"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["data"].clone()
    }

    /// The messages of each replica, as its newest samples count them.
    fn ledgers(&self) -> BTreeMap<String, BTreeMap<Place, u64>> {
        let mut ledgers: BTreeMap<String, BTreeMap<Place, u64>> = BTreeMap::new();
        for direction in ["sent", "received"] {
            // After the run its targets are gone, and their series too, so ask for the last minute.
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

/// The value of a pair of time and value.
fn sample(pair: &Value) -> f64 {
    pair[1].as_str().unwrap().parse().unwrap()
}

/// Prometheus asks for OpenMetrics by itself, and keeps the exemplars, which only that format has.
#[test]
#[ignore = "needs prometheus (Debian package)"]
fn prometheus_keeps_the_mids_of_slow_requests() {
    let folder = TempDir::new().unwrap();
    let discovery = folder.path().join("discovery.json");
    let prometheus = Prometheus::start(folder.path(), &[&discovery], &[]);
    let mut scenario = short_scenario();
    // A lost message is sent again after at least 10 ms, so some requests are slow.
    scenario.drops = 0.2;
    scenario.requests = 200;
    let options = RealOptions {
        discovery: Some(discovery),
        hold: Duration::from_secs(2),
        ..options(folder.path())
    };
    let run = run(&scenario, &options).unwrap();
    let exemplars = prometheus.exemplars("laconic_client_request_duration_seconds_bucket");
    println!("{} exemplars, as {:?}", exemplars.len(), exemplars.first());
    assert!(!exemplars.is_empty());
    let asked: BTreeSet<RequestId> = run
        .records
        .iter()
        .filter_map(|record| match record.fact {
            Fact::Asked { request, .. } => Some(request),
            _ => None,
        })
        .collect();
    for (labels, value) in exemplars {
        let mid = labels["mid"].as_str().unwrap();
        assert!(asked.contains(&request_id(mid)), "{mid} is no request");
        assert!(value >= 0.01, "{mid} took {value}");
    }
}

#[test]
#[ignore = "needs prometheus (Debian package)"]
fn prometheus_finds_all_replicas_and_ends_with_their_ledgers() {
    let folder = TempDir::new().unwrap();
    let discovery = folder.path().join("discovery.json");
    let prometheus = Prometheus::start(folder.path(), &[&discovery], &[]);
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
        assert_eq!(replica, member.to_string());
        assert_eq!(figures, ledger(&run.records, member, 5), "{replica}");
    }
}
