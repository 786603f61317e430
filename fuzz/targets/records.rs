//! Bytes that are a record file: read to the end or to the first damaged frame. Each 64 bytes are
//! also taken for a frame whose checksum is mended, or no fuzzer would get past it.
#![no_main]

use std::io::Write;

use laconic::archive::read_records;
use laconic::record::frame;
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::xxh3_64;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    let _ = read_records(file.path());
    for chunk in bytes.chunks_exact(frame::FRAME_BYTES) {
        let mut sound = [0u8; frame::FRAME_BYTES];
        sound.copy_from_slice(chunk);
        // Its last 4 bytes are half of the XXH3 of the rest.
        sound[60..].fill(0);
        let sum = xxh3_64(&sound) as u32;
        sound[60..].copy_from_slice(&sum.to_le_bytes());
        if let Some(record) = frame::decode(&sound) {
            assert_eq!(frame::decode(&frame::encode(&record)), Some(record));
            serde_json::to_string(&record).expect("as JSON");
        }
    }
});
