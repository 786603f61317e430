//! Where the replicas of a run serve their metrics, as a file for Prometheus's file-based service
//! discovery.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::options::RealError;
use crate::raft::Member;
use crate::sim::course::incoming::address_of;

/// The file below `folder` in which `member` says where its metrics endpoint listens.
pub(super) fn address_file(folder: &Path, member: Member) -> PathBuf {
    folder.join(format!("{}.address", address_of(member)))
}

/// The label that names a target's replica for readers of the file. Prometheus drops labels with
/// this prefix after discovery. The replica puts its name into each series itself.
const META_REPLICA: &str = "__meta_laconic_replica";

/// Writes the discovery file `path` for the replicas of `cluster` that have said below `folder`
/// where they listen. A replica without an endpoint gets no target. Readers never see a
/// half-written file.
///
/// # Errors
/// If a file cannot be read or written.
pub(super) fn write(
    path: &Path,
    folder: &Path,
    cluster: &str,
    replicas: usize,
) -> Result<(), RealError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| RealError::Discovery { path, source }
    };
    let mut targets: Vec<Value> = Vec::new();
    for member in (0..replicas as u8).map(Member) {
        let file = address_file(folder, member);
        match std::fs::read_to_string(&file) {
            Ok(address) => targets.push(json!({
                "targets": [address.trim()],
                "labels": {"cluster": cluster, META_REPLICA: address_of(member).to_string()},
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&file)(error)),
        }
    }
    let mut draft = path.to_owned().into_os_string();
    draft.push(".draft");
    let text = format!("{:#}\n", Value::from(targets));
    std::fs::write(&draft, text).map_err(failed(path))?;
    std::fs::rename(&draft, path).map_err(failed(path))
}

/// Removes the files in which replicas said where they listen, since they no longer do.
pub(super) fn forget(folder: &Path, replicas: usize) {
    for member in (0..replicas as u8).map(Member) {
        // Most runs have no such file.
        let _ = std::fs::remove_file(address_file(folder, member));
    }
}
