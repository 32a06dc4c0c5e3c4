//! Event ids and indexes.

use std::collections::HashMap;

use annals_segment::EventId;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::events::{self, LOGS};

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_row_that_carries_an_id_is_missed(
        list in events::list(0..120), cuts in vec(any::<usize>(), 0..4), first in 0..5_usize,
    ) {
        for segment in list.segments(&cuts, first) {
            for (row, content) in &list.0 {
                let found = segment.find_id(&EventId::new(&content.id)).expect("whole");
                let keys = segment.keys(&found).expect("whole");
                prop_assert!(keys.iter().any(|key| key.position == row.position));
                prop_assert!(found.is_sorted());
            }
            // 40 bits are enough for none of these to be taken for another.
            let strangers = (0..200).map(|n| segment.find_id(&EventId::new(&format!("other-{n}"))).expect("whole").len());
            prop_assert_eq!(strangers.sum::<usize>(), 0);
        }
    }

    #[test]
    fn one_id_has_one_hash_in_all_segments_and_every_row_comes_with_its_log(
        list in events::list(0..120), cuts in vec(any::<usize>(), 0..4), first in 0..5_usize, parts in 1..9_u16,
    ) {
        let mut hash_of: HashMap<String, u64> = HashMap::new();
        for segment in list.segments(&cuts, first) {
            let mut hashes = Vec::new();
            for part in 0..parts {
                segment.each_id_hash(part, parts, &mut |hash, log, row| hashes.push((hash, log, row))).expect("whole");
            }
            prop_assert!(hashes.is_sorted_by_key(|(hash, ..)| *hash));
            hashes.sort_by_key(|(.., row)| *row);
            let mut expect: Vec<_> = list.0.iter().map(|(row, content)| (row.log, row.index, &content.id)).collect();
            expect.sort_unstable();
            prop_assert_eq!(hashes.len(), expect.len());
            for (at, ((hash, log, row), (expect_log, _, id))) in (0_u32..).zip(hashes.into_iter().zip(expect)) {
                prop_assert_eq!((row, log), (at, expect_log));
                prop_assert_eq!(*hash_of.entry(id.clone()).or_insert(hash), hash);
            }
        }
    }

    #[test]
    fn an_index_leads_to_its_row_and_no_other_does(
        list in events::list(0..60), cuts in vec(any::<usize>(), 0..4), first in 0..5_usize,
    ) {
        for segment in list.segments(&cuts, first) {
            for log in LOGS {
                for index in 0..200 {
                    let expect = list.0.iter().find(|(row, _)| row.log == log && row.index == index);
                    let got = segment.find_index(log, index).expect("whole");
                    let got = got.map(|row| segment.keys(&[row]).expect("whole")[0]);
                    prop_assert_eq!(got, expect.map(crate::model::key));
                }
            }
            prop_assert_eq!(segment.find_index(4, 0).expect("whole"), None);
        }
    }
}
