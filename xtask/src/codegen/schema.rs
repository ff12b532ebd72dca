//! Parses the compact schema text (`crates/protocol/schema/README.md`) into a tree.

use std::fmt;

use anyhow::{Context, Result, anyhow, bail};

/// The versions `min..=max` of a message in which something holds; `max` is [`OPEN`] for `A+`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub min: i16,
    pub max: i16,
}

/// The upper end of an open range.
pub const OPEN: i16 = i16::MAX;

impl Versions {
    pub const ALL: Versions = Versions { min: 0, max: OPEN };
    pub const NONE: Versions = Versions { min: OPEN, max: -1 };

    pub fn parse(text: &str) -> Result<Versions> {
        if text == "none" {
            return Ok(Versions::NONE);
        }
        if let Some(min) = text.strip_suffix('+') {
            return Ok(Versions { min: min.parse()?, max: OPEN });
        }
        if let Some((min, max)) = text.split_once('-') {
            return Ok(Versions { min: min.parse()?, max: max.parse()? });
        }
        let only = text.parse().with_context(|| format!("'{text}' is no version range"))?;
        Ok(Versions { min: only, max: only })
    }

    pub fn has(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    pub fn clip(self, to: Versions) -> Versions {
        Versions { min: self.min.max(to.min), max: self.max.min(to.max) }
    }

    pub fn covers(self, other: Versions) -> bool {
        self.min <= other.min && other.max <= self.max
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, max) if min > max => f.write_str("none"),
            (min, OPEN) => write!(f, "{min}+"),
            (min, max) if min == max => write!(f, "{min}"),
            (min, max) => write!(f, "{min}-{max}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F64,
    Uuid,
    Str,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    fn parse(text: &str) -> Type {
        if let Some(element) = text.strip_prefix("[]") {
            return Type::Array(Box::new(Type::parse(element)));
        }
        match text {
            "bool" => Type::Bool,
            "i8" => Type::I8,
            "i16" => Type::I16,
            "u16" => Type::U16,
            "i32" => Type::I32,
            "u32" => Type::U32,
            "i64" => Type::I64,
            "f64" => Type::F64,
            "uuid" => Type::Uuid,
            "string" => Type::Str,
            "bytes" => Type::Bytes,
            "records" => Type::Records,
            name => Type::Struct(name.to_owned()),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    pub versions: Versions,
    /// The versions in which the field may be null ([`Versions::NONE`] when never).
    pub nullable: Versions,
    pub tag: Option<u32>,
    /// The versions in which the field rides in the tagged block.
    pub tagged: Versions,
    pub default: Option<String>,
    pub ignorable: bool,
    /// Part of the array's key (told by the schema, used by the comparison with Kafka's own schemas).
    #[allow(dead_code)]
    pub map_key: bool,
    pub inflexible: bool,
}

#[derive(Clone, Debug)]
pub struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub struct Message {
    pub kind: String,
    pub name: String,
    pub key: Option<i16>,
    pub versions: Versions,
    pub flexible: Versions,
    pub listeners: Vec<String>,
    pub unstable: bool,
    pub fields: Vec<Field>,
    /// Every struct of the message, in the order in which the text names them.
    pub structs: Vec<Struct>,
}

impl Message {
    pub fn find(&self, name: &str) -> Result<&Struct> {
        self.structs.iter().find(|s| s.name == name).ok_or_else(|| anyhow!("{}: no struct {name}", self.name))
    }
}

struct Line<'t> {
    number: usize,
    indent: usize,
    text: &'t str,
}

/// Parses one schema file; `file` is named in errors.
pub fn parse(file: &str, text: &str) -> Result<Vec<Message>> {
    let lines: Vec<Line<'_>> = text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty() && !l.trim_start().starts_with('#'))
        .map(|(i, l)| Line { number: i + 1, indent: l.len() - l.trim_start().len(), text: l.trim() })
        .collect();
    let mut messages = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let head = &lines[at];
        let mut message =
            parse_head(head.text).with_context(|| format!("{file}:{}: {}", head.number, head.text))?;
        at += 1;
        let mut structs = Vec::new();
        message.fields = parse_fields(file, &lines, &mut at, 4, message.versions, &mut structs)?;
        message.structs = structs;
        messages.push(message);
    }
    Ok(messages)
}

fn parse_head(text: &str) -> Result<Message> {
    let mut words = text.split(' ').peekable();
    let kind = words.next().context("no kind")?.to_owned();
    let name = words.next().context("no name")?.to_owned();
    let key = words.next_if(|w| w.parse::<i16>().is_ok()).map(|w| w.parse()).transpose()?;
    let mut message = Message {
        kind,
        name,
        key,
        versions: Versions::NONE,
        flexible: Versions::NONE,
        listeners: Vec::new(),
        unstable: false,
        fields: Vec::new(),
        structs: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word {
            "versions" => message.versions = Versions::parse(words.next().context("no versions")?)?,
            "flexible" => message.flexible = Versions::parse(words.next().context("no versions")?)?,
            "listeners" => {
                message.listeners =
                    words.next().context("no listeners")?.split(',').map(str::to_owned).collect();
            }
            "unstable" => message.unstable = true,
            other => bail!("unknown word '{other}'"),
        }
    }
    Ok(message)
}

fn parse_fields(
    file: &str,
    lines: &[Line<'_>],
    at: &mut usize,
    indent: usize,
    valid: Versions,
    structs: &mut Vec<Struct>,
) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    while let Some(line) = lines.get(*at).filter(|l| l.indent >= indent) {
        if line.indent != indent {
            bail!("{file}:{}: indented by {}, expected {indent}", line.number, line.indent);
        }
        *at += 1;
        if let Some(name) = line.text.strip_prefix("struct ") {
            let inner = parse_fields(file, lines, at, indent + 4, valid, structs)?;
            structs.push(Struct { name: name.to_owned(), fields: inner });
            continue;
        }
        let field = parse_field(line.text, valid)
            .with_context(|| format!("{file}:{}: {}", line.number, line.text))?;
        let name = match &field.ty {
            Type::Struct(name) => Some(name.clone()),
            Type::Array(element) => match &**element {
                Type::Struct(name) => Some(name.clone()),
                _ => None,
            },
            _ => None,
        };
        let inner = parse_fields(file, lines, at, indent + 4, valid, structs)?;
        if let Some(name) = name.filter(|_| !inner.is_empty()) {
            structs.push(Struct { name, fields: inner });
        } else if !inner.is_empty() {
            bail!("{file}:{}: a {:?} has no fields", line.number, field.ty);
        }
        fields.push(field);
    }
    Ok(fields)
}

fn parse_field(text: &str, valid: Versions) -> Result<Field> {
    let (name, rest) = text.split_once(": ").context("expected 'Name: type'")?;
    let mut words = rest.split(' ');
    let word = words.next().context("no type")?;
    let (ty, nullable) = match word.split_once('?') {
        None => (word, None),
        Some((ty, "")) => (ty, Some(Versions::ALL)),
        Some((ty, versions)) => (ty, Some(Versions::parse(versions)?)),
    };
    let mut field = Field {
        name: name.to_owned(),
        ty: Type::parse(ty),
        versions: valid,
        nullable: nullable.unwrap_or(Versions::NONE),
        tag: None,
        tagged: Versions::NONE,
        default: None,
        ignorable: false,
        map_key: false,
        inflexible: false,
    };
    for word in words {
        if let Some(tag) = word.strip_prefix("tag=") {
            let (tag, versions) = match tag.split_once('@') {
                Some((tag, versions)) => (tag, Versions::parse(versions)?),
                None => (tag, Versions::ALL),
            };
            field.tag = Some(tag.parse()?);
            field.tagged = versions;
        } else if let Some(default) = word.strip_prefix("default=") {
            field.default = Some(default.to_owned());
        } else {
            match word {
                "ignorable" => field.ignorable = true,
                "key" => field.map_key = true,
                "inflexible" => field.inflexible = true,
                versions => field.versions = Versions::parse(versions)?.clip(valid),
            }
        }
    }
    field.nullable = field.nullable.clip(field.versions);
    field.tagged = field.tagged.clip(field.versions);
    Ok(field)
}
