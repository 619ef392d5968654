//! What stands on the branch server against what is recorded.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::facts::{DatabaseFact, Facts, InstanceFact, LayerFact};

/// Databases and roles that nothing stands for.
pub(super) fn left_over(facts: &Facts) -> Vec<String> {
    let (standing, known) = (databases(facts), recorded_databases(facts));
    let left = standing.difference(&known).map(|name| format!("nothing stands for the database {name}"));
    let (standing, (_, allowed)) = (roles(facts), recorded_roles(facts));
    let roles = standing.difference(&allowed).map(|name| format!("nothing stands for the role {name}"));
    left.chain(roles).collect()
}

/// Databases and roles that are recorded and do not stand.
pub(super) fn missing(facts: &Facts) -> Vec<String> {
    let (standing, known) = (databases(facts), recorded_databases(facts));
    let gone = known.difference(&standing).map(|name| format!("the database {name} is recorded and gone"));
    let (standing, (needed, _)) = (roles(facts), recorded_roles(facts));
    let roles = needed.difference(&standing).map(|name| format!("the role {name} is recorded and gone"));
    gone.chain(roles).collect()
}

/// Layers that are not frozen, spares that are no clones of one, templates that are no layers, and roles that may too much.
pub(super) fn wrong(facts: &Facts) -> Vec<String> {
    let complete = facts.layers.iter().filter(|layer| layer.complete);
    let mut found: Vec<String> = complete.flat_map(|layer| frozen(facts, layer)).collect();
    found.extend(facts.instances.iter().filter(|one| one.state == "spare").flat_map(|one| spare(facts, one)));
    let layers = complete_layers(facts);
    let templates = facts.databases.iter().filter(|database| database.is_template);
    let unknown = templates.filter(|template| !layers.contains(template.name.as_str()));
    found.extend(unknown.map(|one| format!("the template {} is recorded as no complete layer", one.name)));
    let mighty = facts.roles.iter().filter(|role| role.is_privileged);
    found.extend(mighty.map(|role| format!("the role {} may do what no branch may", role.name)));
    found
}

/// Layers and snapshots that were finished.
fn complete_layers(facts: &Facts) -> BTreeSet<&str> {
    let complete = facts.layers.iter().chain(&facts.snapshots).filter(|layer| layer.complete);
    complete.map(|layer| layer.database_name.as_str()).collect()
}

fn databases(facts: &Facts) -> BTreeSet<&str> {
    facts.databases.iter().map(|database| database.name.as_str()).collect()
}

fn recorded_databases(facts: &Facts) -> BTreeSet<&str> {
    let instances = facts.instances.iter().map(|instance| instance.database_name.as_str());
    let forks = facts.forks.iter().map(|fork| fork.database_name.as_str());
    complete_layers(facts).into_iter().chain(instances).chain(forks).collect()
}

fn roles(facts: &Facts) -> BTreeSet<String> {
    facts.roles.iter().map(|role| role.name.clone()).collect()
}

/// The roles that must stand, and those that may: each instance has a role, and a reader at the latest when it is live.
fn recorded_roles(facts: &Facts) -> (BTreeSet<String>, BTreeSet<String>) {
    let complete = facts.layers.iter().chain(&facts.snapshots).filter(|layer| layer.complete);
    let mut needed: BTreeSet<String> = complete.map(|layer| layer.owner_role.clone()).collect();
    needed.extend(facts.forks.iter().map(|fork| fork.database_name.clone()));
    needed.extend(facts.instances.iter().map(|instance| instance.role_name.clone()));
    let mut allowed = needed.clone();
    for instance in &facts.instances {
        let reader = format!("{}_ro", instance.database_name);
        allowed.insert(reader.clone());
        if instance.state == "live" {
            needed.insert(reader);
        }
    }
    (needed, allowed)
}

/// A layer is a template that nobody is in and nobody can enter, and says which one it is.
fn frozen(facts: &Facts, layer: &LayerFact) -> Vec<String> {
    let name = &layer.database_name;
    // That it is gone is said elsewhere.
    let Some(database) = facts.databases.iter().find(|database| database.name == *name) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if !database.is_template {
        found.push(format!("the layer {name} is complete and no template"));
    }
    if database.is_open {
        found.push(format!("the layer {name} lets connections in"));
    }
    if database.sessions > 0 {
        found.push(format!("the layer {name} has {} sessions", database.sessions));
    }
    if facts.roles.iter().any(|role| role.name == layer.owner_role && role.can_log_in) {
        found.push(format!("the owner of the layer {name} can log in"));
    }
    let expected = json!({ "offshoot": 1, "layer": layer.key });
    if identity(database) != expected {
        found.push(format!("the layer {name} says that it is {:?}", database.comment));
    }
    found
}

/// A spare was made from a complete layer, says so, and nobody is in it but two sessions of its own role, which wait for a replay.
fn spare(facts: &Facts, spare: &InstanceFact) -> Vec<String> {
    let name = &spare.database_name;
    let mut found = Vec::new();
    let is_of = |layer: &&LayerFact| layer.complete && Some(&layer.key) == spare.layer.as_ref();
    if !facts.layers.iter().any(|layer| is_of(&layer)) {
        found.push(format!("the spare {name} is of no complete layer: {:?}", spare.layer));
    }
    // That it is gone is said elsewhere.
    if let Some(database) = facts.databases.iter().find(|database| database.name == *name) {
        if identity(database) != json!({ "offshoot": 1, "spare": spare.layer }) {
            found.push(format!("the spare {name} says that it is {:?}", database.comment));
        }
        if database.sessions > 2 || database.strangers > 0 {
            let DatabaseFact { sessions, strangers, .. } = database;
            found.push(format!(
                "the spare {name} has {sessions} sessions, {strangers} of them of other roles"
            ));
        }
    }
    found
}

/// What a database says of itself; null where that is not JSON.
pub(super) fn identity(database: &DatabaseFact) -> Value {
    database.comment.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::facts::RoleFact;
    use super::*;

    fn database(name: &str) -> DatabaseFact {
        let name = name.to_owned();
        DatabaseFact { name, comment: None, is_template: false, is_open: true, sessions: 0, strangers: 0 }
    }

    fn role(name: &str, is_privileged: bool) -> RoleFact {
        RoleFact { name: name.to_owned(), can_log_in: true, is_privileged }
    }

    fn live(name: &str) -> InstanceFact {
        InstanceFact {
            branch: Some(1),
            layer: None,
            state: "live".to_owned(),
            database_name: name.to_owned(),
            role_name: name.to_owned(),
        }
    }

    #[test]
    fn what_is_left_or_missing_is_found() {
        let facts = Facts {
            instances: vec![live("a"), live("b")],
            databases: vec![database("a"), database("c")],
            roles: vec![role("a", false), role("a_ro", false), role("b", true), role("c", false)],
            ..Facts::default()
        };
        let left = ["nothing stands for the database c", "nothing stands for the role c"];
        assert_eq!(left_over(&facts), left);
        let gone = ["the database b is recorded and gone", "the role b_ro is recorded and gone"];
        assert_eq!(missing(&facts), gone);
        assert_eq!(wrong(&facts), ["the role b may do what no branch may"]);
    }

    #[test]
    fn a_layer_that_is_not_frozen_is_found() {
        let name = "offshoot_layer_f".to_owned();
        let layer = LayerFact {
            key: "f".to_owned(),
            database_name: name.clone(),
            owner_role: name.clone(),
            complete: true,
        };
        let facts = Facts {
            layers: vec![layer],
            databases: vec![DatabaseFact { sessions: 2, ..database(&name) }],
            roles: vec![role(&name, false)],
            ..Facts::default()
        };
        assert_eq!(wrong(&facts).len(), 5, "{:?}", wrong(&facts));
    }
}
