//! `kafka-delegation-tokens`: tokens made, renewed, expired and described.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine as _};
use bytes::Bytes;
use ottla_client::Cluster;
use ottla_protocol::messages::create_delegation_token_request::CreatableRenewers;
use ottla_protocol::messages::describe_delegation_token_request::DescribeDelegationTokenOwner;
use ottla_protocol::messages::describe_delegation_token_response::DescribedDelegationToken;
use ottla_protocol::messages::{
    CreateDelegationTokenRequest, DescribeDelegationTokenRequest, ExpireDelegationTokenRequest,
    RenewDelegationTokenRequest,
};
use time::{OffsetDateTime, UtcOffset};

use crate::acls::words::principal;
use crate::args::jopt::{Found, Kind, Parser};
use crate::consumer_groups::executed;
use crate::runtime::{self, Out, Stop, Thrown};

const ABOUT: &str = "This tool helps to create, renew, expire, or describe delegation tokens.";
const ACTIONS: [&str; 4] = ["create", "renew", "expire", "describe"];

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-delegation-tokens", args, delegation_tokens)
}

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes("bootstrap-server", "REQUIRED: server(s) to use for bootstrapping.", "", Kind::Text);
    p.takes("command-config", "REQUIRED: A property file containing configs to be passed to Admin Client. Token management operations are allowed in secure mode only. This config file is used to pass security related configs.", "", Kind::Text);
    p.flag(
        "create",
        "Create a new delegation token. Use --renewer-principal option to pass renewer principals.",
    );
    p.flag("renew", "Renew delegation token. Use --renew-time-period option to set renew time period.");
    p.flag("expire", "Expire delegation token. Use --expiry-time-period option to expire the token.");
    p.flag("describe", "Describe delegation tokens for the given principals. Use --owner-principal to pass owner/renewer principals. If --owner-principal option is not supplied, all the user-owned tokens and tokens where the user has Describe permissions will be returned.");
    p.may_take(
        "owner-principal",
        "owner is a Kafka principal. They should be in principalType:name format.",
        "",
        Kind::Text,
    );
    p.may_take(
        "renewer-principal",
        "renewer is a Kafka principal. They should be in principalType:name format.",
        "",
        Kind::Text,
    );
    p.may_take("max-life-time-period", "Max life period for the token in milliseconds. If the value is -1, then token max life time will default to the server side config value of (delegation.token.max.lifetime.ms).", "", Kind::Long);
    p.may_take("renew-time-period", "Renew time period in milliseconds. If the value is -1, then the renew time period will default to the server side config value of (delegation.token.expiry.time.ms).", "", Kind::Long);
    p.may_take("expiry-time-period", "Expiry time period in milliseconds. If the value is -1, then the token will get invalidated immediately.", "", Kind::Long);
    p.may_take("hmac", "HMAC of the delegation token", "", Kind::Text);
    p
}

fn check(p: &Parser, found: &Found) -> Result<(), Stop> {
    if ACTIONS.iter().filter(|action| found.has(action)).count() != 1 {
        return Err(
            p.usage("Command must include exactly one action: --create, --renew, --expire or --describe")
        );
    }
    p.check_required(found, &["bootstrap-server", "command-config"])?;
    for (action, required, invalid) in [
        ("create", &["max-life-time-period"][..], &["hmac", "renew-time-period", "expiry-time-period"][..]),
        (
            "renew",
            &["hmac", "renew-time-period"],
            &["renewer-principal", "max-life-time-period", "expiry-time-period", "owner-principal"],
        ),
        (
            "expire",
            &["hmac", "expiry-time-period"],
            &["renew", "max-life-time-period", "renew-time-period", "owner-principal"],
        ),
        ("describe", &[], &["renew-time-period", "max-life-time-period", "hmac", "expiry-time-period"]),
    ] {
        if found.has(action) {
            p.check_required(found, required)?;
            p.check_invalid(found, action, invalid)?;
        }
    }
    // What may have a value needs one where the action uses it; Java falls over a null there.
    for option in ["max-life-time-period", "renew-time-period", "expiry-time-period", "hmac"] {
        if found.has(option) && !found.has_argument(option) {
            return Err(Stop::error(format!("Option {option} requires an argument")));
        }
    }
    Ok(())
}

fn delegation_tokens(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = parser();
    // joptsimple's exceptions leave this tool as they are: the message alone.
    let found = p.parse(args).map_err(|misuse| Stop::error(misuse.message()).and_err(misuse.more()))?;
    p.help_or_version(&found, ABOUT, out)?;
    check(&p, &found)?;
    let properties = runtime::properties(found.value("command-config"))?;
    let server = found.value("bootstrap-server").unwrap_or_default();
    let owners = principals(&found, "owner-principal")?;
    let renewers = principals(&found, "renewer-principal")?;
    runtime::block_on(async {
        let said = |thrown: Thrown| Stop::error(&thrown.message).and_err(thrown.causes);
        let connect = async |call| {
            runtime::open(server, &properties).await.map_err(|thrown| said(executed(thrown.calling(call))))
        };
        // What is going to be asked is said first, as Kafka does.
        let period = |name: &str| found.long(name).unwrap_or_default();
        let hmac = found.value("hmac").unwrap_or_default();
        if found.has("create") {
            let longest = period("max-life-time-period");
            let list = runtime::java_list(renewers.iter().map(|(kind, name)| format!("{kind}:{name}")));
            writeln!(
                out,
                "Calling create token operation with renewers :{list} , max-life-time-period :{longest}"
            )?;
            let cluster = connect("createDelegationToken").await?;
            create(&cluster, &owners, renewers, longest, out).await.map_err(said)
        } else if found.has("renew") {
            let period = period("renew-time-period");
            writeln!(out, "Calling renew token operation with hmac :{hmac} , renew-time-period :{period}")?;
            let request = RenewDelegationTokenRequest { hmac: decoded(hmac)?, renew_period_ms: period };
            let cluster = connect("renewDelegationToken").await?;
            let answer = cluster.any(&request).await.map_err(|error| said(executed(error.into())))?;
            Thrown::of_item(answer.error_code, None).map_err(|thrown| said(explained(thrown)))?;
            let at = date(answer.expiry_timestamp_ms);
            write!(out, "Completed renew operation. New expiry date : {at}")?;
            Ok(())
        } else if found.has("expire") {
            let period = period("expiry-time-period");
            writeln!(out, "Calling expire token operation with hmac :{hmac} , expire-time-period :{period}")?;
            let request =
                ExpireDelegationTokenRequest { hmac: decoded(hmac)?, expiry_time_period_ms: period };
            let cluster = connect("expireDelegationToken").await?;
            let answer = cluster.any(&request).await.map_err(|error| said(executed(error.into())))?;
            Thrown::of_item(answer.error_code, None).map_err(|thrown| said(explained(thrown)))?;
            let at = date(answer.expiry_timestamp_ms);
            write!(out, "Completed expire operation. New expiry date : {at}")?;
            Ok(())
        } else {
            if owners.is_empty() {
                writeln!(out, "Calling describe token operation for current user.")?;
            } else {
                let list = runtime::java_list(owners.iter().map(|(kind, name)| format!("{kind}:{name}")));
                writeln!(out, "Calling describe token operation for owners: {list}")?;
            }
            let cluster = connect("describeDelegationToken").await?;
            describe(&cluster, owners, out).await.map_err(said)
        }
    })
}

/// The exception of a refused request, with what it means here.
fn explained(thrown: Thrown) -> Thrown {
    let plain = thrown.class.ends_with("UnsupportedByAuthenticationException");
    let thrown = executed(thrown);
    if plain {
        return thrown.caused(
            "    cause: tokens are only for clients that have authenticated, and this connection is a plain one\n    next: security.protocol and sasl.* in the file given with --command-config, where the cluster has SASL",
        );
    }
    thrown
}

fn principals(found: &Found, option: &str) -> Result<Vec<(String, String)>, Stop> {
    let parse = |text: &str| {
        principal(text.trim()).map_err(|thrown| Stop::error(thrown.message).and_err(thrown.causes))
    };
    found.values(option).into_iter().map(parse).collect()
}

fn decoded(hmac: &str) -> Result<Bytes, Stop> {
    STANDARD.decode(hmac).map(Bytes::from).map_err(|error| {
        let message = match error {
            // One letter is too little for any byte, whichever it is.
            _ if hmac.len() == 1 => "Input byte[] should at least have 2 bytes for base64 bytes".to_owned(),
            DecodeError::InvalidByte(_, byte) => format!("Illegal base64 character {byte:x}"),
            other => other.to_string(),
        };
        Stop::error(message).and_err("    next: --hmac takes what --create printed as HMAC")
    })
}

async fn create(
    cluster: &Cluster,
    owners: &[(String, String)],
    renewers: Vec<(String, String)>,
    longest_ms: i64,
    out: &mut Out,
) -> Result<(), Thrown> {
    let renewers: Vec<CreatableRenewers> = renewers
        .into_iter()
        .map(|(principal_type, principal_name)| CreatableRenewers { principal_type, principal_name })
        .collect();
    let (owner_type, owner) = owners.first().cloned().unzip();
    let request = CreateDelegationTokenRequest {
        owner_principal_type: owner_type,
        owner_principal_name: owner,
        renewers: renewers.clone(),
        max_lifetime_ms: longest_ms,
    };
    let made = cluster.any(&request).await.map_err(|error| executed(error.into()))?;
    Thrown::of_item(made.error_code, None).map_err(explained)?;
    let token = Token {
        id: made.token_id,
        hmac: STANDARD.encode(&made.hmac),
        owner: format!("{}:{}", made.principal_type, made.principal_name),
        requester: format!("{}:{}", made.token_requester_principal_type, made.token_requester_principal_name),
        renewers: runtime::java_list(
            renewers.iter().map(|it| format!("{}:{}", it.principal_type, it.principal_name)),
        ),
        times: [made.issue_timestamp_ms, made.expiry_timestamp_ms, made.max_timestamp_ms],
    };
    let text = format!(
        "Created delegation token with tokenId : {}\n{}",
        token.id,
        table(std::slice::from_ref(&token))
    );
    write!(out, "{text}").map_err(|error| Thrown::new("java.io.IOException", error.to_string()))
}

async fn describe(cluster: &Cluster, owners: Vec<(String, String)>, out: &mut Out) -> Result<(), Thrown> {
    let owners: Vec<DescribeDelegationTokenOwner> = owners
        .into_iter()
        .map(|(principal_type, principal_name)| DescribeDelegationTokenOwner {
            principal_type,
            principal_name,
        })
        .collect();
    // Kafka's client leaves the list out when it is empty: all tokens that may be seen.
    let request = DescribeDelegationTokenRequest { owners: (!owners.is_empty()).then_some(owners) };
    let answer = cluster.any(&request).await.map_err(|error| executed(error.into()))?;
    Thrown::of_item(answer.error_code, None).map_err(explained)?;
    let tokens: Vec<Token> = answer.tokens.into_iter().map(Token::from).collect();
    let text = format!("Total number of tokens : {}{}", tokens.len(), table(&tokens));
    write!(out, "{text}").map_err(|error| Thrown::new("java.io.IOException", error.to_string()))
}

#[derive(Debug, Clone)]
struct Token {
    id: String,
    hmac: String,
    owner: String,
    requester: String,
    renewers: String,
    /// Issued, expires, cannot live longer: milliseconds since 1970.
    times: [i64; 3],
}

impl From<DescribedDelegationToken> for Token {
    fn from(token: DescribedDelegationToken) -> Token {
        let renewers = token.renewers.iter();
        Token {
            id: token.token_id,
            hmac: STANDARD.encode(&token.hmac),
            owner: format!("{}:{}", token.principal_type, token.principal_name),
            requester: format!(
                "{}:{}",
                token.token_requester_principal_type, token.token_requester_principal_name
            ),
            renewers: runtime::java_list(
                renewers.map(|it| format!("{}:{}", it.principal_type, it.principal_name)),
            ),
            times: [token.issue_timestamp, token.expiry_timestamp, token.max_timestamp],
        }
    }
}

/// The table of tokens, an empty line before each row.
fn table(tokens: &[Token]) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 8]| {
        text.push('\n');
        let widths = [15, 30, 15, 15, 25, 15, 15, 15];
        for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
            if at > 0 {
                text.push(' ');
            }
            crate::consumer_groups::layout::pad(&mut text, cell, width);
        }
        text.push('\n');
    };
    line(["TOKENID", "HMAC", "OWNER", "REQUESTER", "RENEWERS", "ISSUEDATE", "EXPIRYDATE", "MAXDATE"]);
    for token in tokens {
        let [issued, expires, longest] = token.times.map(date);
        line([
            &token.id,
            &token.hmac,
            &token.owner,
            &token.requester,
            &token.renewers,
            &issued,
            &expires,
            &longest,
        ]);
    }
    text
}

/// `yyyy-MM-dd'T'HH:mm` in the time of this machine.
fn date(timestamp_ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(timestamp_ms.div_euclid(1000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let at = at.to_offset(UtcOffset::local_offset_at(at).unwrap_or(UtcOffset::UTC));
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let stop = delegation_tokens(&args, &mut Out::new_for_test()).expect_err("refused");
        assert_eq!(stop.code, 1, "{line}");
        stop.err.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn what_goes_together_is_checked_in_kafkas_words() {
        let one = "Command must include exactly one action: --create, --renew, --expire or --describe";
        assert_eq!(refused("--bootstrap-server h:1"), one);
        assert_eq!(refused("--create --describe"), one);
        assert_eq!(
            refused("--create --bootstrap-server h:1"),
            "Missing required argument \"[command-config]\""
        );
        let begin = "--bootstrap-server h:1 --command-config f";
        assert_eq!(
            refused(&format!("{begin} --create")),
            "Missing required argument \"[max-life-time-period]\""
        );
        assert_eq!(
            refused(&format!("{begin} --describe --hmac x")),
            "Option \"[describe]\" can't be used with option \"[hmac]\""
        );
        assert_eq!(
            refused(&format!("{begin} --create --max-life-time-period x")),
            "Option max-life-time-period requires an argument"
        );
        assert_eq!(refused("--nonsense"), "nonsense is not a recognized option");
    }

    #[test]
    fn tokens_are_a_table_with_empty_lines() {
        let token = Token {
            id: "id".into(),
            hmac: "aG0=".into(),
            owner: "User:o".into(),
            requester: "User:r".into(),
            renewers: "[User:x]".into(),
            times: [0, 60_000, 120_000],
        };
        let text = table(&[token]);
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(
            lines[1],
            "TOKENID         HMAC                           OWNER           REQUESTER       RENEWERS                  ISSUEDATE       EXPIRYDATE      MAXDATE        "
        );
        assert!(lines[0].is_empty() && lines[2].is_empty());
        assert!(lines[3].starts_with(
            "id              aG0=                           User:o          User:r          [User:x] "
        ));
        assert_eq!(date(0).len(), "1970-01-01T00:00".len());
    }
}
