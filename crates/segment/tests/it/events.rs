//! Events, filters and orders from small vocabularies, so that they meet.

use annals_model::{
    Actor, Content, Direction, Field, Filter, Order, OrderField, Pattern, Request, Target, Time, TimeRange, Value,
};
use annals_segment::{Key, Logs, Row};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::model::List;

pub(crate) const LOGS: [u32; 3] = [7, 2, 9];
const POSITION_FIRST: u64 = 1_000;
const TIME_FIRST_S: i64 = 1_000;

/// Values that fields draw from: capitals, other alphabets, prefixes of one another.
const VALUES: [&str; 14] = [
    "flag.update",
    "flag.delete",
    "flag",
    "Flag.Update",
    "annals.export",
    "é",
    "CAFÉ latte",
    "\u{212a}elvin",
    "kelvin",
    "",
    "a",
    "get/bucket",
    "GetBucket",
    "x-1",
];
const TEXTS: [&str; 5] = ["New checkout flag", "CAFÉ open", "alpha beta", "flag", "- . -"];
const STATUSES: [u16; 6] = [0, 99, 200, 204, 404, 999];

/// How the events of a list lie in time and place.
#[derive(Clone, Copy, Debug)]
struct Shape {
    logs: usize,
    /// Whether clients say when things happened.
    client_times: bool,
    /// Whether positions have gaps.
    gaps: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    (1..=LOGS.len(), any::<bool>(), proptest::bool::weighted(0.2)).prop_map(|(logs, client_times, gaps)| Shape {
        logs,
        client_times,
        gaps,
    })
}

fn value() -> impl Strategy<Value = String> {
    select(&VALUES[..]).prop_map(str::to_owned)
}

fn content() -> impl Strategy<Value = Content> {
    let target = (of(value()), of(value()), of(value())).prop_map(|(kind, id, name)| Target { kind, id, name });
    let request = (of(select(&STATUSES[..])), of(value()), of(value()), of(value()), of(value()), of(value()));
    (
        (value(), any::<u8>(), of(value()), of(value()), of(value())),
        vec(target, 0..4),
        request,
        (of(value()), of(value()), of(select(&TEXTS[..])), of(select(&TEXTS[..]))),
    )
        .prop_map(|(who, targets, request, (origin, workspace, description, data))| Content {
            id: format!("Event-{}", who.1),
            action: who.0,
            actor: Actor { id: who.2, name: who.3, kind: who.4.clone(), email: who.4 },
            targets,
            request: Request {
                status: request.0,
                method: request.1,
                path: request.2,
                client_ip: request.3,
                country: request.4,
                id: request.5,
                ..Request::default()
            },
            origin,
            workspace,
            description: description.map(str::to_owned),
            data: data.map(Value::from),
            ..Content::default()
        })
}

/// So many events in the order of their commits.
pub(crate) fn list(length: std::ops::Range<usize>) -> impl Strategy<Value = List> {
    let event = (content(), 0..LOGS.len(), 0..3_i64, of(0..40_i64), 0..3_u64, any::<u8>());
    (shape(), vec(event, length)).prop_map(|(shape, events)| {
        let (mut now, mut indexes, mut position) = (TIME_FIRST_S, [5, 0, 100], POSITION_FIRST);
        let placed = events.into_iter().map(|(content, log, step, occurred, gap, size)| {
            let log = log % shape.logs;
            now += step;
            indexes[log] += 1;
            position += 1 + if shape.gaps { gap } else { 0 };
            let occurred = occurred.filter(|_| shape.client_times).map(|s| Time::from_s(TIME_FIRST_S - 5 + s));
            let notes = (size > 200).then(|| "long ".repeat(usize::from(size) * 10));
            let content = Content { time_occurred: occurred, notes, ..content };
            let row = Row {
                log: LOGS[log],
                index: indexes[log],
                position,
                time_recorded: Time::from_s(now),
                canonical: content.canonical().text.into(),
                secret: vec![size; usize::from(size % 17)].into(),
            };
            (row, content)
        });
        List(placed.collect())
    })
}

fn pattern() -> impl Strategy<Value = String> {
    let part = select(vec!["flag", "a", "", "K", "k", "é", "BUCKET", "update", "event-1", "."]);
    let glob = select(vec!["*", "flag*", "*.update", "f*g*e", "*é*", "Event-1*", "annals.*", "CAF*te", "2*"]);
    let id = any::<u8>().prop_map(|n| format!("Event-{n}"));
    let plain = prop_oneof![
        4 => value(),
        1 => id,
        1 => select(&STATUSES[..]).prop_map(|status| status.to_string()),
        2 => part.prop_map(|part| format!("~{part}")),
        2 => glob.prop_map(str::to_owned),
    ];
    (proptest::bool::weighted(0.3), plain).prop_map(|(out, text)| if out { format!("!{text}") } else { text })
}

fn range() -> impl Strategy<Value = TimeRange> {
    let bound = || of((0..60_i64).prop_map(|s| Time::from_s(TIME_FIRST_S - 8 + s)));
    prop_oneof![3 => Just(TimeRange::default()), 2 => (bound(), bound()).prop_map(|(from, until)| TimeRange { from, until })]
}

/// Some filter.
pub(crate) fn filter() -> impl Strategy<Value = Filter> {
    let conditions = vec((select(&Field::ALL[..]), vec(pattern(), 1..4)), 0..3);
    let status = || prop_oneof![4 => Just(None), 1 => select(&STATUSES[..]).prop_map(Some)];
    let words = vec(select(vec!["flag", "new", "café", "alpha", "nobody", "update"]), 0..2);
    (conditions, range(), range(), (status(), status()), words, any::<bool>()).prop_map(
        |(conditions, occurred, recorded, (status_min, status_max), words, clients_only)| {
            let words = words.into_iter().map(str::to_owned).collect();
            let mut filter =
                Filter { occurred, recorded, status_min, status_max, words, clients_only, ..Filter::default() };
            for (field, values) in conditions {
                for value in values {
                    filter.add(field, &value).expect("within limits");
                }
            }
            filter
        },
    )
}

/// Some filter that asks for little, so that much remains.
pub(crate) fn loose_filter() -> impl Strategy<Value = Filter> {
    prop_oneof![
        Just(Filter::default()),
        select(&VALUES[..]).prop_map(|value| {
            let mut filter = Filter::default();
            filter.add(Field::Action, &format!("!{value}")).expect("within limits");
            filter
        }),
        range().prop_map(|occurred| Filter { occurred, ..Filter::default() }),
        filter(),
    ]
}

/// Some order.
pub(crate) fn order() -> impl Strategy<Value = Order> {
    let direction = || select(vec![Direction::Ascending, Direction::Descending]);
    let field = select(vec![OrderField::Place, OrderField::TimeOccurred, OrderField::Status]);
    prop_oneof![
        select(vec![Order::newest(), Order::oldest(), Order::occurred(), Order::occurred().reversed()]),
        vec((field, direction()), 0..4).prop_map(Order),
    ]
}

/// Where a page begins, how many are skipped, and how many are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) after: Option<Key>,
    pub(crate) skip: u64,
    pub(crate) limit: usize,
}

/// Some page of a list: after one of its events, after nothing, or after a place where none is.
pub(crate) fn start(list: &List) -> impl Strategy<Value = Start> + use<> {
    let mut keys: Vec<Key> = list.0.iter().map(crate::model::key).collect();
    keys.push(Key::default());
    let odd = (0..60_i64, select(&STATUSES[..]), 0..400_u64).prop_map(|(time, status, position)| Key {
        time: Time::from_s(TIME_FIRST_S - 8 + time),
        status,
        position: POSITION_FIRST - 10 + position,
    });
    let after = prop_oneof![2 => Just(None), 3 => select(keys).prop_map(Some), 1 => odd.prop_map(Some)];
    let skip = prop_oneof![2 => Just(0), 2 => 0..20_u64, 1 => 0..3_000_u64];
    (after, skip, prop_oneof![3 => 0..12_usize, 1 => 0..3_000_usize]).prop_map(|(after, skip, limit)| Start {
        after,
        skip,
        limit,
    })
}

/// One log, all, all but one, or one that is not there.
pub(crate) fn logs() -> impl Strategy<Value = Logs> {
    let but = [Logs::AllBut(LOGS[0]), Logs::AllBut(LOGS[2]), Logs::AllBut(4)];
    let one = [LOGS[0], LOGS[0], LOGS[1], LOGS[2], 4].map(Logs::One);
    select([&but[..], &one, &[Logs::All, Logs::All]].concat())
}

/// Positions, mostly all.
pub(crate) fn positions(length: u64) -> impl Strategy<Value = std::ops::Range<u64>> {
    let some = (0..length + 20, 0..length + 20).prop_map(|(a, b)| POSITION_FIRST - 10 + a..POSITION_FIRST - 10 + b);
    prop_oneof![2 => Just(0..u64::MAX), 1 => some]
}

/// Whether any of a field's values passes; used to show that a case isn't empty of meaning.
pub(crate) fn exact(field: Field, value: &str) -> Filter {
    let mut filter = Filter::default();
    filter.conditions.push(annals_model::Condition { field, any: vec![Pattern::Exact(value.into())], none: vec![] });
    filter
}
