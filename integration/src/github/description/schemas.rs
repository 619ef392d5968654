//! The schemas of an OpenAPI 3.0 document, translated and compiled when they are first needed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

const COMPONENTS: &str = "#/components/schemas/";

pub(super) struct Schemas {
    document: Value,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Schemas {
    pub(super) fn new(document: Value) -> Self {
        Self { document, compiled: Mutex::default() }
    }

    /// What the document holds at these steps, references followed on the way; null if nothing.
    pub(super) fn at(&self, steps: &[&str]) -> &Value {
        steps.iter().fold(&self.document, |value, step| self.follow(value).get(*step).unwrap_or(&Value::Null))
    }

    /// The value, or what it refers to.
    pub(super) fn follow<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
        self.document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null)
    }

    /// Holds a value against the schema at these steps: where it does not fit, and why.
    pub(super) fn check(&self, steps: &[&str], value: &Value) -> Vec<(String, String)> {
        let validator = self.validator(steps);
        validator
            .iter_errors(value)
            .map(|error| (error.instance_path().to_string(), error.to_string()))
            .filter(|(at, _)| !is_known_gap(at, value))
            .map(|(at, message)| (at, message.chars().take(300).collect()))
            .collect()
    }

    fn validator(&self, steps: &[&str]) -> Arc<Validator> {
        let key = steps.join(" ");
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let compile = || {
            let mut schema = translate(self.at(steps));
            schema["definitions"] = self.definitions(&schema);
            let validator =
                jsonschema::options().with_draft(Draft::Draft4).should_validate_formats(true).build(&schema);
            Arc::new(
                validator.unwrap_or_else(|error| panic!("the schema of {key} does not compile: {error}")),
            )
        };
        Arc::clone(compiled.entry(key.clone()).or_insert_with(compile))
    }

    /// Every component that a schema refers to, directly or through others.
    fn definitions(&self, schema: &Value) -> Value {
        let mut definitions = Map::new();
        let mut waiting = BTreeSet::new();
        references(schema, &mut waiting);
        while let Some(name) = waiting.pop_first() {
            if definitions.contains_key(&name) {
                continue;
            }
            let definition = translate(self.at(&["components", "schemas", &name]));
            references(&definition, &mut waiting);
            definitions.insert(name, definition);
        }
        Value::Object(definitions)
    }
}

/// GitHub answers null here, and its description does not say so: a head whose repository was deleted.
fn is_known_gap(at: &str, value: &Value) -> bool {
    let of_head = at.ends_with("/head/repo") || (at.ends_with("/head") || at.is_empty());
    of_head
        && value
            .pointer(at)
            .is_some_and(|found| found.is_null() || found["repo"].is_null() && at.ends_with("/head"))
}

fn references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(name) =
                object.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/definitions/"))
            {
                found.insert(name.to_owned());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// OpenAPI 3.0's dialect as JSON Schema of draft 4: `nullable` becomes a choice, references lead to
/// `definitions`.
fn translate(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(translate).collect(),
        Value::Object(object) => {
            if let Some(name) =
                object.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix(COMPONENTS))
            {
                return json!({ "$ref": format!("#/definitions/{name}") });
            }
            // Below `properties` it may be the name of a field.
            let kept = object.iter().filter(|(key, value)| *key != "nullable" || !value.is_boolean());
            let translated: Map<String, Value> =
                kept.map(|(key, value)| (key.clone(), translate(value))).collect();
            if object.get("nullable") == Some(&json!(true)) {
                return json!({ "anyOf": [{ "type": "null" }, translated] });
            }
            Value::Object(translated)
        }
        other => other.clone(),
    }
}
