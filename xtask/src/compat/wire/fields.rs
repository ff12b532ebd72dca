//! Compares our schema with the JSON schemas in Apache Kafka's jars: field by field, nothing taken from either on trust.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::schema::{Field, Message, OPEN, Type, Versions};

/// What was compared, and how it differs.
#[derive(Default)]
pub struct Findings {
    pub messages: usize,
    pub fields: usize,
    pub differences: Vec<String>,
    /// Schemas of the jars that ours does not have.
    pub only_theirs: Vec<String>,
}

/// Compares `ours` with every JSON schema in `dir`.
pub fn compare(dir: &Path, ours: &[&Message]) -> Result<Findings> {
    let mut theirs = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let schema: Value =
            serde_json::from_str(&without_comments(&text)).with_context(|| path.display().to_string())?;
        theirs.insert(text_of(&schema, "name")?.to_owned(), schema);
    }
    let mut findings = Findings::default();
    for message in ours {
        match theirs.remove(&message.name) {
            // Messages whose versions were all removed are "none" in the jars and not in ours.
            None => findings.differences.push(format!("{}: the jars have no such schema", message.name)),
            Some(schema) => Comparison { message, findings: &mut findings }.message(&schema)?,
        }
    }
    for (name, schema) in theirs {
        if schema["validVersions"].as_str() != Some("none") {
            findings.only_theirs.push(name);
        }
    }
    Ok(findings)
}

/// Kafka's schemas are JSON with `//` comments; none of their strings holds two slashes outside of an URL.
fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| {
            let mut quoted = false;
            let bytes = line.as_bytes();
            for (i, byte) in bytes.iter().enumerate() {
                match byte {
                    b'"' if i == 0 || bytes[i - 1] != b'\\' => quoted = !quoted,
                    b'/' if !quoted && bytes.get(i + 1) == Some(&b'/') => return &line[..i],
                    _ => {}
                }
            }
            line
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn text_of<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key].as_str().with_context(|| format!("no \"{key}\" in {value}"))
}

fn versions_of(value: &Value, key: &str) -> Result<Versions> {
    value[key].as_str().map_or(Ok(Versions::NONE), |text| Versions::parse(text.trim()))
}

/// The versions of a field; one that names none is there wherever it is tagged.
fn field_versions(field: &Value) -> Result<Versions> {
    versions_of(field, if field["versions"].is_string() { "versions" } else { "taggedVersions" })
}

/// Two ranges that hold for the same versions among `all`.
fn same(a: Versions, b: Versions, all: Versions) -> bool {
    (all.min..=all.max).all(|v| a.has(v) == b.has(v))
}

struct Comparison<'c> {
    message: &'c Message,
    findings: &'c mut Findings,
}

impl Comparison<'_> {
    fn differ(
        &mut self,
        place: &str,
        what: &str,
        ours: impl std::fmt::Display,
        theirs: impl std::fmt::Display,
    ) {
        self.findings.differences.push(format!("{place}: {what}: ours {ours}, theirs {theirs}"));
    }

    fn message(&mut self, theirs: &Value) -> Result<()> {
        let ours = self.message;
        let name = &ours.name;
        self.findings.messages += 1;
        if ours.kind != text_of(theirs, "type")? {
            self.differ(name, "kind", &ours.kind, &theirs["type"]);
        }
        let key = theirs["apiKey"].as_i64();
        if ours.key.map(i64::from) != key {
            self.differ(name, "key", format!("{:?}", ours.key), format!("{key:?}"));
        }
        let versions = versions_of(theirs, "validVersions")?;
        if ours.versions != versions {
            self.differ(name, "versions", ours.versions, versions);
        }
        let flexible = versions_of(theirs, "flexibleVersions")?;
        if !same(ours.flexible, flexible, ours.versions) {
            self.differ(name, "flexible versions", ours.flexible, flexible);
        }
        let unstable = theirs["latestVersionUnstable"].as_bool().unwrap_or(false);
        if ours.unstable != unstable {
            self.differ(name, "latest version unstable", ours.unstable, unstable);
        }
        let words = |v: &Value| -> BTreeSet<String> {
            v.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mine: BTreeSet<String> = ours.listeners.iter().cloned().collect();
        let listeners = words(&theirs["listeners"]);
        if mine != listeners {
            self.differ(name, "listeners", format!("{mine:?}"), format!("{listeners:?}"));
        }
        let shared: BTreeMap<&str, &Value> = theirs["commonStructs"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|s| Ok((text_of(s, "name")?, s)))
            .collect::<Result<_>>()?;
        let mut walked = BTreeSet::new();
        self.fields(name, &ours.fields, &theirs["fields"], &shared, &mut walked)?;
        for s in &ours.structs {
            if !walked.contains(&s.name) {
                self.findings.differences.push(format!("{name}: struct {} is in no field of theirs", s.name));
            }
        }
        Ok(())
    }

    fn fields(
        &mut self,
        place: &str,
        ours: &[Field],
        theirs: &Value,
        shared: &BTreeMap<&str, &Value>,
        walked: &mut BTreeSet<String>,
    ) -> Result<()> {
        // Fields of versions that were removed are of no use to either side.
        let lives = |here: Versions| versions(self.message).any(|v| here.has(v));
        let ours: Vec<&Field> = ours.iter().filter(|f| lives(f.versions)).collect();
        let theirs: Vec<&Value> = theirs
            .as_array()
            .into_iter()
            .flatten()
            .filter(|f| lives(field_versions(f).unwrap_or(Versions::ALL)))
            .collect();
        let names =
            |v: &[&Value]| v.iter().map(|f| f["name"].as_str().unwrap_or("?").to_owned()).collect::<Vec<_>>();
        let (mine, others) = (ours.iter().map(|f| f.name.clone()).collect::<Vec<_>>(), names(&theirs));
        if mine != others {
            self.differ(place, "fields", mine.join(" "), others.join(" "));
            return Ok(());
        }
        for (field, json) in ours.iter().zip(theirs) {
            self.findings.fields += 1;
            self.field(&format!("{place}.{}", field.name), field, json)?;
            let Some(name) = struct_of(&field.ty) else { continue };
            let inner = match (json.get("fields"), shared.get(name)) {
                (Some(fields), _) => fields,
                (None, Some(shared)) => &shared["fields"],
                (None, None) => bail!("{place}.{}: their struct {name} has no fields anywhere", field.name),
            };
            if walked.insert(name.to_owned()) {
                let fields = &self.message.find(name)?.fields;
                self.fields(&format!("{}.{name}", self.message.name), fields, inner, shared, walked)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, place: &str, ours: &Field, theirs: &Value) -> Result<()> {
        let all = self.message.versions;
        let (mine, other) = (kafka_type(&ours.ty), text_of(theirs, "type")?);
        if mine != other {
            self.differ(place, "type", mine, other);
        }
        let (tagged, versions) = (versions_of(theirs, "taggedVersions")?, field_versions(theirs)?);
        if !same(ours.versions, versions, all) {
            self.differ(place, "versions", ours.versions, versions);
        }
        let nullable = versions_of(theirs, "nullableVersions")?.clip(versions);
        if !same(ours.nullable, nullable, all) {
            self.differ(place, "nullable versions", ours.nullable, nullable);
        }
        if !same(ours.tagged, tagged.clip(versions), all) {
            self.differ(place, "tagged versions", ours.tagged, tagged);
        }
        let tag = theirs["tag"].as_u64();
        if ours.tag.map(u64::from) != tag {
            self.differ(place, "tag", format!("{:?}", ours.tag), format!("{tag:?}"));
        }
        let default = default_of(&ours.ty, ours.default.as_deref().unwrap_or(""));
        let their_default = match &theirs["default"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let their_default = default_of(&ours.ty, &their_default);
        if default != their_default {
            self.differ(place, "default", default, their_default);
        }
        for (what, ours, key) in [("ignorable", ours.ignorable, "ignorable"), ("key", ours.map_key, "mapKey")]
        {
            let theirs = theirs[key].as_bool().unwrap_or(false);
            if ours != theirs {
                self.differ(place, what, ours, theirs);
            }
        }
        // A field's own flexible versions are only ever "none": the client id that old brokers must be able to read.
        let inflexible = match theirs["flexibleVersions"].as_str() {
            None => false,
            Some("none") => true,
            Some(other) => {
                bail!("{place}: flexibleVersions {other} on a field is not known to this comparison")
            }
        };
        if ours.inflexible != inflexible {
            self.differ(place, "inflexible", ours.inflexible, inflexible);
        }
        Ok(())
    }
}

fn struct_of(ty: &Type) -> Option<&str> {
    match ty {
        Type::Struct(name) => Some(name),
        Type::Array(element) => struct_of(element),
        _ => None,
    }
}

fn kafka_type(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::I8 => "int8".into(),
        Type::I16 => "int16".into(),
        Type::U16 => "uint16".into(),
        Type::I32 => "int32".into(),
        Type::U32 => "uint32".into(),
        Type::I64 => "int64".into(),
        Type::F64 => "float64".into(),
        Type::Uuid => "uuid".into(),
        Type::Str => "string".into(),
        Type::Bytes => "bytes".into(),
        Type::Records => "records".into(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("[]{}", kafka_type(element)),
    }
}

/// A default in one spelling: nothing, `0`, `false` and `0x0` are the same for a number.
fn default_of(ty: &Type, text: &str) -> String {
    match ty {
        Type::Bool if text.is_empty() => "false".into(),
        Type::I8 | Type::I16 | Type::U16 | Type::I32 | Type::U32 | Type::I64 => {
            let number = match text.strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16).ok(),
                None if text.is_empty() => Some(0),
                None => text.parse().ok(),
            };
            number.map_or_else(|| text.to_owned(), |n| n.to_string())
        }
        Type::F64 if text.is_empty() => "0.0".into(),
        _ => text.to_owned(),
    }
}

/// Every version of every message, in the order of the schema.
pub fn versions(message: &Message) -> impl Iterator<Item = i16> + use<> {
    debug_assert!(message.versions.max < OPEN);
    message.versions.min..=message.versions.max
}
