//! Standard output and standard error, and how numbers and foreign text are written on them.
//!
//! **Invariant:** a closed standard output is a [`ClosedPipe`], never a panic, and not confused
//! with a broken connection.
//! **Invariant:** what an event holds reaches a terminal only through [`plain`], so that no event
//! can move the cursor or change what was printed before it.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::oneshot;

/// Whoever read standard output has stopped reading.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(crate) struct ClosedPipe;

/// Standard output, buffered.
pub(crate) struct Output {
    to: BufWriter<Box<dyn Write>>,
}

impl Output {
    /// The process's standard output.
    pub(crate) fn stdout() -> Output {
        Output::to(Box::new(io::stdout()))
    }

    /// Another place.
    pub(crate) fn to(to: Box<dyn Write>) -> Output {
        Output { to: BufWriter::new(to) }
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, text: &str) -> anyhow::Result<()> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.to.write_all(bytes).map_err(failed)
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> anyhow::Result<()> {
        self.bytes(&serde_json::to_vec(value)?)?;
        self.bytes(b"\n")
    }

    /// Hands on what is buffered.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        self.to.flush().map_err(failed)
    }
}

fn failed(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ClosedPipe.into(),
        _ => anyhow::Error::new(error).context("can't write to standard output"),
    }
}

/// Ends when nobody reads standard output any more, which is else learnt only by writing; never where
/// nobody can stop reading, as of a file.
pub(crate) fn closed() -> anyhow::Result<impl Future<Output = anyhow::Result<()>>> {
    let (tell, told) = oneshot::channel();
    let wait = move || tell.send(wait_until_closed(io::stdout().as_fd()));
    std::thread::Builder::new().name("annals-output".to_owned()).spawn(wait).context("can't start a thread")?;
    Ok(async { told.await?.context("can't wait for the end of standard output") })
}

fn wait_until_closed(output: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        // Nothing is asked for: that the other end has gone is told always.
        match poll(&mut [PollFd::new(&output, PollFlags::empty())], None) {
            Err(Errno::INTR) => {}
            ended => return Ok(ended.map(drop)?),
        }
    }
}

/// Writes one line to standard error; there is nobody to tell if that fails.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The columns of the terminal that standard output is, if it is one.
pub(crate) fn terminal_columns() -> Option<usize> {
    let terminal = console::Term::stdout();
    if !terminal.is_term() {
        return None;
    }
    terminal.size_checked().map(|(_, columns)| usize::from(columns))
}

/// A bar on standard error that shows how far something is, if that is a terminal.
pub(crate) fn progress(template: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    // A template that is none would show in the first use of it.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A number with its thousands apart: `2,900`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 event`, `2,900 events`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

/// Bytes as people read them: `512 B`, `1.5 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A text on one line, without what could steer a terminal or turn the direction of writing.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    if text.contains(steers) {
        Cow::Owned(text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (number, expect) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (u64::MAX, "18,446,744,073,709,551,615")]
        {
            assert_eq!(thousands(number), expect);
        }
        assert_eq!(counted(1, "event"), "1 event");
        assert_eq!(counted(2_900, "event"), "2,900 events");
    }

    #[test]
    fn foreign_text_can_not_steer_a_terminal() {
        assert_eq!(plain("plain Straße 東京"), "plain Straße 東京");
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{9b}d\u{202e}e"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e");
    }

    #[test]
    fn the_end_of_a_reader_is_noticed_without_writing() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        wait_until_closed(writer.as_fd()).expect("waits");
        let (one, other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        drop(one);
        wait_until_closed(other.as_fd()).expect("waits");
    }

    #[test]
    fn a_closed_pipe_is_told_from_other_failures() {
        struct Closed(io::ErrorKind);
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let fail = |kind| {
            let mut out = Output::to(Box::new(Closed(kind)));
            let error = out.line("x").and_then(|()| out.flush()).expect_err("fails");
            // What is still buffered can't be written either.
            std::mem::forget(out);
            error
        };
        assert!(fail(io::ErrorKind::BrokenPipe).is::<ClosedPipe>());
        assert!(!fail(io::ErrorKind::StorageFull).is::<ClosedPipe>());
    }
}
