//! A message's bytes as the JSON that Kafka's generated converters write: every field that the version has, in the
//! schema's order; tagged fields only where they are not their default.

use ottla_protocol::wire::Reader;
use ottla_records::uuid_text;

use super::schema::{Field, Message};
use super::value::Json;

/// Reads `message` from the start of `bytes` in `version`; the number is of the bytes that are left over. The error is
/// one line.
pub(super) fn read(message: &Message, bytes: &[u8], version: i16) -> Result<(Json, usize), String> {
    let mut walk = Walk { message, version, r: Reader::new(bytes, version, message.flexible.has(version)) };
    let json = walk.fields(&message.fields)?;
    Ok((json, walk.r.rest().len()))
}

struct Walk<'a> {
    message: &'a Message,
    version: i16,
    r: Reader<'a>,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Result<Json, String> {
        let mut values: Vec<Option<Json>> = vec![None; fields.len()];
        for (field, value) in fields.iter().zip(&mut values) {
            if field.versions.has(self.version) && field.tag_in(self.version).is_none() {
                *value = Some(self.field(field, false)?);
            }
        }
        if self.r.flexible() {
            for _ in 0..self.r.uvarint().map_err(text)? {
                let (tag, end) = self.r.tag().map_err(text)?;
                let known = fields
                    .iter()
                    .position(|f| f.versions.has(self.version) && f.tag_in(self.version) == Some(tag));
                let Some(at) = known else {
                    self.r.skip_to(end);
                    continue;
                };
                let value = self.field(&fields[at], true)?;
                self.r.end_tag(tag, end).map_err(text)?;
                values[at] = (value != self.default(&fields[at])).then_some(value);
            }
        }
        let members = fields.iter().zip(values);
        Ok(Json::Object(members.filter_map(|(f, value)| Some((f.json.clone(), value?))).collect()))
    }

    fn field(&mut self, field: &Field, tagged: bool) -> Result<Json, String> {
        let null = || {
            if field.nullable.has(self.version) {
                Ok(Json::Null)
            } else {
                Err(format!("non-nullable field {} was serialized as null", field.json))
            }
        };
        if field.array {
            let Some(count) = self.r.count(1).map_err(text)? else { return null() };
            let mut elements = Vec::new();
            for _ in 0..count {
                let element = self.one(field.kind)?;
                elements.push(
                    element.ok_or_else(|| format!("{}: an element was serialized as null", field.json))?,
                );
            }
            return Ok(Json::Array(elements));
        }
        let is_struct = self.message.fields_of(field.kind).is_some();
        if is_struct && field.nullable.has(self.version) {
            // A signed byte says whether it is there, in the tagged block a varint.
            let present = if tagged { self.r.uvarint().map(|mark| mark > 0) } else { self.r.present() };
            if !present.map_err(text)? {
                return Ok(Json::Null);
            }
        }
        match self.one(field.kind)? {
            Some(value) => Ok(value),
            None if field.nullable.has(self.version) => Ok(Json::Null),
            None => Err(format!("non-nullable field {} was serialized as null", field.json)),
        }
    }

    /// One value that is no array; `None` for a null string or null bytes.
    fn one(&mut self, kind: &str) -> Result<Option<Json>, String> {
        let r = &mut self.r;
        Ok(Some(match kind {
            "bool" => Json::Bool(r.bool().map_err(text)?),
            "i8" => Json::Int(r.i8().map_err(text)?.into()),
            "i16" => Json::Int(r.i16().map_err(text)?.into()),
            "u16" => Json::Int(r.u16().map_err(text)?.into()),
            "i32" => Json::Int(r.i32().map_err(text)?.into()),
            "u32" => Json::Int(r.u32().map_err(text)?.into()),
            "i64" => Json::Int(r.i64().map_err(text)?),
            "f64" => Json::Double(r.f64().map_err(text)?),
            "uuid" => Json::Text(uuid_text::encode(&r.uuid().map_err(text)?)),
            "string" => return Ok(r.nullable_str().map_err(text)?.map(Json::text)),
            "bytes" | "records" => {
                return Ok(r.nullable_slice().map_err(text)?.map(|bytes| Json::Bytes(bytes.to_vec())));
            }
            name => {
                let fields = self.message.fields_of(name).unwrap_or_else(|| {
                    panic!("T-1: the schema of {} has no struct {name}", self.message.name)
                });
                self.fields(fields)?
            }
        }))
    }

    /// What a field is when it is not there.
    fn default(&self, field: &Field) -> Json {
        if field.default == Some("null") {
            return Json::Null;
        }
        if field.array {
            return Json::Array(Vec::new());
        }
        let number = || field.default.map_or(0, |d| d.parse().expect("a number's default is a number"));
        match field.kind {
            "bool" => Json::Bool(field.default == Some("true")),
            "i8" | "i16" | "u16" | "i32" | "u32" | "i64" => Json::Int(number()),
            "f64" => Json::Double(
                field.default.map_or(0.0, |d| d.parse().expect("a number's default is a number")),
            ),
            "uuid" => Json::Text(uuid_text::encode(&uuid::Uuid::nil())),
            "string" => Json::text(field.default.unwrap_or("")),
            "bytes" | "records" => Json::Bytes(Vec::new()),
            name => {
                let inner = self.message.fields_of(name).unwrap_or_default();
                let present =
                    inner.iter().filter(|f| f.versions.has(self.version) && f.tag_in(self.version).is_none());
                Json::Object(present.map(|f| (f.json.clone(), self.default(f))).collect())
            }
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
