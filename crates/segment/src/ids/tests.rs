//! Tables of ids against a list of them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::memory::MemoryPages;

const SECTIONS: (&str, &str) = ("filter of ids", "ids");

fn spread(number: u64) -> u64 {
    hash(7, &number.to_string())
}

fn check(entries: &[(u64, u32)], tables: &IdTables, source: &dyn Source) {
    let mut expect: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for (hash, row) in entries {
        expect.entry(*hash).or_default().push(*row);
    }
    for (hash, rows) in &mut expect {
        rows.sort_unstable();
        assert_eq!(&find(tables, source, *hash).expect("sound"), rows);
    }
    for number in 0..200 {
        let other = spread(number + 10_000_000);
        assert_eq!(find(tables, source, other).expect("sound"), expect.get(&other).cloned().unwrap_or_default());
    }
    let mut all = Vec::new();
    each(tables, source, |hash, row| {
        all.push((hash, row));
        Ok(())
    })
    .expect("sound");
    let mut sorted = entries.to_vec();
    sorted.sort_unstable();
    assert_eq!(all, sorted);
    assert_eq!(tables.ids as usize, entries.len());
    for parts in [1, 3, 64] {
        let mut together = Vec::new();
        for part in 0..parts {
            let hashes = part_of_hashes(part, parts);
            each_within(tables, source, &hashes, |hash, row| {
                assert!(hashes.contains(&hash));
                together.push((hash, row));
                Ok(())
            })
            .expect("sound");
        }
        assert_eq!(together, sorted);
    }
}

fn check_built(entries: &[(u64, u32)]) {
    let mut pages = MemoryPages::building(false).expect("zstd");
    let tables = write(entries.to_vec(), SECTIONS, &mut pages).expect("small");
    check(entries, &tables, &*pages.finish());
}

#[test]
fn every_id_is_found_among_any_number() {
    for count in [0_u32, 1, 15, 16, 17, 4_096, 4_097, 100_000] {
        let entries: Vec<(u64, u32)> = (0..count).rev().map(|row| (spread(u64::from(row)), row)).collect();
        check_built(&entries);
    }
}

#[test]
fn an_id_of_many_rows_is_found_in_all_of_its_pages() {
    for same in [2_u32, 4_095, 4_096, 4_097, 8_192, 20_000] {
        for before in [0, 1, 4_095, 4_096, 5_000] {
            let first = (0..before).map(|row| (u64::from(row) + 1, row));
            let middle = (0..same).map(|row| (1 << 30, row));
            let last = (0..100).map(|row| ((1 << 39) + u64::from(row), row));
            check_built(&first.chain(middle).chain(last).collect::<Vec<_>>());
        }
    }
}

#[test]
fn merged_tables_are_as_one_that_was_built() {
    let parts: [Vec<(u64, u32)>; 4] = [
        (0..9_000).map(|row| (spread(u64::from(row % 7_000)), row)).collect(),
        Vec::new(),
        (0..3).map(|row| (spread(u64::from(row)), row)).collect(),
        (0..60_000).map(|row| (spread(u64::from(row) + 5_000), row)).collect(),
    ];
    // Rows of the first and the last alternate, as those of several logs do.
    let moves: [Vec<u32>; 4] = [
        (0..9_000).map(|row| row * 2).collect(),
        Vec::new(),
        (0..3).map(|row| 100_000 + row).collect(),
        (0..60_000).map(|row| if row < 9_000 { row * 2 + 1 } else { row + 9_000 }).collect(),
    ];
    let built: Vec<_> = parts
        .iter()
        .map(|entries| {
            let mut pages = MemoryPages::building(false).expect("zstd");
            (write(entries.clone(), SECTIONS, &mut pages).expect("small"), pages.finish())
        })
        .collect();
    let sources: Vec<(&IdTables, &dyn Source, &[u32])> = built
        .iter()
        .zip(&moves)
        .map(|((tables, pages), moves)| (tables, &**pages as &dyn Source, moves.as_slice()))
        .collect();
    let mut pages = MemoryPages::building(false).expect("zstd");
    let merged = merge(&sources, SECTIONS, &mut pages).expect("small");
    let expect: Vec<(u64, u32)> = parts
        .iter()
        .zip(&moves)
        .flat_map(|(part, moves)| part.iter().map(|(hash, row)| (*hash, moves[*row as usize])))
        .collect();
    check(&expect, &merged, &*pages.finish());
}

#[test]
fn a_hash_has_40_bits() {
    assert_eq!(hash(1, "a"), xxh3_64_with_seed(b"a", 1) >> 24);
}

proptest! {
    #[test]
    fn no_page_makes_a_lookup_panic(raw in prop::collection::vec(any::<u8>(), 0..200), hash in 0_u64..1 << 40) {
        let mut pages = MemoryPages::building(false).expect("zstd");
        let at = pages.page(&raw, Form::Plain).expect("small");
        let mut table = TableBuilder::new("ids");
        table.push(0, at);
        let table = table.finish(&mut pages).expect("small");
        let tables = IdTables { ids: 3, filter: Table::default(), entries: table };
        let source = pages.finish();
        let _ = find(&tables, &*source, hash);
        let _ = each(&tables, &*source, |_, _| Ok(()));
        let _ = merge(&[(&tables, &*source, &[0, 1, 2])], SECTIONS, &mut MemoryPages::building(false).expect("zstd"));
    }
}
