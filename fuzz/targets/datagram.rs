//! Bytes that are a datagram: what they say, written and read again, is the same.
#![no_main]

use laconic::interface::Address;
use laconic::wire::{Membership, decode, decode_bad_request, encode, encoded_length};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let others: Vec<Address> = (1..5).map(Address).collect();
    let members = Membership::new(Address(0), &others).expect("five members");
    let _ = decode_bad_request(bytes);
    let Ok(datagram) = decode(&members, bytes) else {
        return;
    };
    let mut written = Vec::new();
    encode(&members, &datagram, &mut written);
    assert_eq!(written.len(), encoded_length(&members, &datagram));
    if written.len() <= laconic::wire::MOST_DATAGRAM_BYTES {
        assert_eq!(decode(&members, &written).as_ref(), Ok(&datagram));
    }
});
