//! `kafka-acls`: access control lists shown, added and removed.

mod options;
mod rules;
#[cfg(test)]
mod tests;
pub(crate) mod words;

#[cfg(test)]
pub(crate) use options::parser;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use ottla_client::{Answer, Cluster};
use ottla_protocol::messages::create_acls_request::AclCreation;
use ottla_protocol::messages::delete_acls_request::DeleteAclsFilter;
use ottla_protocol::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};
use ottla_protocol::wire::Request;

use crate::args::jopt::{Found, Parser};
use crate::consumer_groups::executed;
use crate::runtime::{self, Out, Stop, Thrown};
use rules::Rules;
use words::{Entry, Operation, Pattern, Permission, Resource, ResourcePattern};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-acls", args, acls)
}

/// Why the tool ended: a misuse shows the usage, everything else is Kafka's one sentence.
#[derive(Debug)]
enum Failure {
    Stop(Stop),
    Thrown(Thrown),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Failure {
        Failure::Stop(stop)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Stop(error.into())
    }
}

impl From<Thrown> for Failure {
    fn from(thrown: Thrown) -> Failure {
        Failure::Thrown(thrown)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        match failure {
            Failure::Stop(stop) => stop,
            Failure::Thrown(thrown) => {
                Stop::said(format!("Error while executing ACL command: {}", thrown.message))
                    .and_err(thrown.causes)
            }
        }
    }
}

fn acls(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = options::parser();
    let found = p.parse(args).map_err(|misuse| p.usage(misuse.message()).and_err(misuse.more()))?;
    options::check(&p, &found, out)?;
    let properties = runtime::properties(found.value("command-config"))?;
    let (server, controller) = (found.value("bootstrap-server"), found.value("bootstrap-controller"));
    // What is wrong with the options is said before anybody is asked.
    let plan = Plan::of(&p, &found)?;
    runtime::block_on(async {
        let cluster = runtime::open_either(server, controller, &properties).await;
        let cluster =
            cluster.map_err(|thrown| Failure::Thrown(executed(thrown.calling(plan.first_call()))))?;
        match &plan {
            Plan::Add(rules) => add(&cluster, rules, out).await,
            Plan::Remove(rules) => remove(&cluster, rules, found.has("force"), out).await,
            Plan::List(resources, principals) => list(&cluster, resources, principals, out).await,
        }
        .map_err(Stop::from)
    })
}

enum Plan {
    Add(Rules),
    Remove(Rules),
    List(BTreeSet<ResourcePattern>, Vec<String>),
}

impl Plan {
    fn of(p: &Parser, found: &Found) -> Result<Plan, Failure> {
        Ok(if found.has("add") {
            Plan::Add(rules::to_add(p, found)?)
        } else if found.has("remove") {
            Plan::Remove(rules::rules(p, found)?)
        } else {
            Plan::List(rules::resources(p, found, false)?, rules::principals(found, "principal")?)
        })
    }

    fn first_call(&self) -> &'static str {
        if matches!(self, Plan::Remove(_)) { "deleteAcls" } else { "describeAcls" }
    }
}

/// Kafka's client asks any broker, and of controllers the active one.
async fn ask<R: Request>(cluster: &Cluster, request: &R) -> Result<R::Response, Thrown>
where
    R::Response: Answer,
{
    let answer = match cluster.of_controllers() {
        true => cluster.controller(request).await,
        false => cluster.any(request).await,
    };
    answer.map_err(|error| executed(error.into()))
}

/// The rules of the resources that are meant; without one, all of them.
async fn existing(cluster: &Cluster, meant: Option<&ResourcePattern>) -> Result<Rules, Thrown> {
    let request = DescribeAclsRequest {
        resource_type_filter: meant.map_or(Resource::Any, |meant| meant.resource).code(),
        resource_name_filter: meant.map(|meant| meant.name.clone()),
        pattern_type_filter: meant.map_or(Pattern::Any, |meant| meant.pattern).code(),
        principal_filter: None,
        host_filter: None,
        operation: Operation::Any.code(),
        permission_type: Permission::Any.code(),
    };
    let answer = ask(cluster, &request).await?;
    Thrown::of_item(answer.error_code, answer.error_message.as_deref()).map_err(executed)?;
    let mut rules = Rules::new();
    for resource in answer.resources {
        let pattern = ResourcePattern {
            resource: Resource::of(resource.resource_type),
            name: resource.resource_name,
            pattern: Pattern::of(resource.pattern_type),
        };
        let entries = resource.acls.into_iter().map(|acl| Entry {
            principal: acl.principal,
            host: acl.host,
            operation: Operation::of(acl.operation),
            permission: Permission::of(acl.permission_type),
        });
        rules.entry(pattern).or_default().extend(entries);
    }
    Ok(rules)
}

fn lines(entries: &BTreeSet<Entry>) -> String {
    entries.iter().map(|entry| format!("\t{entry}")).collect::<Vec<_>>().join("\n")
}

async fn add(cluster: &Cluster, rules: &Rules, out: &mut Out) -> Result<(), Failure> {
    for (resource, entries) in rules {
        let there = existing(cluster, Some(resource)).await?;
        let there = there.get(resource);
        let mut new = BTreeSet::new();
        for entry in entries {
            if there.is_some_and(|there| there.contains(entry)) {
                writeln!(out, "Acl (pattern={resource}, entry={entry}) already exists.")?;
            } else {
                new.insert(entry.clone());
            }
        }
        if new.is_empty() {
            continue;
        }
        writeln!(out, "Adding ACLs for resource `{resource}`: \n {}\n", lines(&new))?;
        let creations = new.into_iter().map(|entry| AclCreation {
            resource_type: resource.resource.code(),
            resource_name: resource.name.clone(),
            resource_pattern_type: resource.pattern.code(),
            principal: entry.principal,
            host: entry.host,
            operation: entry.operation.code(),
            permission_type: entry.permission.code(),
        });
        let request = CreateAclsRequest { creations: creations.collect() };
        for result in ask(cluster, &request).await?.results {
            Thrown::of_item(result.error_code, result.error_message.as_deref()).map_err(executed)?;
        }
    }
    Ok(())
}

async fn remove(cluster: &Cluster, rules: &Rules, force: bool, out: &mut Out) -> Result<(), Failure> {
    for (resource, entries) in rules {
        let question = if entries.is_empty() {
            format!("Are you sure you want to delete all ACLs for resource filter `{resource}`? (y/n)")
        } else {
            format!(
                "Are you sure you want to remove ACLs: \n {}\n from resource filter `{resource}`? (y/n)",
                lines(entries)
            )
        };
        if !force && !confirmed(&question, out)? {
            continue;
        }
        let filter = DeleteAclsFilter {
            resource_type_filter: resource.resource.code(),
            resource_name_filter: Some(resource.name.clone()),
            pattern_type_filter: resource.pattern.code(),
            principal_filter: None,
            host_filter: None,
            operation: Operation::Any.code(),
            permission_type: Permission::Any.code(),
        };
        let filters = if entries.is_empty() {
            vec![filter]
        } else {
            let of_entry = |entry: &Entry| DeleteAclsFilter {
                principal_filter: Some(entry.principal.clone()),
                host_filter: Some(entry.host.clone()),
                operation: entry.operation.code(),
                permission_type: entry.permission.code(),
                ..filter.clone()
            };
            entries.iter().map(of_entry).collect()
        };
        for result in ask(cluster, &DeleteAclsRequest { filters }).await?.filter_results {
            Thrown::of_item(result.error_code, result.error_message.as_deref()).map_err(executed)?;
            for acl in result.matching_acls {
                Thrown::of_item(acl.error_code, acl.error_message.as_deref()).map_err(executed)?;
            }
        }
    }
    Ok(())
}

/// Asks on standard output and reads the answer's line. Kafka fails without a terminal; here a pipe may answer.
fn confirmed(question: &str, out: &mut Out) -> Result<bool, Failure> {
    writeln!(out, "{question}")?;
    out.flush()?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        let nobody = Thrown::new("java.lang.NullPointerException", "nobody answers on standard input");
        return Err(nobody.caused("    next: --force assumes yes").into());
    }
    Ok(answer.trim_end_matches(['\n', '\r']).eq_ignore_ascii_case("y"))
}

async fn list(
    cluster: &Cluster,
    resources: &BTreeSet<ResourcePattern>,
    principals: &[String],
    out: &mut Out,
) -> Result<(), Failure> {
    let mut rules: Rules = BTreeMap::new();
    if resources.is_empty() {
        rules = existing(cluster, None).await?;
    }
    for resource in resources {
        for (resource, entries) in existing(cluster, Some(resource)).await? {
            rules.entry(resource).or_default().extend(entries);
        }
    }
    if principals.is_empty() {
        return show(&rules, None, out);
    }
    for principal in principals {
        writeln!(out, "ACLs for principal `{principal}`")?;
        show(&rules, Some(principal), out)?;
    }
    Ok(())
}

fn show(rules: &Rules, of: Option<&str>, out: &mut Out) -> Result<(), Failure> {
    for (resource, entries) in rules {
        let shown: BTreeSet<Entry> =
            entries.iter().filter(|entry| of.is_none_or(|of| of == entry.principal)).cloned().collect();
        if !shown.is_empty() {
            writeln!(out, "Current ACLs for resource `{resource}`:\n{}\n", lines(&shown))?;
        }
    }
    Ok(())
}
