//! The words of access control, their codes on the wire and how Kafka's classes print them.

use std::collections::BTreeSet;
use std::fmt;

use crate::runtime::Thrown;

/// A code on the wire with the name of Kafka's enum constant.
macro_rules! codes {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $name { $($(#[$doc])* $variant = $code,)* }

        impl $name {
            pub(crate) const ALL_OF_THEM: &'static [$name] = &[$($name::$variant,)*];

            pub(crate) fn code(self) -> i8 {
                self as i8
            }

            pub(crate) fn of(code: i8) -> $name {
                Self::ALL_OF_THEM.iter().copied().find(|it| it.code() == code).unwrap_or($name::Unknown)
            }

            pub(crate) fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

codes! {
    /// What an ACL is about (Kafka's `ResourceType`).
    Resource {
        Unknown = 0 "UNKNOWN",
        Any = 1 "ANY",
        Topic = 2 "TOPIC",
        Group = 3 "GROUP",
        Cluster = 4 "CLUSTER",
        TransactionalId = 5 "TRANSACTIONAL_ID",
        DelegationToken = 6 "DELEGATION_TOKEN",
        User = 7 "USER",
    }
}

codes! {
    /// How a resource's name is read (Kafka's `PatternType`).
    Pattern {
        Unknown = 0 "UNKNOWN",
        Any = 1 "ANY",
        Match = 2 "MATCH",
        Literal = 3 "LITERAL",
        Prefixed = 4 "PREFIXED",
    }
}

codes! {
    /// What is done to a resource (Kafka's `AclOperation`).
    Operation {
        Unknown = 0 "UNKNOWN",
        Any = 1 "ANY",
        All = 2 "ALL",
        Read = 3 "READ",
        Write = 4 "WRITE",
        Create = 5 "CREATE",
        Delete = 6 "DELETE",
        Alter = 7 "ALTER",
        Describe = 8 "DESCRIBE",
        ClusterAction = 9 "CLUSTER_ACTION",
        DescribeConfigs = 10 "DESCRIBE_CONFIGS",
        AlterConfigs = 11 "ALTER_CONFIGS",
        IdempotentWrite = 12 "IDEMPOTENT_WRITE",
        CreateTokens = 13 "CREATE_TOKENS",
        DescribeTokens = 14 "DESCRIBE_TOKENS",
        TwoPhaseCommit = 15 "TWO_PHASE_COMMIT",
    }
}

codes! {
    /// Whether it may be done (Kafka's `AclPermissionType`).
    Permission {
        Unknown = 0 "UNKNOWN",
        Any = 1 "ANY",
        Deny = 2 "DENY",
        Allow = 3 "ALLOW",
    }
}

impl Operation {
    /// The operations that `--operation` takes, as the help says them: `DescribeConfigs`.
    pub(crate) fn pascal(self) -> String {
        let word = |word: &str| {
            let (first, rest) = word.split_at(1);
            format!("{first}{}", rest.to_lowercase())
        };
        self.name().split('_').map(word).collect()
    }

    /// What `--operation` says: in any case, without underscores. What nobody knows is `Unknown`.
    pub(crate) fn named(text: &str) -> Operation {
        let known = Operation::ALL_OF_THEM.iter().copied();
        let mut named = known.filter(|operation| operation.pascal().eq_ignore_ascii_case(text));
        named.next().unwrap_or(Operation::Unknown)
    }

    /// What can be done to a resource of this kind, `All` included (Kafka's `AclEntry.supportedOperations`).
    pub(crate) fn of_resource(resource: Resource) -> BTreeSet<Operation> {
        use Operation::*;
        let supported: &[Operation] = match resource {
            Resource::Topic => &[Read, Write, Create, Describe, Delete, Alter, DescribeConfigs, AlterConfigs],
            Resource::Group => &[Read, Describe, Delete, DescribeConfigs, AlterConfigs],
            Resource::Cluster => {
                &[Create, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, Alter, Describe]
            }
            Resource::TransactionalId => &[Describe, Write, TwoPhaseCommit],
            Resource::DelegationToken => &[Describe],
            Resource::User => &[CreateTokens, DescribeTokens],
            Resource::Any | Resource::Unknown => &[],
        };
        supported.iter().copied().chain([All]).collect()
    }
}

/// A resource by its name, or which resources are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ResourcePattern {
    pub(crate) resource: Resource,
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
}

impl fmt::Display for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resource, name, pattern) = (self.resource, &self.name, self.pattern);
        write!(f, "ResourcePattern(resourceType={resource}, name={name}, patternType={pattern})")
    }
}

/// Who may or may not do what from where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) principal: String,
    pub(crate) host: String,
    pub(crate) operation: Operation,
    pub(crate) permission: Permission,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (principal, host, operation, permission) =
            (&self.principal, &self.host, self.operation, self.permission);
        write!(f, "(principal={principal}, host={host}, operation={operation}, permissionType={permission})")
    }
}

/// `Type:name`, split at the first colon (Kafka's `SecurityUtils.parseKafkaPrincipal`).
pub(crate) fn principal(text: &str) -> Result<(String, String), Thrown> {
    match text.split_once(':') {
        Some((kind, name)) => Ok((kind.to_owned(), name.to_owned())),
        None => Err(Thrown::illegal_argument(format!(
            "expected a string in format principalType:principalName but got {text}"
        ))
        .caused("    next: give the type too, for example User:bob")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_in_any_case_and_without_underscores() {
        assert_eq!(Operation::named("read"), Operation::Read);
        assert_eq!(Operation::named("DESCRIBECONFIGS"), Operation::DescribeConfigs);
        assert_eq!(Operation::named("DESCRIBE_CONFIGS"), Operation::Unknown);
        assert_eq!(Operation::TwoPhaseCommit.pascal(), "TwoPhaseCommit");
        assert_eq!(Operation::of(12), Operation::IdempotentWrite);
        assert_eq!(Operation::of(99), Operation::Unknown);
    }

    #[test]
    fn a_principal_has_a_type() {
        assert_eq!(principal("User:CN=a:b").ok(), Some(("User".into(), "CN=a:b".into())));
        assert!(principal("bob").is_err_and(|thrown| thrown.message.ends_with("but got bob")));
    }
}
