//! One replica as the simulator sees it: a socket, and a process.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use super::options::RealError;
use super::process::{Launcher, Process};
use crate::raft::Member;

/// A replica.
pub(super) struct Node {
    /// The simulator's socket for this replica; `None` after the replica was killed or has ended.
    pub socket: Option<UdpSocket>,
    /// The address of the replica's own socket, once it has sent something.
    peer: Option<SocketAddr>,
    /// The replica's process; `None` once the socket is closed.
    pub process: Option<Process>,
}

impl Node {
    /// Opens a socket for `member` and launches it.
    pub fn launch(launcher: &Launcher, member: Member, replicas: usize) -> Result<Node, RealError> {
        let (socket, port) = open().map_err(RealError::Socket)?;
        let process = launcher.launch(member, port, replicas)?;
        Ok(Node { socket: Some(socket), peer: None, process: Some(process) })
    }

    /// Reads one datagram into `bytes`, if there is one and it is from the replica. The first
    /// sender is the replica (interface §2, `hello`); datagrams of others are ignored.
    pub fn receive(&mut self, bytes: &mut [u8]) -> Option<usize> {
        let (length, from) = self.socket.as_ref()?.recv_from(bytes).ok()?;
        let peer = *self.peer.get_or_insert(from);
        (from == peer).then_some(length)
    }

    /// Sends to the replica; false if the machine refuses.
    pub fn send(&self, bytes: &[u8]) -> bool {
        match (&self.socket, self.peer) {
            (Some(socket), Some(peer)) => socket.send_to(bytes, peer).is_ok(),
            _ => true,
        }
    }
}

fn open() -> io::Result<(UdpSocket, u16)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}
