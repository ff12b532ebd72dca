//! Random values of the schema's messages, as the bytes that Kafka's own classes write for them: a tagged field that has
//! its default is left out, tags ascend, a nullable struct is marked as its place demands. It interprets the schema tree
//! and knows nothing of the generated code that it is used to judge.

use anyhow::{Result, bail, ensure};

use super::schema::{Field, Message, Type};

/// A small random source (SplitMix64): the same seed gives the same values everywhere.
pub struct Rng(u64);

impl Rng {
    #[allow(dead_code)]
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// A source of its own for every message and version, so that one message's change leaves the others' values alone.
    pub fn of(name: &str, version: i16) -> Rng {
        let mut hash = 0xcbf2_9ce4_8422_2325u64 ^ version as u64;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Rng(hash)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What the values of a message look like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Every array empty, every nullable field null, every number its default.
    Least,
    /// Every nullable field there, two elements in every array, numbers never their default.
    Full,
    Random,
}

/// The bytes of `count` values of `message` in `version`: the least one, a full one, then random ones.
pub fn values(message: &Message, version: i16, count: usize) -> Result<Vec<Vec<u8>>> {
    let mut rng = Rng::of(&message.name, version);
    (0..count)
        .map(|i| {
            let shape = match i {
                0 => Shape::Least,
                1 => Shape::Full,
                _ => Shape::Random,
            };
            let mut writer = Generator { message, version, rng: &mut rng, shape, out: Vec::new() };
            writer.fields(&message.fields, 0)?;
            Ok(writer.out)
        })
        .collect()
}

struct Generator<'m, 'r> {
    message: &'m Message,
    version: i16,
    rng: &'r mut Rng,
    shape: Shape,
    out: Vec<u8>,
}

impl<'m> Generator<'m, '_> {
    fn flexible(&self) -> bool {
        self.message.flexible.has(self.version)
    }

    fn fields(&mut self, fields: &'m [Field], depth: usize) -> Result<()> {
        let version = self.version;
        for field in fields.iter().filter(|f| f.versions.has(version) && !f.tagged.has(version)) {
            self.value(field, depth)?;
        }
        if !self.flexible() {
            return Ok(());
        }
        let mut tagged: Vec<(u32, Vec<u8>)> = Vec::new();
        for field in fields.iter().filter(|f| f.tagged.has(version)) {
            let Some(tag) = field.tag else { bail!("{}: tagged versions without a tag", field.name) };
            let default = self.aside(|g| g.default(field))?;
            let payload = self.aside(|g| g.value(field, depth))?;
            if payload != default {
                tagged.push((tag, payload));
            }
        }
        tagged.sort();
        self.uvarint(tagged.len() as u64);
        for (tag, payload) in tagged {
            self.uvarint(tag.into());
            self.uvarint(payload.len() as u64);
            self.out.extend(payload);
        }
        Ok(())
    }

    /// What `write` writes, kept apart from the message.
    fn aside(&mut self, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<Vec<u8>> {
        let message = std::mem::take(&mut self.out);
        write(self)?;
        Ok(std::mem::replace(&mut self.out, message))
    }

    fn value(&mut self, field: &'m Field, depth: usize) -> Result<()> {
        let nullable = field.nullable.has(self.version);
        let null = nullable
            && match self.shape {
                Shape::Least => true,
                Shape::Full => false,
                Shape::Random => self.rng.once_in(4),
            };
        if null {
            return self.null(field);
        }
        match &field.ty {
            Type::Bool | Type::I8 | Type::I16 | Type::U16 | Type::I32 | Type::U32 | Type::I64 => {
                let n = self.number(field)?;
                self.int(&field.ty, n);
            }
            Type::Struct(name) => {
                if nullable {
                    self.presence(field, true);
                }
                self.fields(&self.message.find(name)?.fields, depth + 1)?;
            }
            Type::Array(element) => self.array(element, depth)?,
            ty => self.scalar(ty, field.inflexible)?,
        }
        Ok(())
    }

    fn null(&mut self, field: &Field) -> Result<()> {
        match &field.ty {
            Type::Str if field.inflexible => self.out.extend((-1i16).to_be_bytes()),
            Type::Str if !self.flexible() => self.out.extend((-1i16).to_be_bytes()),
            Type::Str | Type::Bytes | Type::Records | Type::Array(_) if self.flexible() => self.uvarint(0),
            Type::Bytes | Type::Records | Type::Array(_) => self.out.extend((-1i32).to_be_bytes()),
            Type::Struct(_) => self.presence(field, false),
            other => bail!("{}: a {other:?} cannot be null", field.name),
        }
        Ok(())
    }

    /// Whether a nullable struct is there: a signed byte, or in the tagged block a varint.
    fn presence(&mut self, field: &Field, there: bool) {
        if field.tagged.has(self.version) {
            self.uvarint(u64::from(there));
        } else {
            self.out.push(if there { 1 } else { 0xff });
        }
    }

    /// The field's default, as [`Generator::value`] would write it.
    fn default(&mut self, field: &'m Field) -> Result<()> {
        let text = field.default.as_deref().unwrap_or("");
        if text == "null" {
            return self.null(field);
        }
        match &field.ty {
            Type::F64 => {
                let n: f64 = if text.is_empty() { 0.0 } else { text.parse()? };
                self.out.extend(n.to_be_bytes());
            }
            Type::Uuid => {
                ensure!(text.is_empty(), "{}: a uuid's default is zero", field.name);
                self.out.extend([0; 16]);
            }
            Type::Str => self.text(text, field.inflexible),
            Type::Bytes | Type::Records | Type::Array(_) => self.length(0),
            Type::Struct(name) => {
                if field.nullable.has(self.version) {
                    self.presence(field, true);
                }
                let (version, fields) = (self.version, &self.message.find(name)?.fields);
                for f in fields.iter().filter(|f| f.versions.has(version) && !f.tagged.has(version)) {
                    self.default(f)?;
                }
                if self.flexible() {
                    self.uvarint(0);
                }
            }
            ty => self.int(ty, default_number(field)?),
        }
        Ok(())
    }

    /// A number for the field: often one at which something could turn over.
    fn number(&mut self, field: &Field) -> Result<i64> {
        let default = default_number(field)?;
        let random = self.rng.next() as i64;
        Ok(match (self.shape, &field.ty) {
            (Shape::Least, _) => default,
            (Shape::Full, Type::Bool) => i64::from(default == 0),
            (Shape::Full, _) => 1 + (default == 1) as i64 + random.rem_euclid(100),
            (Shape::Random, Type::Bool) => random & 1,
            (Shape::Random, _) => match self.rng.below(10) {
                0 => default,
                1 => 0,
                2 => -1,
                3 => 1,
                4 => i64::MAX >> (8 * self.rng.below(8)),
                5 => i64::MIN >> (8 * self.rng.below(8)),
                _ => random >> self.rng.below(64),
            },
        })
    }

    fn int(&mut self, ty: &Type, n: i64) {
        match ty {
            Type::Bool => self.out.push(u8::from(n != 0)),
            Type::I8 => self.out.push(n as u8),
            Type::I16 | Type::U16 => self.out.extend((n as u16).to_be_bytes()),
            Type::I32 | Type::U32 => self.out.extend((n as u32).to_be_bytes()),
            _ => self.out.extend(n.to_be_bytes()),
        }
    }

    fn array(&mut self, element: &'m Type, depth: usize) -> Result<()> {
        let wide = !matches!(element, Type::Struct(_) | Type::Str | Type::Bytes | Type::Array(_));
        let count = match self.shape {
            Shape::Least => 0,
            Shape::Full => 2,
            // More than 126 elements need a second byte in the compact count.
            Shape::Random if wide && self.rng.once_in(12) => 120 + self.rng.below(20),
            Shape::Random => self.rng.below(if depth < 2 { 4 } else { 3 }),
        };
        self.length(count as usize);
        for _ in 0..count {
            match element {
                Type::Struct(name) => self.fields(&self.message.find(name)?.fields, depth + 1)?,
                Type::Array(_) => bail!("{}: an array of arrays", self.message.name),
                ty => self.scalar(ty, false)?,
            }
        }
        Ok(())
    }

    fn scalar(&mut self, ty: &Type, inflexible: bool) -> Result<()> {
        match ty {
            Type::Str => {
                let text = self.words();
                self.text(&text, inflexible);
            }
            Type::Bytes => {
                let n = self.size(40, 300);
                self.blob(n);
            }
            Type::Records => {
                // Both sides of the size from which record data is gathered instead of copied.
                let n = self.size(60, 2000);
                self.blob(n);
            }
            Type::Uuid => {
                let zero = self.shape == Shape::Least || (self.shape == Shape::Random && self.rng.once_in(4));
                let (high, low) = (self.rng.next(), self.rng.next());
                let id = if zero { 0 } else { u128::from(high) << 64 | u128::from(low) };
                self.out.extend(id.to_be_bytes());
            }
            Type::F64 => {
                let n = if self.shape == Shape::Least { 0.0 } else { self.rng.next() as i64 as f64 / 1024.0 };
                self.out.extend(n.to_be_bytes());
            }
            Type::Struct(_) | Type::Array(_) => bail!("{ty:?} is no scalar"),
            number => {
                let n = if self.shape == Shape::Least { 0 } else { self.rng.next() as i64 };
                self.int(number, n);
            }
        }
        Ok(())
    }

    fn size(&mut self, usual: u64, rare: u64) -> usize {
        (match self.shape {
            Shape::Least => 0,
            Shape::Full => 1 + self.rng.below(usual),
            Shape::Random if self.rng.once_in(10) => self.rng.below(rare),
            Shape::Random => self.rng.below(usual),
        }) as usize
    }

    fn words(&mut self) -> String {
        const LETTERS: [char; 12] =
            ['a', 'Z', '0', '.', '_', '-', ' ', '\u{0}', 'ß', 'ツ', '\u{1F600}', '\u{7f}'];
        let letters = self.size(12, 140);
        let plain = self.rng.once_in(2);
        (0..letters)
            .map(|_| LETTERS[self.rng.below(if plain { 6 } else { LETTERS.len() as u64 }) as usize])
            .collect()
    }

    fn text(&mut self, text: &str, inflexible: bool) {
        if self.flexible() && !inflexible {
            self.uvarint(text.len() as u64 + 1);
        } else {
            self.out.extend((text.len() as i16).to_be_bytes());
        }
        self.out.extend(text.as_bytes());
    }

    fn blob(&mut self, bytes: usize) {
        self.length(bytes);
        for _ in 0..bytes {
            let byte = self.rng.next() as u8;
            self.out.push(byte);
        }
    }

    fn length(&mut self, n: usize) {
        if self.flexible() {
            self.uvarint(n as u64 + 1);
        } else {
            self.out.extend((n as i32).to_be_bytes());
        }
    }

    fn uvarint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.out.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.out.push(n as u8);
    }
}

fn default_number(field: &Field) -> Result<i64> {
    Ok(match field.default.as_deref().unwrap_or("") {
        "" | "false" => 0,
        "true" => 1,
        hex if hex.starts_with("0x") => i64::from_str_radix(&hex[2..], 16)?,
        text => text.parse()?,
    })
}
