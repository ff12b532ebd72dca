//! How the schema's names become Rust's.

/// `TopicId` to `topic_id`, `KRaftVersion` to `kraft_version`.
pub fn snake(name: &str) -> String {
    let name = name.replace("KRaft", "Kraft");
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        if c.is_ascii_uppercase() {
            let after_lower = i > 0 && !chars[i - 1].is_ascii_uppercase();
            let before_lower = i > 0 && chars.get(i + 1).is_some_and(char::is_ascii_lowercase);
            if after_lower || before_lower {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(*c);
        }
    }
    out
}

/// A field's name in Rust.
pub fn field(name: &str) -> String {
    match snake(name).as_str() {
        "type" => "r#type".to_owned(),
        "match" => "r#match".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rust() {
        assert_eq!(snake("TopicId"), "topic_id");
        assert_eq!(snake("KRaftVersionFeature"), "kraft_version_feature");
        assert_eq!(snake("ISRNodes"), "isr_nodes");
        assert_eq!(snake("topicId"), "topic_id");
        assert_eq!(field("Type"), "r#type");
    }
}
