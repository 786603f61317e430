//! The replica's command line (interface §1).

use std::ffi::OsString;

use crate::interface::{Address, BadAddress};
use crate::wire::{BadMembership, Membership};

/// The content of the command line: the simulator's port for this replica, and the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// UDP port on 127.0.0.1. All datagrams go to it and come from it.
    pub port: u16,
    /// This replica and the others.
    pub members: Membership,
}

/// Why the command line is not that of a replica.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadArguments {
    /// There are too few arguments.
    #[error("usage: PORT ID OTHER_ID [OTHER_ID ...]")]
    Usage,
    /// The first argument is not a port.
    #[error("PORT must be 1 to 65535, not {0:?}")]
    Port(String),
    /// One of the other arguments is not an ID.
    #[error(transparent)]
    Id(#[from] BadAddress),
    /// The IDs do not make a cluster.
    #[error(transparent)]
    Membership(#[from] BadMembership),
}

impl Arguments {
    /// Reads `PORT ID OTHER_ID...`, the others in any order.
    ///
    /// # Errors
    /// The first argument that breaks its rule.
    pub fn parse(arguments: &[OsString]) -> Result<Arguments, BadArguments> {
        let texts: Vec<_> = arguments.iter().map(|text| text.to_string_lossy()).collect();
        let [port, me, others @ ..] = texts.as_slice() else {
            return Err(BadArguments::Usage);
        };
        let port = match port.parse() {
            Ok(0) | Err(_) => return Err(BadArguments::Port(port.to_string())),
            Ok(port) => port,
        };
        let me: Address = me.parse()?;
        let others: Vec<Address> =
            others.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        Ok(Arguments { port, members: Membership::new(me, &others)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::Member;

    fn parse(line: &str) -> Result<Arguments, BadArguments> {
        Arguments::parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_others_come_in_arbitrary_order() {
        let arguments = parse("4000 0AA1 F29A 0000").expect("good arguments");
        assert_eq!((arguments.port, arguments.members.me()), (4000, Member(1)));
        assert_eq!(arguments.members, parse("4000 0AA1 0000 F29A").expect("good").members);
    }

    #[test]
    fn each_bad_argument_is_named() {
        for (line, words) in [
            ("4000", "usage: PORT ID"),
            ("0 0000 0001", "PORT must be 1 to 65535, not \"0\""),
            ("65536 0000 0001", "\"65536\""),
            ("4000 0000 001", "four hex digits, not \"001\""),
            ("4000 0000 0000", "0000 is given twice"),
            ("4000 FFFF 0000", "FFFF is reserved"),
            ("4000 0000", "2 to 21 replicas, not 1"),
        ] {
            let message = parse(line).expect_err(line).to_string();
            assert!(message.contains(words) && !message.contains('\n'), "{line}: {message}");
        }
    }
}
