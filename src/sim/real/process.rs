//! A replica's process: how it is launched, what it prints, how it ends (interface §1).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::options::{RealError, RealOptions};
use super::recordings::BOXES;
use crate::raft::{Member, Micros};
use crate::sim::course::incoming::address_of;
use crate::sim::random_stream::RandomStream;

/// How long a replica may take to exit before it is killed.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is checked whether a replica has exited.
const LOOK_AGAIN: Duration = Duration::from_micros(200);
/// Most bytes taken from a pipe at a time.
const READ_BYTES: usize = 1_500;

/// Starts replicas, all of one program.
pub(super) struct Launcher {
    program: PathBuf,
    subcommand: Option<&'static str>,
    environment: Vec<(&'static str, PathBuf)>,
    silence: bool,
    seed: u64,
}

impl Launcher {
    /// A launcher for the program and environment that `options` ask for. Records go below `out`.
    pub fn new(options: &RealOptions, out: &Path) -> Result<Launcher, RealError> {
        let (program, subcommand) = match &options.program {
            // A name without a folder is a file in the current folder, as in the course, and is not
            // searched in the path.
            Some(program) => (std::path::absolute(program), None),
            None => (std::env::current_exe(), Some("replica")),
        };
        let program = program.map_err(|source| RealError::Launch {
            program: options.program.clone().unwrap_or_else(|| "laconic".into()),
            source,
        })?;
        let mut environment = Vec::new();
        if !options.foreign {
            environment.push(("LACONIC_OUT", out.to_owned()));
            // Only runs that are kept have black boxes.
            let kept = options.out.is_some().then(|| out.join(BOXES));
            environment.extend(kept.map(|boxes| ("LACONIC_BLACK_BOX", boxes)));
            // Any free port on loopback.
            let endpoint = options.discovery.iter().map(|_| PathBuf::from("0"));
            environment.extend(endpoint.map(|port| ("LACONIC_METRICS_ADDRESS", port)));
            let profile = options.profile.iter().map(PathBuf::from);
            environment.extend(profile.map(|profile| ("LACONIC_PROFILE", profile)));
        }
        let (silence, seed) = (options.silence, options.seed);
        Ok(Launcher { program, subcommand, environment, silence, seed })
    }

    /// Starts `member` of `replicas`. Its port at the simulator is `port`.
    pub fn launch(&self, member: Member, port: u16, replicas: usize) -> Result<Process, RealError> {
        let output = || if self.silence { Stdio::null() } else { Stdio::piped() };
        let mut command = Command::new(&self.program);
        command
            .args(self.subcommand)
            .arg(port.to_string())
            .arg(address_of(member).to_string())
            .args(self.others(member, replicas).map(|other| address_of(other).to_string()))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .process_group(0);
        let failed = |source| RealError::Launch { program: self.program.clone(), source };
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child.stdout.take().map(OwnedFd::from);
        let stderr = child.stderr.take().map(OwnedFd::from);
        let mut process = Process { child, member, pipes: Vec::new() };
        for end in stdout.into_iter().chain(stderr) {
            process.pipes.push(Pipe::new(end).map_err(failed)?);
        }
        Ok(process)
    }

    /// All members but `member`, in an order that differs from member to member.
    fn others(&self, member: Member, replicas: usize) -> impl Iterator<Item = Member> {
        let mut random = RandomStream::new(self.seed, "order of arguments", u64::from(member.0));
        let mut others: Vec<Member> =
            (0..replicas as u8).map(Member).filter(|other| *other != member).collect();
        for last in (1..others.len()).rev() {
            others.swap(last, random.below(last as u64 + 1) as usize);
        }
        others.into_iter()
    }
}

/// The simulator's end of a replica's output pipe.
struct Pipe {
    end: File,
    /// The beginning of a line that is not complete yet.
    line: Vec<u8>,
}

impl Pipe {
    fn new(end: OwnedFd) -> io::Result<Pipe> {
        rustix::io::ioctl_fionbio(&end, true)?;
        Ok(Pipe { end: File::from(end), line: Vec::new() })
    }

    /// Reads once and appends complete lines to `shown`, each after `prefix`. `None`: the pipe is
    /// closed.
    fn read(&mut self, prefix: &str, shown: &mut Vec<u8>) -> Option<usize> {
        let mut bytes = [0; READ_BYTES];
        let length = match self.end.read(&mut bytes) {
            Ok(0) => None,
            Ok(length) => Some(length),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(0),
            Err(_) => None,
        };
        self.line.extend_from_slice(&bytes[..length.unwrap_or(0)]);
        if length.is_none() && !self.line.is_empty() {
            self.line.push(b'\n');
        }
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            shown.extend_from_slice(prefix.as_bytes());
            shown.extend(self.line.drain(..=end));
        }
        length
    }
}

/// A replica's process, in a process group of its own. Dropping this kills the group, so no child
/// is left behind.
pub(super) struct Process {
    child: Child,
    member: Member,
    pipes: Vec<Pipe>,
}

impl Process {
    /// The pipes to wait for besides the socket.
    pub fn pipes(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pipes.iter().map(|pipe| pipe.end.as_fd())
    }

    /// Reads once from pipe `place`. Returns false if it is closed, which means that the replica
    /// has died.
    pub fn read_pipe(&mut self, place: usize, shown: &mut Vec<u8>) -> bool {
        let prefix = format!("{}: ", address_of(self.member));
        let pipe = self.pipes.get_mut(place);
        pipe.is_none_or(|pipe| pipe.read(&prefix, shown).is_some())
    }

    /// Whether the process has ended. It stays a zombie, so that the group's ID stays valid.
    pub fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.group()), options), Ok(None))
    }

    /// Asks the group to exit.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until the process has exited, and appends its last output to `shown`. Kills its group
    /// if it has not exited by `limit`.
    pub fn await_exit(mut self, limit: Instant, shown: &mut Vec<u8>) {
        while !self.has_ended() && Instant::now() < limit {
            self.read_all(shown);
            std::thread::sleep(LOOK_AGAIN);
        }
        self.read_all(shown);
    }

    /// Appends all that it has printed to `shown`.
    pub fn read_all(&mut self, shown: &mut Vec<u8>) {
        let prefix = format!("{}: ", address_of(self.member));
        for pipe in &mut self.pipes {
            while pipe.read(&prefix, shown).is_some_and(|length| length > 0) {}
        }
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn signal(&self, signal: Signal) {
        // If the group is gone, it needs no signal.
        let _ = kill_process_group(self.group(), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Stops `process`. Returns how long it took to exit after SIGTERM; the simulator waits for it.
pub(super) fn stop(process: Process, shown: &mut Vec<u8>) -> Micros {
    let start = Instant::now();
    process.terminate();
    process.await_exit(start + PATIENCE, shown);
    Micros(start.elapsed().as_micros() as u64)
}
