//! `POST /graphql`: queries of the part of GitHub's schema that reads many git objects at once.

mod nodes;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use graphql_parser::Pos;
use graphql_parser::query::{self, Definition, OperationDefinition, Selection};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Hub;
use super::access::Caller;
use super::answer::{Answer, ApiError, read_body};
use nodes::Node;

type Field<'a> = query::Field<'a, String>;
type SelectionSet<'a> = query::SelectionSet<'a, String>;

#[derive(Deserialize)]
struct Request {
    query: String,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
}

/// An error that ends the whole query, as GitHub's static checks do.
struct Refusal(Value);

impl Refusal {
    fn new(position: Pos, message: String) -> Self {
        let location = json!({ "line": position.line, "column": position.column });
        Self(json!({ "message": message, "locations": [location] }))
    }
}

/// `POST /graphql`
pub(crate) async fn answer(
    Shared(hub): Shared<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Answer<Response> {
    if matches!(caller, Caller::Anonymous | Caller::App) {
        let message = "This endpoint requires you to be authenticated.";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, message));
    }
    let request: Request = read_body(&body)?;
    let document = match query::parse_query::<String>(&request.query) {
        Ok(document) => document,
        Err(error) => {
            return Ok(Json(json!({ "errors": [{ "message": error.to_string() }] })).into_response());
        }
    };
    let mut execution = Execution {
        hub: &hub,
        caller: &caller,
        variables: request.variables.unwrap_or_default(),
        fragments: HashMap::new(),
        errors: Vec::new(),
    };
    let answered = match execution.run(&document) {
        Ok(data) if execution.errors.is_empty() => json!({ "data": data }),
        Ok(data) => json!({ "data": data, "errors": execution.errors }),
        Err(Refusal(error)) => json!({ "errors": [error] }),
    };
    Ok(Json(answered).into_response())
}

/// One query on its way.
struct Execution<'a> {
    hub: &'a Hub,
    caller: &'a Caller,
    variables: Map<String, Value>,
    fragments: HashMap<String, SelectionSet<'a>>,
    /// Errors beside the data: things that were not found.
    errors: Vec<Value>,
}

impl<'a> Execution<'a> {
    fn run(&mut self, document: &query::Document<'a, String>) -> Result<Value, Refusal> {
        let mut operation = None;
        for definition in &document.definitions {
            match definition {
                Definition::Fragment(fragment) => {
                    self.fragments.insert(fragment.name.clone(), fragment.selection_set.clone());
                }
                Definition::Operation(OperationDefinition::SelectionSet(set)) => operation = Some(set),
                Definition::Operation(OperationDefinition::Query(query)) => {
                    self.declare(&query.variable_definitions)?;
                    operation = Some(&query.selection_set);
                }
                Definition::Operation(
                    OperationDefinition::Mutation(query::Mutation { position, .. })
                    | OperationDefinition::Subscription(query::Subscription { position, .. }),
                ) => {
                    return Err(Refusal::new(
                        *position,
                        "The simulated GitHub answers queries only".to_owned(),
                    ));
                }
            }
        }
        let nothing = || Refusal::new(Pos::default(), "No operation to execute".to_owned());
        self.select(operation.ok_or_else(nothing)?, &Node::Query, &mut vec![])
    }

    /// Takes variables' defaults in, and refuses values that were not given for variables that need them.
    fn declare(&mut self, definitions: &[query::VariableDefinition<'a, String>]) -> Result<(), Refusal> {
        for definition in definitions {
            if self.variables.contains_key(&definition.name) {
                continue;
            }
            match (&definition.default_value, &definition.var_type) {
                (Some(query::Value::String(text)), _) => {
                    self.variables.insert(definition.name.clone(), json!(text));
                }
                (_, query::Type::NonNullType(kind)) => {
                    let name = &definition.name;
                    let message = format!("Variable ${name} of type {kind}! was provided invalid value");
                    return Err(Refusal::new(definition.position, message));
                }
                _ => {
                    self.variables.insert(definition.name.clone(), Value::Null);
                }
            }
        }
        Ok(())
    }

    /// The fields that a selection asks of a node.
    fn select(
        &mut self,
        set: &SelectionSet<'a>,
        node: &Node,
        path: &mut Vec<String>,
    ) -> Result<Value, Refusal> {
        let mut selected = Map::new();
        self.select_into(set, node, path, &mut selected)?;
        Ok(Value::Object(selected))
    }

    fn select_into(
        &mut self,
        set: &SelectionSet<'a>,
        node: &Node,
        path: &mut Vec<String>,
        selected: &mut Map<String, Value>,
    ) -> Result<(), Refusal> {
        for selection in &set.items {
            match selection {
                Selection::Field(field) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name);
                    path.push(key.clone());
                    let value = self.resolve(field, node, path)?;
                    path.pop();
                    selected.insert(key.clone(), value);
                }
                Selection::InlineFragment(fragment) => {
                    let meant = fragment
                        .type_condition
                        .as_ref()
                        .is_none_or(|query::TypeCondition::On(name)| node.is(name));
                    if meant {
                        self.select_into(&fragment.selection_set, node, path, selected)?;
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.fragment_name;
                    let unknown = || {
                        Refusal::new(spread.position, format!("Fragment {name} was used, but not defined"))
                    };
                    let set = self.fragments.get(name).cloned().ok_or_else(unknown)?;
                    self.select_into(&set, node, path, selected)?;
                }
            }
        }
        Ok(())
    }

    fn resolve(&mut self, field: &Field<'a>, node: &Node, path: &mut Vec<String>) -> Result<Value, Refusal> {
        if let Some(value) = node.scalar(self.hub, &field.name) {
            return match field.selection_set.items.is_empty() {
                true => Ok(value),
                false => Err(Refusal::new(
                    field.position,
                    format!("Selections can't be made on scalars (field '{}')", field.name),
                )),
            };
        }
        let child = match (node, field.name.as_str()) {
            (Node::Query, "repository") => self.repository(field, path)?,
            (Node::Query, "rateLimit") => Some(Node::RateLimit),
            (Node::Repository(id), "object") => {
                let arguments = (self.argument(field, "oid")?, self.argument(field, "expression")?);
                let found = nodes::object(self.hub, *id, arguments);
                found.map_err(|error| Refusal::new(field.position, format!("{error:#}")))?
            }
            _ => return Err(undefined(field, node)),
        };
        if field.selection_set.items.is_empty() {
            let message = format!("Field must have selections (field '{}' returns an object)", field.name);
            return Err(Refusal::new(field.position, message));
        }
        match child {
            Some(child) => self.select(&field.selection_set, &child, path),
            None => Ok(Value::Null),
        }
    }

    fn repository(&mut self, field: &Field<'a>, path: &[String]) -> Result<Option<Node>, Refusal> {
        let required = |name: &str, value: Option<String>| {
            let message = format!("Field 'repository' is missing required arguments: {name}");
            value.ok_or_else(|| Refusal::new(field.position, message))
        };
        let owner = required("owner", self.argument(field, "owner")?)?;
        let name = required("name", self.argument(field, "name")?)?;
        let entered = self.hub.state().enter(self.caller, (&owner, &name), "contents", super::Level::Read);
        let (kind, message) = match entered {
            Ok(id) => return Ok(Some(Node::Repository(id))),
            Err(refused) if refused.status == StatusCode::FORBIDDEN => {
                ("FORBIDDEN", "Resource not accessible by integration".to_owned())
            }
            Err(_) => {
                ("NOT_FOUND", format!("Could not resolve to a Repository with the name '{owner}/{name}'."))
            }
        };
        let location = json!({ "line": field.position.line, "column": field.position.column });
        self.errors.push(json!({ "type": kind, "path": path, "locations": [location], "message": message }));
        Ok(None)
    }

    /// The text given for an argument, in place or through a variable.
    fn argument(&self, field: &Field<'a>, name: &str) -> Result<Option<String>, Refusal> {
        let Some((_, value)) = field.arguments.iter().find(|(argument, _)| argument == name) else {
            return Ok(None);
        };
        match value {
            query::Value::String(text) => Ok(Some(text.clone())),
            query::Value::Null => Ok(None),
            query::Value::Variable(variable) => match self.variables.get(variable) {
                Some(Value::String(text)) => Ok(Some(text.clone())),
                Some(Value::Null) => Ok(None),
                _ => Err(Refusal::new(
                    field.position,
                    format!("Variable ${variable} has no value of the type asked for"),
                )),
            },
            other => {
                Err(Refusal::new(field.position, format!("Argument '{name}' has an invalid value ({other})")))
            }
        }
    }
}

fn undefined(field: &Field<'_>, node: &Node) -> Refusal {
    let (name, kind) = (&field.name, node.type_name());
    let mut refusal = Refusal::new(field.position, format!("Field '{name}' doesn't exist on type '{kind}'"));
    refusal.0["extensions"] = json!({ "code": "undefinedField", "typeName": kind, "fieldName": name });
    refusal
}
