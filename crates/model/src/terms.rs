//! What of an event can be filtered by: the values of its fields, and its words.
//!
//! **Invariant:** one list for whoever scans events and whoever indexes them, so that both find
//! the same.

use xxhash_rust::xxh3::xxh3_64;

use crate::{Content, Field, Value, limits};

/// Calls `each` with every value that a field has. A field may come several times, also with the
/// same value.
pub fn each_term(content: &Content, mut each: impl FnMut(Field, &str)) {
    let request = &content.request;
    each(Field::Id, &content.id);
    each(Field::Action, &content.action);
    let one = [
        (Field::ActorId, &content.actor.id),
        (Field::ActorName, &content.actor.name),
        (Field::ActorEmail, &content.actor.email),
        (Field::ActorType, &content.actor.kind),
        (Field::ClientIp, &request.client_ip),
        (Field::Country, &request.country),
        (Field::Method, &request.method),
        (Field::Path, &request.path),
        (Field::RequestId, &request.id),
        (Field::Origin, &content.origin),
        (Field::Workspace, &content.workspace),
    ];
    for (field, value) in one {
        if let Some(value) = value {
            each(field, value);
        }
    }
    if let Some(status) = request.status {
        each(Field::Status, itoa::Buffer::new().format(status));
    }
    for target in &content.targets {
        for (field, value) in
            [(Field::TargetId, &target.id), (Field::TargetName, &target.name), (Field::TargetType, &target.kind)]
        {
            if let Some(value) = value {
                each(field, value);
            }
        }
    }
}

/// Calls `each` with every access, as one text: its resource with each part's tags sorted, a zero byte,
/// its action.
pub fn each_access(content: &Content, mut each: impl FnMut(&str)) {
    for access in &content.accesses {
        let mut key = String::with_capacity(access.resource.len() + access.action.len() + 1);
        for (at, part) in access.resource.split(':').enumerate() {
            if at > 0 {
                key.push(':');
            }
            let Some((name, tags)) = part.split_once(';') else {
                key.push_str(part);
                continue;
            };
            let mut tags: Vec<&str> = tags.split(',').collect();
            tags.sort_unstable();
            tags.dedup();
            key.push_str(name);
            key.push(';');
            key.push_str(&tags.join(","));
        }
        key.push('\0');
        key.push_str(&access.action);
        each(&key);
    }
}

/// Calls `each` with every different word of an event, up to [`limits::WORDS_PER_EVENT_MAX`]: of
/// names, description, action, path, and the texts in `data`, in this order.
pub fn each_word(content: &Content, mut each: impl FnMut(&str)) {
    let mut seen = Seen::new();
    let mut add = |word: &str| {
        if seen.add(word) {
            each(word);
        }
    };
    let names = content.targets.iter().filter_map(|target| target.name.as_deref());
    let texts = content.actor.name.as_deref().into_iter().chain(names).chain(content.description.as_deref());
    for text in texts.chain([content.action.as_str()]).chain(content.request.path.as_deref()) {
        split(text, &mut add);
    }
    if let Some(data) = &content.data {
        each_text(data, &mut |text| split(text, &mut add));
    }
}

/// Slots of the table of words that were seen: twice as many as words, so that a free one is near.
const SEEN_SLOTS: usize = 2 * limits::WORDS_PER_EVENT_MAX;

/// The different words that were seen, up to the limit, without an allocation for each.
struct Seen {
    text: String,
    /// Where each word ends in `text`; it begins where the one before ends.
    ends: Vec<usize>,
    /// By hash: the number of a word, from 1, or 0.
    slots: [u16; SEEN_SLOTS],
}

impl Seen {
    fn new() -> Seen {
        Seen { text: String::with_capacity(512), ends: Vec::with_capacity(64), slots: [0; SEEN_SLOTS] }
    }

    /// Remembers a word; whether it is new and there was room for it.
    fn add(&mut self, word: &str) -> bool {
        let hash = usize::try_from(xxh3_64(word.as_bytes()) % SEEN_SLOTS as u64).unwrap_or_default();
        for probe in 0..SEEN_SLOTS {
            let at = (hash + probe) % SEEN_SLOTS;
            let number = self.slots.get(at).copied().map_or(0, usize::from);
            if number == 0 {
                if self.ends.len() == limits::WORDS_PER_EVENT_MAX {
                    return false;
                }
                self.text.push_str(word);
                self.ends.push(self.text.len());
                if let Some(slot) = self.slots.get_mut(at) {
                    *slot = u16::try_from(self.ends.len()).unwrap_or(u16::MAX);
                }
                return true;
            }
            let end = self.ends.get(number - 1).copied().unwrap_or_default();
            let start = number.checked_sub(2).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
            if self.text.get(start..end) == Some(word) {
                return false;
            }
        }
        false
    }
}

/// The words of a text as the text search knows them, each once.
#[must_use]
pub fn words_of(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    split(text, &mut |word: &str| {
        if words.iter().all(|have| have != word) {
            words.push(word.to_owned());
        }
    });
    words
}

/// Cuts a text into words: runs of letters and digits, in lower case, of a length within limits.
fn split(text: &str, each: &mut impl FnMut(&str)) {
    let mut lower = String::new();
    for run in text.split(|c: char| !c.is_alphanumeric()) {
        if run.len() < limits::WORD_BYTES_MIN || run.len() > 2 * limits::WORD_BYTES_MAX {
            continue;
        }
        lower.clear();
        if run.is_ascii() {
            lower.push_str(run);
            lower.make_ascii_lowercase();
        } else {
            lower.push_str(&run.to_lowercase());
        }
        if (limits::WORD_BYTES_MIN..=limits::WORD_BYTES_MAX).contains(&lower.len()) {
            each(&lower);
        }
    }
}

fn each_text(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::Text(text) => each(text),
        Value::List(list) => list.iter().for_each(|value| each_text(value, each)),
        Value::Object(object) => object.iter().for_each(|(_, value)| each_text(value, each)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        assert_eq!(words_of("New-Checkout: flag v2, FLAG É!"), ["new", "checkout", "flag", "v2", "é"]);
        assert_eq!(words_of("a b"), Vec::<String>::new());
    }

    #[test]
    fn words_have_a_shortest_and_a_longest_length() {
        let shortest = "x".repeat(limits::WORD_BYTES_MIN);
        assert_eq!(words_of(&shortest), [&*shortest]);
        assert!(words_of(&shortest[1..]).is_empty());
        let longest = "x".repeat(limits::WORD_BYTES_MAX);
        assert_eq!(words_of(&longest), [longest]);
        assert!(words_of(&"x".repeat(limits::WORD_BYTES_MAX + 1)).is_empty());
    }

    #[test]
    fn an_event_has_so_many_words_and_no_more() {
        let data = (0..1_000).map(|n| Value::from(format!("w{n}"))).collect();
        let content = Content { action: "first".into(), data: Some(Value::List(data)), ..Content::default() };
        let mut words = Vec::new();
        each_word(&content, |word| words.push(word.to_owned()));
        assert_eq!(words.len(), limits::WORDS_PER_EVENT_MAX);
        assert_eq!(words.first().map(String::as_str), Some("first"));
    }

    #[test]
    fn a_word_counts_once_wherever_it_stands() {
        let data = Value::List((0..600).map(|n| Value::from(format!("Again w{} again", n % 200))).collect());
        let content = Content { action: "again.w7".into(), data: Some(data), ..Content::default() };
        let mut words = Vec::new();
        each_word(&content, |word| words.push(word.to_owned()));
        let mut expect: Vec<String> =
            ["again".to_owned()].into_iter().chain((0..200).map(|n| format!("w{n}"))).collect();
        words.sort();
        expect.sort();
        assert_eq!(words, expect);
    }

    #[test]
    fn an_access_is_the_same_whatever_the_order_of_its_tags() {
        let key = |resource: &str| {
            let access = crate::Access { action: "updateOn".into(), resource: resource.into() };
            let content = Content { accesses: vec![access], ..Content::default() };
            let mut keys = Vec::new();
            each_access(&content, |key| keys.push(key.to_owned()));
            keys
        };
        assert_eq!(key("proj/web:env/production:flag/new;b,a,b"), ["proj/web:env/production:flag/new;a,b\0updateOn"]);
        assert_eq!(key("proj/web;z,y:env/*"), ["proj/web;y,z:env/*\0updateOn"]);
        assert_eq!(key(""), ["\0updateOn"]);
    }

    #[test]
    fn every_target_counts() {
        let target = |id: &str| Target { id: Some(id.into()), ..Target::default() };
        let content = Content { targets: vec![target("a"), target("b")], ..Content::default() };
        let mut ids = Vec::new();
        each_term(&content, |field, value| {
            if field == Field::TargetId {
                ids.push(value.to_owned());
            }
        });
        assert_eq!(ids, ["a", "b"]);
    }
}
