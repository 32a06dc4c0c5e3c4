//! Row version 1, as it is on the disks of those who use it.
//!
//! `UPDATE_SAMPLES=1 cargo test -p annals-store` writes the stored samples anew. That is for a new
//! version's; a released version's sample stays as it is.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use annals_store::row::{HeadChange, RowBody, RowEvent, Secret, decode, encode};

pub(crate) fn sample_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

#[allow(clippy::disallowed_methods, reason = "asked by who runs the tests, not by the product")]
pub(crate) fn is_update() -> bool {
    std::env::var_os("UPDATE_SAMPLES").is_some()
}

/// The stored row, written anew first if that was asked for: once, as several tests read it.
pub(crate) static STORED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let path = sample_path("row-v1.bin");
    if is_update() {
        std::fs::write(&path, encode(&sample()).unwrap()).unwrap();
    }
    std::fs::read(&path).unwrap()
});

fn bytes<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|place| first + place as u8)
}

pub(crate) fn sample() -> RowBody {
    let salt = |name: &str, first| (name.to_owned(), bytes::<16>(first));
    let commitment = |name: &str, first| (name.to_owned(), bytes::<32>(first));
    RowBody {
        heads: vec![
            HeadChange { organization: "acme".to_owned(), first_index: 0, count: 2, root: bytes(0x10) },
            HeadChange {
                organization: "bücher".to_owned(),
                first_index: 1_000_000_000_000,
                count: 1,
                root: bytes(0x40),
            },
        ],
        events: vec![
            RowEvent {
                head: 0,
                secret: Secret::Seed(bytes(0)),
                canonical: br#"{"action":"flag.update","actor":{"id":"usr_1","name":"Iku"},"id":"req-8f1c:0"}"#
                    .to_vec(),
            },
            RowEvent {
                head: 1,
                secret: Secret::Erased {
                    salts: vec![salt("action", 0x80), salt("id", 0x90)],
                    commitments: vec![commitment("actor.id", 0xa0), commitment("actor.name", 0xc0)],
                },
                canonical: br#"{"action":"user.login","id":"req-8f1c:1"}"#.to_vec(),
            },
            RowEvent {
                head: 0,
                secret: Secret::Seed(bytes(0xe0)),
                canonical: "{\"action\":\"flag.delete\",\"description\":\"größer\",\"id\":\"req-8f1c:2\"}"
                    .as_bytes()
                    .to_vec(),
            },
        ],
    }
}

#[test]
fn a_row_of_version_1_is_read_as_ever() {
    assert_eq!(decode(&STORED).unwrap(), sample());
}

/// The compressor may change with its release; what it compresses may not.
#[test]
fn a_row_of_version_1_is_written_as_ever() {
    let body = |row: &[u8]| zstd::bulk::decompress(&row[1..], 1 << 20).unwrap();
    let written = encode(&sample()).unwrap();
    assert_eq!(written[0], STORED[0]);
    assert_eq!(body(&written), body(&STORED));
}
