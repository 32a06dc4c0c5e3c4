//! The filters of a list as flags: one for each query parameter, under the same name.

use annals_model::Field;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

/// What was asked for: names and values of query parameters, in the order of the names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters {
    /// The pairs.
    pub(crate) pairs: Vec<(&'static str, String)>,
}

/// The parameters that no [`Field`] stands for, and what they mean.
const OTHERS: [(&str, &str, &str); 7] = [
    ("q", "WORDS", "Words that must all occur: in names, description, action, path, or texts of data"),
    ("time_from", "TIME", "Occurred at this time or later (RFC 3339)"),
    ("time_until", "TIME", "Occurred before this time"),
    ("recorded_from", "TIME", "Recorded at this time or later"),
    ("recorded_until", "TIME", "Recorded before this time"),
    ("status_min", "STATUS", "A status of at least this"),
    ("status_max", "STATUS", "A status of at most this"),
];

/// The parameters that may be given more than once.
fn repeats(name: &str) -> bool {
    name == "q" || Field::of_name(name).is_some()
}

fn parameters() -> impl Iterator<Item = (&'static str, &'static str, String)> {
    let fields = Field::ALL.into_iter().map(|field| (field.name(), "VALUE", format!("Filter by {}", field.name())));
    fields.chain(OTHERS.into_iter().map(|(name, value, help)| (name, value, help.to_owned())))
}

fn arguments() -> impl Iterator<Item = Arg> {
    parameters().map(|(name, value, help)| {
        let action = if repeats(name) { ArgAction::Append } else { ArgAction::Set };
        let argument = Arg::new(name).long(name).value_name(value).help(help).action(action);
        let argument = argument.help_heading("Filters").allow_hyphen_values(true);
        // The spelling that other tools have led people to expect.
        if name.contains('_') { argument.alias(name.replace('_', "-")) } else { argument }
    })
}

impl clap::Args for Filters {
    fn augment_args(command: Command) -> Command {
        command.args(arguments())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Filters::augment_args(command)
    }
}

impl FromArgMatches for Filters {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Filters, clap::Error> {
        let mut pairs = Vec::new();
        for (name, _, _) in parameters() {
            let values = matches.get_many::<String>(name).into_iter().flatten();
            pairs.extend(values.map(|value| (name, value.clone())));
        }
        Ok(Filters { pairs })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Filters::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What the values of filters may look like, for the help of commands that take them.
pub(crate) const VALUES: &str =
    "Values of filters: `!` in front means not, then `~` contains (whatever the case) or `=`
exactly what follows; `*` stands for any text. A repeated filter means: any of the positive
values and none of the negative ones.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        filters: Filters,
    }

    #[test]
    fn flags_are_named_as_the_parameters_and_repeat_where_they_do() {
        let arguments = ["list", "--actor_id", "a", "--action", "!b*", "--actor-id=c", "--q", "two words"];
        let cli = Cli::try_parse_from(arguments).expect("parses");
        let pairs: Vec<(&str, &str)> = cli.filters.pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(pairs, [("action", "!b*"), ("actor_id", "a"), ("actor_id", "c"), ("q", "two words")]);
        assert!(Cli::try_parse_from(["list", "--status_min", "1", "--status_min", "2"]).is_err());
    }
}
