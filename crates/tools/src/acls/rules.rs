//! Which ACLs the options mean: pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Failure;
use super::words::{Entry, Operation, Pattern, Permission, Resource, ResourcePattern, principal};
use crate::args::jopt::{Found, Parser};
use crate::args::nearest;
use crate::runtime::{self, Thrown};

/// Entries by the resource they are for.
pub(super) type Rules = BTreeMap<ResourcePattern, BTreeSet<Entry>>;

/// The only name that the resource of type CLUSTER has.
const CLUSTER: &str = "kafka-cluster";
const EVERY_HOST: &str = "*";

/// `--resource-pattern-type`.
pub(super) fn pattern(found: &Found) -> Result<Pattern, Thrown> {
    let text = found.value("resource-pattern-type").unwrap_or_default();
    let known = Pattern::ALL_OF_THEM.iter().copied();
    let mut named = known.filter(|pattern| pattern.name().eq_ignore_ascii_case(text));
    match named.next() {
        Some(pattern) if pattern != Pattern::Unknown => Ok(pattern),
        _ => Err(Thrown::new(
            "joptsimple.OptionArgumentConversionException",
            format!("Cannot parse argument '{text}' of option resource-pattern-type"),
        )
        .caused(&format!("Value [{text}] is not one of [ANY|MATCH|LITERAL|PREFIXED]"))),
    }
}

/// The resources that are named; none if that is allowed.
pub(super) fn resources(
    p: &Parser,
    found: &Found,
    must_name_one: bool,
) -> Result<BTreeSet<ResourcePattern>, Failure> {
    let pattern = pattern(found)?;
    let mut resources = BTreeSet::new();
    for (option, resource) in [
        ("topic", Resource::Topic),
        ("group", Resource::Group),
        ("transactional-id", Resource::TransactionalId),
        ("delegation-token", Resource::DelegationToken),
        ("user-principal", Resource::User),
    ] {
        for name in found.values(option) {
            // Kafka trims every name but this one.
            let name = if resource == Resource::TransactionalId { name } else { name.trim() };
            resources.insert(ResourcePattern { resource, name: name.to_owned(), pattern });
        }
    }
    if pattern == Pattern::Literal && (found.has("cluster") || found.has("idempotent")) {
        resources.insert(cluster());
    }
    if resources.is_empty() && must_name_one {
        return Err(p
            .usage("You must provide at least one resource: --topic <topic> or --cluster or --group <group> or --delegation-token <Delegation Token ID>")
            .into());
    }
    Ok(resources)
}

fn cluster() -> ResourcePattern {
    ResourcePattern { resource: Resource::Cluster, name: CLUSTER.into(), pattern: Pattern::Literal }
}

/// The rules to add. Every resource needs someone who is allowed or denied.
pub(super) fn to_add(p: &Parser, found: &Found) -> Result<Rules, Failure> {
    let pattern = pattern(found)?;
    if !matches!(pattern, Pattern::Literal | Pattern::Prefixed) {
        let message =
            format!("A '--resource-pattern-type' value of '{pattern}' is not valid when adding acls.");
        return Err(p.usage(message).into());
    }
    let rules = rules(p, found)?;
    if rules.values().any(BTreeSet::is_empty) {
        let message = "You must specify one of: --allow-principal, --deny-principal when trying to add ACLs.";
        return Err(p.usage(message).into());
    }
    Ok(rules)
}

/// The rules that the options mean. A resource without entries means all that it has.
pub(super) fn rules(p: &Parser, found: &Found) -> Result<Rules, Failure> {
    use Operation::{Create, Describe, IdempotentWrite, Read, Write};
    let mut rules = Rules::new();
    let named = || resources(p, found, true);
    if !found.has("producer") && !found.has("consumer") {
        let operations: Vec<Operation> =
            found.values("operation").into_iter().map(|text| Operation::named(text.trim())).collect();
        let entries = entries(found, &operations)?;
        for resource in named()? {
            rules.insert(resource, entries.clone());
        }
    }
    let mut add = |resource: ResourcePattern, entries: BTreeSet<Entry>| {
        rules.entry(resource).or_default().extend(entries);
    };
    if found.has("producer") {
        for resource in named()? {
            match resource.resource {
                Resource::Topic => add(resource, entries(found, &[Write, Describe, Create])?),
                Resource::TransactionalId => add(resource, entries(found, &[Write, Describe])?),
                _ => {}
            }
        }
        if found.has("idempotent") {
            add(cluster(), entries(found, &[IdempotentWrite])?);
        }
    }
    if found.has("consumer") {
        for resource in named()? {
            match resource.resource {
                Resource::Topic => add(resource, entries(found, &[Read, Describe])?),
                Resource::Group => add(resource, entries(found, &[Read])?),
                _ => {}
            }
        }
    }
    for (resource, entries) in &rules {
        let supported = Operation::of_resource(resource.resource);
        if entries.iter().any(|entry| !supported.contains(&entry.operation)) {
            let message = format!(
                "ResourceType {} only supports operations {}",
                resource.resource,
                runtime::java_list(&supported)
            );
            let typed: Vec<&str> = found.values("operation");
            let unknown = typed.into_iter().find(|text| Operation::named(text.trim()) == Operation::Unknown);
            let names: Vec<String> = supported.iter().map(|it| it.pascal()).collect();
            let meant = unknown.and_then(|text| nearest::nearest(text, names.iter().map(String::as_str)));
            let hint = meant.map(|name| format!("did you mean {name}?")).unwrap_or_default();
            return Err(p.usage(message).and_err(hint).into());
        }
    }
    Ok(rules)
}

fn entries(found: &Found, operations: &[Operation]) -> Result<BTreeSet<Entry>, Thrown> {
    let mut entries = BTreeSet::new();
    for (who, from, permission) in [
        ("allow-principal", "allow-host", Permission::Allow),
        ("deny-principal", "deny-host", Permission::Deny),
    ] {
        let hosts = if found.has(from) { found.values(from) } else { vec![EVERY_HOST] };
        for principal in principals(found, who)? {
            for host in &hosts {
                for &operation in operations {
                    let (principal, host) = (principal.clone(), host.trim().to_owned());
                    entries.insert(Entry { principal, host, operation, permission });
                }
            }
        }
    }
    Ok(entries)
}

/// The principals that an option names, each once, in the order of the command line.
pub(super) fn principals(found: &Found, option: &str) -> Result<Vec<String>, Thrown> {
    let mut principals = Vec::new();
    for text in found.values(option) {
        let (kind, name) = principal(text.trim())?;
        let principal = format!("{kind}:{name}");
        if !principals.contains(&principal) {
            principals.push(principal);
        }
    }
    Ok(principals)
}
