//! The server that a benchmark starts for itself, as a process of its own, so that its processor
//! time can be told from the generator's.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use super::connection::{Connection, Sent, Target};

/// A server in a folder of its own; both are gone when this is dropped.
pub(crate) struct OwnServer {
    child: Child,
    folder: TempDir,
    target: Target,
}

/// How it ends before it is started again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// Asked to, it finishes what was begun.
    InGoodOrder,
    /// At once.
    Killed,
}

/// How long a start may take.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long an ending in good order may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);
/// How often is looked whether a start or an ending is over.
const LOOK: Duration = Duration::from_millis(5);

impl OwnServer {
    /// Starts a server and waits until it answers.
    pub(crate) async fn start() -> anyhow::Result<OwnServer> {
        let folder = tempfile::Builder::new().prefix("annals-bench-").tempdir().context("can't make a folder")?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let authority = port.context("no port is free")?.to_string();
        let key = super::super::demo::random_key()?;
        let target = Target { authority, key };
        let mut server = OwnServer { child: spawn(&folder, &target)?, folder, target };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Ends it and starts it again on what is there; tells how long it took from the start until it
    /// was ready.
    pub(crate) async fn restart(&mut self, ending: Ending) -> anyhow::Result<Duration> {
        match ending {
            Ending::InGoodOrder => {
                let status = self.stop().await?;
                ensure!(status.success(), "the server ended with {status}:\n{}", self.log());
            }
            Ending::Killed => {
                self.child.kill()?;
                self.child.wait()?;
            }
        }
        let begun = Instant::now();
        self.child = spawn(&self.folder, &self.target)?;
        self.wait_until_ready().await?;
        Ok(begun.elapsed())
    }

    async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let asked = Command::new("kill").args(["-TERM", &self.process().to_string()]).status();
        ensure!(asked.context("can't run kill")?.success(), "the server can't be asked to stop");
        let begun = Instant::now();
        while begun.elapsed() < STOP_TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("the server has not stopped after {} s:\n{}", STOP_TIMEOUT.as_secs(), self.log())
    }

    /// Where it listens.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        data_in(&self.folder)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let ready = Sent::get("/readyz")?;
        while begun.elapsed() < START_TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.log());
            }
            if let Ok(mut connection) = Connection::open(&self.target).await
                && connection.send(&ready).await.is_ok_and(|(status, _)| status.is_success())
            {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("the server is not ready after {} s:\n{}", START_TIMEOUT.as_secs(), self.log())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // The folder goes next, so there is nothing that it would have to finish.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn data_in(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

fn spawn(folder: &TempDir, target: &Target) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(folder.path().join("server.log"))?;
    Command::new(std::env::current_exe()?)
        .args(["serve", "--name", "bench.example", "--listen", &target.authority, "--data"])
        .arg(data_in(folder))
        .env("ANNALS_ADMIN_KEY", &target.key)
        .env("ANNALS_LOG_LEVEL", "warn")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("can't start the server")
}
