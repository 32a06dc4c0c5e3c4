//! The server that a benchmark starts for itself, as a process of its own, so that its processor
//! time can be told from the generator's.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::connection::{Connection, Sent, Target};

/// A server in a folder of its own; both are gone when this is dropped.
pub(crate) struct OwnServer {
    child: Child,
    folder: TempDir,
    target: Target,
}

/// How long a start may take.
const START_TIMEOUT: Duration = Duration::from_secs(30);

impl OwnServer {
    /// Starts a server and waits until it answers.
    pub(crate) async fn start() -> anyhow::Result<OwnServer> {
        let folder = tempfile::Builder::new().prefix("annals-bench-").tempdir().context("can't make a folder")?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let authority = port.context("no port is free")?.to_string();
        let key = super::super::demo::random_key()?;
        let log = File::create(folder.path().join("server.log"))?;
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", "--name", "bench.example", "--listen", &authority, "--data"])
            .arg(folder.path().join("data"))
            .env("ANNALS_ADMIN_KEY", &key)
            .env("ANNALS_LOG_LEVEL", "warn")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("can't start the server")?;
        let mut server = OwnServer { child, folder, target: Target { authority, key } };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of all files of its data folder.
    pub(crate) fn data_bytes(&self) -> u64 {
        folder_bytes(&self.folder.path().join("data"))
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
            tokio::time::sleep(Duration::from_millis(20)).await;
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

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}
