//! Which rows of a segment pass a filter.
//!
//! **Invariant:** what is cheap to tell comes first, and nothing more is looked at once no row is
//! left; events themselves are read last, and only those that nothing else rules out.

use std::ops::Range;

use annals_model::{Content, Field, Filter, Pattern, Time, TimeRange};

use crate::columns::{ColumnReader, from_time, to_time};
use crate::dictionary::Dictionary;
use crate::footer::Indexed;
use crate::ids::IdTables;
use crate::rows::Span;
use crate::runs::{Bounds, Run};
use crate::segment::RowReader;
use crate::set::Set;
use crate::set::bitmap_of;
use crate::{EventId, Logs, Row, Rows, Segment, SegmentError, ids};

/// What exact values may cost at most, in rows; what has to scan values comes after all of them.
const SCAN: u64 = 1 << 32;

/// One thing that a filter asks for.
struct Step<'s> {
    /// About how much work it is.
    cost: u64,
    kind: Kind<'s>,
    /// Whether the rows that have such a value are out, and not the only ones in.
    out: bool,
}

enum Kind<'s> {
    /// These values of a dictionary.
    Known(Dictionary<'s>, Vec<Range<u32>>),
    /// The values of a dictionary that pass one of these.
    Any(Dictionary<'s>, &'s [Pattern]),
    /// These ids.
    Ids(Field, Vec<&'s str>),
    /// What only the events tell: ids that pass one of these.
    Read(Field, &'s [Pattern]),
}

/// The rows of some logs at some positions, that pass a filter.
pub(crate) fn search(
    segment: &Segment,
    logs: Logs,
    positions: &Range<u64>,
    filter: &Filter,
) -> Result<Rows, SegmentError> {
    let Reached { mut set, times_open, span } = reached(segment, logs, positions, filter)?;
    let Some(mut steps) = steps(segment, filter, &set)? else { return Ok(Rows::new(Set::empty(), span)) };
    steps.sort_by_key(|step| step.cost);
    for step in &steps {
        if set.is_empty() {
            break;
        }
        step.apply(segment, &mut set)?;
    }
    if times_open && !set.is_empty() {
        let (mut shown, mut recorded) = (segment.shown_column(), segment.recorded_column());
        let (occurred_open, recorded_open) = (!filter.occurred.is_all(), !filter.recorded.is_all());
        set.retain(|row| {
            Ok((!occurred_open || filter.occurred.contains(to_time(shown.get(row)?)))
                && (!recorded_open || filter.recorded.contains(to_time(recorded.get(row)?))))
        })?;
    }
    Ok(Rows::new(set, span))
}

/// Rows told by their place and times alone.
struct Reached {
    set: Set,
    /// Whether times remain to be tested row by row.
    times_open: bool,
    span: Span,
}

fn reached(segment: &Segment, logs: Logs, positions: &Range<u64>, filter: &Filter) -> Result<Reached, SegmentError> {
    let none = Reached { set: Set::empty(), times_open: false, span: Span::default() };
    let footer = &segment.footer;
    let all = &footer.positions;
    if segment.is_empty()
        || positions.start >= all.end
        || positions.end <= all.start
        || is_outside(&filter.recorded, &footer.recorded)
        || is_outside(&filter.occurred, &footer.shown)
    {
        return Ok(none);
    }
    let anywhere = positions.start <= all.start && positions.end >= all.end;
    let whenever = is_inside(&filter.recorded, &footer.recorded) && is_inside(&filter.occurred, &footer.shown);
    let but = match logs {
        Logs::AllBut(log) => segment.runs().of(log)?,
        Logs::One(_) | Logs::All => None,
    };
    let runs = match logs {
        Logs::One(log) => match segment.runs().of(log)? {
            Some(run) => vec![run],
            None => return Ok(none),
        },
        Logs::All | Logs::AllBut(_) if anywhere && whenever => {
            let rows = 0..segment.len();
            let ranges = match but {
                Some(run) => [0..run.rows.start, run.rows.end..rows.end],
                None => [rows, 0..0],
            };
            return Ok(Reached { set: Set::of_ranges(ranges), times_open: false, span: Span::all(segment) });
        }
        Logs::All | Logs::AllBut(_) => {
            let mut runs = segment.runs().all()?;
            runs.retain(|run| logs.contains(run.log));
            runs
        }
    };
    let span = match (logs, runs.as_slice()) {
        (Logs::One(_), [run]) => Span::of(run),
        _ => Span::all(segment),
    };
    let mut columns = [segment.positions_column(), segment.recorded_column(), segment.shown_column()];
    let mut times_open = false;
    let mut ranges = Vec::with_capacity(runs.len());
    for run in &runs {
        ranges.push(cut(run, positions, filter, &mut columns, &mut times_open)?);
    }
    Ok(Reached { set: Set::of_ranges(ranges), times_open, span })
}

/// The part of a run's rows that a span of positions and of times leaves.
fn cut(
    run: &Run,
    positions: &Range<u64>,
    filter: &Filter,
    columns: &mut [ColumnReader; 3],
    open: &mut bool,
) -> Result<Range<u32>, SegmentError> {
    let [position, recorded, shown] = columns;
    let mut rows = run.rows.clone();
    let (first, last) = run.positions;
    if positions.start > last || positions.end <= first {
        return Ok(rows.start..rows.start);
    }
    if positions.start > first {
        rows.start = position.partition(&rows, |position| position < positions.start)?;
    }
    if positions.end <= last {
        rows.end = position.partition(&rows, |position| position < positions.end)?;
    }
    rows = cut_times(rows, &filter.recorded, &run.recorded, recorded, open)?;
    cut_times(rows, &filter.occurred, &run.shown, shown, open)
}

/// The part of a run's rows that a span of time leaves, or all with `open` set where only the rows
/// themselves can tell.
fn cut_times(
    mut rows: Range<u32>,
    range: &TimeRange,
    bounds: &Bounds,
    times: &mut ColumnReader,
    open: &mut bool,
) -> Result<Range<u32>, SegmentError> {
    if rows.is_empty() || is_inside(range, bounds) {
        return Ok(rows);
    }
    if is_outside(range, bounds) {
        return Ok(rows.start..rows.start);
    }
    if !bounds.ordered {
        *open = true;
        return Ok(rows);
    }
    let before = |edge: Time| move |time: u64| time < from_time(edge);
    if let Some(from) = range.from {
        rows.start = times.partition(&rows, before(from))?;
    }
    if let Some(until) = range.until {
        rows.end = times.partition(&rows, before(until))?;
    }
    Ok(rows)
}

fn is_inside(range: &TimeRange, bounds: &Bounds) -> bool {
    range.contains(bounds.min) && range.contains(bounds.max)
}

fn is_outside(range: &TimeRange, bounds: &Bounds) -> bool {
    range.from.is_some_and(|from| bounds.max < from) || range.until.is_some_and(|until| bounds.min >= until)
}

/// What a filter asks for besides places and times, or `None` if one of its wishes can't be met by any
/// row.
fn steps<'s>(segment: &'s Segment, filter: &'s Filter, set: &Set) -> Result<Option<Vec<Step<'s>>>, SegmentError> {
    let mut steps = Vec::new();
    if set.is_empty() {
        return Ok(Some(steps));
    }
    let dictionary = |of: Indexed| segment.dictionary(of);
    if let Some(words) = dictionary(Indexed::Words) {
        for word in &filter.words {
            let Some(value) = words.find_exact(word)? else { return Ok(None) };
            steps.push(Step::known(words, vec![unit(value)], false)?);
        }
    }
    if let Some(status) = dictionary(Indexed::Field(Field::Status))
        && (filter.status_min.is_some() || filter.status_max.is_some())
    {
        steps.push(Step::known(status, statuses(status, filter)?, false)?);
    }
    if let Some(actions) = dictionary(Indexed::Field(Field::Action)).filter(|_| filter.clients_only) {
        let own = actions.find_prefix(Filter::OWN_ACTIONS)?;
        if !own.is_empty() {
            steps.push(Step::known(actions, vec![own], true)?);
        }
    }
    for condition in &filter.conditions {
        for (patterns, out) in [(&condition.any, false), (&condition.none, true)] {
            if !patterns.is_empty() {
                steps.push(match dictionary(Indexed::Field(condition.field)) {
                    Some(dictionary) => Step::of(dictionary, patterns, out)?,
                    None => Step::of_ids(condition.field, patterns, out),
                });
            }
        }
    }
    // A wish that nothing fulfils needs no other to be looked at.
    let hopeless = |step: &Step| !step.out && matches!(&step.kind, Kind::Known(_, values) if values.is_empty());
    Ok(if steps.iter().any(hopeless) { None } else { Some(steps) })
}

impl<'s> Step<'s> {
    fn known(dictionary: Dictionary<'s>, values: Vec<Range<u32>>, out: bool) -> Result<Step<'s>, SegmentError> {
        let mut cost = 0_u64;
        for range in &values {
            // Many values are about as much work as their number.
            cost += if range.len() == 1 { u64::from(dictionary.count(range.start)?) } else { range.len() as u64 };
        }
        Ok(Step { cost: cost.min(SCAN - 1), kind: Kind::Known(dictionary, values), out })
    }

    fn of(dictionary: Dictionary<'s>, patterns: &'s [Pattern], out: bool) -> Result<Step<'s>, SegmentError> {
        if patterns.iter().all(|pattern| matches!(pattern, Pattern::Exact(_))) {
            let mut values: Vec<Range<u32>> = Vec::new();
            for pattern in patterns {
                values.extend(dictionary.find(pattern)?);
            }
            values.sort_by_key(|range| range.start);
            values.dedup();
            return Step::known(dictionary, values, out);
        }
        let mut cost = SCAN;
        for pattern in patterns {
            cost += match pattern {
                Pattern::Exact(_) => 0,
                Pattern::Glob(glob) => dictionary.find_prefix(glob.prefix())?.len() as u64,
                Pattern::Contains(_) => u64::from(dictionary.len()),
            };
        }
        Ok(Step { cost, kind: Kind::Any(dictionary, patterns), out })
    }

    fn of_ids(field: Field, patterns: &'s [Pattern], out: bool) -> Step<'s> {
        let exact = patterns.iter().map(|pattern| match pattern {
            Pattern::Exact(id) => Some(id.as_str()),
            _ => None,
        });
        match exact.collect::<Option<Vec<&str>>>() {
            // The first of all where it leaves few rows, the last where it takes away few.
            Some(exact) => Step { cost: if out { SCAN - 1 } else { 0 }, kind: Kind::Ids(field, exact), out },
            None => Step { cost: u64::MAX, kind: Kind::Read(field, patterns), out },
        }
    }

    fn apply(&self, segment: &Segment, set: &mut Set) -> Result<(), SegmentError> {
        let rows = match &self.kind {
            Kind::Known(dictionary, values) => dictionary.rows_of(values, &set.bounds())?,
            Kind::Any(dictionary, patterns) => {
                let mut values = Vec::new();
                for pattern in *patterns {
                    values.extend(dictionary.find(pattern)?);
                }
                dictionary.rows_of(&values, &set.bounds())?
            }
            Kind::Ids(field, exact) => bitmap_of(&rows_of_ids(segment, *field, exact, set)?),
            Kind::Read(field, patterns) => return self.read(segment, *field, patterns, set),
        };
        if self.out {
            set.subtract(&rows)
        } else {
            set.intersect(rows)
        }
        Ok(())
    }

    /// Reads every event that is left.
    fn read(&self, segment: &Segment, field: Field, patterns: &[Pattern], set: &mut Set) -> Result<(), SegmentError> {
        let mut reader = RowReader::new(segment);
        set.retain(|row| {
            let content = content_of(segment, &reader.row(row)?)?;
            let value = id_of(&content, field);
            let has = value.is_some_and(|value| patterns.iter().any(|pattern| pattern.matches(value)));
            Ok(has != self.out)
        })
    }
}

/// The rows of a set that carry one of some ids: what the tables point at is read and compared.
fn rows_of_ids(segment: &Segment, field: Field, exact: &[&str], set: &Set) -> Result<Vec<u32>, SegmentError> {
    let mut candidates = Vec::new();
    for id in exact {
        candidates.extend(match field {
            Field::Id => segment.find_id(&EventId::new(id))?,
            _ => find(segment, &segment.footer.request_ids, id)?,
        });
    }
    candidates.retain(|row| set.contains(*row));
    candidates.sort_unstable();
    candidates.dedup();
    let mut reader = RowReader::new(segment);
    let mut rows = Vec::with_capacity(candidates.len());
    for row in candidates {
        let content = content_of(segment, &reader.row(row)?)?;
        if id_of(&content, field).is_some_and(|have| exact.contains(&have)) {
            rows.push(row);
        }
    }
    Ok(rows)
}

fn find(segment: &Segment, tables: &IdTables, id: &str) -> Result<Vec<u32>, SegmentError> {
    ids::find(tables, &*segment.source, ids::hash(segment.footer.hash_key, id))
}

fn id_of(content: &Content, field: Field) -> Option<&str> {
    if field == Field::Id { Some(&content.id) } else { content.request.id.as_deref() }
}

pub(crate) fn content_of(segment: &Segment, row: &Row) -> Result<Content, SegmentError> {
    let table = &segment.footer.tables.blocks;
    let page = table.entries.first().map(|entry| entry.page).unwrap_or_default();
    row.content().map_err(|_| SegmentError::corrupt(table.section, page, "an event can't be read"))
}

/// The values of the statuses within the filter's bounds.
fn statuses(dictionary: Dictionary, filter: &Filter) -> Result<Vec<Range<u32>>, SegmentError> {
    let mut values = Vec::new();
    dictionary.each(0..dictionary.len(), |value, text, _| {
        let passes = text.parse::<u16>().is_ok_and(|status| {
            filter.status_min.is_none_or(|min| status >= min) && filter.status_max.is_none_or(|max| status <= max)
        });
        if passes {
            values.push(unit(value));
        }
        Ok(())
    })?;
    Ok(values)
}

fn unit(value: u32) -> Range<u32> {
    value..value + 1
}
