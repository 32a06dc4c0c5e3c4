//! Reads a request's body, within its limits as received and again after decompression.
//!
//! **Invariant:** no more is kept of one body than [`limits::BODY_BYTES_MAX`], whatever a client
//! claims or compresses, and of all bodies together no more than [`limits::BODIES_BYTES_MAX`].

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use annals_model::{Fault, FaultKind, Filter, limits};
use axum::body::Body;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::App;

/// The unit in which memory for bodies is given out.
pub(crate) const KIB: usize = 1_024;
/// How long a client may take for its next piece of a body.
const IDLE: Duration = Duration::from_secs(30);
/// What is set aside at once for a body that claims its length.
const RESERVED_BYTES_MAX: usize = 1024 * KIB;
/// The largest window of zstd: its log in bytes. Larger ones need more memory than a body may have.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;
/// From this size on, work on a body is taken off the threads that serve connections.
const HEAVY_BYTES: usize = 64 * KIB;
const BUSY_RETRY_AFTER_S: u32 = 1;

/// A body, and the right to keep it in memory.
pub(crate) struct Held {
    /// The body.
    pub(crate) bytes: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

/// How a body was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// Reads a body and decompresses it.
///
/// # Errors
///
/// A too-large fault; an invalid-request fault for an encoding that is unknown or broken, and for
/// a body that doesn't come to its end; a busy one if all bodies together are too large.
pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Held, Fault> {
    let encoding = Encoding::of(headers)?;
    let received = receive(app, headers, body).await?;
    if encoding == Encoding::Identity {
        return Ok(received);
    }
    // Taken before anything is unpacked: how much it will be is not known, and may be all that is allowed.
    let mut room = room(&app.bodies, limits::BODY_BYTES_MAX)?;
    let bytes = heavily(limits::BODY_BYTES_MAX, || decompress(encoding, &received.bytes))?;
    // What was not needed goes back, and with the compressed body its room.
    let units = limits::BODY_BYTES_MAX.saturating_sub(bytes.len()) / KIB;
    drop(room.as_mut().and_then(|room| room.split(units)));
    Ok(Held { bytes, _room: room })
}

/// Does a search; on the thread that serves connections only if it is a look-up: handing it over
/// costs as much as that takes.
pub(crate) fn searching<T>(filter: &Filter, work: impl FnOnce() -> T) -> T {
    heavily(if filter.scans() { HEAVY_BYTES } else { 0 }, work)
}

/// Does work on so many bytes; on the thread that serves connections only if it is little.
pub(crate) fn heavily<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    // A runtime of one thread has nowhere else to put it.
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    if bytes < HEAVY_BYTES || !matches!(flavor, Ok(RuntimeFlavor::MultiThread)) {
        return work();
    }
    tokio::task::block_in_place(work)
}

async fn receive(app: &App, headers: &HeaderMap, mut body: Body) -> Result<Held, Fault> {
    let claimed = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let claimed = claimed.unwrap_or_default();
    if claimed > limits::BODY_BYTES_MAX {
        return Err(Fault::too_large("the body", limits::BODY_BYTES_MAX, claimed));
    }
    let mut bytes = Vec::with_capacity(claimed.min(RESERVED_BYTES_MAX));
    let mut held: Option<OwnedSemaphorePermit> = None;
    loop {
        let frame = tokio::time::timeout(IDLE, body.frame()).await;
        let frame = frame.map_err(|_| Fault::invalid("the body did not come to its end in time: send it again"))?;
        let Some(frame) = frame else {
            return Ok(Held { bytes, _room: held });
        };
        let frame = frame.map_err(|_| Fault::invalid("the body broke off: send it again"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = bytes.len().saturating_add(data.len());
        if length > limits::BODY_BYTES_MAX {
            return Err(Fault::too_large("the body", limits::BODY_BYTES_MAX, length));
        }
        let have = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * KIB;
        if let Some(more) = room(&app.bodies, length.saturating_sub(have))? {
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
        }
        bytes.extend_from_slice(&data);
    }
}

/// Sets memory aside, without waiting: whoever waited would keep what it has.
fn room(bodies: &Arc<Semaphore>, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, Fault> {
    let units = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
    if units == 0 {
        return Ok(None);
    }
    let room = Arc::clone(bodies).try_acquire_many_owned(units);
    room.map(Some).map_err(|_| {
        let kind = FaultKind::Busy { retry_after_s: BUSY_RETRY_AFTER_S };
        let most = limits::BODIES_BYTES_MAX;
        Fault::new(kind, format!("the bodies of all requests together would have over {most} bytes: try again later"))
    })
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Encoding, Fault> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let Some(value) = values.next() else {
            return Ok(Encoding::Identity);
        };
        let name = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
        match (name.as_str(), values.next()) {
            ("" | "identity", None) => Ok(Encoding::Identity),
            ("gzip" | "x-gzip", None) => Ok(Encoding::Gzip),
            ("zstd", None) => Ok(Encoding::Zstd),
            _ => Err(Fault::invalid("Content-Encoding must be gzip, zstd or identity, and one of them alone")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
        }
    }
}

fn decompress(encoding: Encoding, compressed: &[u8]) -> Result<Vec<u8>, Fault> {
    let broken = |_| Fault::invalid(format!("the body is not valid {}, or is cut off", encoding.name()));
    match encoding {
        Encoding::Identity => Ok(compressed.to_vec()),
        Encoding::Gzip => bounded(flate2::read::MultiGzDecoder::new(compressed), broken),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
            bounded(decoder, broken)
        }
    }
}

fn bounded(decoder: impl Read, broken: impl FnOnce(std::io::Error) -> Fault) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    // One byte more than is taken shows that there are too many, and nothing after it is unpacked.
    let most = u64::try_from(limits::BODY_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() > limits::BODY_BYTES_MAX {
        return Err(Fault::too_large("the body after decompression", limits::BODY_BYTES_MAX, bytes.len()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("writes");
        encoder.finish().expect("ends")
    }

    fn kind(encoding: Encoding, compressed: &[u8]) -> Result<usize, FaultKind> {
        decompress(encoding, compressed).map(|bytes| bytes.len()).map_err(|fault| fault.kind)
    }

    #[test]
    fn a_body_is_decompressed_up_to_the_limit_and_not_beyond() {
        let most = vec![0; limits::BODY_BYTES_MAX];
        assert_eq!(kind(Encoding::Gzip, &gzip(&most)), Ok(most.len()));
        assert_eq!(kind(Encoding::Gzip, &gzip(&[&most[..], b"x"].concat())), Err(FaultKind::TooLarge));
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("encodes");
        assert_eq!(kind(Encoding::Zstd, &zstd(&most)), Ok(most.len()));
        assert_eq!(kind(Encoding::Zstd, &zstd(&[&most[..], b"x"].concat())), Err(FaultKind::TooLarge));
    }

    #[test]
    fn several_members_are_one_body() {
        let twice = [gzip(b"ab"), gzip(b"cd")].concat();
        assert_eq!(decompress(Encoding::Gzip, &twice), Ok(b"abcd".to_vec()));
    }

    #[test]
    fn what_is_broken_or_cut_off_is_refused() {
        let whole = gzip(&[7; 1000]);
        for body in [&b"plain"[..], b"", &whole[..whole.len() - 1]] {
            assert_eq!(kind(Encoding::Gzip, body), Err(FaultKind::Invalid), "{body:?}");
        }
        let whole = zstd::encode_all(&[7; 1000][..], 1).expect("encodes");
        for body in [&b"plain"[..], &whole[..whole.len() - 1]] {
            assert_eq!(kind(Encoding::Zstd, body), Err(FaultKind::Invalid), "{body:?}");
        }
    }

    #[test]
    fn all_bodies_together_have_a_limit_that_is_given_back() {
        let bodies = Arc::new(Semaphore::new(limits::BODIES_BYTES_MAX / KIB));
        let most = room(&bodies, limits::BODIES_BYTES_MAX).expect("within");
        let refused = room(&bodies, 1).map(|_| ()).map_err(|fault| fault.kind);
        assert_eq!(refused, Err(FaultKind::Busy { retry_after_s: BUSY_RETRY_AFTER_S }));
        assert!(room(&bodies, 0).is_ok_and(|none| none.is_none()));
        drop(most);
        assert!(room(&bodies, 1).is_ok());
    }

    fn encoding(values: &[&str]) -> Option<Encoding> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, value.parse().expect("a header"));
        }
        Encoding::of(&headers).ok()
    }

    #[test]
    fn an_unknown_encoding_is_refused() {
        assert_eq!(encoding(&[]), Some(Encoding::Identity));
        assert_eq!(encoding(&["GZIP"]), Some(Encoding::Gzip));
        assert_eq!(encoding(&["zstd"]), Some(Encoding::Zstd));
        assert_eq!(encoding(&["br"]), None);
        assert_eq!(encoding(&["gzip, zstd"]), None);
        assert_eq!(encoding(&["gzip", "gzip"]), None);
    }
}
