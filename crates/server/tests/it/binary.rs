//! The real binary, as a process of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A key for everything.
pub(crate) const ADMIN_KEY: &str = "an-administrators-key-for-the-tests";
/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The `annals` binary, without the settings of whoever runs the tests.
pub(crate) fn annals() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command
}

/// A port that was free just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// A running server; it is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// Starts a server on a folder and waits until it is ready.
    pub(crate) fn start(data: &Path) -> Server {
        Server::start_with(data, free_port(), &[]).expect("the server ended")
    }

    /// Starts a server on a port with settings, and waits until it is ready; none if it ends before.
    pub(crate) fn start_with(data: &Path, port: u16, settings: &[(&str, &str)]) -> Option<Server> {
        let mut command = annals();
        command.envs(settings.iter().copied());
        command.arg("serve").arg("--data").arg(data).arg("--listen").arg(format!("127.0.0.1:{port}"));
        command.env("ANNALS_ADMIN_KEY", ADMIN_KEY).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Server { child: command.spawn().expect("starts"), url: format!("http://127.0.0.1:{port}") };
        let deadline = Instant::now() + PATIENCE;
        while status(&format!("{}/readyz", server.url)) != Some(200) {
            if server.child.try_wait().expect("waits").is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "the server is not ready");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Some(server)
    }

    /// Waits until it ends by itself.
    pub(crate) fn ended(mut self) {
        self.child.wait().expect("ends");
    }

    /// Kills it as power loss would, but for what the system still writes.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and tells how it ended.
    pub(crate) fn stop(mut self, signal: &str) -> Option<i32> {
        stop(&mut self.child, signal)
    }

    /// A client command that talks to it.
    pub(crate) fn client(&self, arguments: &[&str]) -> Command {
        let mut command = annals();
        command.args(arguments).env("ANNALS_URL", &self.url).env("ANNALS_KEY", ADMIN_KEY);
        command
    }

    /// Runs a client command that must succeed: its standard output.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        succeeded(&self.client(arguments).output().expect("runs"), arguments)
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Result<(u16, serde_json::Value), ureq::Error> {
        let answer = agent()
            .post(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {ADMIN_KEY}"))
            .content_type("application/json")
            .send(body);
        answer.map(read)
    }

    pub(crate) fn get(&self, path: &str) -> (u16, serde_json::Value) {
        let answer =
            agent().get(format!("{}{path}", self.url)).header("authorization", format!("Bearer {ADMIN_KEY}")).call();
        read(answer.expect("answers"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(answer: http::Response<ureq::Body>) -> (u16, serde_json::Value) {
    let status = answer.status().as_u16();
    let text = answer.into_body().with_config().limit(1 << 30).read_to_string().expect("a body");
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

/// The status of an answer, if there is one.
pub(crate) fn status(url: &str) -> Option<u16> {
    agent().get(url).call().ok().map(|answer| answer.status().as_u16())
}

/// Sends a signal and waits for the end.
pub(crate) fn stop(child: &mut Child, signal: &str) -> Option<i32> {
    assert!(
        Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status().expect("kills").success()
    );
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("waits") {
            return status.code();
        }
        assert!(Instant::now() < deadline, "it does not stop");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Checks a data folder: the exit status, and what was said.
pub(crate) fn fsck(data: &Path) -> (Option<i32>, String) {
    let output = annals().arg("fsck").arg("--data").arg(data).output().expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[track_caller]
pub(crate) fn check_sound(data: &Path) {
    let (status, said) = fsck(data);
    assert_eq!(status, Some(0), "{said}");
}

pub(crate) fn succeeded(output: &Output, what: &[&str]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The real records that stand beside the project, if they do.
pub(crate) fn cloudtrail() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cloudtrail/events.ndjson");
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: there are no real records at ../shared/data/cloudtrail/events.ndjson");
    None
}
