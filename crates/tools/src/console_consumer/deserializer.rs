//! Keys, values and headers as text, by the names of Kafka's deserializers.

/// A deserializer of `org.apache.kafka.common.serialization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deserializer {
    Text,
    Bytes,
    Boolean,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Uuid,
    Void,
}

impl Deserializer {
    /// The one of this Java class.
    pub(super) fn named(class: &str) -> Option<Deserializer> {
        Some(match class.strip_prefix("org.apache.kafka.common.serialization.")? {
            "StringDeserializer" => Deserializer::Text,
            "ByteArrayDeserializer" | "BytesDeserializer" | "ByteBufferDeserializer" => Deserializer::Bytes,
            "BooleanDeserializer" => Deserializer::Boolean,
            "ShortDeserializer" => Deserializer::Short,
            "IntegerDeserializer" => Deserializer::Integer,
            "LongDeserializer" => Deserializer::Long,
            "FloatDeserializer" => Deserializer::Float,
            "DoubleDeserializer" => Deserializer::Double,
            "UUIDDeserializer" => Deserializer::Uuid,
            "VoidDeserializer" => Deserializer::Void,
            _ => return None,
        })
    }

    /// The text of these bytes, appended; the error is Kafka's sentence.
    pub(super) fn show(self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let text = match self {
            Deserializer::Text => {
                match String::from_utf8_lossy(bytes) {
                    std::borrow::Cow::Borrowed(text) => out.extend_from_slice(text.as_bytes()),
                    std::borrow::Cow::Owned(text) => out.extend_from_slice(text.as_bytes()),
                }
                return Ok(());
            }
            // Java prints the array's identity here, which says nothing; the bytes do.
            Deserializer::Bytes => {
                out.extend_from_slice(bytes);
                return Ok(());
            }
            Deserializer::Boolean => match bytes {
                [0] => "false".to_owned(),
                [1] => "true".to_owned(),
                [byte] => {
                    return Err(format!("Unexpected byte received by BooleanDeserializer: {}", *byte as i8));
                }
                _ => return Err("Size of data received by BooleanDeserializer is not 1".to_owned()),
            },
            Deserializer::Short => i16::from_be_bytes(sized(bytes, "ShortDeserializer")?).to_string(),
            Deserializer::Integer => i32::from_be_bytes(sized(bytes, "IntegerDeserializer")?).to_string(),
            Deserializer::Long => i64::from_be_bytes(sized(bytes, "LongDeserializer")?).to_string(),
            Deserializer::Float => java_float(f32::from_be_bytes(sized(bytes, "Deserializer")?)),
            Deserializer::Double => {
                crate::record_json::java_double(f64::from_be_bytes(sized(bytes, "Deserializer")?))
            }
            Deserializer::Uuid => {
                let text = String::from_utf8_lossy(bytes);
                uuid::Uuid::parse_str(&text)
                    .map_err(|_| "Error parsing data into UUID".to_owned())?
                    .hyphenated()
                    .to_string()
            }
            Deserializer::Void => return Err("Data should be null for a VoidDeserializer.".to_owned()),
        };
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn sized<const N: usize>(bytes: &[u8], name: &str) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| format!("Size of data received by {name} is not {N}"))
}

/// `Float.toString`, which has the rules of `Double.toString` with the shortest digits of a float.
fn java_float(value: f32) -> String {
    let shortest: f64 = value.to_string().parse().unwrap_or(f64::from(value));
    crate::record_json::java_double(shortest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(class: &str, bytes: &[u8]) -> Result<String, String> {
        let mut out = Vec::new();
        Deserializer::named(&format!("org.apache.kafka.common.serialization.{class}"))
            .unwrap()
            .show(bytes, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn bytes_become_text() {
        assert_eq!(show("StringDeserializer", b"a\xffb").unwrap(), "a\u{fffd}b");
        assert_eq!(show("LongDeserializer", &(-7i64).to_be_bytes()).unwrap(), "-7");
        assert_eq!(show("IntegerDeserializer", &[0, 0, 1, 0]).unwrap(), "256");
        assert_eq!(show("ShortDeserializer", &[0xff, 0xff]).unwrap(), "-1");
        assert_eq!(show("DoubleDeserializer", &1e10f64.to_be_bytes()).unwrap(), "1.0E10");
        assert_eq!(show("FloatDeserializer", &0.1f32.to_be_bytes()).unwrap(), "0.1");
        assert_eq!(show("BooleanDeserializer", &[1]).unwrap(), "true");
        assert_eq!(
            show("UUIDDeserializer", b"67E55044-10B1-426F-9247-BB680E5FE0C8").unwrap(),
            "67e55044-10b1-426f-9247-bb680e5fe0c8"
        );
        assert_eq!(
            show("LongDeserializer", b"x").unwrap_err(),
            "Size of data received by LongDeserializer is not 8"
        );
        assert_eq!(Deserializer::named("my.Own"), None);
    }
}
