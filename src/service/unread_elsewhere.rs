//! Outside Linux no system says what lies unread in the simulator's socket.

use std::io;
use std::net::UdpSocket;

/// There is no way to ask.
pub(super) struct Unread;

impl Unread {
    /// Never succeeds.
    ///
    /// # Errors
    /// Always.
    pub fn of(_port: u16, _socket: &UdpSocket) -> io::Result<Unread> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Never succeeds.
    ///
    /// # Errors
    /// Always.
    pub fn bytes(&self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
