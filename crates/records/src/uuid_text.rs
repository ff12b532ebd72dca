//! Kafka's text form of a UUID: URL-safe base64 of the 16 bytes, without padding, 22 characters.
//!
//! Decoding accepts what Kafka's `Uuid.fromString` accepts: padding may be present, and the four unused
//! bits of the last character are ignored.

use uuid::Uuid;

/// Length of the text form.
pub const TEXT_LEN: usize = 22;

/// The topic id of `__cluster_metadata`, in text `AAAAAAAAAAAAAAAAAAAAAQ`. Never handed out by [`random`].
pub const METADATA_TOPIC_ID: Uuid = Uuid::from_u128(1);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Why a text is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UuidTextError {
    /// More than 24 characters, the most a padded text has.
    #[error("Input string with prefix `{prefix}` is too long to be decoded as a base64 UUID")]
    TooLong {
        /// The first 24 characters.
        prefix: String,
    },
    /// The text is base64, but of another number of bytes than 16.
    #[error(
        "Input string `{text}` decoded as {bytes} bytes, which is not equal to the expected 16 bytes of a base64-encoded UUID"
    )]
    WrongLength {
        /// The text.
        text: String,
        /// How many bytes it decodes to.
        bytes: usize,
    },
    /// A character that URL-safe base64 does not have, or padding in the wrong place.
    #[error("Illegal base64 character {character:?} at position {position} of `{text}`")]
    IllegalCharacter {
        /// The text.
        text: String,
        /// The first offending character.
        character: char,
        /// Its position in characters.
        position: usize,
    },
}

/// The 22-character text of `id`.
pub fn encode(id: &Uuid) -> String {
    let bits = id.as_u128();
    let mut text = String::with_capacity(TEXT_LEN);
    for group in 0..21 {
        text.push(char::from(ALPHABET[((bits >> (122 - 6 * group)) & 63) as usize]));
    }
    text.push(char::from(ALPHABET[((bits & 3) << 4) as usize]));
    text
}

/// The UUID a text stands for.
pub fn decode(text: &str) -> Result<Uuid, UuidTextError> {
    if text.chars().count() > 24 {
        return Err(UuidTextError::TooLong { prefix: text.chars().take(24).collect() });
    }
    let illegal =
        |position, character| UuidTextError::IllegalCharacter { text: text.into(), character, position };
    let unpadded = text.trim_end_matches('=');
    let padding = text.len() - unpadded.len();
    if padding > 0 && (padding > 2 || !text.len().is_multiple_of(4)) {
        return Err(illegal(unpadded.chars().count(), '='));
    }
    let mut bits: u128 = 0;
    for (position, character) in unpadded.chars().enumerate() {
        let value = match character {
            'A'..='Z' => character as u32 - 'A' as u32,
            'a'..='z' => character as u32 - 'a' as u32 + 26,
            '0'..='9' => character as u32 - '0' as u32 + 52,
            '-' => 62,
            '_' => 63,
            _ => return Err(illegal(position, character)),
        };
        // The last character of 22 carries two bits; whatever comes later only counts towards the length.
        bits = match position {
            0..=20 => bits << 6 | u128::from(value),
            21 => bits << 2 | u128::from(value >> 4),
            _ => bits,
        };
    }
    if unpadded.len() != TEXT_LEN {
        return Err(UuidTextError::WrongLength { text: text.into(), bytes: unpadded.len() * 3 / 4 });
    }
    Ok(Uuid::from_u128(bits))
}

/// A version 4 UUID made of 16 random bytes, unless Kafka would not hand it out: one whose text starts with
/// `-` (tools would take it for an option). Ask again with other bytes on `None`.
pub fn from_random_bytes(bytes: [u8; 16]) -> Option<Uuid> {
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    (id.as_u128() >> 122 != 62).then_some(id)
}

/// A random UUID whose text does not start with `-`, from the operating system's random source.
/// Pure code takes its bytes from the caller instead: [`from_random_bytes`].
pub fn random() -> Uuid {
    loop {
        if let Some(id) = from_random_bytes(*Uuid::new_v4().as_bytes()) {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ids_have_kafkas_text() {
        assert_eq!(encode(&Uuid::nil()), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(encode(&METADATA_TOPIC_ID), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(encode(&Uuid::from_u128(u128::MAX)), "_____________________w");
    }

    #[test]
    fn text_round_trips_with_and_without_padding() {
        for seed in 0..500u128 {
            let id = Uuid::from_u128(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            let text = encode(&id);
            assert_eq!(text.len(), TEXT_LEN);
            assert_eq!(decode(&text), Ok(id));
            assert_eq!(decode(&format!("{text}==")), Ok(id));
        }
    }

    #[test]
    fn wrong_texts_are_named() {
        assert!(
            matches!(decode("AAAAAAAAAAAAAAAAAAAAAAAAA"), Err(UuidTextError::TooLong { prefix }) if prefix.len() == 24)
        );
        assert!(matches!(decode("AAAA"), Err(UuidTextError::WrongLength { bytes: 3, .. })));
        assert!(matches!(decode(""), Err(UuidTextError::WrongLength { bytes: 0, .. })));
        assert!(matches!(
            decode("AAAAAAAAAAAAAAAAAAAAAAAA"),
            Err(UuidTextError::WrongLength { bytes: 18, .. })
        ));
        assert!(matches!(
            decode("AAAAAAAAA+AAAAAAAAAAAA"),
            Err(UuidTextError::IllegalCharacter { character: '+', position: 9, .. })
        ));
        assert!(matches!(
            decode("AAAAAAAAAAAAAAAAAAAAAA="),
            Err(UuidTextError::IllegalCharacter { character: '=', position: 22, .. })
        ));
        assert!(matches!(decode("ÄÄÄÄ"), Err(UuidTextError::IllegalCharacter { character: 'Ä', .. })));
    }

    #[test]
    fn random_ids_are_version_4_and_never_look_like_an_option() {
        assert_eq!(from_random_bytes([0xfb; 16]), None);
        for _ in 0..300 {
            let id = random();
            assert_eq!(id.get_version_num(), 4);
            assert!(!encode(&id).starts_with('-'));
        }
    }
}
