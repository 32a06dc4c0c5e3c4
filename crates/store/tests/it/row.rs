//! The row codec: what was written is read, and nothing else is.

use annals_store::row::{
    HeadChange, ROW_BODY_BYTES_MAX, ROW_EVENTS_MAX, RowBody, RowDecoder, RowEncoder, RowError, RowEvent, Secret,
    decode, encode,
};
use proptest::prelude::*;

use crate::row_sample::sample;

fn secret() -> impl Strategy<Value = Secret> {
    let salts = prop::collection::vec(("[a-z.é]{0,9}", any::<[u8; 16]>()), 0..4);
    let commitments = prop::collection::vec(("[a-z.é]{0,9}", any::<[u8; 32]>()), 0..4);
    prop_oneof![
        any::<[u8; 16]>().prop_map(Secret::Seed),
        (salts, commitments).prop_map(|(salts, commitments)| Secret::Erased { salts, commitments }),
    ]
}

/// Events of up to 6 heads, and heads counted from them.
fn body() -> impl Strategy<Value = RowBody> {
    let event = (0_u32..6, secret(), prop::collection::vec(any::<u8>(), 0..300));
    let head = ("[a-zé]{0,12}", 0_u64..1 << 60, any::<[u8; 32]>());
    (prop::collection::vec(event, 0..40), prop::collection::vec(head, 6)).prop_map(|(events, heads)| {
        let mut numbers: Vec<u32> = events.iter().map(|(head, ..)| *head).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let events: Vec<_> = events
            .into_iter()
            .map(|(head, secret, canonical)| RowEvent {
                head: numbers.binary_search(&head).unwrap() as u32,
                secret,
                canonical,
            })
            .collect();
        let heads = (0..numbers.len() as u32)
            .zip(heads)
            .map(|(number, (organization, first_index, root))| HeadChange {
                organization,
                first_index,
                count: events.iter().filter(|event| event.head == number).count() as u32,
                root,
            })
            .collect();
        RowBody { heads, events }
    })
}

/// A row whose body is any bytes.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut row = vec![1];
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    row.extend(compressor.compress(body).unwrap());
    row
}

/// Where bytes can be decoded, they are the one form of what they say.
fn check_body(bytes: &[u8]) -> Result<RowBody, RowError> {
    let decoded = decode(&framed(bytes))?;
    let row = encode(&decoded).unwrap();
    let again = zstd::bulk::decompress(&row[1..], ROW_BODY_BYTES_MAX).unwrap();
    assert_eq!(again, bytes, "two forms of one content");
    Ok(decoded)
}

fn sample_body() -> Vec<u8> {
    zstd::bulk::decompress(&encode(&sample()).unwrap()[1..], ROW_BODY_BYTES_MAX).unwrap()
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(body in body()) {
        prop_assert_eq!(decode(&encode(&body).unwrap()).unwrap(), body);
    }

    #[test]
    fn random_bytes_are_no_row(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        decode(&bytes).unwrap_err();
    }

    #[test]
    fn random_bytes_after_the_beginning_of_a_frame_are_no_row(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut row = vec![1, 0x28, 0xb5, 0x2f, 0xfd];
        row.extend(bytes);
        decode(&row).unwrap_err();
    }

    #[test]
    fn a_random_body_is_refused_or_has_one_form(bytes in prop::collection::vec(0_u8..40, 0..200)) {
        check_body(&bytes).ok();
    }

    #[test]
    fn a_changed_body_under_a_right_checksum_is_refused_or_has_one_form(
        place in any::<prop::sample::Index>(),
        value: u8,
    ) {
        let mut bytes = sample_body();
        let place = place.index(bytes.len());
        bytes[place] = value;
        check_body(&bytes).ok();
    }
}

#[test]
fn an_encoder_that_is_kept_writes_what_a_new_one_writes() {
    let body = sample();
    let events: Vec<_> = body.events.iter().map(RowEvent::borrow).collect();
    let mut encoder = RowEncoder::new().unwrap();
    let first = encoder.encode(&body.heads, &events).unwrap();
    encoder.encode(&body.heads, &events[..1]).unwrap_err();
    assert_eq!(encoder.encode(&[], &[]).unwrap(), encode(&RowBody::default()).unwrap());
    assert_eq!(encoder.encode(&body.heads, &events).unwrap(), first);
    assert_eq!(encode(&body).unwrap(), first);
}

#[test]
fn a_decoder_that_is_kept_reads_on_after_damage() {
    let row = encode(&sample()).unwrap();
    let mut decoder = RowDecoder::new().unwrap();
    for bytes in [row.len(), row.len() - 1, row.len(), 20, row.len()] {
        let is_whole = bytes == row.len();
        let decoded = decoder.decode(&row[..bytes]).ok();
        assert_eq!(decoded, is_whole.then(sample), "{bytes} bytes");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let row = encode(&sample()).unwrap();
    for bytes in 0..row.len() {
        decode(&row[..bytes]).unwrap_err();
    }
    let body = sample_body();
    for bytes in 0..body.len() {
        decode(&framed(&body[..bytes])).unwrap_err();
    }
}

#[test]
fn a_flipped_bit_is_an_error_and_never_another_content() {
    let row = encode(&sample()).unwrap();
    for place in 0..row.len() {
        for bit in 0..8 {
            let mut flipped = row.clone();
            flipped[place] ^= 1 << bit;
            // The frame's header has a bit without a meaning.
            if let Ok(body) = decode(&flipped) {
                assert_eq!(body, sample(), "byte {place}, bit {bit}");
                assert_eq!((place, bit), (5, 4));
            }
        }
    }
}

#[test]
fn bytes_at_the_end_are_refused() {
    let mut row = encode(&sample()).unwrap();
    row.push(0);
    check_damaged(&row, "bytes after the frame");

    // Decompressors take several frames, and frames to be skipped, for one content.
    let mut row = encode(&sample()).unwrap();
    row.extend_from_slice(&encode(&sample()).unwrap()[1..]);
    check_damaged(&row, "bytes after the frame");
    let mut row = encode(&sample()).unwrap();
    row.splice(1..1, [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
    check_damaged(&row, "no zstd frame");

    let mut body = sample_body();
    body.push(0);
    check_damaged(&framed(&body), "bytes after the last text");
}

#[test]
fn a_later_version_is_told_from_damage() {
    let mut row = encode(&sample()).unwrap();
    row[0] = 2;
    assert_eq!(
        decode(&row).unwrap_err().to_string(),
        "the row was written by a newer annals (row version 2, known up to 1): start that one"
    );
    row[0] = 0;
    check_damaged(&row, "version 0");
    check_damaged(&[], "no bytes");
}

#[test]
fn a_frame_that_cannot_be_checked_is_refused() {
    let mut row = vec![1];
    row.extend(zstd::bulk::compress(&sample_body(), 1).unwrap());
    check_damaged(&row, "a frame without a checksum");

    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::ContentSizeFlag(false)).unwrap();
    let mut row = vec![1];
    row.extend(compressor.compress(&sample_body()).unwrap());
    check_damaged(&row, "a frame without its content size");
}

#[test]
fn a_size_that_the_frame_cannot_hold_is_refused_before_it_is_believed() {
    // Header: 8 bytes of content size in one segment, with a checksum.
    let claim = |bytes: u64| {
        let mut row = vec![1, 0x28, 0xb5, 0x2f, 0xfd, 0xe4];
        row.extend(bytes.to_le_bytes());
        // One empty, last block, and a checksum.
        row.extend([1, 0, 0, 0, 0, 0, 0]);
        row
    };
    check_damaged(&claim(60 << 20), "a frame that claims more than it can hold");
    for bytes in [u64::MAX, (64 << 20) + 1] {
        match decode(&claim(bytes)) {
            Err(RowError::TooLarge { what: "bytes", .. } | RowError::Damaged { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn heads_and_events_must_agree() {
    let check = |counts: &[u32], numbers: &[u32], expect: &str| {
        let body = RowBody {
            heads: counts.iter().map(|count| head(0, *count)).collect(),
            events: numbers.iter().map(|head| event(*head, 1)).collect(),
        };
        match encode(&body) {
            Err(RowError::Contradiction { what }) => assert_eq!(what, expect),
            other => panic!("{other:?}"),
        }
    };
    check(&[1], &[1], "an event of no head");
    check(&[], &[0], "an event of no head");
    check(&[1], &[0, 0], "a head with more events than its count");
    check(&[2], &[0], "a head with fewer events than its count");
    check(&[1, 0], &[0], "a head without events");

    // The same, read: the body of one head with one event, and its event's head number changed.
    let body = RowBody { heads: vec![head(0, 1)], events: vec![event(0, 1)] };
    let mut bytes = zstd::bulk::decompress(&encode(&body).unwrap()[1..], ROW_BODY_BYTES_MAX).unwrap();
    let head_number = 1 + 2 + 1 + 1 + 32 + 1;
    assert_eq!(bytes[head_number], 0);
    bytes[head_number] = 1;
    match decode(&framed(&bytes)) {
        Err(RowError::Contradiction { what }) => assert_eq!(what, "an event of no head"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_index_beyond_64_bits_is_refused() {
    let body = |first_index| RowBody { heads: vec![head(first_index, 1)], events: vec![event(0, 1)] };
    let last = body(u64::MAX - 1);
    assert_eq!(decode(&encode(&last).unwrap()).unwrap(), last);
    encode(&body(u64::MAX)).unwrap_err();
}

#[test]
fn a_row_beyond_a_limit_is_refused() {
    let check = |events: usize, text_bytes: usize, expect: Option<&str>| {
        let events = vec![event(0, text_bytes); events];
        let body = RowBody { heads: vec![head(0, events.len() as u32)], events };
        match (encode(&body), expect) {
            (Err(RowError::TooLarge { what, found, max }), Some(expect)) => {
                assert_eq!(what, expect);
                assert!(found > max, "{found} is not beyond {max}");
            }
            (Ok(row), None) => assert!(decode(&row).unwrap() == body, "another content"),
            (other, _) => panic!("{:?}", other.map(|row| row.len())),
        }
    };
    check(ROW_EVENTS_MAX, 1, None);
    check(ROW_EVENTS_MAX + 1, 1, Some("events"));
    // Beside the text: two counts of 1 byte, 36 for the head, and 22 for the event.
    check(1, ROW_BODY_BYTES_MAX - 60, None);
    check(1, ROW_BODY_BYTES_MAX - 59, Some("bytes"));
    check(1, ROW_BODY_BYTES_MAX + 1, Some("bytes"));
}

fn head(first_index: u64, count: u32) -> HeadChange {
    HeadChange { organization: "o".to_owned(), first_index, count, root: [7; 32] }
}

fn event(head: u32, text_bytes: usize) -> RowEvent {
    RowEvent { head, secret: Secret::Seed([9; 16]), canonical: vec![b'x'; text_bytes] }
}

#[track_caller]
fn check_damaged(row: &[u8], expect: &str) {
    match decode(row) {
        Err(RowError::Damaged { what, .. }) => assert_eq!(what, expect),
        other => panic!("{other:?}"),
    }
}
