//! What SQLite would drop of a write-ahead log without a word, looked for before SQLite reads it.
//!
//! SQLite takes in the log up to the first frame that it does not accept, and takes all behind it for what
//! a crash cut short. Where a damaged frame lies before acknowledged commits, they would be gone.
//!
//! **Invariant:** what a crash leaves is never refused, and neither is a log that is being written to.
//! **Invariant:** not a byte is changed; the log is read once, in pieces, and twice where it is refused.
//!
//! How damage is told from a crash. The checksum of a frame goes on from that of the frame before, so a
//! frame whose checksum follows from another one was written after it. The last frame of a commit bears its
//! mark, the size of the database.
//!
//! - t0: the frames of a commit are written. Until t1 power loss may leave any of their sectors, with
//!   what lay there before in the place of the others.
//! - t1: they are synced, and the commit is acknowledged; only then does the next one begin.
//! - t2: the frames of the next commit are written, of which the first follows from the last one of t0.
//!
//! So what follows from a frame with a mark says that it was synced, and with it all before; and SQLite
//! accepts all that was synced, unless it is damaged. Hence the rule: a log is damaged if there is a frame
//! with a mark that SQLite does not get to, and another one that follows from it.
//!
//! What else may lie behind the last commit, and is no damage:
//! - Frames of an earlier round: the log begins anew at its front when all of it is in the database file,
//!   and each round has salts of its own, which its frames bear. None of theirs counts.
//! - Frames of a transaction that failed, over which the next one is written: none of them follows from
//!   the one with the mark, which is the last one.
//! - A commit that a killed process had not synced: the next process takes it in. Before that one writes,
//!   it copies the log into the database file, which syncs both, and empties it.
//! - Frames in which sectors of two are mixed, where power loss ends t0. The mark of an old one and the
//!   checksum of the new one, which new ones follow from, would look like damage. So a mark under a wrong
//!   checksum is believed only where the frame's header lies in one sector.
//!
//! The log's header, with the round's salts, is written and synced before the round's first frame. It lies in
//! one sector, which a disk writes as a whole or not at all, so a crash leaves the old header or the new
//! one. One that is neither is damage, if the rule holds for the frames of any round: SQLite would drop all.
//!
//! Somebody who writes can make a log look damaged, as it is not read in one moment: a commit is written
//! while it is passed, or a round begins. Where the same frame looks damaged twice in the same round it is
//! none of both: whatever was passed in the middle of being written was whole when the second look began.
//!
//! # Incomplete support
//! Damage is taken for a crash, and told by nobody, where it hits the last commit, or cuts off the end of
//! the file, with however many commits; and where it takes away the mark of the last commit but one, which
//! then looks like a part of the last one. It does so by hitting the mark, or anything in a frame with a
//! mark whose header lies in two sectors, which is one frame in 32.
//!
//! # Source
//! [The WAL's format](https://sqlite.org/fileformat2.html#walformat); `walIndexRecover`, `walDecodeFrame`,
//! `walRestartLog` and `walFrames` in SQLite's `wal.c`. `walFrames` writes one commit frame for each commit,
//! as it pads nothing with `POWERSAFE_OVERWRITE`, the default.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::connection::WAL_NAME;
use crate::journal::JournalError;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// What a header and a frame's header are checked without: their own checksum, at the header's end.
const HEADER_SUMMED_BYTES: usize = 24;
const FRAME_HEADER_SUMMED_BYTES: usize = 8;
/// The first word of a log whose checksums are over little-endian words; one more says big-endian.
const MAGIC: u32 = 0x377f_0682;
/// What a disk writes as a whole, at least.
const SECTOR_BYTES: u64 = 512;
/// The sizes that a page can have.
const PAGE_BYTES: [usize; 8] = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];
/// What is read at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// A checksum of the log.
type Sums = (u32, u32);

/// How bytes become the words that are summed up.
#[derive(Debug, Clone, Copy)]
enum Order {
    Little,
    Big,
}

/// The header that SQLite accepts.
struct Header {
    page_bytes: usize,
    order: Order,
    salts: [[u8; 4]; 2],
    sums: Sums,
}

/// A log that SQLite would drop commits of.
#[derive(Debug, PartialEq, Eq)]
struct Damage {
    /// The header as it was found; each round has another one.
    header: [u8; HEADER_BYTES],
    /// The first frame that SQLite does not accept, from 1; 0 for the header.
    frame: u64,
    page_bytes: usize,
}

/// Refuses a folder whose write-ahead log is damaged; without one there is nothing to refuse.
///
/// # Errors
/// `Corrupt`: SQLite would drop acknowledged commits. `Unavailable`: the log cannot be read.
pub(super) fn check(folder: &Path) -> Result<(), JournalError> {
    let path = folder.join(WAL_NAME);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(JournalError::storage)?,
    };
    let Some(damage) = look(&mut file).map_err(JournalError::storage)? else { return Ok(()) };
    let again = look(&mut file).map_err(JournalError::storage)?;
    let is_same_round = read_header(&mut file).map_err(JournalError::storage)? == Some(damage.header);
    if again.as_ref() != Some(&damage) || !is_same_round {
        return Ok(());
    }
    Err(JournalError::corrupt(format!(
        "{} of {} is not what was written, and commits behind it were acknowledged",
        damage.place(),
        path.display()
    )))
}

impl Damage {
    fn place(&self) -> String {
        match self.frame.checked_sub(1) {
            None => "the header, at byte 0,".to_owned(),
            Some(before) => format!("frame {}, at byte {},", self.frame, offset(before, self.page_bytes)),
        }
    }
}

/// Where the frame begins that so many are before.
const fn offset(before: u64, page_bytes: usize) -> u64 {
    HEADER_BYTES as u64 + before * (FRAME_HEADER_BYTES + page_bytes) as u64
}

/// Reads the whole log.
fn look(file: &mut File) -> io::Result<Option<Damage>> {
    let Some(bytes) = read_header(file)? else { return Ok(None) };
    let found = |frame, page_bytes| Damage { header: bytes, frame, page_bytes };
    if let Some(header) = Header::of(&bytes) {
        let page_bytes = header.page_bytes;
        return Ok(first_dropped(file, page_bytes, Round::new(&header))?.map(|frame| found(frame, page_bytes)));
    }
    // What a header says that is not valid is not believed, not even the size of a page.
    for order in [Order::Little, Order::Big] {
        for page_bytes in PAGE_BYTES {
            if let Some(frame) = first_dropped(file, page_bytes, Round::without_header(order))? {
                return Ok(Some(found(frame, page_bytes)));
            }
        }
    }
    Ok(None)
}

/// Where SQLite stops, if it drops acknowledged commits there.
fn first_dropped(file: &mut File, page_bytes: usize, mut round: Round) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
    let mut reader = BufReader::with_capacity(PIECE_BYTES, file);
    let mut bytes = vec![0; FRAME_HEADER_BYTES + page_bytes];
    while read_whole(&mut reader, &mut bytes)? {
        if let Some(frame) = Frame::of(&bytes)
            && round.loses(&frame)
        {
            return Ok(round.end);
        }
    }
    Ok(None)
}

/// A log that is shorter than its header has none.
fn read_header(file: &mut File) -> io::Result<Option<[u8; HEADER_BYTES]>> {
    let mut bytes = [0; HEADER_BYTES];
    file.rewind()?;
    Ok(read_whole(file, &mut bytes)?.then_some(bytes))
}

/// Whether there were so many bytes left.
fn read_whole(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

impl Header {
    fn of(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        // The second says which version of the format it is, which SQLite refuses with an error; the fourth
        // counts rounds.
        let (&[magic, _, page_bytes, _, salt_1, salt_2, sum_1, sum_2], _) = bytes.as_chunks::<4>() else { return None };
        let order = match u32::from_be_bytes(magic) {
            MAGIC => Order::Little,
            magic if magic == MAGIC + 1 => Order::Big,
            _ => return None,
        };
        let page_bytes = usize::try_from(u32::from_be_bytes(page_bytes)).ok()?;
        let sums = (u32::from_be_bytes(sum_1), u32::from_be_bytes(sum_2));
        let is_valid = order.sums((0, 0), bytes.get(..HEADER_SUMMED_BYTES)?) == sums;
        (is_valid && PAGE_BYTES.contains(&page_bytes)).then_some(Self {
            page_bytes,
            order,
            salts: [salt_1, salt_2],
            sums,
        })
    }
}

/// A frame as it says itself, right or wrong.
struct Frame<'f> {
    /// From 1, which says that a frame was written here at all.
    page: u32,
    has_mark: bool,
    salts: [[u8; 4]; 2],
    sums: Sums,
    /// What the checksum is over.
    summed_header: &'f [u8],
    content: &'f [u8],
}

impl<'f> Frame<'f> {
    fn of(bytes: &'f [u8]) -> Option<Self> {
        let (header, content) = bytes.split_at_checked(FRAME_HEADER_BYTES)?;
        let (&[page, size, salt_1, salt_2, sum_1, sum_2], _) = header.as_chunks::<4>() else { return None };
        Some(Self {
            page: u32::from_be_bytes(page),
            has_mark: size != [0; 4],
            salts: [salt_1, salt_2],
            sums: (u32::from_be_bytes(sum_1), u32::from_be_bytes(sum_2)),
            summed_header: header.get(..FRAME_HEADER_SUMMED_BYTES)?,
            content,
        })
    }
}

/// What is known on the way through the frames, in their order.
struct Round {
    order: Order,
    /// Whether the header is valid; if not, a frame is of the same round as the one before if its salts are the
    /// same.
    has_header: bool,
    /// Those of the header, or of the frame before.
    salts: [[u8; 4]; 2],
    count: u64,
    /// The first frame that SQLite does not accept.
    end: Option<u64>,
    /// The checksum that the frame before states.
    stated: Sums,
    /// The one that its content gives; another one in a damaged frame.
    computed: Sums,
    /// Whether the frame before is of this round.
    is_ours: bool,
    /// Whether the frame before bears a mark, and SQLite does not get to it.
    is_dropped_commit: bool,
}

impl Round {
    fn new(header: &Header) -> Self {
        let Header { order, salts, sums, .. } = *header;
        Self {
            order,
            has_header: true,
            salts,
            count: 0,
            end: None,
            stated: sums,
            computed: sums,
            is_ours: true,
            is_dropped_commit: false,
        }
    }

    fn without_header(order: Order) -> Self {
        Self {
            order,
            has_header: false,
            salts: [[0; 4]; 2],
            count: 0,
            end: Some(0),
            stated: (0, 0),
            computed: (0, 0),
            is_ours: true,
            is_dropped_commit: false,
        }
    }

    /// Goes on to the next frame: whether it follows from a commit that SQLite would drop.
    fn loses(&mut self, frame: &Frame) -> bool {
        let place = offset(self.count, frame.content.len());
        let spans_sectors = place % SECTOR_BYTES > SECTOR_BYTES - FRAME_HEADER_BYTES as u64;
        self.count += 1;
        let sums = |before| self.order.sums(self.order.sums(before, frame.summed_header), frame.content);
        let computed = sums(self.stated);
        // A frame of which only the checksum is damaged is told by the next one, which follows from the
        // right one.
        let follows = computed == frame.sums || (self.computed != self.stated && sums(self.computed) == frame.sums);
        let has_salts = self.salts == frame.salts;
        if self.end.is_none() && !(follows && has_salts && frame.page > 0) {
            self.end = Some(self.count);
        }
        let loses = self.is_dropped_commit && follows && has_salts;
        // The checksum is not over the salts, which may be what is damaged.
        self.is_ours = has_salts || !self.has_header || (follows && self.is_ours);
        let is_commit = frame.has_mark && self.is_ours && (follows || !spans_sectors);
        self.is_dropped_commit = is_commit && self.end.is_some();
        (self.stated, self.computed) = (frame.sums, computed);
        if !self.has_header {
            self.salts = frame.salts;
        }
        loses
    }
}

impl Order {
    /// Goes on with a checksum over bytes, of which there are a multiple of eight.
    fn sums(self, before: Sums, bytes: &[u8]) -> Sums {
        match self {
            Self::Little => sums(before, bytes, u32::from_le_bytes),
            Self::Big => sums(before, bytes, u32::from_be_bytes),
        }
    }
}

fn sums((mut first, mut second): Sums, bytes: &[u8], word: impl Fn([u8; 4]) -> u32) -> Sums {
    for &[a, b, c, d, e, f, g, h] in bytes.as_chunks::<8>().0 {
        first = first.wrapping_add(word([a, b, c, d])).wrapping_add(second);
        second = second.wrapping_add(word([e, f, g, h])).wrapping_add(first);
    }
    (first, second)
}
