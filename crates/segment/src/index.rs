//! The dictionaries of a segment: one per field, and one of words.

use annals_model::Field;

use crate::dictionary::Dictionary;

/// All dictionaries.
#[derive(Debug)]
pub(crate) struct Index {
    /// In the order of [`Field::ALL`].
    pub(crate) fields: [Dictionary; Field::ALL.len()],
    pub(crate) words: Dictionary,
}

impl Index {
    pub(crate) fn field(&self, field: Field) -> &Dictionary {
        // A field's number is its place among all, so there is always one.
        self.fields.get(field.number()).unwrap_or(&self.words)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.fields.iter().map(Dictionary::memory_bytes).sum::<usize>() + self.words.memory_bytes()
    }
}
