//! The settings: from the command line, the environment, `annals.toml` and the defaults, in this
//! order.
//!
//! **Invariant:** no other file reads the environment.
//! **Invariant:** the administrator's key comes from the environment alone, and nothing shows it.

use std::path::{Path, PathBuf};

use annals_model::limits;
use anyhow::{Context, ensure};
use confique::{Config as _, File, FileFormat, Layer};
use serde::Deserialize;

use crate::stop_at::StopAt;

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
    /// Memory for pages of sealed segments, in MiB.
    pub cache_mib: usize,
    /// Events after which what was recorded is sealed.
    pub seal_events: u64,
    /// How and how much is logged.
    pub log: Log,
    /// Where the process kills itself, in tests of crashes.
    pub stop_at: Option<StopAt>,
}

/// Memory for pages of sealed segments where nothing is said, in MiB.
const CACHE_MIB: usize = 256;
/// Events after which is sealed where nothing is said.
const SEAL_EVENTS: u64 = annals_ledger::SEAL_EVENTS;
/// The fewest characters of an administrator's key: in hex, 128 bits that nobody can guess.
const ADMIN_KEY_CHARACTERS_MIN: usize = 32;
/// Appends are refused from [`limits::UNSEALED_EVENTS_MAX`] on: while so many are sealed, as many can come.
pub(crate) const SEAL_EVENTS_MAX: u64 = limits::UNSEALED_EVENTS_MAX / 2;

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
    /// Memory for pages of sealed segments, in MiB.
    pub cache_mib: Option<usize>,
    /// Events after which what was recorded is sealed.
    pub seal_events: Option<u64>,
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
    /// Memory for pages of sealed segments, in MiB.
    #[config(env = "ANNALS_CACHE_MIB", default = 256)]
    cache_mib: usize,
    /// Events after which what was recorded is sealed.
    #[config(env = "ANNALS_SEAL_EVENTS", default = 262_144)]
    seal_events: u64,
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
    /// For tests of crashes alone, so it stands in no help: a point of the ledger, or `point:n`.
    #[config(env = "ANNALS_STOP_AT")]
    stop_at: Option<StopAt>,
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
        let mut config = Config::settings(overrides)?;
        let secrets = Secrets::builder().env().load().context("ANNALS_ADMIN_KEY or ANNALS_STOP_AT is not a text")?;
        let admin_key = secrets.admin_key.filter(|key| !key.is_empty());
        config.admin_key = admin_key.map(AdminKey::new).transpose().context("ANNALS_ADMIN_KEY can't be used")?;
        config.stop_at = secrets.stop_at;
        Ok(config)
    }

    /// The data folder that a command works on: the one that is named, else the server's.
    ///
    /// # Errors
    ///
    /// As for the settings of a server; its secrets are not looked at.
    pub(crate) fn data_folder(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
        Ok(Config::settings(&Overrides { data: named, ..Overrides::default() })?.data)
    }

    /// All but the secrets.
    fn settings(overrides: &Overrides) -> anyhow::Result<Config> {
        Config::merge(overrides, SettingsLayer::from_env().context("a setting in the environment is wrong")?)
    }

    fn merge(overrides: &Overrides, environment: SettingsLayer) -> anyhow::Result<Config> {
        let mut line = SettingsLayer::empty();
        line.listen.clone_from(&overrides.listen);
        line.data.clone_from(&overrides.data);
        line.name.clone_from(&overrides.name);
        line.cache_mib = overrides.cache_mib;
        line.seal_events = overrides.seal_events;
        let file = read(overrides.config.as_deref())?;
        let layers = line.with_fallback(environment).with_fallback(file).with_fallback(SettingsLayer::default_values());
        let settings = Settings::from_layer(layers).context("a setting is missing")?;
        ensure!(settings.cache_mib >= 1, "cache_mib must be at least 1");
        let is_seal = (1..=SEAL_EVENTS_MAX).contains(&settings.seal_events);
        ensure!(is_seal, "seal_events must be a whole number from 1 to {SEAL_EVENTS_MAX}");
        Ok(Config {
            listen: settings.listen,
            data: settings.data,
            name: settings.name.filter(|name| !name.is_empty()),
            admin_key: None,
            mask_names: settings.mask.names,
            cache_mib: settings.cache_mib,
            seal_events: settings.seal_events,
            log: Log { format: settings.log.format, level: settings.log.level },
            stop_at: None,
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
            cache_mib: CACHE_MIB,
            seal_events: SEAL_EVENTS,
            log: Log { format: LogFormat::Pretty, level: LogLevel::Info },
            stop_at: None,
        }
    }
}

impl AdminKey {
    /// A key of this text.
    ///
    /// # Errors
    ///
    /// If it is so short that it can be guessed.
    pub fn new(key: impl Into<String>) -> anyhow::Result<AdminKey> {
        let key = key.into();
        let characters = key.chars().count();
        ensure!(
            characters >= ADMIN_KEY_CHARACTERS_MIN,
            "it has {characters} characters, and needs at least {ADMIN_KEY_CHARACTERS_MIN}: make one by openssl rand -hex 32"
        );
        Ok(AdminKey(key))
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
        refused("stop_at = \"seal.written\"", "stop_at");
    }

    #[test]
    fn sizes_keep_to_their_bounds() {
        refused("cache_mib = 0", "cache_mib");
        refused("cache_mib = -1", "cache_mib");
        refused("seal_events = 0", "seal_events");
        refused(&format!("seal_events = {}", limits::UNSEALED_EVENTS_MAX), "seal_events");
        let config = load("cache_mib = 64\nseal_events = 1", Overrides::default(), SettingsLayer::empty());
        let config = config.expect("loads");
        assert_eq!((config.cache_mib, config.seal_events), (64, 1));
        let line = Overrides { cache_mib: Some(1), seal_events: Some(SEAL_EVENTS_MAX), ..Overrides::default() };
        let config = load("cache_mib = 64\nseal_events = 1", line, SettingsLayer::empty()).expect("loads");
        assert_eq!((config.cache_mib, config.seal_events), (1, SEAL_EVENTS_MAX));
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let missing = Overrides { config: Some("/nowhere/annals.toml".into()), ..Overrides::default() };
        assert!(Config::merge(&missing, SettingsLayer::empty()).is_err());
    }

    #[test]
    fn the_key_is_never_shown() {
        let key = AdminKey::new("sesame".repeat(6)).expect("long enough");
        let config = Config { admin_key: Some(key), ..Config::default() };
        assert!(!format!("{config:?}").contains("sesame"));
    }

    #[test]
    fn a_key_that_could_be_guessed_is_refused_and_not_shown() {
        assert!(AdminKey::new("k".repeat(ADMIN_KEY_CHARACTERS_MIN)).is_ok());
        let said = AdminKey::new("é".repeat(ADMIN_KEY_CHARACTERS_MIN - 1)).expect_err("too short").to_string();
        assert!(
            said.contains("31 characters") && said.contains("openssl rand -hex 32") && !said.contains('é'),
            "{said}"
        );
    }
}
