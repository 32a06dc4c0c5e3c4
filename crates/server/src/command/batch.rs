//! Gathers events into the bodies of requests.
//!
//! **Invariant:** a body is within [`BATCH_EVENTS_MAX`] and [`BATCH_BYTES_MAX`], which are below
//! the server's limits.
//! **Invariant:** the same input is always cut into the same batches, so that a second run names
//! each of them as the first did.

use std::fmt::Write;

use annals_model::limits;
use sha2::{Digest, Sha256};

use super::frame::{Element, FrameError};

/// Events of one batch.
pub(crate) const BATCH_EVENTS_MAX: usize = 2_000;
/// Bytes of one batch.
pub(crate) const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one event as handed in; its canonical form, without blanks, has a limit of its own.
pub(crate) const ELEMENT_BYTES_MAX: usize = 4 * limits::EVENT_BYTES_MAX;

const _: () = assert!(BATCH_EVENTS_MAX <= limits::BATCH_EVENTS_MAX);
const _: () = assert!(BATCH_BYTES_MAX <= limits::BODY_BYTES_MAX && ELEMENT_BYTES_MAX < BATCH_BYTES_MAX);

/// Events that go in one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Its place among the batches of the input, from 0.
    pub(crate) ordinal: u64,
    /// NDJSON.
    pub(crate) body: Vec<u8>,
    /// For each event the line of the input it begins on.
    pub(crate) lines: Vec<u64>,
}

impl Batch {
    /// The key by which the server knows the batch when it comes again: a digest of everything
    /// that a repetition has in common. The API key makes it one that nobody without that key can
    /// compute, so that what is kept of an erased event does not tell a guesser that he is right.
    pub(crate) fn idempotency_key(&self, api_key: &str, target: &str) -> String {
        let mut hash = Sha256::new();
        for part in
            [b"annals append v1", api_key.as_bytes(), target.as_bytes(), &self.ordinal.to_be_bytes(), &self.body]
        {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let mut key = "append-".to_owned();
        for byte in hash.finalize().iter().take(16) {
            // Writing into a String can't fail.
            let _ = write!(key, "{byte:02x}");
        }
        key
    }

    /// The line of the input of an event, from 0, of the batch.
    pub(crate) fn line_of(&self, event: u64) -> Option<u64> {
        usize::try_from(event).ok().and_then(|event| self.lines.get(event).copied())
    }

    fn takes(&self, element: &Element) -> bool {
        self.lines.len() < BATCH_EVENTS_MAX && self.body.len() + element.text.len() < BATCH_BYTES_MAX
    }

    fn push(&mut self, element: &Element) {
        self.body.extend_from_slice(&element.text);
        self.body.push(b'\n');
        self.lines.push(element.line);
    }
}

/// The batches of an input.
pub(crate) struct Batches<E> {
    elements: E,
    waiting: Option<Element>,
    ordinal: u64,
    failed: Option<FrameError>,
}

impl<E: Iterator<Item = Result<Element, FrameError>>> Batches<E> {
    /// Gathers elements.
    pub(crate) fn new(elements: E) -> Batches<E> {
        Batches { elements, waiting: None, ordinal: 0, failed: None }
    }
}

impl<E: Iterator<Item = Result<Element, FrameError>>> Iterator for Batches<E> {
    type Item = Result<Batch, FrameError>;

    /// The next batch. What comes before an error is a batch of its own, ahead of the error.
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let mut batch = Batch { ordinal: self.ordinal, ..Batch::default() };
        loop {
            let element = match self.waiting.take().map(Ok).or_else(|| self.elements.next()) {
                None => break,
                Some(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
                Some(Ok(element)) => element,
            };
            if !batch.takes(&element) {
                self.waiting = Some(element);
                break;
            }
            batch.push(&element);
        }
        if batch.lines.is_empty() {
            return self.failed.take().map(Err);
        }
        self.ordinal += 1;
        Some(Ok(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(line: u64, bytes: usize) -> Result<Element, FrameError> {
        Ok(Element { line, text: vec![b'x'; bytes] })
    }

    fn sizes(elements: Vec<Result<Element, FrameError>>) -> Vec<Option<(usize, usize)>> {
        Batches::new(elements.into_iter())
            .map(|batch| batch.ok().map(|batch| (batch.lines.len(), batch.body.len())))
            .collect()
    }

    #[test]
    fn batches_are_bounded_by_events_and_by_bytes() {
        let many = (0..2 * BATCH_EVENTS_MAX + 1).map(|_| element(1, 9)).collect();
        let full = Some((BATCH_EVENTS_MAX, 10 * BATCH_EVENTS_MAX));
        assert_eq!(sizes(many), [full, full, Some((1, 10))]);
        let large = (0..5).map(|_| element(1, ELEMENT_BYTES_MAX - 1)).collect();
        assert_eq!(sizes(large), [Some((4, BATCH_BYTES_MAX)), Some((1, ELEMENT_BYTES_MAX))]);
        assert_eq!(sizes(Vec::new()), []);
    }

    #[test]
    fn what_comes_before_an_error_is_sent() {
        let error = || Err(FrameError::Form { line: 3, what: "bad".to_owned() });
        assert_eq!(sizes(vec![element(1, 9), element(2, 9), error()]), [Some((2, 20)), None]);
        assert_eq!(sizes(vec![error()]), [None]);
    }

    #[test]
    fn a_batch_is_named_by_content_place_target_and_api_key() {
        let batch = |ordinal, body: &str| Batch { ordinal, body: body.into(), lines: vec![7] };
        let key = batch(0, "x").idempotency_key("k", "/v1/events");
        assert_eq!(key, batch(0, "x").idempotency_key("k", "/v1/events"));
        for other in [
            batch(1, "x").idempotency_key("k", "/v1/events"),
            batch(0, "y").idempotency_key("k", "/v1/events"),
            batch(0, "x").idempotency_key("l", "/v1/events"),
            batch(0, "x").idempotency_key("k", "/v1/events?organization=acme"),
        ] {
            assert_ne!(key, other);
        }
        assert_eq!(batch(0, "x").line_of(0), Some(7));
        assert_eq!(batch(0, "x").line_of(1), None);
    }
}
