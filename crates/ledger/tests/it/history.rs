//! Any history of appends, seals, merges, stops and crashes, against a plain list.

use annals_ledger::Ledger;
use annals_model::{Cursor, Direction, FaultKind, NewEvent, Order, PageQuery, Reach, Start};
use proptest::prelude::*;

use crate::model::{Dice, LOGS, Model, made};
use crate::support::{Store, append, create, page, query};

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many events are appended, a few of them repeated.
    Append(usize),
    /// Events that were there before are handed in once more.
    Repeat,
    /// An id that was there before is handed in with other content.
    Conflict,
    /// Time passes, in seconds.
    Wait(i64),
    /// Everything is sealed and merged.
    Settle,
    /// The server stops and starts.
    Restart,
    /// The server dies and starts.
    Crash,
    /// Queries are asked.
    Look,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_usize..40).prop_map(Step::Append),
        3 => Just(Step::Append(1)),
        2 => Just(Step::Repeat),
        1 => Just(Step::Conflict),
        1 => (0_i64..1_200).prop_map(Step::Wait),
        2 => Just(Step::Settle),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
        1 => Just(Step::Look),
    ]
}

/// A list that is read page by page while other things happen.
struct Walk {
    asked: PageQuery,
    /// The list as it was at the start.
    expect: Vec<u64>,
    seen: Vec<u64>,
    done: bool,
}

impl Walk {
    fn new(model: &Model, dice: &mut Dice) -> Walk {
        let (reach, filter, order) = (Model::any_reach(dice), model.any_filter(dice), Model::any_order(dice));
        let expect = model.list(&reach, &filter, &order).iter().map(|entry| entry.key.position).collect();
        let asked = query(reach, filter, order, 1 + dice.below(30));
        Walk { asked, expect, seen: Vec::new(), done: false }
    }

    fn next(&mut self, ledger: &Ledger) {
        if self.done {
            return;
        }
        let found = page(ledger, &self.asked);
        self.seen.extend(found.events.iter().map(|event| event.position));
        if !self.is_live() {
            assert_eq!(found.total, Some(self.expect.len() as u64), "as of the first page");
        }
        let text = found.next.as_ref().map(Cursor::format);
        match text.filter(|_| !found.events.is_empty()) {
            Some(text) => self.asked.start = Start::Cursor(self.asked.accept(&text).expect("its own cursor")),
            None => self.done = true,
        }
    }

    fn is_live(&self) -> bool {
        self.asked.order.by_place() == Some(Direction::Ascending)
    }

    /// Reads what is left.
    fn end(mut self, ledger: &Ledger, model: &Model) {
        if self.is_live() {
            // It goes on from where it was.
            self.done = false;
            let PageQuery { reach, filter, order, .. } = &self.asked;
            self.expect = model.list(reach, filter, order).iter().map(|entry| entry.key.position).collect();
        }
        while !self.done {
            self.next(ledger);
        }
        assert_eq!(self.seen, self.expect, "{:?}", self.asked);
    }
}

struct History {
    store: Store,
    ledger: Ledger,
    model: Model,
    dice: Dice,
    /// The number of the next event.
    next: u64,
}

impl History {
    fn begin(seed: u64, seal_events: u64, cache_bytes: usize) -> History {
        let mut store = Store::new(seal_events);
        store.options.cache_bytes = cache_bytes;
        let ledger = store.open();
        LOGS.into_iter().for_each(|log| create(&ledger, log));
        History { model: Model::of(&ledger), store, ledger, dice: Dice::new(seed), next: 0 }
    }

    /// An event that was appended before, if there is one.
    fn earlier(&mut self) -> Option<NewEvent> {
        let number = self.dice.below(usize::try_from(self.next).expect("small"));
        Some(made(number as u64)).filter(|event| self.next > 0 && event.id.is_some())
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(count) => {
                let mut events: Vec<NewEvent> = (0..count).map(|at| made(self.next + at as u64)).collect();
                self.next += count as u64;
                if self.dice.once_in(4) {
                    events.extend(self.earlier());
                }
                self.append(&events);
            }
            Step::Repeat => {
                let events: Vec<NewEvent> = (0..10).filter_map(|_| self.earlier()).collect();
                if !events.is_empty() {
                    self.append(&events);
                }
            }
            Step::Conflict => {
                let Some(mut event) = self.earlier() else { return };
                event.content.title = Some("another".into());
                let fault = append(&self.ledger, vec![made(1 << 40), event]).expect_err("a conflict");
                assert_eq!(fault.kind, FaultKind::Conflict);
            }
            Step::Wait(seconds) => self.store.clock.forward_us(seconds * 1_000_000),
            Step::Settle => self.store.settle(&self.ledger),
            Step::Restart => {
                self.ledger.close();
                self.store = self.store.reopen();
                self.ledger = self.store.open();
            }
            Step::Crash => {
                let crashed = self.store.snapshot();
                self.ledger.close();
                self.store = crashed;
                self.ledger = self.store.open();
            }
            Step::Look => self.model.check_queries(&self.ledger, &mut self.dice, 6),
        }
    }

    fn append(&mut self, events: &[NewEvent]) {
        self.store.clock.forward_us(i64::try_from(self.dice.below(3)).expect("small"));
        let appended = append(&self.ledger, events.to_vec()).expect("appended");
        self.model.follow(events, &appended);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sealed_merged_or_read_back_answers_as_a_plain_list(
        seed in any::<u64>(),
        seal_events in prop_oneof![1_u64..8, 1_u64..60],
        cache_bytes in prop::sample::select(vec![0_usize, 10_000, 1 << 24]),
        steps in prop::collection::vec(any_step(), 10..50),
    ) {
        let mut history = History::begin(seed, seal_events, cache_bytes);
        let mut walks: Vec<Walk> = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            history.step(step);
            if at % 5 == 0 {
                walks.push(Walk::new(&history.model, &mut history.dice));
            }
            walks.iter_mut().for_each(|walk| walk.next(&history.ledger));
        }
        walks.into_iter().for_each(|walk| walk.end(&history.ledger, &history.model));
        for step in [Step::Look, Step::Settle, Step::Look, Step::Restart, Step::Look] {
            history.step(step);
            history.model.check_whole(&history.ledger);
        }
        history.store.settle(&history.ledger);
        crate::support::until("merged blobs are deleted", || history.store.is_tidy());
        history.ledger.close();
        history.store.check();
    }
}

#[test]
fn an_id_is_known_however_many_segments_lie_before() {
    let mut history = History::begin(1, 5, 1 << 20);
    for _ in 0..100 {
        history.step(Step::Append(7));
    }
    for _ in 0..3 {
        for number in 0..history.next {
            if let event @ NewEvent { id: Some(_), .. } = made(number) {
                history.append(&[event]);
            }
        }
        history.step(Step::Settle);
        history.step(Step::Restart);
    }
    let total = page(&history.ledger, &query(Reach::All, Default::default(), Order::newest(), 0)).total;
    assert_eq!(total, Some(history.next));
    history.ledger.close();
}
