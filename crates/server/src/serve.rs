//! Starts and stops a server.
//!
//! ```text
//! start: folder ─▶ lock ─▶ address ─▶ journal, segments ─▶ ledger (recovers) ─▶ connections
//! stop:  no new connections ─▶ open requests end ─▶ ledger commits what waits ─▶ lock
//! ```
//!
//! **Invariant:** nothing is served before the ledger has recovered, and nothing is committed after
//! the lock is given back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use annals_ledger::{Clock, Ledger, Options};
use annals_model::{Mask, limits};
use annals_store::{DataLock, ObjectBlobs, SqliteJournal};
use anyhow::Context;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::clock::SystemClock;
use crate::config::{Config, Log, LogFormat, LogLevel};
use crate::data;
use crate::http::{self, App};
use crate::stop_at::StopAt;

const MIB: usize = 1024 * 1024;
/// How long a client may take for its next request's head.
const HEAD_READ: Duration = Duration::from_secs(60);
/// How long open requests may take to end when the server stops.
const STOP: Duration = Duration::from_secs(30);
/// How long to wait when the system gives no connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A server that runs.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    ledger: Ledger,
    stop: oneshot::Sender<()>,
    connections: JoinHandle<()>,
    _lock: DataLock,
}

/// Starts a server.
///
/// # Errors
///
/// If the data folder can't be made or is another server's, the address is taken, what is in the
/// folder can't be read back, or the name is not the one that was fixed. Nothing runs then.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    let lock = data::make(&config.data)?;
    let listener = TcpListener::bind(&config.listen).await;
    let listener = listener.with_context(|| format!("can't listen on {}: choose another --listen", config.listen))?;
    let address = listener.local_addr().context("the address is not known")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ledger = open(&config, address, Arc::clone(&clock)).await?;
    announce(&config, &ledger, address);
    let app = App::new(ledger.clone(), clock, config.admin_key.as_ref());
    let (stop, stopped) = oneshot::channel();
    let connections = tokio::spawn(serve(listener, http::router(app), stopped));
    Ok(Running { address, ledger, stop, connections, _lock: lock })
}

/// Runs a server until SIGTERM or SIGINT, then finishes what was begun.
///
/// # Errors
///
/// As for [`start`].
pub async fn run_until_signal(config: Config) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    log(config.log);
    // Asked for before the start, so that a signal during recovery is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("can't wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't wait for SIGINT")?;
    let running = start(config).await?;
    let signal = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal, "stopping");
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}

impl Running {
    /// The address to send requests to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more connections, lets open requests end, commits, and gives the folder back.
    pub async fn stop(self) {
        let Running { ledger, stop, connections, _lock, .. } = self;
        // Either side may be gone already, if it failed; then there is nothing left to end.
        let _ = stop.send(());
        let _ = connections.await;
        let _ = tokio::task::spawn_blocking(move || ledger.close()).await;
    }
}

async fn open(config: &Config, address: SocketAddr, clock: Arc<dyn Clock>) -> anyhow::Result<Ledger> {
    let options = Options {
        mask: Mask::with(config.mask_names.clone()),
        server_name: config.name.clone(),
        default_name: address.to_string(),
        cache_bytes: config.cache_mib.saturating_mul(MIB),
        seal_events: config.seal_events,
        reach: config.stop_at.clone().map(StopAt::reach),
    };
    let data = config.data.clone();
    let opened = tokio::task::spawn_blocking(move || -> anyhow::Result<Ledger> {
        let journal = SqliteJournal::open(&data);
        let journal = journal.with_context(|| format!("can't open the journal in {}", data.display()))?;
        let blobs = ObjectBlobs::local(&data::segments(&data));
        let blobs = blobs.with_context(|| format!("can't open the segments in {}", data.display()))?;
        Ledger::open(Arc::new(journal), Arc::new(blobs), clock, options)
            .with_context(|| format!("can't start on what is in {}", data.display()))
    });
    opened.await.context("the start failed by a defect")?
}

fn announce(config: &Config, ledger: &Ledger, address: SocketAddr) {
    let name = ledger.server_name();
    let events = ledger.health().events;
    // Until there is an organization nobody has seen the name.
    if config.name.is_none() && name == address.to_string() && ledger.organizations().is_empty() {
        tracing::warn!(
            name,
            "no --name was given, so the listen address is the name in the origins of logs: it is fixed from now on"
        );
    }
    if config.admin_key.is_none() && ledger.keys().is_empty() {
        tracing::warn!(
            "there is no key, so nothing can be asked: set ANNALS_ADMIN_KEY, restart, and make keys with it"
        );
    }
    tracing::info!(name, %address, events, "listening");
}

/// Serves connections until told to stop, then lets open requests end.
async fn serve(listener: TcpListener, router: Router, mut stopped: oneshot::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    loop {
        let (slot, stream) = tokio::select! {
            _ = &mut stopped => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let service = TowerToHyperService::new(router.clone());
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_READ);
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A connection that breaks off is its client's matter.
            let _ = connection.await;
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(STOP, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut off");
    }
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // The semaphore is never closed, so there always is a slot in the end.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it the second packet of an answer waits for the client's acknowledgement.
                let _ = stream.set_nodelay(true);
                return (slot, stream);
            }
            Err(error) => {
                tracing::warn!(%error, "can't take a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Sends the log to standard error, and panics to the log: their place, not what they say, which may
/// quote a request.
fn log(log: Log) {
    use tracing_subscriber::filter::LevelFilter;
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
    // Whoever set another one before wants that one.
    let _ = match log.format {
        LogFormat::Pretty => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a defect");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_connection_waits_while_as_many_are_open_as_may_be() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let _client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connects");
        let slots = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
        let most = u32::try_from(limits::CONNECTIONS_MAX).expect("fits");
        let all = Arc::clone(&slots).acquire_many_owned(most).await.expect("free");
        let mut waiting = std::pin::pin!(accept(&listener, &slots));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(all);
        assert!(waiting.await.0.is_some());
    }
}
