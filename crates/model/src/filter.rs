//! Which events are wanted.
//!
//! **Invariant:** [`Filter::matches`] is the meaning of a filter; an index answers the same.

use crate::{Content, Fault, Pattern, Time, each_term, each_word, limits, words_of};

/// A field that can be filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `id`
    Id,
    /// `action`
    Action,
    /// `actor.id`
    ActorId,
    /// `actor.name`
    ActorName,
    /// `actor.email`
    ActorEmail,
    /// `actor.type`
    ActorType,
    /// `targets[].id`
    TargetId,
    /// `targets[].name`
    TargetName,
    /// `targets[].type`
    TargetType,
    /// `request.client_ip`
    ClientIp,
    /// `request.country`
    Country,
    /// `request.method`
    Method,
    /// `request.path`
    Path,
    /// `request.status`, as a decimal text
    Status,
    /// `request.id`
    RequestId,
    /// `origin`
    Origin,
    /// `workspace`
    Workspace,
}

impl Field {
    /// All fields, in the order of their numbers.
    pub const ALL: [Field; 17] = [
        Field::Id,
        Field::Action,
        Field::ActorId,
        Field::ActorName,
        Field::ActorEmail,
        Field::ActorType,
        Field::TargetId,
        Field::TargetName,
        Field::TargetType,
        Field::ClientIp,
        Field::Country,
        Field::Method,
        Field::Path,
        Field::Status,
        Field::RequestId,
        Field::Origin,
        Field::Workspace,
    ];

    /// Its place in [`Field::ALL`].
    #[must_use]
    pub fn number(self) -> usize {
        self as usize
    }

    /// The name of the query parameter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Field::Id => "id",
            Field::Action => "action",
            Field::ActorId => "actor_id",
            Field::ActorName => "actor_name",
            Field::ActorEmail => "actor_email",
            Field::ActorType => "actor_type",
            Field::TargetId => "target_id",
            Field::TargetName => "target_name",
            Field::TargetType => "target_type",
            Field::ClientIp => "client_ip",
            Field::Country => "country",
            Field::Method => "method",
            Field::Path => "path",
            Field::Status => "status",
            Field::RequestId => "request_id",
            Field::Origin => "origin",
            Field::Workspace => "workspace",
        }
    }

    /// The field that a query parameter names.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// What is asked of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The field.
    pub field: Field,
    /// One of the field's values must pass one of these, if there are any.
    pub any: Vec<Pattern>,
    /// None of the field's values may pass any of these.
    pub none: Vec<Pattern>,
}

/// A span of time; either end may be open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// From here on, inclusive.
    pub from: Option<Time>,
    /// Up to here, exclusive.
    pub until: Option<Time>,
}

impl TimeRange {
    /// Whether an instant lies in it.
    #[must_use]
    pub fn contains(&self, time: Time) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time < until)
    }

    /// Whether it is open on both ends.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }
}

/// Which events are wanted: those that fulfil all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What is asked of fields.
    pub conditions: Vec<Condition>,
    /// When it occurred, as shown.
    pub occurred: TimeRange,
    /// When it was recorded.
    pub recorded: TimeRange,
    /// The least status; an event without a status fails.
    pub status_min: Option<u16>,
    /// The greatest status, inclusive; an event without a status fails.
    pub status_max: Option<u16>,
    /// Words that must all occur, in lower case.
    pub words: Vec<String>,
    /// Whether only what clients recorded is wanted, without the server's own `annals.*` events.
    pub clients_only: bool,
}

impl Filter {
    /// The prefix of the actions of the server's own events.
    pub const OWN_ACTIONS: &'static str = "annals.";

    /// Adds one native parameter's value: `!` negates, and then as [`Pattern::parse`].
    ///
    /// # Errors
    ///
    /// A limit fault that names the parameter.
    pub fn add(&mut self, field: Field, value: &str) -> Result<(), Fault> {
        let (negative, value) = value.strip_prefix('!').map_or((false, value), |rest| (true, rest));
        let pattern = Pattern::parse(value).map_err(|fault| fault.at_member(field.name()))?;
        let condition = self.condition(field);
        let list = if negative { &mut condition.none } else { &mut condition.any };
        list.push(pattern);
        let values = condition.any.len() + condition.none.len();
        if values > limits::FILTER_VALUES_MAX {
            return Err(Fault::limit("values of one filter parameter", limits::FILTER_VALUES_MAX, values)
                .at_member(field.name()));
        }
        Ok(())
    }

    /// Adds the words of a text search.
    ///
    /// # Errors
    ///
    /// An invalid-request fault if there is no word in it, a limit fault if there are too many.
    pub fn add_words(&mut self, text: &str) -> Result<(), Fault> {
        let words = words_of(text);
        if words.is_empty() {
            let what = format!("q holds no word of {} to {} bytes", limits::WORD_BYTES_MIN, limits::WORD_BYTES_MAX);
            return Err(Fault::invalid(what).at_member("q"));
        }
        self.words.extend(words);
        if self.words.len() > limits::FILTER_VALUES_MAX {
            return Err(Fault::limit("words of q", limits::FILTER_VALUES_MAX, self.words.len()).at_member("q"));
        }
        Ok(())
    }

    /// Whether values or texts have to be looked through, rather than looked up.
    #[must_use]
    pub fn scans(&self) -> bool {
        let patterns = self.conditions.iter().flat_map(|condition| condition.any.iter().chain(&condition.none));
        !self.words.is_empty() || patterns.into_iter().any(|pattern| !matches!(pattern, Pattern::Exact(_)))
    }

    /// Whether an event's canonical text tells at a glance that the words don't occur in it. That saves
    /// cutting it into words; it never says so of an event that [`Filter::matches`].
    #[must_use]
    pub fn rules_out(&self, canonical: &[u8]) -> bool {
        // In a text of ASCII a word stands as it is but for its case: letters and digits are never
        // escaped. In any other, lower case may look quite different.
        !self.words.is_empty()
            && canonical.is_ascii()
            && !self.words.iter().all(|word| holds(canonical, word.as_bytes()))
    }

    /// Asks for exactly this value of a field.
    pub fn exact(&mut self, field: Field, value: impl Into<String>) {
        self.condition(field).any.push(Pattern::Exact(value.into()));
    }

    /// Whether an event is wanted.
    #[must_use]
    pub fn matches(&self, content: &Content, time_recorded: Time) -> bool {
        self.occurred.contains(content.time_shown(time_recorded))
            && self.recorded.contains(time_recorded)
            && self.status_min.is_none_or(|min| content.request.status.is_some_and(|status| status >= min))
            && self.status_max.is_none_or(|max| content.request.status.is_some_and(|status| status <= max))
            && !(self.clients_only && content.action.starts_with(Filter::OWN_ACTIONS))
            && self.matches_fields(content)
            && self.matches_words(content)
    }

    fn matches_fields(&self, content: &Content) -> bool {
        if self.conditions.is_empty() {
            return true;
        }
        self.conditions.iter().all(|condition| {
            let (mut wanted, mut unwanted) = (condition.any.is_empty(), false);
            each_term(content, |field, value| {
                if field == condition.field {
                    wanted |= condition.any.iter().any(|pattern| pattern.matches(value));
                    unwanted |= condition.none.iter().any(|pattern| pattern.matches(value));
                }
            });
            wanted && !unwanted
        })
    }

    fn matches_words(&self, content: &Content) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let mut missing: Vec<&str> = self.words.iter().map(String::as_str).collect();
        each_word(content, |word| missing.retain(|wanted| *wanted != word));
        missing.is_empty()
    }

    fn condition(&mut self, field: Field) -> &mut Condition {
        let at = self.conditions.iter().position(|condition| condition.field == field).unwrap_or_else(|| {
            self.conditions.push(Condition { field, any: Vec::new(), none: Vec::new() });
            self.conditions.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed right above")]
        &mut self.conditions[at]
    }

    /// An unambiguous text, the same for filters that mean the same, for fingerprints that outlive
    /// a version.
    pub(crate) fn describe(&self, out: &mut Vec<u8>) {
        let mut conditions: Vec<&Condition> = self.conditions.iter().collect();
        conditions.sort_by_key(|condition| condition.field.name());
        for condition in conditions {
            for (sign, patterns) in [(b'+', &condition.any), (b'-', &condition.none)] {
                let mut texts: Vec<Vec<u8>> = patterns
                    .iter()
                    .map(|pattern| {
                        let mut text = Vec::new();
                        pattern.describe(&mut text);
                        text
                    })
                    .collect();
                texts.sort();
                texts.dedup();
                for text in texts {
                    out.push(sign);
                    out.extend_from_slice(condition.field.name().as_bytes());
                    out.extend_from_slice(&text);
                }
            }
        }
        let times = [self.occurred.from, self.occurred.until, self.recorded.from, self.recorded.until];
        for bound in times
            .map(|time| time.map(Time::us))
            .into_iter()
            .chain([self.status_min, self.status_max].map(|status| status.map(i64::from)))
        {
            out.push(b'|');
            if let Some(bound) = bound {
                out.extend_from_slice(bound.to_string().as_bytes());
            }
        }
        let mut words: Vec<&String> = self.words.iter().collect();
        words.sort();
        words.dedup();
        for word in words {
            out.push(b' ');
            out.extend_from_slice(word.as_bytes());
        }
        out.push(if self.clients_only { b'c' } else { b'a' });
    }
}

/// Whether a text of ASCII holds a word, whatever the case.
fn holds(text: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else { return true };
    let begins = |at: usize| text.get(at..at + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word));
    memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text).any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Request, Target};

    fn event() -> Content {
        Content {
            id: "e1".into(),
            action: "flag.update".into(),
            time_occurred: Some(Time::from_s(100)),
            actor: Actor { id: Some("usr_1".into()), name: Some("Iku Ito".into()), ..Actor::default() },
            targets: ["a", "b"].map(|id| Target { id: Some(id.into()), ..Target::default() }).into(),
            request: Request { status: Some(404), ..Request::default() },
            ..Content::default()
        }
    }

    fn check(parameters: &[(&str, &str)], expect: bool) {
        let mut filter = Filter::default();
        for (name, value) in parameters {
            filter.add(Field::of_name(name).expect("a field"), value).expect("valid");
        }
        assert_eq!(filter.matches(&event(), Time::from_s(200)), expect, "{parameters:?}");
    }

    #[test]
    fn all_parameters_must_hold_and_any_value_of_one() {
        check(&[("action", "flag.update"), ("actor_id", "usr_1")], true);
        check(&[("action", "flag.update"), ("actor_id", "usr_2")], false);
        check(&[("actor_id", "usr_2"), ("actor_id", "usr_1")], true);
        check(&[("status", "404")], true);
        check(&[("status", "4*")], true);
    }

    #[test]
    fn a_list_passes_if_one_value_does_and_none_is_excluded() {
        check(&[("target_id", "b")], true);
        check(&[("target_id", "!b")], false);
        check(&[("target_id", "a"), ("target_id", "!b")], false);
        check(&[("target_id", "!c")], true);
    }

    #[test]
    fn an_absent_member_satisfies_not_and_nothing_else() {
        check(&[("country", "!JP")], true);
        check(&[("country", "!*")], true);
        check(&[("country", "*")], false);
        check(&[("country", "")], false);
    }

    #[test]
    fn times_are_half_open_and_words_must_all_occur() {
        let matches = |filter: Filter| filter.matches(&event(), Time::from_s(200));
        let occurred = |from, until| Filter {
            occurred: TimeRange { from: Some(Time::from_s(from)), until: Some(Time::from_s(until)) },
            ..Filter::default()
        };
        assert!(matches(occurred(100, 101)));
        assert!(!matches(occurred(99, 100)));
        let words = |text: &str| {
            let mut filter = Filter::default();
            filter.add_words(text).expect("words");
            filter
        };
        assert!(matches(words("iku FLAG")));
        assert!(!matches(words("iku nobody")));
        let status = |min, max| Filter { status_min: min, status_max: max, ..Filter::default() };
        assert!(matches(status(Some(404), Some(404))));
        assert!(!matches(status(Some(405), None)));
    }

    #[test]
    fn exact_values_are_looked_up_and_all_else_is_looked_through() {
        let scans = |value| {
            let mut filter = Filter::default();
            filter.add(Field::Action, value).map(|()| filter.scans())
        };
        assert_eq!(["a", "!a", "=a*", "a*", "~a", "!~a"].map(scans), [false, false, false, true, true, true].map(Ok));
        assert!(!Filter::default().scans());
        assert!(Filter { words: vec!["w".into()], ..Filter::default() }.scans());
    }

    #[test]
    fn values_and_words_have_a_limit() {
        let mut filter = Filter::default();
        for n in 0..limits::FILTER_VALUES_MAX {
            filter.add(Field::Action, &n.to_string()).expect("within");
        }
        assert!(filter.add(Field::Action, "x").is_err());
        let words = (0..=limits::FILTER_VALUES_MAX).map(|n| format!("w{n} ")).collect::<String>();
        assert!(Filter::default().add_words(&words).is_err());
        assert!(Filter::default().add_words("!").is_err());
    }
}
