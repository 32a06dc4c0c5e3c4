//! A flipped bit in a stored blob: every read gives the right answer or a fault, never a wrong one.

use std::sync::Arc;

use annals_ledger::{Ledger, OpenError, fsck};
use annals_model::{Event, FacetQuery, Fault, FaultKind, Field, HistogramQuery, Order, PageQuery, Start};
use annals_store::Blobs;

use crate::disturb::at_once;
use crate::model::{Dice, LOGS, Model, made};
use crate::support::{Store, append, create, query};

/// A bit is flipped at so many places, one after the other.
const PLACES: usize = 60;

/// Either a fault, or what is expected.
fn right<T: PartialEq + std::fmt::Debug>(answer: Result<T, Fault>, expect: &T, faults: &mut usize) {
    match answer {
        Ok(answer) => assert_eq!(answer, *expect),
        Err(fault) => {
            assert_eq!(fault.kind, FaultKind::Internal, "{fault}");
            assert!(fault.message.contains("damaged"), "{fault}");
            *faults += 1;
        }
    }
}

/// Asks the same of a ledger that is whole and of one that is damaged. How many answers are faults.
fn compare(whole: &Ledger, damaged: &Ledger, model: &Model, dice: &mut Dice) -> usize {
    let mut faults = 0;
    for _ in 0..6 {
        let (reach, filter, order) = (Model::any_reach(dice), model.any_filter(dice), Model::any_order(dice));
        let start = Start::Offset(dice.pick(&[0, 3, 40]));
        let asked = PageQuery { start, ..query(reach.clone(), filter.clone(), order, dice.below(30)) };
        let page = |ledger: &Ledger| ledger.page(&asked).map(|page| (page.events, page.total));
        right(page(damaged), &page(whole).expect("whole"), &mut faults);
        let field = dice.pick(&Field::ALL);
        let facet = FacetQuery { reach: reach.clone(), filter: filter.clone(), field, limit: 10 };
        right(damaged.facet(&facet), &whole.facet(&facet).expect("whole"), &mut faults);
        let histogram = HistogramQuery { reach, filter, buckets: 10 };
        right(damaged.histogram(&histogram), &whole.histogram(&histogram).expect("whole"), &mut faults);
    }
    for log in LOGS {
        let asked = query(crate::support::of(log), Default::default(), Order::oldest(), 1_000);
        let events = |ledger: &Ledger| -> Result<Vec<Event>, Fault> { Ok(ledger.page(&asked)?.events) };
        right(events(damaged), &events(whole).expect("whole"), &mut faults);
    }
    for _ in 0..40 {
        let entry = dice.pick(&model.entries);
        let found = damaged.event(&entry.event.organization, &entry.content.id);
        right(found, &entry.event, &mut faults);
    }
    for number in (0..600).step_by(13) {
        // A repetition is known, or it is said that this can't be told; it is never stored twice.
        if let event @ annals_model::NewEvent { id: Some(_), .. } = made(number) {
            let repeated = append(damaged, vec![event]).map(|appended| appended[0].repeated);
            right(repeated, &true, &mut faults);
        }
    }
    faults
}

/// The place that a finding names.
fn named(finding: &str) -> std::ops::Range<usize> {
    let (_, place) = finding.split_once(" is damaged at byte ").expect("a place");
    let mut numbers = place.split([' ', '(']).filter_map(|word| word.parse::<usize>().ok());
    let (begin, bytes) = (numbers.next().expect("a byte"), numbers.next().expect("a length"));
    begin..begin + bytes
}

#[test]
fn a_flipped_bit_is_never_answered_as_data() {
    let mut store = Store::new(60);
    store.options.cache_bytes = 0;
    let ledger = store.open();
    LOGS.into_iter().for_each(|log| create(&ledger, log));
    let mut model = Model::of(&ledger);
    for batch in 0..26 {
        let events: Vec<_> = (0..25).map(|at| made(batch * 25 + at)).collect();
        let appended = append(&ledger, events.clone()).expect("appended");
        model.follow(&events, &appended);
    }
    store.settle(&ledger);
    ledger.close();
    let whole = store.reopen().open();
    let blobs = store.blobs.list().expect("listed");
    let mut dice = Dice::new(11);
    let places: Vec<(usize, String, usize)> = (0..PLACES)
        .map(|place| {
            let blob = dice.pick(&blobs);
            (place, blob.name, dice.below(usize::try_from(blob.bytes).expect("small")))
        })
        .collect();
    let told = std::sync::Mutex::new((0, 0));
    let name = |(_, name, offset): &(usize, String, usize)| format!("byte {offset} of {name}");
    at_once(&places, name, |(place, name, offset)| {
        let damaged = store.snapshot();
        damaged.blobs.flip(name, *offset);
        let blobs: Arc<dyn Blobs> = damaged.blobs.clone();
        let mut findings = Vec::new();
        let summary = fsck(&*damaged.journal, &blobs, &mut |finding| findings.push(finding.what), &mut |_| {});
        summary.expect("checked");
        let [finding] = findings.as_slice() else { panic!("byte {offset} of {name}: {findings:?}") };
        assert!(finding.contains(name) && named(finding).contains(offset), "byte {offset} of {name}: {finding}");
        match damaged.try_open() {
            Err(error) => {
                assert!(matches!(&error, OpenError::Segment { name: refused, .. } if refused == name), "{error:?}");
                told.lock().expect("no panic").0 += 1;
            }
            Ok(ledger) => {
                let faults = compare(&whole, &ledger, &model, &mut Dice::new(*place as u64));
                ledger.close();
                told.lock().expect("no panic").1 += usize::from(faults > 0);
            }
        }
    });
    whole.close();
    let (refused, faults) = *told.lock().expect("no panic");
    assert!(refused > 0 && faults > PLACES / 2, "{refused} starts were refused, {faults} times a read was");
}
