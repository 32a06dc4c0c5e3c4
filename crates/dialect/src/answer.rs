//! What is sent back: a whole body, or a head, an encoder for each event, and a tail.

use annals_model::{Event, Fault};

/// Writes one event's part of a streamed answer.
pub type Encoder = Box<dyn Fn(&Event, &mut Vec<u8>) -> Result<(), Fault> + Send + Sync>;

/// A successful answer, always JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The whole body.
    pub body: Vec<u8>,
    /// Headers besides the content type.
    pub headers: Vec<(&'static str, String)>,
}

/// A long successful answer in parts: the head, then each event, separated, then the tail.
pub struct Stream {
    /// What comes first.
    pub head: &'static [u8],
    /// How an event is written.
    pub each: Encoder,
    /// What stands between two events.
    pub separator: &'static [u8],
    /// What comes last.
    pub tail: &'static [u8],
}
