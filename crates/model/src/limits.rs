//! Every limit on what comes in, each with its unit in its name.
//!
//! **Invariant:** a limit is enforced with a fault that names the limit and the value that
//! exceeded it, and each has a test.

/// One event's canonical form, in bytes.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;
/// One request's body, in bytes, as received and again after decompression.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bodies of all requests that are being handled, in bytes.
pub const BODIES_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Connections that are open at the same time.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Events in one append.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// An event's action, in characters.
pub const ACTION_CHARS_MAX: usize = 256;
/// An event's id, in characters.
pub const ID_CHARS_MAX: usize = 256;
/// Targets of one event.
pub const TARGETS_MAX: usize = 32;
/// How deep objects and lists may be nested, the event itself being the first level.
pub const JSON_DEPTH_MAX: usize = 32;
/// How far `time_occurred` may lie ahead of the server's clock, in microseconds: 24 hours.
pub const OCCURRED_AHEAD_US_MAX: i64 = 24 * 3_600 * 1_000_000;
/// The largest whole number an event may hold, on either side of zero: 2^53 − 1.
pub const INTEGER_MAX: f64 = 9_007_199_254_740_991.0;
/// A response status.
pub const STATUS_MAX: u16 = 999;
/// Events on one page of the native API.
pub const PAGE_EVENTS_MAX: usize = 1_000;
/// Values given for one filter parameter, and words of one text search.
pub const FILTER_VALUES_MAX: usize = 100;
/// One filter value, in bytes.
pub const FILTER_VALUE_BYTES_MAX: usize = 4_096;
/// The shortest word that the text search knows, in bytes.
pub const WORD_BYTES_MIN: usize = 2;
/// The longest word that the text search knows, in bytes.
pub const WORD_BYTES_MAX: usize = 64;
/// Different words of one event that the text search knows.
pub const WORDS_PER_EVENT_MAX: usize = 256;
/// A cursor as text, in bytes.
pub const CURSOR_BYTES_MAX: usize = 512;
/// An organization's id, in characters.
pub const ORGANIZATION_ID_CHARS_MAX: usize = 63;
/// A name given to an organization or a key, in characters.
pub const NAME_CHARS_MAX: usize = 256;
/// An organization's retention, in days: a hundred years.
pub const RETENTION_DAYS_MAX: u32 = 36_525;
/// A key's rate, in requests per second.
pub const RATE_PER_S_MAX: u32 = 1_000_000;
/// A server's name, in bytes.
pub const SERVER_NAME_BYTES_MAX: usize = 255;
/// Events that may wait for the sequencer.
pub const QUEUE_EVENTS_MAX: usize = 200_000;
/// Bytes of events that may wait for the sequencer.
pub const QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Events of one commit.
pub const COMMIT_EVENTS_MAX: usize = 20_000;
/// Bytes of events of one commit, before compression.
pub const COMMIT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How far the wall clock may run ahead of the monotonic one before appends are refused, in
/// microseconds: an hour.
pub const CLOCK_AHEAD_US_MAX: i64 = 3_600 * 1_000_000;
/// How long one query may take, in milliseconds.
pub const QUERY_TIME_MS_MAX: u64 = 10_000;
/// Committed events that are not sealed yet, before more are refused.
pub const UNSEALED_EVENTS_MAX: u64 = 1_048_576;
/// Their bytes, before compression.
pub const UNSEALED_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Buckets of one histogram.
pub const HISTOGRAM_BUCKETS_MAX: usize = 1_000;
/// Values that one facet tells.
pub const FACET_VALUES_MAX: usize = 1_000;
/// What the different values that one facet counts may take, in bytes.
pub const FACET_TEXT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Matches that a page may skip where they lie in no order, so that all of them have to be collected.
pub const SCATTERED_SKIP_MAX: u64 = 1_000_000;
/// Different values that one facet counts.
pub const FACET_DISTINCT_MAX: usize = 1_000_000;
