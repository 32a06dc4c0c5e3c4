//! The rules of the house that no compiler knows: the arrows between rooms, sizes, names, and that
//! documents speak of what is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room with the rooms it may use.
const ARROWS: [(&str, &[&str]); 7] = [
    ("model", &[]),
    ("merkle", &[]),
    ("segment", &["model"]),
    ("store", &["model"]),
    ("ledger", &["model", "merkle", "segment", "store"]),
    ("dialect", &["model"]),
    ("server", &["model", "merkle", "segment", "store", "ledger", "dialect"]),
];

/// What only some rooms may use of the world outside, and why.
const RESERVED: [(&str, &[&str], &str); 11] = [
    ("rusqlite", &["store"], "only store knows SQLite"),
    ("object_store", &["store"], "only store knows where blobs lie"),
    ("quick_cache", &["store"], "only store caches pages"),
    ("zstd", &["store", "segment", "server"], "only what is stored or sent is compressed"),
    ("axum", &["server"], "only server speaks HTTP"),
    ("hyper", &["server"], "only server speaks HTTP"),
    ("http", &["dialect", "server"], "a ledger knows no HTTP"),
    ("clap", &["server"], "only server reads the command line"),
    ("confique", &["server"], "only server reads the environment"),
    ("jiff", &["model"], "time is model::Time"),
    ("tokio", &["store", "ledger", "server"], "the other rooms are not async"),
];

const VENDORS: [&str; 5] = ["upstash", "nirvana", "turso", "portkey", "launchdarkly"];
const FILE_LINES_MAX: usize = 520;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder with one of these endings.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !["target", ".git", "node_modules", ".venv"].iter().any(|skip| path.ends_with(skip)) {
                found.extend(files(&path, endings));
            }
        } else if endings.iter().any(|ending| path.extension().is_some_and(|have| have == *ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn room_folder(room: &str) -> PathBuf {
    root().join("crates").join(room)
}

/// The names of a manifest's dependencies, by section.
fn dependencies(room: &str, section: &str) -> Vec<String> {
    let manifest: toml::Table = read(&room_folder(room).join("Cargo.toml")).parse().expect("a manifest");
    manifest
        .get(section)
        .and_then(|table| table.as_table())
        .into_iter()
        .flat_map(|table| table.keys().cloned())
        .collect()
}

fn complain(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let mut broken = Vec::new();
    let mut rooms: Vec<String> = fs::read_dir(root().join("crates"))
        .expect("rooms")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    rooms.sort();
    for room in &rooms {
        let Some((_, may)) = ARROWS.iter().find(|(name, _)| name == room) else {
            broken.push(format!("crates/{room} is not in the table of rooms"));
            continue;
        };
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for dependency in dependencies(room, section) {
                let used = dependency.strip_prefix("annals-");
                // Tests of the binary may look into any room.
                if used.is_some_and(|used| !may.contains(&used)) && !(room == "server" && section == "dev-dependencies")
                {
                    broken.push(format!("{room} may not depend on {}", used.unwrap_or_default()));
                }
            }
        }
    }
    assert_eq!(rooms.len(), ARROWS.len(), "a room of the table is missing");
    complain(&broken);
}

#[test]
fn only_some_rooms_use_what_is_reserved_for_them() {
    let mut broken = Vec::new();
    for (room, _) in ARROWS {
        for dependency in dependencies(room, "dependencies") {
            for (reserved, rooms, why) in RESERVED {
                if dependency == reserved && !rooms.contains(&room) {
                    broken.push(format!("{room} may not depend on {reserved}: {why}"));
                }
            }
        }
    }
    complain(&broken);
}

#[test]
fn a_vendors_name_stands_only_in_dialect_and_server() {
    let mut broken = Vec::new();
    for room in ["model", "merkle", "segment", "store", "ledger"] {
        for path in files(&room_folder(room).join("src"), &["rs"]) {
            let text = read(&path);
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_lowercase();
            for vendor in VENDORS {
                // The one header that is masked by its exact name.
                if code.replace("x-portkey-api-key", "").contains(vendor) {
                    broken.push(format!("{} names {vendor}", path.display()));
                }
            }
        }
    }
    complain(&broken);
}

#[test]
fn files_have_one_noun_and_a_size_to_proofread() {
    let mut broken = Vec::new();
    for path in files(&root().join("crates"), &["rs"]) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if ["util", "utils", "helper", "helpers", "common", "manager", "misc"].contains(&name.as_str()) {
            broken.push(format!("{} is named for nothing", path.display()));
        }
        let lines = read(&path).lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{} has {lines} lines; a file has at most about 500", path.display()));
        }
    }
    complain(&broken);
}

#[test]
fn every_module_says_what_it_is() {
    let sources = ARROWS.iter().flat_map(|(room, _)| files(&room_folder(room).join("src"), &["rs"]));
    let silent = sources.filter(|path| !read(path).starts_with("//! "));
    complain(&silent.map(|path| format!("{} does not begin with what it is", path.display())).collect::<Vec<_>>());
}

#[test]
fn nothing_is_ignored_slept_through_or_left_for_later() {
    let mut broken = Vec::new();
    for path in files(&root().join("crates"), &["rs"]).into_iter().filter(|path| !path.ends_with("tidy.rs")) {
        for (at, line) in read(&path).lines().enumerate() {
            for left in ["#[ignore", "TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "dbg!("] {
                if line.contains(left) {
                    broken.push(format!("{}:{} has {left}", path.display(), at + 1));
                }
            }
        }
    }
    complain(&broken);
}

#[test]
fn every_limit_has_a_test() {
    let limits = read(&room_folder("model").join("src/limits.rs"));
    let names = limits.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let mut tested = String::new();
    for path in files(&root().join("crates"), &["rs"]) {
        let text = read(&path);
        let is_test = path.components().any(|part| part.as_os_str() == "tests")
            || path.file_stem().is_some_and(|stem| stem == "tests");
        tested += if is_test { &text } else { text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests) };
    }
    let is_named = |name: &str| {
        tested
            .split(&format!("limits::{name}"))
            .skip(1)
            .any(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let untested = names.filter(|name| !is_named(name));
    complain(&untested.map(|name| format!("limits::{name} has no test")).collect::<Vec<_>>());
}

#[test]
fn documents_name_files_that_exist() {
    let mut broken = Vec::new();
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "bench/README.md"] {
        let text = read(&root().join(document));
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path =
                quoted.contains('/') && quoted.contains('.') && !quoted.contains([' ', '<', '*', '{', ':', '$', '?']);
            if is_path && ["crates/", "bench/", ".ci/", "docs/"].iter().any(|start| quoted.starts_with(start)) {
                *named.entry(document).or_default() += 1;
                if !root().join(quoted).exists() {
                    broken.push(format!("{document} names {quoted}, which is not there"));
                }
            }
        }
    }
    complain(&broken);
    assert!(
        named.get("ARCHITECTURE.md").is_some_and(|count| *count >= 20),
        "ARCHITECTURE.md leads by file names: {named:?}"
    );
}
