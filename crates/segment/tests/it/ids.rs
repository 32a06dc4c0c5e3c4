//! Event ids and indexes.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::events::{self, LOGS};

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_row_that_carries_an_id_is_missed(
        list in events::list(0..120), cuts in vec(any::<usize>(), 0..4), first in 0..5_usize,
    ) {
        for segment in [list.build(), list.merged(&cuts, first)] {
            for (row, content) in &list.0 {
                let found = segment.find_id(row.log, &content.id);
                prop_assert!(found.iter().any(|row_found| segment.key(*row_found).position == row.position));
                prop_assert!(found.is_sorted());
            }
            // 64 bits are enough for none of these to be taken for another.
            let strangers = (0..200).flat_map(|n| LOGS.map(|log| segment.find_id(log, &format!("other-{n}")).len()));
            prop_assert_eq!(strangers.sum::<usize>(), 0);
            prop_assert!(segment.find_id(4, "Event-1").is_empty());
        }
    }

    #[test]
    fn an_index_leads_to_its_row_and_no_other_does(
        list in events::list(0..60), cuts in vec(any::<usize>(), 0..4), first in 0..5_usize,
    ) {
        for segment in [list.build(), list.merged(&cuts, first)] {
            for log in LOGS {
                for index in 0..200 {
                    let expect = list.0.iter().find(|(row, _)| row.log == log && row.index == index);
                    let got = segment.find_index(log, index).map(|row| segment.key(row));
                    prop_assert_eq!(got, expect.map(crate::model::key));
                }
            }
            prop_assert_eq!(segment.find_index(4, 0), None);
        }
    }
}
