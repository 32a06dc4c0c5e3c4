//! Tests of the codecs.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn packed(raw: &[u8], form: Form) -> Packed {
    Packer::new(TEXT_LEVEL).expect("memory").pack(raw, form).expect("small")
}

fn back(page: &Packed) -> Vec<u8> {
    unpack(page.codec, page.raw_bytes, &page.payload, None).expect("whole").to_vec()
}

/// Bytes that compress well, with some that don't.
fn bytes(length: usize, random_bytes: usize) -> Vec<u8> {
    let text = (0..length).map(|at| b"resource.update "[at * at % 16]);
    let mut state = 0x9e37_79b9_u32;
    let random = (0..random_bytes).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    });
    text.chain(random).collect()
}

fn column() -> impl Strategy<Value = Column> {
    (prop::sample::select(vec![1, 2, 4, 8]), any::<bool>()).prop_map(|(width, near)| Column { width, near })
}

proptest! {
    #[test]
    fn every_page_comes_back_in_every_form(
        raw in vec(prop_oneof![Just(0_u8), Just(7), any::<u8>()], 0..3_000),
        random_bytes in 0_usize..4_000,
        columns in vec(column(), 0..5),
    ) {
        for form in [Form::Plain, Form::Index, Form::Text { random_bytes }, Form::Numbers(&columns)] {
            let page = packed(&raw, form);
            prop_assert_eq!(back(&page), raw.clone());
            prop_assert!(page.payload.len() <= raw.len());
        }
    }

    #[test]
    fn texts_come_back_with_their_prefix_and_no_other_way(
        prefix in vec(any::<u8>(), 64..3_000), from in any::<prop::sample::Index>(), number: u16, begin in 0_u16..9,
    ) {
        let raw = [&prefix[from.index(prefix.len() - 40)..], &[7; 100], b"salt"].concat();
        let mut packer = Packer::new(TEXT_LEVEL).expect("memory");
        packer.set_prefix(number, &prefix).expect("memory");
        let page = packer.pack(&raw, Form::Text { random_bytes: 4 }).expect("small");
        prop_assert_eq!(page.codec, Codec::Prefixed);
        prop_assert_eq!(prefix_of(page.codec, &page.payload), Ok(Some(number)));
        prop_assert!(page.payload.len() < 100, "{}", page.payload.len());
        let back = |page: &Packed, prefix| unpack(page.codec, page.raw_bytes, &page.payload, prefix);
        prop_assert_eq!(back(&page, Some(&prefix)), Ok(raw.as_slice().into()));
        prop_assert_eq!(back(&page, None), Err("the prefix that it was packed after is missing"));
        match page.prefixed_from(begin) {
            Some(moved) => {
                prop_assert_eq!(prefix_of(moved.codec, &moved.payload), Ok(Some(number + begin)));
                prop_assert_eq!(back(&moved, Some(&prefix)), Ok(raw.as_slice().into()));
            }
            None => prop_assert!(number.checked_add(begin).is_none()),
        }
    }

    #[test]
    fn columns_come_back_whatever_their_numbers(columns in vec(column(), 1..5), rows in 0_usize..600, step in any::<u64>()) {
        let mut raw = Vec::new();
        for column in &columns {
            for row in 0..rows as u64 {
                // Far apart, near, and wrapping round.
                let number = if row % 7 == 0 { row.wrapping_mul(step) } else { step.wrapping_add(row) };
                raw.extend_from_slice(&number.to_le_bytes()[..usize::from(column.width)]);
            }
        }
        prop_assert_eq!(back(&packed(&raw, Form::Numbers(&columns))), raw);
    }

    #[test]
    fn a_payload_of_any_bytes_never_panics(
        code in 0_u8..6,
        prefix in prop::option::of(vec(any::<u8>(), 0..100)),
        raw_bytes in prop_oneof![0_u32..5_000, any::<u32>()],
        payload in vec(any::<u8>(), 0..300),
    ) {
        if let Some(codec) = Codec::of_code(code) {
            let raw = unpack(codec, raw_bytes, &payload, prefix.as_deref());
            prop_assert!(raw.is_err() || raw.is_ok_and(|raw| raw.len() == raw_bytes as usize));
        }
    }

    #[test]
    fn a_damaged_payload_never_panics(form in 0..3, at in any::<prop::sample::Index>(), flip in 1_u8.., cut in any::<bool>()) {
        let raw: Vec<u8> = (0_u64..900).flat_map(|n| (n * 5).to_le_bytes()).collect();
        let columns = [Column { width: 8, near: true }];
        let form = [Form::Index, Form::Text { random_bytes: 40 }, Form::Numbers(&columns)][usize::try_from(form).expect("small")];
        let page = packed(&raw, form);
        let mut payload = page.payload.to_vec();
        let at = at.index(payload.len());
        if cut { payload.truncate(at) } else { payload[at] ^= flip }
        let damaged = unpack(page.codec, page.raw_bytes, &payload, None);
        prop_assert!(damaged.is_err() || damaged.is_ok_and(|damaged| damaged.len() == raw.len()));
    }
}

#[test]
fn what_hardly_gets_smaller_stays_as_it_is() {
    let raw = bytes(200, 4_000);
    for form in [Form::Index, Form::Text { random_bytes: 0 }, Form::Numbers(&[Column { width: 4, near: true }])] {
        assert_eq!(packed(&raw, form).codec, Codec::Plain);
    }
    let raw = bytes(8_000, 1_000);
    for (form, codec) in [
        (Form::Plain, Codec::Plain),
        (Form::Index, Codec::Zstd),
        (Form::Text { random_bytes: 1_000 }, Codec::Text),
        (Form::Numbers(&[Column { width: 1, near: false }]), Codec::Numbers),
    ] {
        assert_eq!(packed(&raw, form).codec, codec);
    }
}

#[test]
fn no_page_is_larger_than_the_largest() {
    let raw = vec![0; RAW_BYTES_MAX + 1];
    let mut packer = Packer::new(TEXT_LEVEL).expect("memory");
    let error = packer.pack(&raw, Form::Plain).expect_err("too large");
    assert_eq!(error.to_string(), "a segment takes at most 1048576 bytes of a page: build several smaller ones");
    let page = packer.pack(&raw[1..], Form::Index).expect("the largest");
    assert_eq!(back(&page), raw[1..]);
    let larger = unpack(Codec::Zstd, page.raw_bytes + 1, &page.payload, None);
    assert_eq!(larger, Err("it says that it is larger than any page"));
    assert_eq!(unpack(Codec::Zstd, page.raw_bytes - 1, &page.payload, None), Err("it does not decompress"));
}

#[test]
fn the_bytes_of_each_codec_stay_what_they_are() {
    assert_eq!([0, 1, 2, 3, 4].map(|code| Codec::of_code(code).map(Codec::code)), [0, 1, 2, 3, 4].map(Some));
    assert_eq!(Codec::of_code(5), None);
    let text = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, 25, 0, 0, b'a', b'b', b'c'];
    let payload = [&[2, 0, 0, 0, b'y', b'z'], text.as_slice()].concat();
    assert_eq!(unpack(Codec::Text, 5, &payload, None), Ok(b"abcyz".as_slice().into()));
    let payload = [&[7, 0], payload.as_slice()].concat();
    assert_eq!(prefix_of(Codec::Prefixed, &payload), Ok(Some(7)));
    assert_eq!(unpack(Codec::Prefixed, 5, &payload, Some(b"any prefix")), Ok(b"abcyz".as_slice().into()));
    assert_eq!(unpack(Codec::Zstd, 3, &text, None), Ok(b"abc".as_slice().into()));
    // 300, 299, 301 as differences of two bytes, then 1, 2, 3 as they are.
    let planes = [0x58, 1, 4, 2, 0, 0, 1, 2, 3];
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 9, 73, 0, 0], planes.as_slice()].concat();
    let payload = [&[2, 0x82, 1], frame.as_slice()].concat();
    assert_eq!(unpack(Codec::Numbers, 9, &payload, None), Ok([44, 1, 43, 1, 45, 1, 1, 2, 3].as_slice().into()));
}

#[test]
fn a_column_of_times_takes_a_part_of_its_bytes() {
    let raw: Vec<u8> = (0_u64..8_192).flat_map(|n| (n * 1_000 + n % 7).to_le_bytes()).collect();
    let page = packed(&raw, Form::Numbers(&[Column { width: 8, near: true }]));
    assert!(page.payload.len() * 20 < raw.len(), "{}", page.payload.len());
}
