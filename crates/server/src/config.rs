//! The settings: from the command line, the environment, `annals.toml` and the defaults, in this
//! order.
//!
//! **Invariant:** no other file reads the environment.
//! **Invariant:** the administrator's key comes from the environment alone, and nothing shows it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use confique::{Config as _, File, FileFormat, Layer};
use serde::Deserialize;

/// The file that is read, if it is there, where none is named.
const FILE: &str = "annals.toml";

/// What the server is told by its operator.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens, such as `127.0.0.1:8080`; port 0 takes a free one.
    pub listen: String,
    /// The folder that holds everything.
    pub data: PathBuf,
    /// The name in origins, fixed at the first start; without one, the listen address.
    pub name: Option<String>,
    /// A key for all organizations with all scopes.
    pub admin_key: Option<AdminKey>,
    /// Names whose values are masked, besides the built-in ones.
    pub mask_names: Vec<String>,
    /// How and how much is logged.
    pub log: Log,
}

/// The administrator's key.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminKey(String);

/// How and how much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// How.
    pub format: LogFormat,
    /// How much.
    pub level: LogLevel,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// From which level on is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What needs repair.
    Error,
    /// What needs attention.
    Warn,
    /// Starts and stops.
    #[default]
    Info,
    /// Every request.
    Debug,
    /// Everything.
    Trace,
}

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The data folder.
    pub data: Option<PathBuf>,
    /// Where to listen.
    pub listen: Option<String>,
    /// The server's name.
    pub name: Option<String>,
    /// The file of settings; without one, `annals.toml` if it is there.
    pub config: Option<PathBuf>,
}

/// What `annals.toml` and the environment may say.
#[derive(confique::Config)]
#[config(layer_attr(serde(deny_unknown_fields)))]
struct Settings {
    /// Where to listen.
    #[config(env = "ANNALS_LISTEN", default = "127.0.0.1:8080")]
    listen: String,
    /// The data folder.
    #[config(env = "ANNALS_DATA", default = "./annals-data")]
    data: PathBuf,
    /// The server's name.
    #[config(env = "ANNALS_NAME")]
    name: Option<String>,
    #[config(nested)]
    mask: MaskSettings,
    #[config(nested)]
    log: LogSettings,
}

#[derive(confique::Config)]
#[config(layer_attr(serde(deny_unknown_fields)))]
struct MaskSettings {
    /// More names whose values are masked.
    #[config(env = "ANNALS_MASK_NAMES", parse_env = confique::env::parse::list_by_comma, default = [])]
    names: Vec<String>,
}

#[derive(confique::Config)]
#[config(layer_attr(serde(deny_unknown_fields)))]
struct LogSettings {
    /// `pretty` or `json`.
    #[config(env = "ANNALS_LOG_FORMAT", default = "pretty")]
    format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    #[config(env = "ANNALS_LOG_LEVEL", default = "info")]
    level: LogLevel,
}

/// What only the environment may say.
#[derive(confique::Config)]
struct Secrets {
    #[config(env = "ANNALS_ADMIN_KEY")]
    admin_key: Option<String>,
}

type SettingsLayer = <Settings as confique::Config>::Layer;

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// If the file that is named isn't there or can't be read, names an unknown setting, or a
    /// value is none.
    pub fn load(overrides: &Overrides) -> anyhow::Result<Config> {
        let environment = SettingsLayer::from_env().context("a setting in the environment is wrong")?;
        let secrets = Secrets::builder().env().load().context("ANNALS_ADMIN_KEY is not a text")?;
        let mut config = Config::merge(overrides, environment)?;
        config.admin_key = secrets.admin_key.filter(|key| !key.is_empty()).map(AdminKey);
        Ok(config)
    }

    fn merge(overrides: &Overrides, environment: SettingsLayer) -> anyhow::Result<Config> {
        let mut line = SettingsLayer::empty();
        line.listen.clone_from(&overrides.listen);
        line.data.clone_from(&overrides.data);
        line.name.clone_from(&overrides.name);
        let file = read(overrides.config.as_deref())?;
        let layers = line.with_fallback(environment).with_fallback(file).with_fallback(SettingsLayer::default_values());
        let settings = Settings::from_layer(layers).context("a setting is missing")?;
        Ok(Config {
            listen: settings.listen,
            data: settings.data,
            name: settings.name.filter(|name| !name.is_empty()),
            admin_key: None,
            mask_names: settings.mask.names,
            log: Log { format: settings.log.format, level: settings.log.level },
        })
    }
}

fn read(named: Option<&Path>) -> anyhow::Result<SettingsLayer> {
    let path = named.unwrap_or(Path::new(FILE));
    let mut file = File::with_format(path, FileFormat::Toml);
    if named.is_some() {
        file = file.required();
    }
    file.load().with_context(|| format!("{} can't be used as the file of settings", path.display()))
}

impl Default for Config {
    /// The settings of a server that is told nothing, by no file and no environment.
    fn default() -> Config {
        Config {
            listen: "127.0.0.1:8080".to_owned(),
            data: PathBuf::from("./annals-data"),
            name: None,
            admin_key: None,
            mask_names: Vec::new(),
            log: Log { format: LogFormat::Pretty, level: LogLevel::Info },
        }
    }
}

impl AdminKey {
    /// A key of this text.
    #[must_use]
    pub fn new(key: impl Into<String>) -> AdminKey {
        AdminKey(key.into())
    }

    /// The key's text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for AdminKey {
    /// Never shows the key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("AdminKey(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, overrides: Overrides, environment: SettingsLayer) -> anyhow::Result<Config> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("annals.toml");
        std::fs::write(&path, file).expect("writes");
        Config::merge(&Overrides { config: Some(path), ..overrides }, environment)
    }

    fn refused(file: &str, expect: &str) {
        let error = load(file, Overrides::default(), SettingsLayer::empty()).expect_err(file);
        let said = format!("{error:#}");
        assert!(said.contains(expect), "{said}");
    }

    #[test]
    fn the_command_line_comes_before_the_environment_and_that_before_the_file() {
        let file = "listen = \"f:1\"\nname = \"f\"\ndata = \"f\"\n[mask]\nnames = [\"a\"]\n[log]\nformat = \"json\"";
        let mut environment = SettingsLayer::empty();
        environment.listen = Some("e:1".into());
        environment.name = Some("e".into());
        let line = Overrides { listen: Some("l:1".into()), ..Overrides::default() };
        let config = load(file, line, environment).expect("loads");
        assert_eq!((&*config.listen, config.name.as_deref(), &*config.data), ("l:1", Some("e"), Path::new("f")));
        assert_eq!(config.mask_names, ["a"]);
        assert_eq!(config.log, Log { format: LogFormat::Json, level: LogLevel::Info });
    }

    #[test]
    fn without_any_setting_the_defaults_hold() {
        let config = load("", Overrides::default(), SettingsLayer::empty()).expect("loads");
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn unknown_settings_are_refused_by_name() {
        refused("lisen = \"x\"", "lisen");
        refused("[log]\ncolour = true", "colour");
        refused("[mask]\nname = []", "name");
        refused("[mystery]", "mystery");
        refused("admin_key = \"secret\"", "admin_key");
        refused("[log]\nlevel = \"loud\"", "loud");
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let missing = Overrides { config: Some("/nowhere/annals.toml".into()), ..Overrides::default() };
        assert!(Config::merge(&missing, SettingsLayer::empty()).is_err());
    }

    #[test]
    fn the_key_is_never_shown() {
        let config = Config { admin_key: Some(AdminKey::new("sesame")), ..Config::default() };
        assert!(!format!("{config:?}").contains("sesame"));
    }
}
