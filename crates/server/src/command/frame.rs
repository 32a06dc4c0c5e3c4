//! Cuts a stream of JSON into the texts of single events, at bounded memory: lines of NDJSON,
//! elements of an array, elements of the `Records` of a CloudTrail file, or those of the list that a
//! vendor's answer holds; also several of these one after the other, as `cat` puts them together.
//!
//! **Invariant:** an element is one line without its end, and knows the line it began on.
//! **Invariant:** no more than one element, or one answer, bounded in bytes, is in memory at a time.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use serde_json::value::RawValue;

use crate::answer;

/// How much longer than one event an answer may be.
const ANSWER_ELEMENTS_MAX: usize = 16;

/// The text of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    /// The line of the input it begins on, from 1.
    pub(crate) line: u64,
    /// Its bytes.
    pub(crate) text: Vec<u8>,
}

/// Why the input can't be cut.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The input can't be read, or not decompressed.
    #[error("can't be read on")]
    Read(#[from] io::Error),
    /// The input is not what it should be.
    #[error("{what}")]
    Form {
        /// The line concerned, from 1.
        line: u64,
        /// What is wrong, and what to do about it.
        what: String,
    },
}

/// The elements of an input.
pub(crate) struct Elements<R> {
    input: R,
    /// What was read ahead of `input` and turned out to be part of an element.
    ahead: Vec<u8>,
    /// What is left of an answer.
    answer: VecDeque<Element>,
    line: u64,
    state: State,
    wrapping: Wrapping,
    element_bytes_max: usize,
}

/// Whether events may come within an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// Never.
    Bare,
    /// In `{"Records":[…]}`.
    Records,
    /// In an object whose member of this name is their list, whatever else it holds.
    Answer(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between lines, or before an array.
    Top,
    /// In an array, after its `[`.
    ArrayBegin { closes: Closes },
    /// In an array, after an element.
    ArrayNext { closes: Closes },
    /// After an error, or the end.
    Done,
}

/// What closes an array.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closes {
    Array,
    Records,
}

impl<R: BufRead> Elements<R> {
    /// The elements of `input`, none longer than `element_bytes_max`.
    pub(crate) fn new(input: R, wrapping: Wrapping, element_bytes_max: usize) -> Elements<R> {
        Elements {
            input,
            ahead: Vec::new(),
            answer: VecDeque::new(),
            line: 1,
            state: State::Top,
            wrapping,
            element_bytes_max,
        }
    }

    fn advance(&mut self) -> Result<Option<Element>, FrameError> {
        loop {
            if let Some(element) = self.answer.pop_front() {
                return Ok(Some(element));
            }
            match self.state {
                State::Done => return Ok(None),
                State::Top => match self.skip_blank()? {
                    None => return Ok(None),
                    Some(b'[') => {
                        self.take()?;
                        self.state = State::ArrayBegin { closes: Closes::Array };
                    }
                    Some(b'{') if self.wrapping == Wrapping::Records && self.takes_records()? => {
                        self.state = State::ArrayBegin { closes: Closes::Records };
                    }
                    Some(first) => match self.wrapping {
                        Wrapping::Answer(member) if first == b'{' => self.answer = self.answer(member)?,
                        _ => return self.line_element().map(Some),
                    },
                },
                State::ArrayBegin { closes } => match self.skip_blank()? {
                    Some(b'{') => return self.array_element(closes).map(Some),
                    Some(b']') => self.close(closes)?,
                    other => return Err(self.unexpected(other, "an object or `]`")),
                },
                State::ArrayNext { closes } => match self.skip_blank()? {
                    Some(b',') => {
                        self.take()?;
                        match self.skip_blank()? {
                            Some(b'{') => return self.array_element(closes).map(Some),
                            other => return Err(self.unexpected(other, "an object")),
                        }
                    }
                    Some(b']') => self.close(closes)?,
                    other => return Err(self.unexpected(other, "`,` or `]`")),
                },
            }
        }
    }

    /// One line, up to its end or that of the input.
    fn line_element(&mut self) -> Result<Element, FrameError> {
        let line = self.line;
        let mut text = std::mem::take(&mut self.ahead);
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
            if text.len() + part.len() > self.element_bytes_max {
                return Err(self.too_long(line, "line"));
            }
            text.extend_from_slice(part);
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                self.line += 1;
                break;
            }
        }
        text.truncate(text.trim_ascii_end().len());
        if !(text.starts_with(b"{") && text.ends_with(b"}")) {
            let what = "the line is not a whole JSON object: events come one to a line, or in a JSON array";
            return Err(FrameError::Form { line, what: what.to_owned() });
        }
        Ok(Element { line, text })
    }

    fn array_element(&mut self, closes: Closes) -> Result<Element, FrameError> {
        let element = self.object(self.element_bytes_max, "event")?;
        self.state = State::ArrayNext { closes };
        Ok(element)
    }

    /// The entries of the next answer; an object that holds no list is one itself.
    fn answer(&mut self, member: &'static str) -> Result<VecDeque<Element>, FrameError> {
        let object = self.object(ANSWER_ELEMENTS_MAX.saturating_mul(self.element_bytes_max), "answer")?;
        let line = object.line;
        let broken = |error: serde_json::Error| FrameError::Form { line, what: answer::wrong(&error) };
        let elements: VecDeque<Element> = match answer::list_of(&object.text, member).map_err(broken)? {
            Some(list) => {
                let entries: Vec<&RawValue> = serde_json::from_str(list).map_err(broken)?;
                entries.into_iter().map(|entry| Element { line, text: entry.get().into() }).collect()
            }
            None => VecDeque::from([object]),
        };
        if elements.iter().any(|element| element.text.len() > self.element_bytes_max) {
            return Err(self.too_long(line, "longest event of the answer that begins on this line"));
        }
        Ok(elements)
    }

    /// One object of at most so many bytes, on one line whatever it was written on.
    fn object(&mut self, bytes_max: usize, noun: &str) -> Result<Element, FrameError> {
        let begun = self.line;
        let mut text = Vec::new();
        let mut scan = Scan::default();
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                let what = format!("the input ends within the event that begins on line {begun}: was it cut short?");
                return Err(FrameError::Form { line: self.line, what });
            }
            let mut used = 0;
            for byte in buffer {
                used += 1;
                if *byte == b'\n' {
                    self.line += 1;
                }
                if scan.in_text && (*byte == b'\n' || *byte == b'\r') {
                    let what = "a text goes on over the end of a line".to_owned();
                    return Err(FrameError::Form { line: begun, what });
                }
                text.push(if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte });
                scan.step(*byte);
                if scan.depth == 0 {
                    break;
                }
            }
            self.input.consume(used);
            if text.len() > bytes_max {
                let what = format!("the {noun} that begins on this line has more than {bytes_max} bytes");
                return Err(FrameError::Form { line: begun, what });
            }
            if scan.depth == 0 {
                return Ok(Element { line: begun, text });
            }
        }
    }

    /// Takes `{ "Records" : [` if that comes next; else what was read is kept for the line.
    fn takes_records(&mut self) -> Result<bool, FrameError> {
        let mut lines = 0;
        for token in [&b"{"[..], b"\"Records\"", b":", b"["] {
            while let Some(byte) = self.peek()?.filter(u8::is_ascii_whitespace) {
                // What begins with so much blank is no line of NDJSON, and refused as one.
                if self.ahead.len() > self.element_bytes_max {
                    return Ok(false);
                }
                lines += u64::from(byte == b'\n');
                self.take()?;
                self.ahead.push(byte);
            }
            for expected in token {
                if self.peek()? != Some(*expected) {
                    return Ok(false);
                }
                self.take()?;
                self.ahead.push(*expected);
            }
        }
        self.line += lines;
        self.ahead.clear();
        Ok(true)
    }

    fn close(&mut self, closes: Closes) -> Result<(), FrameError> {
        self.take()?;
        if closes == Closes::Records {
            match self.skip_blank()? {
                Some(b'}') => self.take()?,
                other => return Err(self.unexpected(other, "`}` after the records")),
            }
        }
        self.state = State::Top;
        Ok(())
    }

    /// The first byte that is not blank, which stays where it is.
    fn skip_blank(&mut self) -> Result<Option<u8>, FrameError> {
        loop {
            match self.peek()? {
                Some(b'\n') => self.line += 1,
                Some(b' ' | b'\t' | b'\r') => {}
                other => return Ok(other),
            }
            self.take()?;
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, FrameError> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    fn take(&mut self) -> Result<(), FrameError> {
        self.input.fill_buf()?;
        self.input.consume(1);
        Ok(())
    }

    fn unexpected(&self, byte: Option<u8>, expected: &str) -> FrameError {
        let what = match byte {
            None => format!("the input ends where {expected} is expected: was it cut short?"),
            Some(byte) => format!("`{}` where {expected} is expected", char::from(byte).escape_default()),
        };
        FrameError::Form { line: self.line, what }
    }

    fn too_long(&self, line: u64, noun: &str) -> FrameError {
        let what = format!("the {noun} has more than {} bytes", self.element_bytes_max);
        FrameError::Form { line, what }
    }
}

impl<R: BufRead> Iterator for Elements<R> {
    type Item = Result<Element, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.advance();
        if !matches!(element, Ok(Some(_))) {
            self.state = State::Done;
        }
        element.transpose()
    }
}

/// How deep in objects and lists a scan is, and whether it is in a text.
#[derive(Default)]
struct Scan {
    depth: u64,
    in_text: bool,
    is_escaped: bool,
}

impl Scan {
    fn step(&mut self, byte: u8) {
        if self.in_text {
            if self.is_escaped {
                self.is_escaped = false;
            } else if byte == b'\\' {
                self.is_escaped = true;
            } else if byte == b'"' {
                self.in_text = false;
            }
            return;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// Elements as `line:text`, then the error as `line!what`, whatever the buffer's size.
    fn check(wrapping: Wrapping, input: &str, expect: &[&str]) {
        for capacity in [1, 2, 7, 4_096] {
            let elements = Elements::new(BufReader::with_capacity(capacity, input.as_bytes()), wrapping, 64);
            let got: Vec<String> = elements
                .map(|element| match element {
                    Ok(element) => format!("{}:{}", element.line, String::from_utf8_lossy(&element.text)),
                    Err(FrameError::Form { line, what }) => format!("{line}!{what}"),
                    Err(FrameError::Read(error)) => error.to_string(),
                })
                .collect();
            assert_eq!(got, expect, "{input} by {capacity}");
        }
    }

    #[test]
    fn ndjson_is_cut_into_lines() {
        check(Wrapping::Bare, "", &[]);
        check(Wrapping::Bare, "{\"a\":1}\n\n  {\"a\":2} \r\n{\"a\":3}", &["1:{\"a\":1}", "3:{\"a\":2}", "4:{\"a\":3}"]);
        check(Wrapping::Records, "{\"R\":1}\n{\"Records\":2}\n", &["1:{\"R\":1}", "2:{\"Records\":2}"]);
    }

    #[test]
    fn an_answer_is_cut_into_the_elements_of_its_list() {
        let wrapping = Wrapping::Answer("items");
        check(wrapping, "{\"items\":[]}", &[]);
        check(
            wrapping,
            "{\"_links\": {},\n \"items\": [{\"a\":\n1}, {}]\n}\n{\"items\":[{\"b\":2}]}",
            &["1:{\"a\": 1}", "1:{}", "5:{\"b\":2}"],
        );
        check(wrapping, "{\"items\":null}", &[]);
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(56));
        let lines = |text: &str| format!("1:{text}");
        check(wrapping, &format!("{{\"items\":[{long},{long}]}}"), &[&lines(&long), &lines(&long)]);
        let longer = long.replace('a', "ab");
        let refused = "1!the longest event of the answer that begins on this line has more than 64 bytes";
        check(wrapping, &format!("{{\"items\":[{longer}]}}"), &[refused]);
        check(wrapping, &longer, &[refused]);
        let refused = "1!the answer that begins on this line has more than 1024 bytes";
        check(wrapping, &format!("{{\"items\":[{}]}}", vec![long.as_str(); 16].join(",")), &[refused]);
        check(wrapping, "{\"items\":[{}],\"items\":[]}", &["1!the member items stands there twice"]);
        check(wrapping, "{\"a\":1}\n{\"items\":1}", &["1:{\"a\":1}", "2:{\"items\":1}"]);
        check(wrapping, "[{\"a\":1}]", &["1:{\"a\":1}"]);
    }

    #[test]
    fn an_array_is_cut_into_elements_on_one_line_each() {
        check(Wrapping::Bare, "[]", &[]);
        check(
            Wrapping::Bare,
            "[\n {\"a\":\"]}\\\"\",\n  \"b\":[{}]},\n {}\n]\n",
            &["2:{\"a\":\"]}\\\"\",   \"b\":[{}]}", "4:{}"],
        );
        check(Wrapping::Bare, "[{}][{}]\n{}", &["1:{}", "1:{}", "2:{}"]);
    }

    #[test]
    fn cloudtrail_files_are_cut_into_records_also_one_after_the_other() {
        check(Wrapping::Records, "{\"Records\":[{\"a\":1},{\"a\":2}]}", &["1:{\"a\":1}", "1:{\"a\":2}"]);
        check(Wrapping::Records, "{\n\"Records\" : [\n{}\n]\n}\n{\"Records\":[{}]}", &["3:{}", "6:{}"]);
        check(Wrapping::Bare, "{\"Records\":[]}", &["1:{\"Records\":[]}"]);
    }

    #[test]
    fn what_is_cut_short_or_no_json_is_named_by_its_line() {
        check(
            Wrapping::Bare,
            "{}\n{\"a\":\n1}",
            &["1:{}", "2!the line is not a whole JSON object: events come one to a line, or in a JSON array"],
        );
        check(
            Wrapping::Bare,
            "[{},\n{\"a\":",
            &["1:{}", "2!the input ends within the event that begins on line 2: was it cut short?"],
        );
        check(Wrapping::Bare, "[{}", &["1:{}", "1!the input ends where `,` or `]` is expected: was it cut short?"]);
        check(Wrapping::Bare, "[{},]", &["1:{}", "1!`]` where an object is expected"]);
        check(Wrapping::Bare, "[1]", &["1!`1` where an object or `]` is expected"]);
        check(Wrapping::Bare, "[{\"a\":\"x\ny\"}]", &["1!a text goes on over the end of a line"]);
        check(
            Wrapping::Records,
            "{\"Records\":[{}]",
            &["1:{}", "1!the input ends where `}` after the records is expected: was it cut short?"],
        );
    }

    #[test]
    fn a_line_or_element_that_is_too_long_is_refused() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(64));
        check(Wrapping::Bare, &format!("{{}}\n{long}\n"), &["1:{}", "2!the line has more than 64 bytes"]);
        check(Wrapping::Bare, &format!("[\n{long}]"), &["2!the event that begins on this line has more than 64 bytes"]);
    }
}
