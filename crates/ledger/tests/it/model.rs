//! The plain list that a ledger is compared with, and events to fill both.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use annals_ledger::Ledger;
use annals_model::{
    Appended, Condition, Content, Direction, Event, FacetQuery, Field, Filter, HistogramQuery, NewEvent, Order,
    OrderField, PageQuery, Pattern, Reach, Start, Time, TimeRange, each_term, each_word,
};
use annals_segment::Key;

use crate::support::{START_S, all, event, of, page, query};

/// The logs that events go to.
pub(crate) const LOGS: [&str; 3] = ["acme", "globex", "initech"];

/// Random numbers that come again with the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed)
    }

    /// A number below another one.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32;
        usize::try_from(high).expect("32 bits") % end.max(1)
    }

    /// Once in so many throws.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// The event of a number, always the same. Three of four are named, by ids of all kinds.
pub(crate) fn made(number: u64) -> NewEvent {
    let mut dice = Dice::new(number);
    let log = dice.pick(&LOGS);
    let mut members = vec![format!(
        r#""action":"{}.{}""#,
        dice.pick(&["flag", "user", "Org"]),
        dice.pick(&["update", "Create", "delete"])
    )];
    let days_old = if dice.once_in(3) { dice.below(3_000) } else { 0 };
    let ms = (i64::try_from(number % 1_000_000).expect("small") - i64::try_from(days_old).expect("small") * 86_400_000)
        + START_S * 1_000;
    match number % 4 {
        0 => {}
        1 => members.push(format!(r#""id":"{}""#, uuid_v7(ms, number))),
        2 => members.push(format!(r#""id":"{}""#, ulid(ms, number))),
        _ => members.push(format!(r#""id":"e{number}""#)),
    }
    match dice.below(4) {
        0 => members.push(format!(r#""time_occurred":"{}""#, Time::from_ms(ms).format())),
        1 => members.push(format!(r#""time_occurred":"{}""#, jittered(&mut dice).format())),
        _ => {}
    }
    if !dice.once_in(5) {
        let number = dice.below(5);
        members.push(format!(
            r#""actor":{{"type":"user","id":"usr_{number}","name":"Iku Nö{number}","email":"iku{number}@example.com"}}"#
        ));
    }
    let targets: Vec<String> = (0..dice.below(4))
        .map(|_| {
            format!(
                r#"{{"type":"{}","id":"t{}","name":"Target {}"}}"#,
                dice.pick(&["flag", "user"]),
                dice.below(8),
                dice.below(8)
            )
        })
        .collect();
    if !targets.is_empty() {
        members.push(format!(r#""targets":[{}]"#, targets.join(",")));
    }
    let mut request = vec![format!(
        r#""id":"{}""#,
        if dice.once_in(2) { format!("req-{}", dice.below(30)) } else { uuid_v7(ms, number + 7) }
    )];
    if !dice.once_in(4) {
        request.push(format!(r#""status":{}"#, dice.pick(&[200, 201, 404, 500])));
    }
    if dice.once_in(2) {
        request.push(format!(
            r#""method":"{}","path":"/flags/{}/on","client_ip":"203.0.113.{}""#,
            dice.pick(&["GET", "PUT"]),
            dice.below(9),
            dice.below(9)
        ));
    }
    if dice.once_in(3) {
        request.push(format!(r#""country":"{}""#, dice.pick(&["JP", "DE"])));
    }
    members.push(format!(r#""request":{{{}}}"#, request.join(",")));
    if dice.once_in(2) {
        members.push(format!(r#""origin":"cli","workspace":"w{}""#, dice.below(3)));
    }
    members.push(format!(r#""data":{{"note":"word{} Other ÉTÉ","n":{number}}}"#, dice.below(9)));
    event(log, &format!("{{{}}}", members.join(",")))
}

/// A client's clock that goes wrong by up to 100 seconds.
fn jittered(dice: &mut Dice) -> Time {
    Time::from_s(START_S - 100 + i64::try_from(dice.below(200)).expect("small"))
}

fn uuid_v7(ms: i64, number: u64) -> String {
    let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let ms = ms & 0xffff_ffff_ffff;
    format!(
        "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
        ms >> 16,
        ms & 0xffff,
        random & 0xfff,
        (random >> 12) & 0xfff,
        random >> 16
    )
}

fn ulid(ms: i64, number: u64) -> String {
    let digits = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let random = u128::from(number.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    let mut rest = (u128::try_from(ms).expect("after 1970") << 80) | random;
    let mut text = vec![b'0'; 26];
    for digit in text.iter_mut().rev() {
        *digit = digits[usize::try_from(rest % 32).expect("small")];
        rest /= 32;
    }
    String::from_utf8(text).expect("ASCII")
}

/// One event of the list.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) event: Event,
    pub(crate) content: Content,
    pub(crate) key: Key,
}

impl Entry {
    fn new(event: Event, content: Content) -> Entry {
        let key = Key {
            time: content.time_shown(event.time_recorded),
            status: content.request.status.unwrap_or(0),
            position: event.position,
        };
        Entry { event, content, key }
    }
}

/// All that was acknowledged, in the order of positions.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) entries: Vec<Entry>,
    ids: HashMap<(Arc<str>, String), usize>,
    sizes: BTreeMap<Arc<str>, u64>,
}

impl Model {
    /// Begins with what a new ledger has recorded itself.
    pub(crate) fn of(ledger: &Ledger) -> Model {
        let mut model = Model { entries: Vec::new(), ids: HashMap::new(), sizes: BTreeMap::new() };
        all(ledger, of("_system"), 100).into_iter().for_each(|event| model.add(event));
        model
    }

    fn add(&mut self, event: Event) {
        let content = event.content().expect("readable");
        assert_eq!(event.position, self.entries.len() as u64);
        let size = self.sizes.entry(Arc::clone(&event.organization)).or_default();
        assert_eq!(event.index, *size);
        *size += 1;
        self.ids.insert((Arc::clone(&event.organization), content.id.clone()), self.entries.len());
        self.entries.push(Entry::new(event, content));
    }

    /// Follows an append: a repetition got the first answer, and all else its place at the end.
    pub(crate) fn follow(&mut self, sent: &[NewEvent], appended: &[Appended]) {
        assert_eq!(sent.len(), appended.len());
        for (new, appended) in sent.iter().zip(appended) {
            let organization: Arc<str> = new.organization.as_deref().expect("named").into();
            let known = self.ids.get(&(Arc::clone(&organization), appended.id.clone()));
            assert_eq!(appended.repeated, known.is_some(), "{appended:?}");
            assert!(new.id.is_none() || new.id.as_ref() == Some(&appended.id));
            if let Some(entry) = known.map(|at| &self.entries[*at]) {
                assert_eq!((appended.index, appended.time_recorded), (entry.event.index, entry.event.time_recorded));
                continue;
            }
            let index = self.sizes.get(&organization).copied().unwrap_or_default();
            assert_eq!(appended.index, index, "dense");
            let content = Content { id: appended.id.clone(), ..new.content.clone() };
            let canonical = content.canonical().text.into();
            let (position, time_recorded) = (self.entries.len() as u64, appended.time_recorded);
            self.add(Event { organization, index, position, time_recorded, canonical });
        }
    }

    /// What a whole list should be.
    pub(crate) fn list(&self, reach: &Reach, filter: &Filter, order: &Order) -> Vec<&Entry> {
        let of_reach = self.entries.iter().filter(|entry| match reach {
            Reach::All => *entry.event.organization != *"_system",
            Reach::Organization(organization) => entry.event.organization == *organization,
        });
        let matching = of_reach.filter(|entry| filter.matches(&entry.content, entry.event.time_recorded));
        let mut matching: Vec<&Entry> = matching.collect();
        matching.sort_by(|a, b| a.key.compare(&b.key, order));
        matching
    }

    /// The events of a log.
    pub(crate) fn log(&self, organization: &str) -> Vec<&Event> {
        self.entries.iter().map(|entry| &entry.event).filter(|event| &*event.organization == organization).collect()
    }

    /// The ledger holds exactly this, each event once.
    pub(crate) fn check_whole(&self, ledger: &Ledger) {
        for log in LOGS.into_iter().chain(["_system"]) {
            assert_eq!(all(ledger, of(log), 100).iter().collect::<Vec<_>>(), self.log(log), "{log}");
        }
    }

    /// The ledger holds what was acknowledged first, each event once: all that was acknowledged by then,
    /// and what came behind without a gap.
    pub(crate) fn check_begin(&self, ledger: &Ledger, acknowledged: usize) {
        let held = usize::try_from(ledger.health().events).expect("small");
        assert!(held >= acknowledged, "{held} of {acknowledged} events");
        self.begin(held).check_whole(ledger);
    }

    /// The first events of the list.
    pub(crate) fn begin(&self, count: usize) -> Model {
        let mut begin = Model { entries: Vec::new(), ids: HashMap::new(), sizes: BTreeMap::new() };
        self.entries[..count].iter().for_each(|entry| begin.add(entry.event.clone()));
        begin
    }

    pub(crate) fn any_reach(dice: &mut Dice) -> Reach {
        match dice.below(8) {
            0..3 => Reach::All,
            3 => of("_system"),
            4 => of("nobody"),
            _ => of(dice.pick(&LOGS)),
        }
    }

    pub(crate) fn any_order(dice: &mut Dice) -> Order {
        let field = |dice: &mut Dice| dice.pick(&[OrderField::Place, OrderField::TimeOccurred, OrderField::Status]);
        let direction = |dice: &mut Dice| dice.pick(&[Direction::Ascending, Direction::Descending]);
        match dice.below(4) {
            0 => Order::newest(),
            1 => Order::oldest(),
            2 => Order(vec![(OrderField::TimeOccurred, direction(dice))]),
            _ => Order((0..=dice.below(2)).map(|_| (field(dice), direction(dice))).collect()),
        }
    }

    /// A filter made of what events say, so that something matches.
    pub(crate) fn any_filter(&self, dice: &mut Dice) -> Filter {
        let mut filter = Filter::default();
        for _ in 0..dice.pick(&[0, 0, 1, 1, 2]) {
            let field = dice.pick(&Field::ALL);
            let any = (0..dice.pick(&[0, 1, 1, 2])).map(|_| self.any_pattern(dice, field)).collect();
            let none = (0..dice.pick(&[0, 0, 1])).map(|_| self.any_pattern(dice, field)).collect();
            filter.conditions.push(Condition { field, any, none });
        }
        if dice.once_in(4) {
            filter.occurred = self.any_range(dice, |entry| entry.key.time);
        }
        if dice.once_in(6) {
            filter.recorded = self.any_range(dice, |entry| entry.event.time_recorded);
        }
        filter.status_min = dice.once_in(6).then(|| dice.pick(&[0, 200, 201, 405]));
        filter.status_max = dice.once_in(6).then(|| dice.pick(&[199, 200, 404, 999]));
        filter.clients_only = dice.once_in(4);
        for _ in 0..dice.pick(&[0, 0, 0, 1, 2]) {
            let mut words = vec!["absent".to_owned()];
            each_word(&dice.pick(&self.entries).content, |word| words.push(word.to_owned()));
            filter.words.push(dice.pick(&words));
        }
        filter
    }

    /// A pattern of any kind, of a value that some event has, mostly.
    pub(crate) fn any_pattern(&self, dice: &mut Dice, field: Field) -> Pattern {
        let mut values = vec!["nothing".to_owned()];
        for _ in 0..4 {
            each_term(&dice.pick(&self.entries).content, |of, value| {
                if of == field {
                    values.push(value.to_owned());
                }
            });
        }
        let value: Vec<char> = values.pop().expect("at least one").chars().collect();
        let (a, b) = (dice.below(value.len() + 1), dice.below(value.len() + 1));
        let part = |from: usize, until: usize| value[from.min(until)..until.max(from)].iter().collect::<String>();
        let whole = part(0, value.len());
        let text = match dice.below(7) {
            0..3 => format!("={whole}"),
            3 => format!("~{}", part(a, b)),
            4 => format!("~{}", part(a, b).to_uppercase()),
            5 => format!("{}*", part(0, a)),
            _ => format!("{}*{}", part(0, a.min(b)), part(a.max(b), value.len())),
        };
        Pattern::parse(&text).expect("short")
    }

    fn any_range(&self, dice: &mut Dice, time: impl Fn(&Entry) -> Time) -> TimeRange {
        let mut bound = |once_in| {
            let near = i64::try_from(dice.below(3)).expect("small") - 1;
            (!dice.once_in(once_in)).then(|| time(&dice.pick(&self.entries)).plus_us(near))
        };
        TimeRange { from: bound(3), until: bound(3) }
    }

    /// Any list, page, count and event is what this list says.
    pub(crate) fn check_queries(&self, ledger: &Ledger, dice: &mut Dice, times: usize) {
        for _ in 0..times {
            let (reach, filter, order) = (Self::any_reach(dice), self.any_filter(dice), Self::any_order(dice));
            let expect = self.list(&reach, &filter, &order);
            let limit = dice.below(20);
            let small = dice.below(7);
            let offset = dice.pick(&[0, small, expect.len() / 2, expect.len().saturating_sub(1)]);
            let asked =
                PageQuery { start: Start::Offset(offset as u64), ..query(reach.clone(), filter.clone(), order, limit) };
            let found = page(ledger, &asked);
            assert_eq!(found.total, Some(expect.len() as u64), "{asked:?}");
            let expect_page: Vec<&Event> = expect.iter().skip(offset).take(limit).map(|entry| &entry.event).collect();
            assert_eq!(found.events.iter().collect::<Vec<_>>(), expect_page, "{asked:?}");
            let without = page(ledger, &PageQuery { total: false, ..asked.clone() });
            assert_eq!((without.events, without.total), (found.events, None), "{asked:?}");
            if dice.once_in(3) {
                self.check_cursors(ledger, &PageQuery { limit: limit + 1, start: Start::Offset(0), ..asked }, &expect);
            }
            self.check_counts(ledger, dice, &reach, &filter, &expect);
        }
        for _ in 0..times {
            let entry = dice.pick(&self.entries);
            let found = ledger.event(&entry.event.organization, &entry.content.id).expect("there");
            assert_eq!(found, entry.event);
            let other = LOGS.into_iter().find(|log| **log != *entry.event.organization).expect("another log");
            let there = self.ids.contains_key(&(other.into(), entry.content.id.clone()));
            assert_eq!(ledger.event(other, &entry.content.id).is_ok(), there);
        }
    }

    /// Cursors lead over the whole list and back.
    fn check_cursors(&self, ledger: &Ledger, first: &PageQuery, expect: &[&Entry]) {
        let expect: Vec<u64> = expect.iter().map(|entry| entry.key.position).collect();
        let positions = |events: &[Event]| events.iter().map(|event| event.position).collect::<Vec<_>>();
        let (mut asked, mut seen, mut last) = (first.clone(), Vec::new(), None);
        loop {
            let found = page(ledger, &asked);
            assert_eq!(found.total, Some(expect.len() as u64));
            seen.extend(positions(&found.events));
            let ends = found.events.len() < first.limit;
            if !found.events.is_empty() {
                last = Some((found.events.len(), found.previous));
            }
            match found.next.filter(|_| !ends) {
                Some(cursor) => asked.start = Start::Cursor(asked.accept(&cursor.format()).expect("its own cursor")),
                None => break,
            }
        }
        assert_eq!(seen, expect, "forward over {first:?}");
        let Some((on_last, mut previous)) = last else { return };
        let mut begin = expect.len() - on_last;
        while let Some(cursor) = previous {
            asked.start = Start::Cursor(cursor);
            let found = page(ledger, &asked);
            let end = begin;
            begin = begin.saturating_sub(first.limit);
            assert_eq!(positions(&found.events), expect[begin..end], "back over {first:?}");
            previous = found.previous;
        }
        assert_eq!(begin, 0, "back over {first:?}");
    }

    fn check_counts(&self, ledger: &Ledger, dice: &mut Dice, reach: &Reach, filter: &Filter, expect: &[&Entry]) {
        let field = dice.pick(&Field::ALL);
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for entry in expect {
            let mut values = HashSet::new();
            each_term(&entry.content, |of, value| {
                if of == field && values.insert(value.to_owned()) {
                    *counts.entry(value.to_owned()).or_default() += 1;
                }
            });
        }
        let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
        counts.sort_by(|(_, a), (_, b)| b.cmp(a));
        let limit = dice.below(10);
        let rest: u64 = counts.split_off(limit.min(counts.len())).iter().map(|(_, count)| count).sum();
        let (reach, filter) = (reach.clone(), filter.clone());
        let facet =
            ledger.facet(&FacetQuery { reach: reach.clone(), filter: filter.clone(), field, limit }).expect("counted");
        assert_eq!((facet.values, facet.other), (counts, rest), "{field:?} of {filter:?}");
        let buckets = dice.pick(&[1, 2, 7, 60]);
        let histogram = ledger.histogram(&HistogramQuery { reach, filter: filter.clone(), buckets }).expect("counted");
        let interval_us = i64::try_from(histogram.interval_ms).expect("small") * 1_000;
        assert!(histogram.buckets.len() <= buckets, "{histogram:?}");
        assert!(
            histogram.buckets.array_windows().all(|[(a, _), (b, _)]| a.plus_us(interval_us) == *b),
            "{histogram:?}"
        );
        for (begin, count) in &histogram.buckets {
            let end = begin.plus_us(interval_us);
            let within = expect.iter().filter(|entry| (*begin..end).contains(&entry.key.time)).count();
            assert_eq!(*count, within as u64, "{begin:?} of {histogram:?} of {filter:?}");
        }
        let sum: u64 = histogram.buckets.iter().map(|(_, count)| count).sum();
        assert_eq!(sum, expect.len() as u64, "each event is in one bucket of {histogram:?} of {filter:?}");
    }
}
