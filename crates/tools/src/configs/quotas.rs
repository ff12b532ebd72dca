//! Quotas of users, clients and addresses, and the SCRAM credentials of users.

use std::io::Write;

use ottla_client::Cluster;
use ottla_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use ottla_protocol::messages::alter_user_scram_credentials_request::ScramCredentialDeletion;
use ottla_protocol::messages::describe_client_quotas_request::ComponentData;
use ottla_protocol::messages::describe_client_quotas_response;
use ottla_protocol::messages::describe_user_scram_credentials_request::UserName;
use ottla_protocol::messages::{
    AlterClientQuotasRequest, AlterUserScramCredentialsRequest, DescribeClientQuotasRequest,
    DescribeUserScramCredentialsRequest,
};

use super::options::{CLIENTS, Entities, IPS, USERS};
use super::{Failure, names, refuse};
use crate::runtime::{Out, Thrown, java, java_list};

/// The SCRAM mechanisms with their numbers on the wire.
const MECHANISMS: [(&str, i8); 2] = [("SCRAM-SHA-256", 1), ("SCRAM-SHA-512", 2)];
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

/// What a kind is called in quotas.
fn wire(kind: &str) -> &'static str {
    match kind {
        USERS => "user",
        CLIENTS => "client-id",
        _ => "ip",
    }
}

fn mechanism(key: &str) -> Option<i8> {
    MECHANISMS.iter().find(|(name, _)| *name == key).map(|(_, number)| *number)
}

fn is_quota(key: &str) -> bool {
    names::CLIENTS.contains(&key)
}

pub(super) async fn alter(
    cluster: &Cluster,
    entities: &Entities,
    add: &[(String, String)],
    delete: &[String],
) -> Result<(), Failure> {
    let add_keys: Vec<&str> = add.iter().map(|(key, _)| key.as_str()).collect();
    let delete_keys: Vec<&str> = delete.iter().map(String::as_str).collect();
    let kind = entities.types[0].as_str();
    if kind == IPS {
        let all = add_keys.iter().chain(&delete_keys);
        let unknown: Vec<&str> = all.filter(|key| !names::IPS.contains(key)).copied().collect();
        if !unknown.is_empty() {
            return refuse(format!(
                "Only connection quota configs can be added for '{IPS}' using --bootstrap-server. Unexpected config names: {}",
                unknown.join(",")
            ));
        }
        return alter_quotas(cluster, entities, add, delete).await;
    }
    let of_client = kind == CLIENTS || entities.types.len() == 2;
    for (keys, done) in [(&add_keys, "added"), (&delete_keys, "deleted")] {
        let unknown: Vec<&&str> =
            keys.iter().filter(|key| !is_quota(key) && (of_client || mechanism(key).is_none())).collect();
        if !unknown.is_empty() {
            let (what, kind) =
                if of_client { ("quota", CLIENTS) } else { ("quota and SCRAM credential", USERS) };
            return refuse(format!(
                "Only {what} configs can be {done} for '{kind}' using --bootstrap-server. Unexpected config names: Set{}",
                java_list(unknown).replace('[', "(").replace(']', ")")
            ));
        }
    }
    let scram = add_keys.iter().chain(&delete_keys).any(|key| mechanism(key).is_some());
    if !scram {
        return alter_quotas(cluster, entities, add, delete).await;
    }
    if entities.names.iter().any(String::is_empty) {
        return refuse(
            "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using --bootstrap-server.",
        );
    }
    if add_keys.iter().chain(&delete_keys).any(|key| is_quota(key)) {
        return refuse(format!(
            "Cannot alter both quota and SCRAM credential configs simultaneously for '{USERS}' using --bootstrap-server."
        ));
    }
    if !add.is_empty() {
        return refuse(
            "SCRAM credentials cannot be made by this release yet (they come with SASL); deleting them and quotas can.\n    next: use Apache Kafka's kafka-configs.sh for this one command",
        );
    }
    let user = &entities.names[0];
    let deletions = delete_keys
        .iter()
        .filter_map(|key| mechanism(key))
        .map(|mechanism| ScramCredentialDeletion { name: user.clone(), mechanism });
    let request = AlterUserScramCredentialsRequest { deletions: deletions.collect(), upsertions: Vec::new() };
    for result in cluster.controller(&request).await?.results {
        Thrown::of_item(result.error_code, result.error_message.as_deref())?;
    }
    Ok(())
}

async fn alter_quotas(
    cluster: &Cluster,
    entities: &Entities,
    add: &[(String, String)],
    delete: &[String],
) -> Result<(), Failure> {
    let old = entries(cluster, entities).await?;
    let old = old.first().map(|entry| entry.values.as_slice()).unwrap_or_default();
    let unset: Vec<&str> =
        delete.iter().map(String::as_str).filter(|key| !old.iter().any(|value| value.key == *key)).collect();
    if !unset.is_empty() {
        return refuse(format!("Invalid config(s): {}", unset.join(",")));
    }
    let mut ops = Vec::new();
    for (key, text) in add {
        let Ok(value) = text.trim().parse() else {
            return refuse(format!("Cannot parse quota configuration value for {key}: {text}"));
        };
        ops.push(OpData { key: key.clone(), value, remove: false });
    }
    ops.extend(delete.iter().map(|key| OpData { key: key.clone(), value: 0.0, remove: true }));
    let named = entities.types.iter().zip(&entities.names);
    let entity = named.map(|(kind, name)| EntityData {
        entity_type: wire(kind).to_owned(),
        entity_name: Some(name.clone()).filter(|name| !name.is_empty()),
    });
    let request = AlterClientQuotasRequest {
        entries: vec![EntryData { entity: entity.collect(), ops }],
        validate_only: false,
    };
    for entry in cluster.controller(&request).await?.entries {
        Thrown::of_item(entry.error_code, entry.error_message.as_deref())?;
    }
    Ok(())
}

async fn entries(
    cluster: &Cluster,
    entities: &Entities,
) -> Result<Vec<describe_client_quotas_response::EntryData>, Failure> {
    if entities.names.len() > entities.types.len() {
        return refuse("More entity names specified than entity types");
    }
    let components = entities.types.iter().enumerate().map(|(i, kind)| {
        let (match_type, name) = match entities.names.get(i).map(String::as_str) {
            None => (ANY, None),
            Some("") => (DEFAULT, None),
            Some(name) => (EXACT, Some(name.to_owned())),
        };
        ComponentData { entity_type: wire(kind).to_owned(), match_type, r#match: name }
    });
    let request = DescribeClientQuotasRequest { components: components.collect(), strict: true };
    let answer = cluster.any(&request).await?;
    Thrown::of_item(answer.error_code, answer.error_message.as_deref())?;
    Ok(answer.entries.unwrap_or_default())
}

pub(super) async fn describe(cluster: &Cluster, entities: &Entities, out: &mut Out) -> Result<(), Failure> {
    for entry in entries(cluster, entities).await? {
        let mut entity = Vec::new();
        for (wire, shown) in [("user", "user-principal"), ("client-id", "client-id"), ("ip", "ip")] {
            if let Some(part) = entry.entity.iter().find(|part| part.entity_type == wire) {
                entity.push(match &part.entity_name {
                    Some(name) => format!("{shown} '{name}'"),
                    None => format!("the default {shown}"),
                });
            }
        }
        let values: Vec<String> = java::sized_hash_order(entry.values, |value| &value.key)
            .iter()
            .map(|value| format!("{}={}", value.key, java::double(value.value)))
            .collect();
        writeln!(out, "Quota configs for {} are {}", entity.join(", "), values.join(", "))?;
    }
    Ok(())
}

pub(super) async fn describe_users_and_clients(
    cluster: &Cluster,
    entities: &Entities,
    out: &mut Out,
) -> Result<(), Failure> {
    describe(cluster, entities, out).await?;
    if entities.has_type(CLIENTS) || entities.names.iter().any(String::is_empty) {
        return Ok(());
    }
    let users = entities.names.iter().map(|name| UserName { name: name.clone() }).collect::<Vec<_>>();
    let request =
        DescribeUserScramCredentialsRequest { users: Some(users).filter(|users| !users.is_empty()) };
    let answer = cluster.any(&request).await?;
    Thrown::of_item(answer.error_code, answer.error_message.as_deref())?;
    for result in answer.results {
        let user = &result.user;
        // RESOURCE_NOT_FOUND: a user without credentials is passed over in silence.
        if result.error_code == 91 {
            continue;
        }
        if let Err(thrown) = Thrown::of_item(result.error_code, result.error_message.as_deref()) {
            let class = thrown.class.rsplit('.').next().unwrap_or_default();
            writeln!(
                out,
                "Error retrieving SCRAM credential configs for user-principal '{user}': {class}: {}",
                thrown.message
            )?;
            continue;
        }
        let infos: Vec<String> = result
            .credential_infos
            .iter()
            .map(|info| {
                let name = MECHANISMS.iter().find(|(_, number)| *number == info.mechanism);
                format!("{}=iterations={}", name.map_or("UNKNOWN", |(name, _)| name), info.iterations)
            })
            .collect();
        writeln!(out, "SCRAM credential configs for user-principal '{user}' are {}", infos.join(", "))?;
    }
    Ok(())
}
