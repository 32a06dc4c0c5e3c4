//! Lists, against a naive one: any filter, any order, any page.

use std::sync::{Arc, LazyLock};

use annals_ledger::Ledger;
use annals_model::{
    Content, Direction, Event, Field, Filter, Order, OrderField, PageQuery, Pattern, Reach, Start, Time, TimeRange,
};
use annals_segment::Key;
use proptest::prelude::*;

use super::ledger;
use crate::support::{START_S, all, append, append_json, event, ids, of, page, query};

const EVENTS: usize = 11_500;

struct World {
    ledger: Ledger,
    naive: Vec<(Event, Content, Key)>,
}

/// Some thousand events: frozen segments, merged ones, and fresh events at the end; times in order
/// in one log, far out of order in the other.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (ledger, store) = ledger();
    let mut made = 0;
    let mut random = 12_345_u64;
    while made < EVENTS {
        let batch: Vec<_> = (0..(random % 700 + 1)).map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pick = |shift: u32, of: u64| (random >> shift) % of;
            made += 1;
            let occurred = match pick(3, 4) {
                0 => format!(r#""time_occurred":"{}","#, Time::from_s(START_S - 100 + i64::try_from(pick(9, 200)).expect("small")).format()),
                _ => String::new(),
            };
            let country = if pick(17, 3) == 0 { r#","country":"JP""# } else { "" };
            event(if pick(40, 3) == 0 { "acme" } else { "globex" }, &format!(
                r#"{{{occurred}"id":"e{made}","action":"kind{}.{}","actor":{{"id":"usr_{}","name":"Iku {}"}},"targets":[{{"id":"t{}"}},{{"id":"t{}"}}],"request":{{"status":{}{country}}},"data":{{"note":"word{} other"}}}}"#,
                pick(20, 3), ["update", "Create"][usize::try_from(pick(22, 2)).expect("small")], pick(25, 5), pick(25, 5), pick(28, 6), pick(31, 6), 200 + pick(34, 3), pick(37, 4)))
        }).collect();
        store.clock.forward_us(i64::try_from(random % 3).expect("small"));
        append(&ledger, batch).expect("appended");
    }
    let events = [all(&ledger, Reach::All, 1_000), all(&ledger, of("_system"), 1_000)].concat();
    let naive = events.into_iter().map(|event| {
        let content = event.content().expect("readable");
        let key = Key {
            time: content.time_shown(event.time_recorded),
            status: content.request.status.unwrap_or(0),
            position: event.position,
        };
        (event, content, key)
    });
    let naive = naive.collect();
    World { ledger, naive }
});

impl World {
    /// What a whole list should be.
    fn list(&self, reach: &Reach, filter: &Filter, order: &Order) -> Vec<&Event> {
        let of_reach = self.naive.iter().filter(|(event, ..)| match reach {
            Reach::All => *event.organization != *"_system",
            Reach::Organization(organization) => event.organization == *organization,
        });
        let mut matching: Vec<_> =
            of_reach.filter(|(event, content, _)| filter.matches(content, event.time_recorded)).collect();
        matching.sort_by(|(.., a), (.., b)| a.compare(b, order));
        matching.into_iter().map(|(event, ..)| event).collect()
    }
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    let text = prop_oneof![
        Just("kind1.update"),
        Just("kind0.Create"),
        Just("usr_3"),
        Just("t4"),
        Just("JP"),
        Just("201"),
        Just("e77"),
        Just("update"),
        Just("kind*"),
        Just("*update"),
        Just("~CREATE"),
        Just("~r_"),
        Just("e1*"),
        Just("*"),
        Just("~"),
        Just("nothing"),
        Just("Iku 2"),
    ];
    text.prop_map(|text| Pattern::parse(text).expect("short"))
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let field = prop::sample::select(vec![
        Field::Action,
        Field::ActorId,
        Field::ActorName,
        Field::TargetId,
        Field::Country,
        Field::Status,
        Field::Id,
    ]);
    let condition = (field, prop::collection::vec(any_pattern(), 0..3), prop::collection::vec(any_pattern(), 0..2))
        .prop_map(|(field, any, none)| annals_model::Condition { field, any, none });
    let range = (prop::option::of(-120_000_000_i64..110_000_000), prop::option::of(-120_000_000_i64..110_000_000))
        .prop_map(|(from, until)| TimeRange {
            from: from.map(|us| Time::from_s(START_S).plus_us(us)),
            until: until.map(|us| Time::from_s(START_S).plus_us(us)),
        });
    let all = || Just(TimeRange::default());
    (
        prop::collection::vec(condition, 0..3),
        prop_oneof![3 => all().boxed(), 1 => range.boxed()],
        prop_oneof![3 => all().boxed(), 1 => (0_i64..80).prop_map(|us| TimeRange { from: Some(Time::from_s(START_S).plus_us(us)), until: None }).boxed()],
        prop::option::weighted(0.2, 199_u16..204),
        prop::option::weighted(0.2, 199_u16..204),
        prop::collection::vec(prop::sample::select(vec!["word1", "word2", "other", "iku", "absent"]), 0..2),
        any::<bool>(),
    )
        .prop_map(|(conditions, occurred, recorded, status_min, status_max, words, clients_only)| Filter {
            conditions, occurred, recorded, status_min, status_max, words: words.into_iter().map(str::to_owned).collect(), clients_only,
        })
}

fn any_order() -> impl Strategy<Value = Order> {
    let field = prop::sample::select(vec![OrderField::Place, OrderField::TimeOccurred, OrderField::Status]);
    let direction = prop::sample::select(vec![Direction::Ascending, Direction::Descending]);
    prop_oneof![
        Just(Order::newest()),
        Just(Order::oldest()),
        Just(Order::occurred()),
        prop::collection::vec((field, direction), 1..3).prop_map(Order),
    ]
}

fn any_reach() -> impl Strategy<Value = Reach> {
    prop::sample::select(vec![Reach::All, of("acme"), of("globex"), of("_system"), of("nobody")])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_page_of_any_list_is_what_a_naive_list_says(reach in any_reach(), filter in any_filter(), order in any_order(),
        offset in prop_oneof![Just(0_u64), 0_u64..200, 0_u64..12_000, Just(u64::MAX)], limit in 0_usize..60) {
        let expect = WORLD.list(&reach, &filter, &order);
        let asked = PageQuery { start: Start::Offset(offset), ..query(reach, filter, order, limit) };
        let page = page(&WORLD.ledger, &asked);
        prop_assert_eq!(page.total, Some(expect.len() as u64));
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(expect.len());
        let expect_page: Vec<&Event> = expect.iter().skip(from).take(limit).copied().collect();
        prop_assert_eq!(page.events.iter().collect::<Vec<_>>(), expect_page);
        let without = crate::support::page(&WORLD.ledger, &PageQuery { total: false, ..asked });
        prop_assert_eq!((without.events, without.total), (page.events, None));
    }

    #[test]
    fn cursors_lead_forward_and_back_over_the_whole_list(reach in any_reach(), filter in any_filter(), order in any_order(),
        limit in 1_usize..200, turns in prop::collection::vec(any::<bool>(), 0..8)) {
        let expect = WORLD.list(&reach, &filter, &order);
        let first = query(reach, filter, order, limit);
        let mut asked = first.clone();
        let mut at = 0_usize;
        for back in [vec![false; 4], turns].concat() {
            let page = page(&WORLD.ledger, &asked);
            let expect_page: Vec<&Event> = expect.iter().skip(at).take(limit).copied().collect();
            prop_assert_eq!(page.events.iter().collect::<Vec<_>>(), expect_page.clone());
            prop_assert_eq!(page.total, Some(expect.len() as u64));
            prop_assert_eq!(page.previous.is_some(), at > 0 && !expect_page.is_empty());
            let live = first.order.by_place() == Some(Direction::Ascending);
            prop_assert_eq!(page.next.is_some(), live || at + limit < expect.len());
            let cursor = if back { page.previous } else { page.next };
            let Some(cursor) = cursor else { break };
            if back {
                // The page before has the full size, or begins at the first event.
                let begin = at.saturating_sub(limit);
                let size = at - begin;
                at = begin;
                if size < limit {
                    break;
                }
            } else {
                at = (at + limit).min(expect.len());
            }
            asked.start = Start::Cursor(asked.accept(&cursor.format()).expect("its own cursor"));
        }
    }
}

#[test]
fn paging_while_others_append_gives_what_was_there_at_the_start_once() {
    for order in [Order::newest(), Order::occurred(), Order(vec![(OrderField::Status, Direction::Ascending)])] {
        let (ledger, store) = ledger();
        let add = |n: usize| {
            append_json(
                &ledger,
                "acme",
                &[&format!(
                    r#"{{"action":"a","id":"{n}","request":{{"status":{}}},"time_occurred":"{}"}}"#,
                    n % 5,
                    Time::from_s(START_S - i64::try_from(n * 7 % 50).expect("small")).format()
                )],
            )
            .expect("appended")
        };
        (0..50).for_each(|n| drop(add(n)));
        let mut asked = query(of("acme"), Filter::default(), order, 7);
        let mut seen = Vec::new();
        for n in 50.. {
            let page = page(&ledger, &asked);
            assert_eq!(page.total, Some(50), "as of the first page");
            seen.extend(ids(&page.events));
            store.clock.forward_us(1_000);
            add(n);
            match page.next {
                Some(cursor) => asked.start = Start::Cursor(cursor),
                None => break,
            }
        }
        seen.sort_by_key(|id| id.parse::<u32>().expect("a number"));
        assert_eq!(seen, (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn polling_misses_nothing_and_doubles_nothing_and_its_total_grows() {
    let (ledger, ..) = ledger();
    let mut filter = Filter::default();
    filter.exact(Field::Action, "wanted");
    let mut asked = query(of("acme"), filter, Order::oldest(), 3);
    let (mut seen, mut made) = (Vec::new(), 0);
    for round in 0..40 {
        for _ in 0..round % 4 {
            append_json(
                &ledger,
                "acme",
                &[r#"{"action":"other"}"#, &format!(r#"{{"action":"wanted","id":"{made}"}}"#)],
            )
            .expect("appended");
            made += 1;
        }
        let page = page(&ledger, &asked);
        assert_eq!(page.total, Some(made));
        seen.extend(ids(&page.events));
        asked.start = Start::Cursor(page.next.expect("a list with the oldest first goes on"));
    }
    loop {
        let page = page(&ledger, &asked);
        if page.events.is_empty() {
            break;
        }
        seen.extend(ids(&page.events));
        asked.start = Start::Cursor(page.next.expect("goes on"));
    }
    assert_eq!(seen, (0..made).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_cursor_of_another_store_or_from_beyond_the_end_is_refused() {
    let (ledger, ..) = ledger();
    append_json(&ledger, "acme", &[r#"{"action":"a"}"#, r#"{"action":"a"}"#]).expect("appended");
    let asked = query(of("acme"), Filter::default(), Order::newest(), 1);
    let cursor = page(&ledger, &asked).next.expect("more");
    for cursor in [
        annals_model::Cursor { snapshot: 1_000, ..cursor },
        annals_model::Cursor { place: Some(1_000), ..cursor },
        annals_model::Cursor { store: !cursor.store, ..cursor },
        annals_model::Cursor { total: Some(u64::MAX), ..cursor },
    ] {
        assert!(ledger.page(&PageQuery { start: Start::Cursor(cursor), ..asked.clone() }).is_err());
    }
}

#[test]
fn an_export_is_the_whole_list_as_of_its_start() {
    for order in [Order::newest(), Order::oldest(), Order::occurred()] {
        let expect: Vec<Event> = WORLD.list(&of("globex"), &Filter::default(), &order).into_iter().cloned().collect();
        let export = annals_model::Export { reach: of("globex"), filter: Filter::default(), order };
        let mut reader = WORLD.ledger.export(&export).expect("begins");
        let mut read = Vec::new();
        loop {
            let batch = reader.next_batch().expect("reads");
            if batch.is_empty() {
                break;
            }
            read.extend(batch);
        }
        assert_eq!(read, expect);
    }
}

#[test]
fn what_is_appended_before_the_first_batch_is_read_is_not_in_an_export_and_cuts_nothing_off() {
    for order in [Order::newest(), Order::oldest(), Order::occurred()] {
        let (ledger, ..) = ledger();
        append(&ledger, (0..2_500).map(|_| event("acme", r#"{"action":"a"}"#)).collect()).expect("appended");
        let export = annals_model::Export { reach: of("acme"), filter: Filter::default(), order };
        let mut reader = ledger.export(&export).expect("begins");
        let mut read = 0;
        loop {
            append_json(&ledger, "acme", &[r#"{"action":"later"}"#]).expect("appended");
            let batch = reader.next_batch().expect("reads");
            if batch.is_empty() {
                break;
            }
            assert!(batch.iter().all(|event| event.index < 2_500));
            read += batch.len();
        }
        assert_eq!(read, 2_500);
    }
}

#[test]
fn shared_views_are_used_from_many_threads() {
    let (ledger, ..) = ledger();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let page = page(&ledger, &query(of("acme"), Filter::default(), Order::newest(), 5));
                let total = page.total.expect("asked for");
                assert!(total >= last, "what was seen stays");
                assert_eq!(page.events.first().map(|event| event.index + 1).unwrap_or(0), total, "the newest is there");
                last = total;
            }
        });
        for _ in 0..60 {
            append(&ledger, (0..150).map(|_| event("acme", r#"{"action":"a"}"#)).collect()).expect("appended");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().expect("no panic");
    });
}
