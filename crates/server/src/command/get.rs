//! `annals get`: one event.

use super::client::{Client, Connection, query, segment};
use super::output::Output;

/// Show one event
#[derive(clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Get {
    #[command(flatten)]
    connection: Connection,
    /// The event's id
    id: String,
    /// The organization; needed with a key for all
    #[arg(long)]
    organization: Option<String>,
    /// The event as the server gives it, on one line
    #[arg(long)]
    json: bool,
}

const EXAMPLE: &str = "Example:
  annals get --organization acme req-8f1c:0";

impl Get {
    pub(crate) fn run(self, out: &mut Output) -> anyhow::Result<()> {
        let client = Client::new(&self.connection);
        let mut path = format!("/v1/events/{}", segment(&self.id));
        if let Some(organization) = &self.organization {
            path.push('?');
            path.push_str(&query([("organization", organization.as_str())]));
        }
        let answer = client.get(&path)?.accepted()?;
        if self.json {
            out.bytes(answer.body.trim_ascii_end())?;
            return out.bytes(b"\n");
        }
        let event: serde_json::Value = answer.json()?;
        out.line(&pretty(&event)?)
    }
}

/// The event over several lines; what could steer a terminal is written as JSON escapes.
fn pretty(event: &serde_json::Value) -> anyhow::Result<String> {
    let text = serde_json::to_string_pretty(event)?;
    let escaped = text.chars().map(|c| match c {
        // Everything of plane 0, so that one escape says it.
        '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => {
            format!("\\u{:04x}", u32::from(c))
        }
        _ => c.to_string(),
    });
    Ok(escaped.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_shown_whole_and_can_not_steer_a_terminal() {
        let event = serde_json::json!({"action": "a\u{1b}[2J\u{9b}", "n": 1});
        let shown = pretty(&event).expect("shows");
        assert_eq!(shown, "{\n  \"action\": \"a\\u001b[2J\\u009b\",\n  \"n\": 1\n}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("reads"), event);
    }
}
