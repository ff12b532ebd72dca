//! The schema's text as a tree: which fields a message has in which version, by the names that Kafka's JSON uses.

use std::sync::LazyLock;

use ottla_protocol::schema;

/// The versions `min..=max`; `max` is `i16::MAX` for an open range, and empty ranges have `min > max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// Lowest.
    pub min: i16,
    /// Highest.
    pub max: i16,
}

impl Versions {
    const ALL: Versions = Versions { min: 0, max: i16::MAX };
    const NONE: Versions = Versions { min: i16::MAX, max: -1 };

    /// Whether `version` is one of them.
    pub fn has(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    fn parse(text: &str) -> Versions {
        let number = |text: &str| text.parse().expect("a version of the schema is a number");
        match (text.strip_suffix('+'), text.split_once('-')) {
            _ if text == "none" => Versions::NONE,
            (Some(min), _) => Versions { min: number(min), max: i16::MAX },
            (_, Some((min, max))) => Versions { min: number(min), max: number(max) },
            _ => Versions { min: number(text), max: number(text) },
        }
    }
}

/// A field of a message or struct.
#[derive(Debug)]
pub struct Field {
    /// Its name in JSON: the schema's, with a small first letter.
    pub json: String,
    /// The element's type where [`Field::array`] is set: a primitive or a struct's name.
    pub kind: &'static str,
    /// Whether it is an array.
    pub array: bool,
    /// Versions that have the field.
    pub versions: Versions,
    /// Versions in which it may be null.
    pub nullable: Versions,
    /// Its tag, and the versions in which it rides in the tagged block.
    pub tag: Option<(u32, Versions)>,
    /// The schema's default, if it gives one.
    pub default: Option<&'static str>,
}

impl Field {
    /// The tag in this version, if the field is tagged in it.
    pub fn tag_in(&self, version: i16) -> Option<u32> {
        self.tag.filter(|(_, versions)| versions.has(version)).map(|(tag, _)| tag)
    }
}

/// A message of the schema.
#[derive(Debug)]
pub struct Message {
    /// `metadata`, `coordinator-key`, `coordinator-value` or `data`.
    pub kind: &'static str,
    /// Its name, as Kafka's classes are called.
    pub name: &'static str,
    /// The record's type or id.
    pub key: Option<i16>,
    /// Versions that exist.
    pub versions: Versions,
    /// Versions with compact lengths and tagged fields.
    pub flexible: Versions,
    /// Its fields, in order.
    pub fields: Vec<Field>,
    structs: Vec<(&'static str, Vec<Field>)>,
}

impl Message {
    /// The fields of one of its structs.
    pub fn fields_of(&self, name: &str) -> Option<&[Field]> {
        self.structs.iter().find(|(n, _)| *n == name).map(|(_, fields)| fields.as_slice())
    }
}

static METADATA: LazyLock<Vec<Message>> = LazyLock::new(|| parse(schema::METADATA));
static CONTROL: LazyLock<Vec<Message>> = LazyLock::new(|| parse(schema::CONTROL));
static CONSUMER: LazyLock<Vec<Message>> = LazyLock::new(|| parse(schema::CONSUMER_PROTOCOL));
static GROUP: LazyLock<Vec<Message>> = LazyLock::new(|| parse(schema::GROUP));
static SHARE: LazyLock<Vec<Message>> = LazyLock::new(|| parse(schema::SHARE));
static TRANSACTION: LazyLock<Vec<Message>> = LazyLock::new(|| parse(schema::TRANSACTION));

/// A family of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// The metadata log.
    Metadata,
    /// Control records.
    Control,
    /// The consumer protocol's subscriptions and assignments.
    Consumer,
    /// `__consumer_offsets`.
    Group,
    /// `__share_group_state`.
    Share,
    /// `__transaction_state`.
    Transaction,
}

impl Family {
    /// Its messages.
    pub fn messages(self) -> &'static [Message] {
        match self {
            Family::Metadata => &METADATA,
            Family::Control => &CONTROL,
            Family::Consumer => &CONSUMER,
            Family::Group => &GROUP,
            Family::Share => &SHARE,
            Family::Transaction => &TRANSACTION,
        }
    }

    /// The message of this name.
    pub fn named(self, name: &str) -> Option<&'static Message> {
        self.messages().iter().find(|message| message.name == name)
    }

    /// The message of this kind and record type.
    pub fn keyed(self, kind: &str, key: i16) -> Option<&'static Message> {
        self.messages().iter().find(|message| message.kind == kind && message.key == Some(key))
    }
}

fn parse(text: &'static str) -> Vec<Message> {
    let mut lines = Lines {
        lines: text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|line| (line.len() - line.trim_start().len(), line.trim()))
            .collect(),
        at: 0,
    };
    let mut messages = Vec::new();
    while let Some(head) = lines.next_at(0) {
        let mut words = head.split(' ').peekable();
        let kind = words.next().expect("a message has a kind");
        let name = words.next().expect("a message has a name");
        let key = words.next_if(|word| word.parse::<i16>().is_ok()).and_then(|word| word.parse().ok());
        let (mut versions, mut flexible) = (Versions::NONE, Versions::NONE);
        while let Some(word) = words.next() {
            match word {
                "versions" => versions = Versions::parse(words.next().expect("versions follow")),
                "flexible" => flexible = Versions::parse(words.next().expect("versions follow")),
                _ => {}
            }
        }
        let mut structs = Vec::new();
        let fields = parse_fields(&mut lines, 4, &mut structs);
        messages.push(Message { kind, name, key, versions, flexible, fields, structs });
    }
    messages
}

struct Lines {
    lines: Vec<(usize, &'static str)>,
    at: usize,
}

impl Lines {
    fn next_at(&mut self, indent: usize) -> Option<&'static str> {
        let (_, text) = self.lines.get(self.at).filter(|(i, _)| *i == indent)?;
        self.at += 1;
        Some(text)
    }
}

fn parse_fields(
    lines: &mut Lines,
    indent: usize,
    structs: &mut Vec<(&'static str, Vec<Field>)>,
) -> Vec<Field> {
    let mut fields = Vec::new();
    while let Some(text) = lines.next_at(indent) {
        if let Some(name) = text.strip_prefix("struct ") {
            let inner = parse_fields(lines, indent + 4, structs);
            structs.push((name, inner));
            continue;
        }
        let field = parse_field(text);
        let inner = parse_fields(lines, indent + 4, structs);
        if !inner.is_empty() {
            structs.push((field.kind, inner));
        }
        fields.push(field);
    }
    fields
}

fn parse_field(text: &'static str) -> Field {
    let (name, rest) = text.split_once(": ").expect("a field has a type");
    let mut words = rest.split(' ');
    let word = words.next().expect("a field has a type");
    let (kind, nullable) = match word.split_once('?') {
        None => (word, Versions::NONE),
        Some((kind, "")) => (kind, Versions::ALL),
        Some((kind, versions)) => (kind, Versions::parse(versions)),
    };
    let (kind, array) = kind.strip_prefix("[]").map_or((kind, false), |element| (element, true));
    let mut field = Field {
        json: name[..1].to_ascii_lowercase() + &name[1..],
        kind,
        array,
        versions: Versions::ALL,
        nullable,
        tag: None,
        default: None,
    };
    for word in words {
        if let Some(tag) = word.strip_prefix("tag=") {
            let (tag, versions) = tag.split_once('@').unwrap_or((tag, "0+"));
            field.tag = Some((tag.parse().expect("a tag is a number"), Versions::parse(versions)));
        } else if let Some(default) = word.strip_prefix("default=") {
            field.default = Some(default);
        } else if !matches!(word, "ignorable" | "key" | "inflexible") {
            field.versions = Versions::parse(word);
        }
    }
    field
}
