//! `annals fsck` on a folder that is mounted read-only, in a name space of its own, which needs no more
//! rights than most systems give everybody.

use std::path::Path;
use std::process::{Command, Output};

use crate::binary::{Server, annals, free_port};

/// Runs a command while a folder is read-only for it. None if that can't be done here.
fn read_only(folder: &Path, command: &Command) -> Option<Output> {
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && ! touch \"$1/x\" 2>&- && shift && exec \"$@\"";
    let run = |program: &std::ffi::OsStr, arguments: &[&std::ffi::OsStr]| {
        let mut inside = Command::new("unshare");
        inside.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        inside.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(folder);
        inside.arg(program).args(arguments).output()
    };
    if !run("true".as_ref(), &[]).is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: nothing can be mounted read-only here (unshare, user name spaces)");
        return None;
    }
    Some(run(command.get_program(), &command.get_args().collect::<Vec<_>>()).expect("runs"))
}

/// Checks a folder that is read-only: the exit status, and what was said.
fn fsck(data: &Path) -> Option<(Option<i32>, String)> {
    let mut command = annals();
    command.arg("fsck").arg("--data").arg(data);
    let output = read_only(data, &command)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((output.status.code(), text(&output.stdout) + &text(&output.stderr)))
}

#[track_caller]
fn check_sound(data: &Path) {
    let Some((status, said)) = fsck(data) else { return };
    assert!(status == Some(0) && said.contains("252 events"), "{said}");
}

#[test]
fn a_read_only_folder_is_checked_unless_a_server_uses_it_by_another_mount() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::start_with(&data, free_port(), &[("ANNALS_SEAL_EVENTS", "100")]).expect("starts");
    server.run(&["organization", "create", "acme"]);
    for batch in 0..5 {
        let events: Vec<String> =
            (0..50).map(|at| format!(r#"{{"organization":"acme","id":"b{batch}-{at}","action":"a"}}"#)).collect();
        assert_eq!(server.post("/v1/events", &format!("[{}]", events.join(","))).expect("answers").0, 201);
    }
    if let Some((status, said)) = fsck(&data) {
        assert!(status == Some(2) && said.contains("annals backup"), "{said}");
    }
    // What was committed last lies in the write-ahead log.
    server.kill();
    check_sound(&data);
    std::fs::remove_file(data.join("journal.sqlite-shm")).expect("removes");
    check_sound(&data);
    assert_eq!(Server::start(&data).stop("TERM"), Some(0));
    check_sound(&data);
    std::fs::remove_file(data.join("lock")).expect("removes");
    check_sound(&data);
    assert!(!data.join("lock").exists());
}
