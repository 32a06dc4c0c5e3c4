//! What a process uses of the machine, and what the machine is, as Linux tells; elsewhere nothing.

use std::time::Duration;

/// Processor time in the unit of `/proc/<pid>/stat`: `USER_HZ` is 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// The processor time that a process has used, in user and kernel mode.
pub(crate) fn processor_time(process: u32) -> Option<Duration> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// The memory of a process that is in RAM, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resident {
    /// Now.
    pub(crate) bytes: u64,
    /// At most since the process began.
    pub(crate) bytes_max: u64,
}

/// The memory of a process that is in RAM.
pub(crate) fn resident(process: u32) -> Option<Resident> {
    parse_status(&std::fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

/// The processor's name.
pub(crate) fn processor_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()))
}

/// How many threads run at a time.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn parse_stat(text: &str) -> Option<Duration> {
    // The program's name, in parentheses, may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let kernel: u32 = fields.next()?.parse().ok()?;
    Some(TICK * user + TICK * kernel)
}

fn parse_status(text: &str) -> Option<Resident> {
    let bytes_of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1_024)
    };
    Some(Resident { bytes: bytes_of("VmRSS:")?, bytes_max: bytes_of("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_the_name() {
        let stat = "4242 (an) (nals) S 1 4242 4242 0 -1 4194560 1182 0 0 0 150 25 0 0 20 0 5 0 100 0 0";
        assert_eq!(parse_stat(stat), Some(Duration::from_millis(1_750)));
        assert_eq!(parse_stat("nothing"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let resident = Resident { bytes: 20_480, bytes_max: 30_720 };
        assert_eq!(parse_status("Name:\tannals\nVmHWM:\t  30 kB\nVmRSS:\t   20 kB\n"), Some(resident));
        assert_eq!(parse_status("Name:\tannals\n"), None);
    }
}
