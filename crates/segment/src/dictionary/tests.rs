//! Dictionaries against a map of values.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::memory::{MemoryBuilder, MemoryPages};
use crate::page::{Form, Sink};
use crate::table::TableBuilder;

type Model = BTreeMap<String, Vec<u32>>;

fn pages() -> MemoryBuilder {
    MemoryPages::building(false).expect("zstd")
}

fn built(model: &Model) -> (DictionaryTables, Arc<MemoryPages>) {
    let (mut sink, mut writer) = (pages(), DictionaryWriter::new("words"));
    for (text, rows) in model {
        writer.push(&mut sink, text, rows).expect("small");
    }
    (writer.finish(&mut sink).expect("small"), sink.finish())
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("few")
}

fn check_all(model: &Model, dictionary: Dictionary<'_>) {
    assert_eq!(dictionary.len(), number(model.len()));
    let mut expect = (0..).zip(model);
    dictionary
        .each(0..dictionary.len(), |value, text, mut rows| {
            let mut got = Vec::new();
            rows.append_to(&mut got)?;
            let (number, (key, list)) = expect.next().expect("no more than in the model");
            assert_eq!((value, text, rows.count()), (number, key.as_str(), tests::number(list.len())));
            assert!(got == *list, "rows of {text}");
            Ok(())
        })
        .expect("sound");
    assert!(expect.next().is_none());
}

fn check_pattern(model: &Model, dictionary: Dictionary<'_>, pattern: &Pattern) {
    let expect: Vec<u32> = (0..).zip(model.keys()).filter(|(_, key)| pattern.matches(key)).map(|(at, _)| at).collect();
    let found = dictionary.find(pattern).expect("sound");
    assert!(found.is_sorted_by(|a, b| a.end < b.start) && found.iter().all(|range| !range.is_empty()), "{found:?}");
    assert_eq!(found.iter().cloned().flatten().collect::<Vec<u32>>(), expect, "{pattern:?}");
    for within in [0..ROWS, 0..ROWS / 3, ROWS / 3..ROWS / 3 + 100, ROWS..ROWS] {
        let rows: RoaringBitmap = (0..)
            .zip(model.values())
            .filter(|(at, _)| expect.binary_search(at).is_ok())
            .flat_map(|(_, rows)| rows.iter().copied().filter(|row| within.contains(row)))
            .collect();
        assert!(dictionary.rows_of(&found, &within).expect("sound") == rows, "{pattern:?} within {within:?}");
    }
}

const ROWS: u32 = 150_000;

/// Rows some apart, with many values of all kinds: lone, rare and frequent ones, of two cases, of other alphabets, long ones.
fn large(step: u32) -> Model {
    let mut model = Model::new();
    for row in (0..ROWS).step_by(step as usize) {
        for text in [
            format!("id-{:016x}", u64::from(row).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            format!("User{}", row % 997),
            format!("bucket/{}/object", row % 40_000),
            ["get", "put", "Delete", "é", "\u{212a}elvin", ""][(row / 49 % 6) as usize].to_owned(),
        ] {
            model.entry(text).or_default().push(row);
        }
    }
    for row in 0..3 {
        model.insert("long".repeat(30_000 + row as usize), vec![row, row + 70_000]);
    }
    model
}

#[test]
fn a_large_dictionary_answers_as_a_map_does() {
    let model = large(7);
    let (tables, source) = built(&model);
    let dictionary = Dictionary::new(&tables, &*source);
    check_all(&model, dictionary);
    for (at, (text, rows)) in (0..).zip(&model).step_by(301) {
        assert_eq!(dictionary.find_exact(text).expect("sound"), Some(at), "{text}");
        assert_eq!(dictionary.find_exact(&format!("{text}\0")).expect("sound"), None, "{text}");
        assert_eq!(dictionary.count(at).expect("sound"), number(rows.len()));
    }
    for pattern in [
        "id-00*",
        "id-*",
        "*",
        "**",
        "User9*",
        "*7/object",
        "bucket/*77*",
        "*é*",
        "*",
        "~USER",
        "~user99",
        "~7/obj",
        "~é",
        "~k",
        "~kelvin",
        "~",
        "~nowhere",
        "~longlong",
        "",
        "get",
        "User*6",
        "*elvin",
        "zzz*",
        "é*",
        "bucket/1*2*3/object",
    ] {
        check_pattern(&model, dictionary, &Pattern::parse(pattern).expect("short"));
    }
}

#[test]
fn an_empty_dictionary_has_nothing() {
    let model = Model::new();
    let (tables, source) = built(&model);
    let dictionary = Dictionary::new(&tables, &*source);
    check_all(&model, dictionary);
    for pattern in ["a", "a*", "*a", "*", "~a", "~"] {
        check_pattern(&model, dictionary, &Pattern::parse(pattern).expect("short"));
    }
}

#[test]
fn a_page_is_as_it_was_frozen() {
    let model: Model =
        [("A", vec![5]), ("b", vec![1, 2]), ("é", vec![0, 1, 300])].map(|(text, rows)| (text.to_owned(), rows)).into();
    let (tables, source) = built(&model);
    let page = |table: &Table| source.page(table.all(&*source).expect("sound")[0].page).expect("sound").to_vec();
    let head = [3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
    let arrays =
        [vec![0, 0, 0, 0, 0], vec![1, 0, 0, 0, 1, 0, 0, 1], vec![1, 0, 0, 0, 1, 0, 1, 2], vec![0, 0, 0, 0, 1, 5, 0, 2]];
    assert_eq!(page(&tables.texts), [&head[..], &arrays.concat(), "Abé".as_bytes()].concat());
    assert_eq!(page(&tables.index), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // Two blocks: 1 and 2 with gaps of 1 and 0; 0, 1 and 300 with 0, 0 and, whole, 298.
    assert_eq!(page(&tables.postings)[..2], [0, 0b0000_0110]);
}

#[test]
fn merged_dictionaries_are_as_one_that_was_built() {
    let whole = large(1);
    // Row r goes to source r % 3, so that rows of the sources alternate; the last source has none.
    let mut parts: [Model; 4] = Default::default();
    for (text, rows) in &whole {
        for row in rows {
            parts[(row % 3) as usize].entry(text.clone()).or_default().push(row / 3);
        }
    }
    let moves: Vec<Vec<u32>> = (0..4).map(|part| (0..ROWS / 3).map(|row| row * 3 + part).collect()).collect();
    let built: Vec<_> = parts.iter().map(built).collect();
    let sources: Vec<(Dictionary<'_>, &[u32])> = built
        .iter()
        .zip(&moves)
        .map(|((tables, source), moves)| (Dictionary::new(tables, &**source), moves.as_slice()))
        .collect();
    let mut sink = pages();
    let merged = merge("words", &sources, ROWS, &mut sink).expect("small");
    let source = sink.finish();
    check_all(&whole, Dictionary::new(&merged, &*source));
    let (expect, expect_source) = tests::built(&whole);
    // To the byte, but for where pages lie.
    for (of_merged, of_built) in
        [(&merged.texts, &expect.texts), (&merged.index, &expect.index), (&merged.postings, &expect.postings)]
    {
        assert_eq!(of_merged.pages, of_built.pages);
        let pairs =
            of_merged.all(&*source).expect("sound").into_iter().zip(of_built.all(&*expect_source).expect("sound"));
        for (a, b) in pairs {
            assert_eq!(a.key, b.key);
            assert!(source.page(a.page).expect("sound") == expect_source.page(b.page).expect("sound"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_dictionary_answers_as_a_map_does(
        values in prop::collection::btree_map("[a-cA-C*éK\u{212a}]{0,5}", prop::collection::btree_set(0_u32..ROWS, 1..40), 0..60),
        patterns in prop::collection::vec("[~=]?[a-cA*éKk]{0,4}", 8),
    ) {
        let model: Model = values.into_iter().map(|(text, rows)| (text, rows.into_iter().collect())).collect();
        let (tables, source) = built(&model);
        let dictionary = Dictionary::new(&tables, &*source);
        check_all(&model, dictionary);
        for pattern in &patterns {
            check_pattern(&model, dictionary, &Pattern::parse(pattern).expect("short"));
        }
    }

    #[test]
    fn any_dictionaries_merge(
        parts in prop::collection::vec(prop::collection::btree_map("[ab]{0,3}", prop::collection::btree_set(0_u32..200, 1..30), 0..10), 1..5),
        order in any::<u64>(),
    ) {
        // Which source each new row comes from.
        let sources = u32::try_from(parts.len()).expect("few");
        let mut moves: Vec<Vec<u32>> = parts.iter().map(|_| Vec::new()).collect();
        for row in 0..200 * sources {
            let wanted = (order.wrapping_mul(u64::from(row) * 2 + 1) >> 40) as usize % parts.len();
            let at = (wanted..).map(|at| at % parts.len()).find(|at| moves[*at].len() < 200).expect("room");
            moves[at].push(row);
        }
        let mut expect: BTreeMap<String, std::collections::BTreeSet<u32>> = BTreeMap::new();
        let models: Vec<Model> = parts.iter().zip(&moves).map(|(part, moves)| {
            for (text, rows) in part {
                expect.entry(text.clone()).or_default().extend(rows.iter().map(|row| moves[*row as usize]));
            }
            part.iter().map(|(text, rows)| (text.clone(), rows.iter().copied().collect())).collect()
        }).collect();
        let built: Vec<_> = models.iter().map(built).collect();
        let sources_of: Vec<(Dictionary<'_>, &[u32])> = built
            .iter()
            .zip(&moves)
            .map(|((tables, source), moves)| (Dictionary::new(tables, &**source), moves.as_slice()))
            .collect();
        let mut sink = pages();
        let merged = merge("words", &sources_of, 200 * sources, &mut sink).expect("small");
        let expect: Model = expect.into_iter().map(|(text, rows)| (text, rows.into_iter().collect())).collect();
        check_all(&expect, Dictionary::new(&merged, &*sink.finish()));
    }
}

fn try_everything(tables: &DictionaryTables, source: &dyn Source) {
    let dictionary = Dictionary::new(tables, source);
    for pattern in ["b", "b*", "*b", "~b", "~é", "~", "*"] {
        if let Ok(found) = dictionary.find(&Pattern::parse(pattern).expect("short")) {
            let _ = dictionary.rows_of(&found, &(0..100));
        }
    }
    let _ = dictionary.rows_of(&[0..3, 7..9], &(5..100));
    let _ = dictionary.count(2);
    let _ = dictionary.each(0..tables.values, |_, _, mut rows| rows.append_to(&mut Vec::new()));
    let moves: Vec<u32> = (0..1_000).collect();
    let _ = merge("words", &[(dictionary, &moves), (dictionary, &moves)], 1_000, &mut pages());
}

fn damaged(raws: [&[u8]; 3]) {
    let mut sink = pages();
    let [texts, index, postings] = raws.map(|raw| {
        let mut table = TableBuilder::new("words");
        table.push(0, sink.page(raw, Form::Plain).expect("small"));
        table.finish(&mut sink).expect("small")
    });
    try_everything(&DictionaryTables { values: 12, texts, index, postings }, &*sink.finish());
}

proptest! {
    #[test]
    fn no_damage_makes_a_dictionary_panic(
        flips in prop::collection::vec((0_usize..3, any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of((0_usize..3, any::<prop::sample::Index>())),
    ) {
        let model: Model = (0..12)
            .map(|value| (["a", "B", "é"][value % 3].repeat(value + 1), (0..number(value) * 40 + 1).collect()))
            .collect();
        let (tables, source) = built(&model);
        let mut raws = [&tables.texts, &tables.index, &tables.postings]
            .map(|table| source.page(table.all(&*source).expect("sound")[0].page).expect("sound").to_vec());
        for (which, at, byte) in flips {
            let at = at.index(raws[which].len());
            raws[which][at] = byte;
        }
        if let Some((which, at)) = cut {
            let at = at.index(raws[which].len());
            raws[which].truncate(at);
        }
        damaged([&raws[0], &raws[1], &raws[2]]);
    }

    #[test]
    fn no_page_makes_a_dictionary_panic(raw in prop::collection::vec(any::<u8>(), 0..120)) {
        damaged([&raw, &raw, &raw]);
    }
}
