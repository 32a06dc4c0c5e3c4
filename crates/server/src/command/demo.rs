//! `annals demo`: a server with sample and real events, to try every API on.
//!
//! **Invariant:** a second run on the same folder doubles nothing: events keep their ids, and their
//! times are counted from when their organization was made.

use std::fmt::Write;
use std::path::PathBuf;

use annals_model::Time;
use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::{Answer, Body, Client, Connection};
use super::output::Output;
use crate::config::{AdminKey, Config};
use crate::serve;

/// Try it: start a server with sample events, and print a line to copy for each API
///
/// Three organizations: acme, a shop with feature flags and prompts; globex, a database platform;
/// initech, an AWS account with real CloudTrail records. Ends with Ctrl-C.
#[derive(clap::Args)]
#[command(after_help = "Example:
  annals demo
  annals demo --listen 127.0.0.1:9090 --data ./annals-demo")]
pub(crate) struct Demo {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    /// The folder that holds everything; without it a temporary one, removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Events of acme and globex, with `seconds_ago` in place of `time_occurred`.
const SAMPLES: &str = include_str!("../../demo/events.ndjson");
/// Records of CloudTrail, for initech.
const RECORDS: &str = include_str!("../../demo/cloudtrail.ndjson");
/// The server's name in origins.
const NAME: &str = "demo.annals.example";

/// An organization of the demo.
struct Tenant {
    id: &'static str,
    name: &'static str,
    /// The owner of its key, whom Upstash's Basic authentication names.
    email: &'static str,
}

const TENANTS: [Tenant; 3] = [
    Tenant { id: "acme", name: "Acme (demo)", email: "iku@acme.example" },
    Tenant { id: "globex", name: "Globex (demo)", email: "dana@globex.example" },
    Tenant { id: "initech", name: "Initech (demo)", email: "bill@initech.example" },
];

/// What is needed to ask the server.
struct Ready {
    url: String,
    admin_key: String,
    /// A key to read with, for each tenant.
    keys: [String; 3],
    events: u64,
}

/// A key that nobody can guess.
pub(crate) fn random_key() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    let mut key = String::new();
    for byte in bytes {
        // Writing into a String can't fail.
        let _ = write!(key, "{byte:02x}");
    }
    Ok(key)
}

impl Demo {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        // Gone with its folder when this returns.
        let temporary = match &self.data {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("annals-demo-").tempdir().context("can't make a folder")?),
        };
        let temporary = temporary.as_ref().map(|folder| folder.path().join("data"));
        let data = self.data.clone().or(temporary).unwrap_or_default();
        super::runtime()?.block_on(async {
            // From here on, so that a signal while events are loaded is not lost.
            let stop = super::stop_signal()?;
            let admin_key = random_key()?;
            let config = Config {
                listen: self.listen.clone(),
                data,
                name: Some(NAME.to_owned()),
                admin_key: Some(AdminKey::new(&admin_key)?),
                ..Config::default()
            };
            let running = serve::start(config).await?;
            let url = address(running.address);
            let loaded = tokio::task::spawn_blocking(move || load(url, admin_key)).await;
            let told = loaded.context("loading failed by a defect").flatten().and_then(|ready| self.tell(&ready, out));
            if told.is_ok() {
                stop.await;
            }
            running.stop().await;
            told
        })
    }

    fn tell(&self, ready: &Ready, out: &mut Output) -> anyhow::Result<()> {
        let Ready { url, admin_key, events, .. } = ready;
        let place = match &self.data {
            Some(data) => format!("kept in {}", data.display()),
            None => "removed at the end".to_owned(),
        };
        out.line(&format!("Annals is running at {url} with {events} events, {place}."))?;
        out.line("Organizations: acme, globex (made up), initech (real CloudTrail records).")?;
        out.line(&format!("Key for everything: {admin_key}"))?;
        for (title, command) in commands(ready) {
            out.line(&format!("\n# {title}\n{command}"))?;
        }
        out.line("\nStop with Ctrl-C.")?;
        out.flush()
    }
}

/// The address for clients on this machine.
fn address(listening: std::net::SocketAddr) -> String {
    let mut address = listening;
    if listening.ip().is_unspecified() {
        let loopback: std::net::IpAddr = match listening {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(loopback);
    }
    format!("http://{address}")
}

/// A line for each API, to copy into a shell.
fn commands(ready: &Ready) -> [(&'static str, String); 7] {
    let Ready { url, admin_key, keys: [acme, globex, initech], .. } = ready;
    let [_, Tenant { email, .. }, _] = TENANTS;
    // As it was started, so that the line works where it is pasted.
    let program = std::env::args().next().unwrap_or_else(|| "annals".to_owned());
    let far = "start_time=2020-01-01T00:00:00Z&end_time=2100-01-01T00:00:00Z";
    [
        (
            "Annals' own API: what somebody in initech was not authorized to do, with the exact total",
            format!("curl -sw '\\n' -H 'Authorization: Bearer {initech}' '{url}/v1/events?q=not+authorized&limit=3'"),
        ),
        ("Upstash", format!("curl -sw '\\n' -u '{email}:{globex}' '{url}/v2/auditlogs'")),
        ("Nirvana Labs", format!("curl -sw '\\n' -H 'Authorization: Bearer {initech}' '{url}/v1/audit_logs?limit=10'")),
        (
            "Turso",
            format!(
                "curl -sw '\\n' -H 'Authorization: Bearer {globex}' '{url}/v1/organizations/globex/audit-logs?page_size=5'"
            ),
        ),
        (
            "Portkey",
            format!(
                "curl -sw '\\n' -H 'x-portkey-api-key: {acme}' '{url}/v1/audit-logs?organisation_id=acme&{far}&page_size=5'"
            ),
        ),
        ("LaunchDarkly", format!("curl -sw '\\n' -H 'Authorization: {acme}' '{url}/api/v2/auditlog?limit=5'")),
        ("This program", format!("{program} list --url {url} --key {admin_key} --organization acme --action 'flag.*'")),
    ]
}

/// Makes what is missing of organizations and events, and new keys.
fn load(url: String, admin_key: String) -> anyhow::Result<Ready> {
    let client = Client::new(&Connection { url: url.clone(), key: admin_key.clone() });
    let mut events = 0;
    let [acme, globex, initech] = &TENANTS;
    for tenant in [acme, globex] {
        let begun = make(&client, tenant)?;
        events += send(&client, tenant, "", &samples(tenant.id, begun)?)?;
    }
    make(&client, initech)?;
    events += send(&client, initech, "&format=cloudtrail", RECORDS.as_bytes())?;
    revoke_former_keys(&client)?;
    let keys = [make_key(&client, acme)?, make_key(&client, globex)?, make_key(&client, initech)?];
    Ok(Ready { url, admin_key, keys, events })
}

/// Makes the organization, or finds it as a former run made it; when that was.
fn make(client: &Client, tenant: &Tenant) -> anyhow::Result<Time> {
    #[derive(Deserialize)]
    struct Made {
        name: Option<String>,
        time_created: Time,
    }
    let body = json!({ "id": tenant.id, "name": tenant.name });
    let answer = client.send_json(http::Method::POST, "/v1/organizations", &body)?;
    let made: Made = match answer.status {
        409 => client.get(&format!("/v1/organizations/{}", tenant.id))?.accepted()?.json()?,
        _ => answer.accepted()?.json()?,
    };
    if made.name.as_deref() != Some(tenant.name) {
        bail!("there is an organization {} that no demo made: give another --data", tenant.id);
    }
    Ok(made.time_created)
}

/// The sample events of an organization, as the native API takes them.
fn samples(organization: &str, begun: Time) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    for line in SAMPLES.lines() {
        let mut event: Map<String, Value> = serde_json::from_str(line)?;
        if event.get("organization").and_then(Value::as_str) != Some(organization) {
            continue;
        }
        let seconds = event.remove("seconds_ago").and_then(|seconds| seconds.as_i64());
        let seconds = seconds.context("a sample event has no seconds_ago")?;
        event.insert("time_occurred".to_owned(), begun.plus_us(-seconds * 1_000_000).format().into());
        serde_json::to_writer(&mut body, &event)?;
        body.push(b'\n');
    }
    Ok(body)
}

/// Sends events to an organization; how many it has now from here.
fn send(client: &Client, tenant: &Tenant, parameters: &str, body: &[u8]) -> anyhow::Result<u64> {
    #[derive(Deserialize)]
    struct Appended {
        events: Vec<serde::de::IgnoredAny>,
    }
    let path = format!("/v1/events?organization={}{parameters}", tenant.id);
    let body = Body { content_type: "application/x-ndjson", bytes: body, idempotency_key: None };
    let answer = client.send(http::Method::POST, &path, Some(&body)).and_then(|answer| Ok(Answer::accepted(answer)?));
    let answer = answer.with_context(|| format!("can't load the events of {}", tenant.id))?;
    let appended: Appended = answer.json()?;
    ensure!(!appended.events.is_empty(), "there are no events for {}", tenant.id);
    Ok(u64::try_from(appended.events.len())?)
}

fn key_name(tenant: &Tenant) -> String {
    format!("demo reader of {}", tenant.id)
}

fn make_key(client: &Client, tenant: &Tenant) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Made {
        key: String,
    }
    let body =
        json!({ "organization": tenant.id, "name": key_name(tenant), "scopes": ["read"], "email": tenant.email });
    let made: Made = client.send_json(http::Method::POST, "/v1/keys", &body)?.accepted()?.json()?;
    Ok(made.key)
}

/// Revokes the keys of former runs, which nobody knows any more.
fn revoke_former_keys(client: &Client) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Listed {
        id: String,
        name: String,
    }
    let keys: Vec<Listed> = client.items("/v1/keys")?;
    for key in keys.iter().filter(|key| TENANTS.iter().any(|tenant| key.name == key_name(tenant))) {
        client.send(http::Method::DELETE, &format!("/v1/keys/{}", key.id), None)?.accepted()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals_model::{Value as Json, parse_content};
    use std::collections::HashSet;

    #[test]
    fn every_sample_is_an_event_of_a_tenant_with_an_id_of_its_own() {
        let begun = Time::from_s(1_790_000_000);
        let mut ids = HashSet::new();
        let mut actions = HashSet::new();
        for tenant in ["acme", "globex"] {
            let samples = samples(tenant, begun).expect("reads");
            for line in samples.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let new = parse_content(Json::parse(line).expect("is JSON")).expect("is an event");
                assert_eq!(new.organization.as_deref(), Some(tenant));
                assert!(new.content.time_occurred.is_some_and(|time| time < begun));
                actions.insert(new.content.action);
                assert!(ids.insert(new.id.expect("has an id")), "an id comes twice");
            }
        }
        assert_eq!(ids.len(), SAMPLES.lines().count());
        assert!(ids.len() >= 120 && actions.len() >= 40, "{} {}", ids.len(), actions.len());
    }

    #[test]
    fn the_records_are_whole_and_differ() {
        let ids = RECORDS.lines().map(|line| {
            let record: Value = serde_json::from_str(line).expect("is JSON");
            record["eventID"].as_str().expect("has an id").to_owned()
        });
        assert_eq!(ids.collect::<HashSet<_>>().len(), RECORDS.lines().count());
    }

    #[test]
    fn an_address_for_all_is_shown_as_one_that_clients_can_use() {
        for (listening, expect) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(address(listening.parse().expect("an address")), expect);
        }
    }

    #[test]
    fn keys_differ() {
        assert_ne!(random_key().expect("random"), random_key().expect("random"));
    }
}
