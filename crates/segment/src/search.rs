//! Which rows of a segment pass a filter.
//!
//! **Invariant:** what is cheap to tell comes first, and nothing more is looked at once no row is
//! left.

use std::ops::Range;

use annals_model::{Field, Filter, Pattern, Time, TimeRange};

use crate::Logs;
use crate::columns::{Bounds, Columns, partition};
use crate::dictionary::Dictionary;
use crate::index::Index;
use crate::set::Set;

/// What exact values may cost at most, in rows; what has to scan values comes after all of them.
const SCAN: u64 = 1 << 32;

/// One thing that a filter asks for.
struct Step<'s> {
    /// About how much work it is.
    cost: u64,
    dictionary: &'s Dictionary,
    values: Values<'s>,
    /// Whether the rows that have such a value are out, and not the only ones in.
    out: bool,
}

/// Which values of a dictionary.
enum Values<'s> {
    /// These.
    Known(Vec<Range<u32>>),
    /// Those that pass one of these.
    Any(&'s [Pattern]),
}

/// The rows of some logs at some positions, that pass a filter.
pub(crate) fn search(columns: &Columns, index: &Index, logs: Logs, positions: &Range<u64>, filter: &Filter) -> Set {
    let Reached { mut set, times_open } = reached(columns, logs, positions, filter);
    if set.is_empty() {
        return set;
    }
    let Some(mut steps) = steps(index, filter) else {
        return Set::empty();
    };
    steps.sort_by_key(|step| step.cost);
    for step in &steps {
        let values = match &step.values {
            Values::Known(values) => values,
            Values::Any(patterns) => &patterns.iter().flat_map(|pattern| step.dictionary.find(pattern)).collect(),
        };
        let rows = step.dictionary.rows_of(values);
        if step.out {
            set.subtract(&rows);
        } else {
            set.intersect(rows);
        }
        if set.is_empty() {
            return Set::empty();
        }
    }
    if times_open {
        let passes =
            |row| filter.occurred.contains(columns.shown(row)) && filter.recorded.contains(columns.recorded(row));
        set.retain(passes);
    }
    set
}

/// Rows told by their place and times alone.
struct Reached {
    set: Set,
    /// Whether times remain to be tested row by row.
    times_open: bool,
}

fn reached(columns: &Columns, logs: Logs, positions: &Range<u64>, filter: &Filter) -> Reached {
    let none = Reached { set: Set::empty(), times_open: false };
    let all = columns.positions();
    let anywhere = positions.start <= all.start && positions.end >= all.end;
    let Some((recorded, shown)) = columns.bounds() else { return none };
    if is_outside(&filter.recorded, &recorded) || is_outside(&filter.occurred, &shown) {
        return none;
    }
    let times = [(&filter.recorded, recorded), (&filter.occurred, shown)];
    let everyone = match logs {
        Logs::One(_) => false,
        Logs::All => true,
        Logs::AllBut(log) => columns.run_of(log).is_none(),
    };
    if everyone && anywhere && times.iter().all(|(range, bounds)| is_inside(range, bounds)) {
        return Reached { set: Set::Range(0..columns.len()), times_open: false };
    }
    let runs = match logs {
        Logs::One(log) => columns.run_of(log).map(std::slice::from_ref).unwrap_or_default(),
        Logs::All | Logs::AllBut(_) => columns.runs(),
    };
    let runs = runs.iter().filter(|run| logs.contains(run.log));
    let mut times_open = false;
    let ranges = runs.map(|run| {
        let mut rows = run.rows.clone();
        if !anywhere {
            rows =
                cut(rows, |row| columns.position(row) < positions.start, |row| columns.position(row) < positions.end);
        }
        rows = cut_times(rows, &filter.recorded, &run.recorded, |row| columns.recorded(row), &mut times_open);
        cut_times(rows, &filter.occurred, &run.shown, |row| columns.shown(row), &mut times_open)
    });
    let set = Set::of_ranges(ranges);
    Reached { set, times_open }
}

/// The part of some rows from where `before` no longer holds up to where `until` no longer does.
fn cut(rows: Range<u32>, before: impl Fn(u32) -> bool, until: impl Fn(u32) -> bool) -> Range<u32> {
    let start = partition(&rows, before);
    let end = partition(&rows, until);
    start..end.max(start)
}

/// The part of a run's rows that a span of time leaves, or all with `open` set where only the rows
/// themselves can tell.
fn cut_times(
    rows: Range<u32>,
    range: &TimeRange,
    bounds: &Bounds,
    time: impl Fn(u32) -> Time,
    open: &mut bool,
) -> Range<u32> {
    if rows.is_empty() || is_inside(range, bounds) {
        rows
    } else if is_outside(range, bounds) {
        rows.start..rows.start
    } else if bounds.ordered {
        let before = |row| range.from.is_some_and(|from| time(row) < from);
        let until = |row| range.until.is_none_or(|until| time(row) < until);
        cut(rows, before, until)
    } else {
        *open = true;
        rows
    }
}

fn is_inside(range: &TimeRange, bounds: &Bounds) -> bool {
    range.contains(bounds.min) && range.contains(bounds.max)
}

fn is_outside(range: &TimeRange, bounds: &Bounds) -> bool {
    range.from.is_some_and(|from| bounds.max < from) || range.until.is_some_and(|until| bounds.min >= until)
}

/// What a filter asks of dictionaries, or `None` if one of its wishes can't be met by any row.
fn steps<'s>(index: &'s Index, filter: &'s Filter) -> Option<Vec<Step<'s>>> {
    let mut steps = Vec::new();
    for word in &filter.words {
        let value = index.words.find_exact(word)?;
        steps.push(Step::known(&index.words, vec![unit(value)], false));
    }
    if filter.status_min.is_some() || filter.status_max.is_some() {
        steps.push(Step::known(index.field(Field::Status), statuses(index.field(Field::Status), filter), false));
    }
    if filter.clients_only {
        let actions = index.field(Field::Action);
        steps.push(Step::known(actions, vec![actions.find_prefix(Filter::OWN_ACTIONS)], true));
    }
    for condition in &filter.conditions {
        let dictionary = index.field(condition.field);
        for (patterns, out) in [(&condition.any, false), (&condition.none, true)] {
            if !patterns.is_empty() {
                steps.push(Step::of(dictionary, patterns, out));
            }
        }
    }
    // A wish that nothing fulfils needs no other to be looked at.
    let hopeless = |step: &Step| !step.out && matches!(&step.values, Values::Known(values) if values.is_empty());
    if steps.iter().any(hopeless) { None } else { Some(steps) }
}

impl<'s> Step<'s> {
    fn known(dictionary: &'s Dictionary, values: Vec<Range<u32>>, out: bool) -> Step<'s> {
        let rows = |value| dictionary.posting(value).len();
        let cost = values.iter().cloned().flatten().map(rows).sum::<u64>().min(SCAN - 1);
        Step { cost, dictionary, values: Values::Known(values), out }
    }

    fn of(dictionary: &'s Dictionary, patterns: &'s [Pattern], out: bool) -> Step<'s> {
        let cost = |pattern: &Pattern| match pattern {
            Pattern::Exact(_) => 0,
            Pattern::Glob(glob) => dictionary.find_prefix(glob.prefix()).len() as u64,
            Pattern::Contains(_) => u64::from(dictionary.len()),
        };
        if patterns.iter().all(|pattern| matches!(pattern, Pattern::Exact(_))) {
            let mut values: Vec<Range<u32>> = patterns.iter().flat_map(|pattern| dictionary.find(pattern)).collect();
            values.sort_by_key(|range| range.start);
            values.dedup();
            return Step::known(dictionary, values, out);
        }
        let cost = SCAN + patterns.iter().map(cost).sum::<u64>();
        Step { cost, dictionary, values: Values::Any(patterns), out }
    }
}

/// The values of the statuses within the filter's bounds.
fn statuses(dictionary: &Dictionary, filter: &Filter) -> Vec<Range<u32>> {
    let passes = |value: &u32| {
        dictionary.text(*value).parse::<u16>().is_ok_and(|status| {
            filter.status_min.is_none_or(|min| status >= min) && filter.status_max.is_none_or(|max| status <= max)
        })
    };
    (0..dictionary.len()).filter(passes).map(unit).collect()
}

fn unit(value: u32) -> Range<u32> {
    value..value + 1
}
