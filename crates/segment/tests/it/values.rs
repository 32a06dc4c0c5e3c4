//! Counts over what a search found.

use std::collections::BTreeMap;

use annals_model::{Field, Time, each_term};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::events;

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_times_are_counted_exactly(
        list in events::list(0..120), cuts in vec(any::<usize>(), 0..4), first in 0..5_usize,
        filter in events::loose_filter(), logs in events::logs(), begin in 990..1_030_i64, interval in 1..20_u64,
    ) {
        let wanted: Vec<_> = list.0.iter().filter(|(row, content)| {
            logs.contains(row.log) && filter.matches(content, row.time_recorded)
        }).collect();
        for segment in list.segments(&cuts, first) {
            let rows = segment.search(logs, 0..u64::MAX, &filter).expect("whole");
            for field in Field::ALL {
                let mut got: BTreeMap<String, u64> = BTreeMap::new();
                let add = |value: &str, count: u64| *got.entry(value.to_owned()).or_default() += count;
                rows.count_values(&segment, field, add).expect("whole");
                let mut expect: BTreeMap<String, u64> = BTreeMap::new();
                for (_, content) in &wanted {
                    let mut values = Vec::new();
                    each_term(content, |of, value| if of == field { values.push(value.to_owned()) });
                    values.sort();
                    values.dedup();
                    values.into_iter().for_each(|value| *expect.entry(value).or_default() += 1);
                }
                prop_assert_eq!(got, expect, "{:?}", field);
            }
            let times = || wanted.iter().map(|(row, content)| content.time_shown(row.time_recorded));
            let expect = times().min().zip(times().max());
            prop_assert_eq!(rows.times(&segment).expect("whole"), expect);
            let mut counts = [0; 7];
            rows.count_times(&segment, Time::from_s(begin), interval * 1_000_000, &mut counts).expect("whole");
            let mut expect = [0; 7];
            for (row, content) in &wanted {
                let after = content.time_shown(row.time_recorded).us() - begin * 1_000_000;
                let span = usize::try_from(after.div_euclid(i64::try_from(interval).expect("small") * 1_000_000));
                if let Some(count) = span.ok().and_then(|span| expect.get_mut(span)) {
                    *count += 1;
                }
            }
            prop_assert_eq!(counts, expect);
        }
    }
}
