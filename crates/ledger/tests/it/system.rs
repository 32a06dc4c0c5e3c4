//! Organizations and keys, and what is recorded of their changes.

use annals_model::{Actor, FaultKind, NewKey, NewOrganization, OrganizationPatch, Scope};

use super::ledger;
use crate::support::{all, create, of, wait};

fn admin() -> Actor {
    Actor { kind: Some("api_key".into()), id: Some("k0".into()), name: Some("root".into()), email: None }
}

fn actions(ledger: &annals_ledger::Ledger) -> Vec<String> {
    all(ledger, of("_system"), 100).iter().map(|event| event.content().expect("readable").action).collect()
}

fn patch(json: &str) -> OrganizationPatch {
    serde_json::from_str(json).expect("a patch")
}

#[test]
fn each_change_is_recorded_in_the_servers_own_log() {
    let (ledger, ..) = ledger();
    wait(ledger.change_organization("acme", patch(r#"{"plan":"scaler"}"#), admin())).expect("changed");
    let new =
        NewKey { organization: Some("acme".into()), name: "ci".into(), scopes: vec![Scope::Read], ..NewKey::default() };
    wait(ledger.create_key(new, "k1".into(), "ab".repeat(32), admin())).expect("created");
    wait(ledger.revoke_key("k1", admin())).expect("revoked");
    let expect = [
        "annals.server.create",
        "annals.organization.create",
        "annals.organization.create",
        "annals.organization.change",
        "annals.key.create",
        "annals.key.revoke",
    ];
    assert_eq!(actions(&ledger), expect);
    let events = all(&ledger, of("_system"), 100);
    let change = events[3].content().expect("readable");
    assert_eq!(change.actor, admin());
    let changes = String::from_utf8(change.changes.expect("there").canonical()).expect("UTF-8");
    assert!(changes.contains(r#""plan":"scaler""#) && changes.contains(r#""before""#), "{changes}");
    assert!(
        events.iter().all(|event| !String::from_utf8_lossy(&event.canonical).contains("abab")),
        "no hash of a key is recorded"
    );
    assert!(all(&ledger, of("acme"), 10).is_empty(), "a new organization's log is empty");
}

#[test]
fn ids_and_aliases_are_taken_once() {
    let (ledger, ..) = ledger();
    let before = actions(&ledger).len();
    let new = |id: &str, alias: &str| NewOrganization {
        id: id.into(),
        aliases: [("portkey".to_owned(), alias.to_owned())].into(),
        ..NewOrganization::default()
    };
    assert_eq!(
        wait(ledger.create_organization(new("acme", "a1"), admin())).expect_err("taken").kind,
        FaultKind::Conflict
    );
    wait(ledger.create_organization(new("initech", "a1"), admin())).expect("created");
    assert_eq!(
        wait(ledger.create_organization(new("hooli", "a1"), admin())).expect_err("taken").kind,
        FaultKind::Conflict
    );
    assert_eq!(
        wait(ledger.create_organization(new("hooli", "acme"), admin())).expect_err("taken").kind,
        FaultKind::Conflict
    );
    assert_eq!(
        wait(ledger.create_organization(new("a1", "a2"), admin())).expect_err("taken").kind,
        FaultKind::Conflict
    );
    let taken = wait(ledger.change_organization("acme", patch(r#"{"aliases":{"portkey":"a1"}}"#), admin()));
    assert_eq!(taken.expect_err("taken").kind, FaultKind::Conflict);
    assert_eq!(
        wait(ledger.change_organization("nobody", patch("{}"), admin())).expect_err("none").kind,
        FaultKind::NotFound
    );
    assert_eq!(
        wait(ledger.change_organization("_system", patch("{}"), admin())).expect_err("none").kind,
        FaultKind::NotFound
    );
    assert_eq!(
        ledger.organization_by_alias("portkey", "a1").map(|organization| organization.id.clone()).as_deref(),
        Some("initech")
    );
    assert_eq!(actions(&ledger).len(), before + 1);
}

#[test]
fn keys_are_found_by_their_hash_until_they_are_revoked_also_after_a_restart() {
    let (ledger, store) = ledger();
    let new = |organization: Option<&str>| NewKey {
        organization: organization.map(str::to_owned),
        name: "ci".into(),
        scopes: vec![Scope::Admin, Scope::Append],
        ..NewKey::default()
    };
    wait(ledger.create_key(new(Some("acme")), "k1".into(), "11".repeat(32), admin())).expect("created");
    wait(ledger.create_key(new(None), "k2".into(), "22".repeat(32), admin())).expect("created");
    assert_eq!(
        wait(ledger.create_key(new(Some("nobody")), "k3".into(), "33".repeat(32), admin())).expect_err("none").kind,
        FaultKind::NotFound
    );
    wait(ledger.revoke_key("k1", admin())).expect("revoked");
    assert_eq!(wait(ledger.revoke_key("k1", admin())).expect_err("gone").kind, FaultKind::NotFound);
    for ledger in [ledger.clone(), store.reopen().open()] {
        assert!(ledger.key_by_hash(&"11".repeat(32)).is_none());
        assert_eq!(ledger.key_by_hash(&"22".repeat(32)).expect("there").scopes, [Scope::Append, Scope::Admin]);
        assert_eq!(ledger.keys().len(), 1);
    }
}

#[test]
fn organizations_are_listed_by_id_without_the_servers_own() {
    let (ledger, ..) = ledger();
    create(&ledger, "aaa");
    let listed: Vec<String> = ledger.organizations().iter().map(|organization| organization.id.clone()).collect();
    assert_eq!(listed, ["aaa", "acme", "globex"]);
    assert!(ledger.organization("_system").is_some());
}
