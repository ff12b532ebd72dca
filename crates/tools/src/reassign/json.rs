//! JSON files that people write for tools: where they are wrong is told with line and column.

use serde_json::{Map, Value};

use crate::runtime::Thrown;

const MAPPING: &str = "com.fasterxml.jackson.databind.JsonMappingException";

/// The text of a file.
pub(crate) fn read(path: &str) -> Result<String, Thrown> {
    std::fs::read_to_string(path).map_err(|error| {
        Thrown::new("java.io.IOException", format!("Unable to read file {path}"))
            .caused(&format!("{error}\n    next: check the path of the JSON file"))
    })
}

/// Text as JSON; the place of a fault is among the causes.
pub(crate) fn parse(text: &str, path: &str) -> Result<Value, Thrown> {
    serde_json::from_str(text).map_err(|error| {
        let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
        Thrown::new("com.fasterxml.jackson.core.JsonParseException", error.to_string())
            .caused(&format!("{path}: {error}\n    {}", line.trim_end()))
    })
}

fn mapping(message: String) -> Thrown {
    Thrown::new("java.lang.RuntimeException", format!("{MAPPING}: {message}"))
}

pub(crate) fn object(value: &Value) -> Result<&Map<String, Value>, Thrown> {
    value.as_object().ok_or_else(|| mapping(format!("Expected JSON object, received {value}")))
}

pub(crate) fn array(value: &Value) -> Result<&Vec<Value>, Thrown> {
    value.as_array().ok_or_else(|| mapping(format!("Expected JSON array, received {value}")))
}

pub(crate) fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Thrown> {
    object.get(name).ok_or_else(|| mapping(format!("No such field exists: `{name}`")))
}

pub(crate) fn text(value: &Value) -> Result<&str, Thrown> {
    value.as_str().ok_or_else(|| mapping(format!("Expected `String` value, received {value}")))
}

pub(crate) fn int(value: &Value) -> Result<i32, Thrown> {
    let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| mapping(format!("Expected `Integer` value, received {value}")))
}
