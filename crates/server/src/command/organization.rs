//! `annals organization`: makes, lists and changes organizations.

use std::collections::BTreeMap;

use clap::{ArgGroup, Args, Subcommand};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::client::{Client, Connection, segment};
use super::output::{Output, note, plain, size, terminal_columns, thousands};
use super::table::Table;

/// Make, list and change organizations
#[derive(Subcommand)]
pub(crate) enum Organization {
    Create(Create),
    List(List),
    Set(Set),
}

/// Make an organization
#[derive(Args)]
#[command(after_help = "Example:
  annals organization create acme --name 'Acme Inc.' --retention-days 365")]
pub(crate) struct Create {
    #[command(flatten)]
    connection: Connection,
    /// Its id, which is never used again: a-z, 0-9, _ and -, or a UUID
    id: String,
    #[command(flatten)]
    settings: Settings,
    /// The server's answer as it is
    #[arg(long)]
    json: bool,
}

/// List organizations, with how many events they have and what those take of the disk
#[derive(Args)]
#[command(after_help = "Example:
  annals organization list")]
pub(crate) struct List {
    #[command(flatten)]
    connection: Connection,
    /// One organization a line, as the server gives it
    #[arg(long)]
    json: bool,
}

/// Change an organization; what is not named stays
#[derive(Args)]
#[group(skip)]
#[command(group = ArgGroup::new("change").args(SETTINGS).arg("unset").required(true).multiple(true))]
#[command(after_help = "Example:
  annals organization set acme --legal-hold true
  annals organization set acme --unset retention-days --unset alias.portkey")]
pub(crate) struct Set {
    #[command(flatten)]
    connection: Connection,
    /// Its id
    id: String,
    #[command(flatten)]
    settings: Settings,
    /// Take a setting away; repeatable
    #[arg(long, value_name = "name|plan|retention-days|alias.DIALECT", value_parser = parse_unset)]
    unset: Vec<Unset>,
    /// The server's answer as it is
    #[arg(long)]
    json: bool,
}

/// The flags of [`Settings`].
const SETTINGS: [&str; 7] = ["name", "plan", "retention_days", "legal_hold", "public_proofs", "audit_reads", "aliases"];

/// What can be said of an organization.
#[derive(Args)]
struct Settings {
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// Its plan; without one it is entitled to everything
    #[arg(long)]
    plan: Option<String>,
    /// After how many days its events are removed (shown as their expiry; nothing is removed yet)
    #[arg(long, value_name = "DAYS", alias = "retention_days")]
    retention_days: Option<u32>,
    /// Whether nothing may be removed, whatever the retention (kept; nothing is removed yet)
    #[arg(long, value_name = "BOOL", alias = "legal_hold")]
    legal_hold: Option<bool>,
    /// Whether its proofs can be read without a key (kept; not acted on yet)
    #[arg(long, value_name = "BOOL", alias = "public_proofs")]
    public_proofs: Option<bool>,
    /// Whether reading its log is recorded in it (kept; not acted on yet)
    #[arg(long, value_name = "BOOL", alias = "audit_reads")]
    audit_reads: Option<bool>,
    /// Its other name in a dialect, such as portkey=6f3a…; repeatable
    #[arg(long = "alias", value_name = "DIALECT=NAME", value_parser = parse_alias)]
    aliases: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Unset {
    Member(&'static str),
    Alias(String),
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    name: Option<String>,
    plan: Option<String>,
    retention_days: Option<u32>,
    #[serde(default)]
    legal_hold: bool,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    /// Absent where the server has no time to add it up, as `bytes` is.
    events: Option<u64>,
    bytes: Option<u64>,
}

fn parse_alias(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((dialect, name)) if !dialect.is_empty() && !name.is_empty() => Ok((dialect.to_owned(), name.to_owned())),
        _ => Err("must be DIALECT=NAME".to_owned()),
    }
}

fn parse_unset(text: &str) -> Result<Unset, String> {
    match text {
        "name" => Ok(Unset::Member("name")),
        "plan" => Ok(Unset::Member("plan")),
        "retention-days" | "retention_days" => Ok(Unset::Member("retention_days")),
        _ => match text.strip_prefix("alias.") {
            Some(dialect) if !dialect.is_empty() => Ok(Unset::Alias(dialect.to_owned())),
            _ => Err("must be name, plan, retention-days or alias.DIALECT".to_owned()),
        },
    }
}

impl Organization {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        match self {
            Organization::Create(create) => create.run(out),
            Organization::List(list) => list.run(out),
            Organization::Set(set) => set.run(out),
        }
    }
}

impl Settings {
    /// The members of a request's body.
    fn members(&self) -> Map<String, Value> {
        let members = [
            ("name", json!(self.name)),
            ("plan", json!(self.plan)),
            ("retention_days", json!(self.retention_days)),
            ("legal_hold", json!(self.legal_hold)),
            ("public_proofs", json!(self.public_proofs)),
            ("audit_reads", json!(self.audit_reads)),
        ];
        let aliases: Map<String, Value> =
            self.aliases.iter().map(|(dialect, name)| (dialect.clone(), json!(name))).collect();
        let aliases = (!aliases.is_empty()).then_some(("aliases", Value::Object(aliases)));
        let given = members.into_iter().chain(aliases).filter(|(_, value)| !value.is_null());
        given.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Create {
    fn run(self, out: &mut Output) -> anyhow::Result<()> {
        let mut body = self.settings.members();
        body.insert("id".to_owned(), json!(self.id));
        let client = Client::new(&self.connection);
        let answer = client.send_json(http::Method::POST, "/v1/organizations", &body)?.accepted()?;
        if self.json {
            out.bytes(answer.body.trim_ascii_end())?;
            return out.bytes(b"\n");
        }
        note(&format!("organization {} is made", plain(&self.id)));
        Ok(())
    }
}

impl Set {
    fn run(self, out: &mut Output) -> anyhow::Result<()> {
        let path = format!("/v1/organizations/{}", segment(&self.id));
        let client = Client::new(&self.connection);
        let answer = client.send_json(http::Method::PATCH, &path, &self.body())?.accepted()?;
        if self.json {
            out.bytes(answer.body.trim_ascii_end())?;
            return out.bytes(b"\n");
        }
        note(&format!("organization {} is changed", plain(&self.id)));
        Ok(())
    }

    fn body(&self) -> Map<String, Value> {
        let mut body = self.settings.members();
        for unset in &self.unset {
            match unset {
                Unset::Member(member) => {
                    body.insert((*member).to_owned(), Value::Null);
                }
                Unset::Alias(dialect) => {
                    let aliases = body.entry("aliases").or_insert_with(|| Value::Object(Map::new()));
                    if let Value::Object(aliases) = aliases {
                        aliases.insert(dialect.clone(), Value::Null);
                    }
                }
            }
        }
        body
    }
}

impl List {
    fn run(self, out: &mut Output) -> anyhow::Result<()> {
        let organizations: Vec<Box<RawValue>> = Client::new(&self.connection).items("/v1/organizations")?;
        if self.json {
            return organizations.iter().try_for_each(|organization| out.line(organization.get()));
        }
        let mut table = Table::new(["id", "name", "events", "size", "plan", "retention", "legal hold", "aliases"]);
        for organization in &organizations {
            let listed: Listed = serde_json::from_str(organization.get())?;
            let aliases: Vec<String> =
                listed.aliases.iter().map(|(dialect, name)| format!("{dialect}={name}")).collect();
            table.row([
                listed.id,
                listed.name.unwrap_or_default(),
                listed.events.map(thousands).unwrap_or_default(),
                listed.bytes.map(size).unwrap_or_default(),
                listed.plan.unwrap_or_default(),
                listed.retention_days.map_or_else(|| "for ever".to_owned(), |days| format!("{days} d")),
                if listed.legal_hold { "yes".to_owned() } else { String::new() },
                aliases.join(" "),
            ]);
        }
        table.print(terminal_columns(), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        set: Set,
    }

    fn check(arguments: &[&str], expect: Option<Value>) {
        let cli = Cli::try_parse_from(["set", "--key", "k", "acme"].iter().chain(arguments));
        assert_eq!(cli.ok().map(|cli| Value::Object(cli.set.body())), expect, "{arguments:?}");
    }

    #[test]
    fn a_change_holds_what_is_set_and_null_for_what_is_taken_away() {
        check(&[], None);
        check(&["--legal-hold", "true", "--plan", "scaler"], Some(json!({"legal_hold": true, "plan": "scaler"})));
        check(
            &["--unset", "retention-days", "--alias", "turso=a", "--unset", "alias.portkey"],
            Some(json!({"retention_days": null, "aliases": {"turso": "a", "portkey": null}})),
        );
        check(&["--unset", "id"], None);
        check(&["--alias", "portkey"], None);
        check(&["--legal-hold", "maybe"], None);
    }
}
