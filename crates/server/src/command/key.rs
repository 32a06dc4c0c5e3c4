//! `annals key`: makes, lists and revokes API keys.

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::client::{Client, Connection, segment};
use super::output::{Output, note, plain, terminal_columns};
use super::table::Table;

/// Make, list and revoke API keys
#[derive(Subcommand)]
pub(crate) enum Key {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a key, and show it this once
#[derive(Args)]
#[command(after_help = "Example:
  annals key create --organization acme --name 'billing service' --scope append
  annals key create --organization acme --name dana --scope read --email dana@acme.example")]
pub(crate) struct Create {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    reach: ReachFlags,
    /// What people call it
    #[arg(long)]
    name: String,
    /// What it may do; repeatable
    #[arg(long = "scope", value_enum, required = true, value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// Its owner's e-mail address, which Upstash's Basic authentication names
    #[arg(long)]
    email: Option<String>,
    /// From when on it is refused (RFC 3339)
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// How many requests a second it may make
    #[arg(long, value_name = "REQUESTS", alias = "rate_per_s")]
    rate_per_s: Option<u32>,
    /// The server's answer as it is
    #[arg(long)]
    json: bool,
}

/// Whose events a key is for.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct ReachFlags {
    /// The organization it belongs to
    #[arg(long)]
    organization: Option<String>,
    /// It is for all organizations
    #[arg(long)]
    all_organizations: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scope {
    /// Record events
    Append,
    /// Read events
    Read,
    /// Manage organizations and keys
    Admin,
}

/// List keys
#[derive(Args)]
#[command(after_help = "Example:
  annals key list")]
pub(crate) struct List {
    #[command(flatten)]
    connection: Connection,
    /// One key a line, as the server gives it
    #[arg(long)]
    json: bool,
}

/// Revoke a key
#[derive(Args)]
#[command(after_help = "Example:
  annals key revoke key_2f9c")]
pub(crate) struct Revoke {
    #[command(flatten)]
    connection: Connection,
    /// The key's id, as `key list` shows it
    id: String,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    organization: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    scopes: Vec<String>,
    email: Option<String>,
    expires: Option<String>,
}

impl Key {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        match self {
            Key::Create(create) => create.run(out),
            Key::List(list) => list.run(out),
            Key::Revoke(revoke) => revoke.run(),
        }
    }
}

impl Create {
    fn run(self, out: &mut Output) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Created {
            id: String,
            key: String,
        }
        let client = Client::new(&self.connection);
        let answer = client.send_json(http::Method::POST, "/v1/keys", &self.body())?.accepted()?;
        if self.json {
            out.bytes(answer.body.trim_ascii_end())?;
            return out.bytes(b"\n");
        }
        let created: Created = answer.json()?;
        // Only the key goes to standard output, so that a script can take it.
        note(&format!("key {}, shown this once: only its hash is kept", plain(&created.id)));
        out.line(&plain(&created.key))
    }

    fn body(&self) -> Value {
        let scopes: Vec<String> = self.scopes.iter().map(|scope| scope.name()).collect();
        let mut body = Map::new();
        body.insert("organization".to_owned(), json!(self.reach.organization));
        body.insert("name".to_owned(), json!(self.name));
        body.insert("scopes".to_owned(), json!(scopes));
        let optional =
            [("email", json!(self.email)), ("expires", json!(self.expires)), ("rate_per_s", json!(self.rate_per_s))];
        body.extend(
            optional.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.into(), value)),
        );
        Value::Object(body)
    }
}

impl Scope {
    fn name(self) -> String {
        match self {
            Scope::Append => "append",
            Scope::Read => "read",
            Scope::Admin => "admin",
        }
        .to_owned()
    }
}

impl List {
    fn run(self, out: &mut Output) -> anyhow::Result<()> {
        let keys: Vec<Box<RawValue>> = Client::new(&self.connection).items("/v1/keys")?;
        if self.json {
            return keys.iter().try_for_each(|key| out.line(key.get()));
        }
        let mut table = Table::new(["id", "organization", "name", "scopes", "email", "expires"]);
        for key in &keys {
            let key: Listed = serde_json::from_str(key.get())?;
            table.row([
                key.id,
                key.organization.unwrap_or_else(|| "(all)".to_owned()),
                key.name,
                key.scopes.join(","),
                key.email.unwrap_or_default(),
                key.expires.unwrap_or_default(),
            ]);
        }
        table.print(terminal_columns(), out)
    }
}

impl Revoke {
    fn run(self) -> anyhow::Result<()> {
        let path = format!("/v1/keys/{}", segment(&self.id));
        Client::new(&self.connection).send(http::Method::DELETE, &path, None)?.accepted()?;
        note(&format!("key {} is revoked", plain(&self.id)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        create: Create,
    }

    fn check(arguments: &[&str], expect: Option<Value>) {
        let always = ["create", "--key", "k", "--name", "ci"];
        let cli = Cli::try_parse_from(always.iter().chain(arguments));
        assert_eq!(cli.ok().map(|cli| cli.create.body()), expect, "{arguments:?}");
    }

    #[test]
    fn a_key_is_for_one_organization_or_expressly_for_all() {
        check(&["--scope", "read"], None);
        check(&["--organization", "acme", "--all-organizations", "--scope", "read"], None);
        check(
            &["--organization", "acme", "--scope", "read,append", "--email", "a@acme.example", "--rate-per-s", "5"],
            Some(json!({"organization": "acme", "name": "ci", "scopes": ["read", "append"],
                        "email": "a@acme.example", "rate_per_s": 5})),
        );
        check(
            &["--all-organizations", "--scope", "admin"],
            Some(json!({"organization": null, "name": "ci", "scopes": ["admin"]})),
        );
    }
}
