//! A commented contract of what was found.

use std::fmt::Write;

use serde_json::Value;

use super::discover::Found;
use super::openapi::Operation;

/// The text of a contract: what was found, and a comment where nothing was.
pub fn contract(found: &Found, operations: &[Operation]) -> String {
    let mut text = String::from(
        "# What Rowlock cannot know of this service. docs/src/contract.md says all that can be here.\n",
    );
    service(&mut text, found);
    database(&mut text, found);
    calls(&mut text, operations);
    text.push_str(
        "\n# Who calls. Each actor has its own variables, and calls that prepare it once.\n\
         [actors.alice]\nuser = 1\n# prepare = [\"login\"]\n\n[actors.bob]\nuser = 2\n",
    );
    programs(&mut text, operations);
    text
}

fn service(text: &mut String, found: &Found) {
    let (command, why) = match &found.command {
        Some((command, file)) => (command.as_str(), format!("as {file} says")),
        None => ("./server", "how the service is started".to_owned()),
    };
    let url = match &found.scheme {
        Some(scheme) => {
            let at = "${database.user}:${database.password}@${database.host}:${database.port}";
            format!("{scheme}://{at}/${{database.name}}")
        }
        None => "${database.url}".to_owned(),
    };
    let _ = write!(
        text,
        "\n[service]\ncommand = {} # {why}\n\
         # What the service reads; DATABASE_URL, HOST and PORT are set anyhow.\n\
         env = {{ DATABASE_URL = {}, PORT = \"${{port}}\" }}\n\
         # ready = {{ path = \"/health\", within_s = 30 }}\n",
        quoted(command),
        quoted(&url)
    );
}

fn database(text: &mut String, found: &Found) {
    text.push_str("\n# What is done once; every run begins with what this leaves.\n[database]\n");
    let commands: Vec<_> = found.migrate.iter().map(|(it, _)| quoted(it)).collect();
    match commands.is_empty() {
        true => text.push_str("# migrate = [\"npx knex migrate:latest\"]\n"),
        false => drop(writeln!(text, "migrate = [{}]", commands.join(", "))),
    }
    text.push_str("# sql = \"insert into item (id, stock) values (1, 1)\"\n");
}

fn calls(text: &mut String, operations: &[Operation]) {
    text.push_str("\n# What is asked of it. An answer means what its status says, unless a rule says otherwise.\n");
    if operations.is_empty() {
        text.push_str(
            "[calls.buy]\nmethod = \"POST\"\npath = \"/buy\"\njson = { user_id = \"${user}\", item_id = 1 }\n\
             # answers = [{ status = 400, contains = \"sold out\", means = \"refused\", reason = \"sold_out\" }]\n",
        );
    }
    for operation in operations {
        let _ = writeln!(
            text,
            "[calls.{}]\nmethod = {}\npath = {}",
            operation.name,
            quoted(&operation.method),
            quoted(&operation.path)
        );
        if let Some(body) = operation.body.as_ref().filter(|body| body.is_object()) {
            let _ = writeln!(text, "json = {}", inline(body));
        }
        if let Some(header) = &operation.idempotency_key {
            let _ = writeln!(text, "idempotency_key = {}", quoted(header));
        }
        let variables: Vec<_> = variables(&operation.path).collect();
        if !variables.is_empty() {
            let _ = writeln!(
                text,
                "# {} must be a variable of whoever calls it",
                variables.join(", ")
            );
        }
        text.push('\n');
    }
}

fn programs(text: &mut String, operations: &[Operation]) {
    let call = operations
        .iter()
        .find(|it| variables(&it.path).next().is_none());
    let call = call.map_or("buy", |operation| operation.name.as_str());
    let _ = write!(
        text,
        "\n# Who calls what at once. `rows` is SQL that is run before each run.\n\
         [[programs]]\nname = \"at once\"\n# rows = \"update item set stock = 1\"\n\
         actors = [\n    {{ actor = \"alice\", story = [\"{call}\"] }},\n    \
         {{ actor = \"bob\", story = [\"{call}\"] }},\n]\n"
    );
}

/// The variables of a path.
fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split("${")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    // JSON's escapes are TOML's, too.
    Value::String(text.to_owned()).to_string()
}

/// A value of JSON as one of TOML, which has no null.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<_> = fields
                .map(|(name, value)| format!("{} = {}", quoted(name), inline(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(values) => {
            let values: Vec<_> = values
                .iter()
                .filter(|it| !it.is_null())
                .map(inline)
                .collect();
            format!("[{}]", values.join(", "))
        }
        // A literal `${` of an example is no variable.
        Value::String(text) => quoted(&text.replace("${", "$${")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rowlock_contract::Contract;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_reads_as_a_contract() {
        let nothing = contract(&Found::default(), &[]);
        let read = Contract::parse(&nothing, "rowlock.toml");
        let read = read.unwrap_or_else(|error| panic!("{error}\n{nothing}"));
        assert_eq!(read.programs.len(), 1);

        let found = Found {
            command: Some(("npm start".into(), "package.json")),
            migrate: vec![("npx knex migrate:latest".into(), "knexfile")],
            scheme: Some("postgresql+asyncpg".into()),
        };
        let operation = |name: &str, path: &str| Operation {
            name: name.into(),
            method: "POST".into(),
            path: path.into(),
            body: Some(json!({ "a \"b\"": [1, null, "${c}"], "d": { "e": true, "f": null } })),
            idempotency_key: Some("Idempotency-Key".into()),
        };
        let operations = [
            operation("book", "/book"),
            operation("pay", "/orders/${id}/pay"),
        ];
        let text = contract(&found, &operations[..1]);
        let read = Contract::parse(&text, "rowlock.toml");
        let read = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read.calls.len(), 1);
        let text = contract(&found, &operations);
        assert!(text.contains("# id must be a variable"), "{text}");
    }
}
