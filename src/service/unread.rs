//! How much lies unread in the simulator's socket: the system knows it, and says so for 3 us.
//!
//! All that a replica sends waits in one socket of the simulator, and what finds it full is lost
//! (interface §2). So answers are paced (rule R27). From inside, a replica can only estimate what
//! has been read; Linux's socket diagnosis (`sock_diag(7)`, which `ss` uses as well) says it
//! exactly. Where a system does not answer, the estimate counts.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// `SOCK_DIAG_BY_FAMILY`: the type of a question and of its answer.
const BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const IPPROTO_UDP: u8 = 17;
/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
const HEADER_BYTES: usize = 16;
const QUESTION_BYTES: usize = HEADER_BYTES + 56;
/// Where `struct inet_diag_msg` has the port of the socket that it tells of, and the bytes that
/// lie unread in it.
const PORT_AT: usize = HEADER_BYTES + 4;
const UNREAD_AT: usize = HEADER_BYTES + 56;

/// Asks the system for one socket.
pub(super) struct Unread {
    system: OwnedFd,
    port: u16,
    question: Vec<u8>,
}

impl Unread {
    /// Asks for the socket at the simulator's `port` to which `socket` sends.
    ///
    /// # Errors
    /// If the system has no such diagnosis.
    pub fn of(port: u16, socket: &UdpSocket) -> io::Result<Unread> {
        let kind = SocketType::DGRAM;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let system = socket_with(AddressFamily::NETLINK, kind, flags, Some(SOCK_DIAG))?;
        let question = question(socket.local_addr()?.port(), port);
        Ok(Unread { system, port, question })
    }

    /// How many bytes the system charges that socket for what lies unread in it.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn bytes(&self) -> io::Result<u64> {
        let mut answer = [MaybeUninit::uninit(); 512];
        send(&self.system, &self.question, SendFlags::empty())?;
        let ((answer, _), _) = recv(&self.system, &mut answer, RecvFlags::empty())?;
        unread(answer, self.port).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// Asks for the socket that gets what is sent from `source` to `destination`, both on loopback.
fn question(source: u16, destination: u16) -> Vec<u8> {
    let mut question = Vec::with_capacity(QUESTION_BYTES);
    question.extend((QUESTION_BYTES as u32).to_ne_bytes());
    question.extend(BY_FAMILY.to_ne_bytes());
    question.extend(NLM_F_REQUEST.to_ne_bytes());
    // The number of this question and who asks: the answer comes to this socket anyway.
    question.extend([0; 8]);
    // Nothing beyond the fixed part, a byte that means nothing, and in any state.
    question.extend([AF_INET, IPPROTO_UDP, 0, 0]);
    question.extend(u32::MAX.to_ne_bytes());
    question.extend(source.to_be_bytes());
    question.extend(destination.to_be_bytes());
    for _ in 0..2 {
        question.extend(Ipv4Addr::LOCALHOST.octets());
        question.extend([0; 12]);
    }
    // At any interface, and without the cookie that would say which of several is meant.
    question.extend([0; 4]);
    question.extend([0xff; 8]);
    question
}

/// What `answer` says of the socket at `port`.
fn unread(answer: &[u8], port: u16) -> Option<u64> {
    let told = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?) == BY_FAMILY
        && answer.get(PORT_AT..PORT_AT + 2)? == port.to_be_bytes();
    let bytes = answer.get(UNREAD_AT..UNREAD_AT + 4)?.try_into().ok()?;
    told.then(|| u32::from_ne_bytes(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{SOCKET_BYTES, socket_charge};

    #[test]
    fn r27_the_system_says_what_lies_unread_and_the_charges_are_as_told() {
        let simulator = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = simulator.local_addr().unwrap().port();
        let replica = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        replica.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let unread = Unread::of(port, &replica).unwrap();
        assert_eq!(unread.bytes().unwrap(), 0);
        let mut charged = 0;
        for length in [1, 100, 197, 198, 645, 646, 8_000, 20_000, 60_000] {
            replica.send(&vec![b'x'; length]).unwrap();
            charged += socket_charge(length);
            assert_eq!(unread.bytes().unwrap(), charged, "{length}");
        }
        while simulator.recv(&mut [0; 65_536]).unwrap() != 60_000 {}
        assert_eq!(unread.bytes().unwrap(), 0);
        for _ in 0..1_000 {
            replica.send(b"x").unwrap();
        }
        assert_eq!(unread.bytes().unwrap(), SOCKET_BYTES, "the rest is lost");
        drop(simulator);
        assert!(unread.bytes().is_err(), "there is no such socket any more");
    }
}
