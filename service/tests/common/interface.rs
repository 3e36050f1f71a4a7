//! The service's own document (OpenAPI), against which answers are held.

use std::collections::BTreeSet;

use serde_json::Value;

use super::client::Answer;

/// One of the document's answers: method, path, status, and the problem's code or `ok`.
pub type Documented = (String, String, u16, String);

/// A document.
pub struct Interface(Value);

impl Interface {
    pub fn of(document: Value) -> Self {
        assert_eq!(document["openapi"], "3.1.0");
        Self(document)
    }

    pub fn paths(&self) -> BTreeSet<String> {
        self.items("/paths").map(|(path, _)| path).collect()
    }

    /// The methods of a path, in capitals.
    pub fn methods(&self, path: &str) -> BTreeSet<String> {
        let operations = self.0["paths"][path].as_object().unwrap();
        operations.keys().map(|name| name.to_uppercase()).collect()
    }

    /// Every answer that it promises.
    pub fn answers(&self) -> BTreeSet<Documented> {
        let mut all = BTreeSet::new();
        for path in self.paths() {
            for method in self.methods(&path) {
                let responses = &self.operation(&method, &path)["responses"];
                for (status, response) in responses.as_object().unwrap() {
                    for code in codes(response) {
                        let status = status.parse().unwrap();
                        all.insert((method.clone(), path.clone(), status, code));
                    }
                }
            }
        }
        all
    }

    /// Which of its answers this one is; none where the path is not in the document, or the answer
    /// has no body because it is HEAD's.
    ///
    /// An error says what of the answer is not documented.
    pub fn find(
        &self,
        method: &str,
        target: &str,
        answer: &Answer,
    ) -> Result<Option<Documented>, String> {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let Some(template) = self.paths().into_iter().find(|each| is_of(path, each)) else {
            return Ok(None);
        };
        let methods = self.methods(&template);
        let is_head = method == "HEAD";
        let method = if is_head { "GET" } else { method };
        // Each operation promises how other methods are answered.
        let operation = match methods.get(method) {
            Some(method) => method,
            None if answer.status == 405 => methods.first().unwrap(),
            None => return Err(format!("{method} {template} is not documented")),
        };
        let response =
            &self.operation(operation, &template)["responses"][answer.status.to_string()];
        let what = format!("{operation} {template}: {}", answer.status);
        if response.is_null() {
            return Err(format!("{what} is not documented"));
        }
        let code = match answer.status {
            200 => "ok",
            _ => answer.code(),
        };
        if is_head {
            // Without a body it says no code.
            return Ok(None);
        }
        self.check(response, answer, code)
            .map_err(|error| format!("{what}: {error}"))?;
        Ok(Some((
            operation.clone(),
            template.clone(),
            answer.status,
            code.to_owned(),
        )))
    }

    fn check(&self, response: &Value, answer: &Answer, code: &str) -> Result<(), String> {
        if !codes(response).contains(code) {
            return Err(format!("the code {code:?} is not documented"));
        }
        for (header, _) in response["headers"].as_object().unwrap() {
            let name = header.to_lowercase();
            if answer.header(&name).is_none() {
                return Err(format!("the header {header} is missing"));
            }
        }
        for header in ["retry-after", "allow", "www-authenticate"] {
            let mut documented = response["headers"].as_object().unwrap().keys();
            let is_documented = documented.any(|name| name.to_lowercase() == header);
            if answer.header(header).is_some() && !is_documented {
                return Err(format!("the header {header} is not documented"));
            }
        }
        let (content_type, content) = response["content"]
            .as_object()
            .unwrap()
            .iter()
            .next()
            .unwrap();
        let is = answer.header("content-type").unwrap_or_default();
        if is.split(';').next() != Some(content_type) {
            return Err(format!("{is} for {content_type}"));
        }
        self.check_members(&content["schema"], &answer.body)
    }

    /// The members of an object are those of its schema, and so on into it.
    fn check_members(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = match schema["$ref"].as_str() {
            Some(reference) => self.0.pointer(&reference[1..]).unwrap(),
            None => schema,
        };
        if let (Some(elements), false) = (value.as_array(), schema["items"].is_null()) {
            let mut elements = elements.iter();
            return elements.try_for_each(|each| self.check_members(&schema["items"], each));
        }
        let (Some(value), Some(properties)) = (value.as_object(), schema["properties"].as_object())
        else {
            return Ok(());
        };
        let is: BTreeSet<_> = value.keys().collect();
        let documented: BTreeSet<_> = properties.keys().collect();
        if is != documented {
            return Err(format!("the members {is:?} for {documented:?}"));
        }
        let mut members = value.iter();
        members.try_for_each(|(name, value)| self.check_members(&properties[name], value))
    }

    fn operation(&self, method: &str, path: &str) -> &Value {
        &self.0["paths"][path][method.to_lowercase()]
    }

    fn items(&self, pointer: &str) -> impl Iterator<Item = (String, &Value)> {
        let object = self.0.pointer(pointer).unwrap().as_object().unwrap();
        object.iter().map(|(name, value)| (name.clone(), value))
    }
}

/// The codes of a problem's response, or `ok`.
fn codes(response: &Value) -> BTreeSet<String> {
    let problem = &response["content"]["application/problem+json"];
    let codes = &problem["schema"]["properties"]["code"]["enum"];
    match codes.as_array() {
        Some(codes) => codes
            .iter()
            .map(|code| code.as_str().unwrap().to_owned())
            .collect(),
        None => ["ok".to_owned()].into(),
    }
}

/// Whether a path is one of the template's.
fn is_of(path: &str, template: &str) -> bool {
    let (mut path, mut template) = (path.split('/'), template.split('/'));
    loop {
        match (path.next(), template.next()) {
            (None, None) => return true,
            (Some(part), Some(slot)) if slot.starts_with('{') && !part.is_empty() => {}
            (Some(part), Some(word)) if part == word => {}
            _ => return false,
        }
    }
}
