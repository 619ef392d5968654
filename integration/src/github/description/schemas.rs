//! The schemas of an OpenAPI 3.0 document, translated and compiled when they are first needed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError, Validator};
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
            .flat_map(|error| explain(&error))
            .filter(|(at, _)| !is_known_gap(steps, at, value))
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

/// Where GitHub itself contradicts its description: a head whose repository was deleted is null, and an account that
/// has the App is a user *or* an enterprise, not both at once.
fn is_known_gap(steps: &[&str], at: &str, value: &Value) -> bool {
    let deleted_head = at.ends_with("/head/repo") && value.pointer(at).is_some_and(Value::is_null);
    let account = steps.contains(&"/app/installations") && at.ends_with("/account");
    deleted_head || account
}

/// Where a value does not fit, and why: of several choices the one that fits best is explained.
fn explain(error: &ValidationError<'_>) -> Vec<(String, String)> {
    let choices = match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => context,
        _ => return vec![(error.instance_path().to_string(), error.masked().to_string())],
    };
    let explained = choices.iter().map(|errors| errors.iter().flat_map(explain).collect::<Vec<_>>());
    // The choice that gets deepest into the value is the one that was meant.
    let depth = |found: &Vec<(String, String)>| found.iter().map(|(at, _)| at.matches('/').count()).max();
    explained.max_by_key(|found| (depth(found), std::cmp::Reverse(found.len()))).unwrap_or_default()
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
