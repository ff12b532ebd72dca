//! Envelope (key 58): a client's request that a broker passes on to the active controller (KIP-590). Only on the
//! controllers' listeners.

use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::frame::{HeadError, LENGTH_BYTES, RequestHead};
use ottla_protocol::messages::{DefaultPrincipalData, EnvelopeRequest, EnvelopeResponse};
use ottla_protocol::wire::Message;
use tracing::info;

use crate::connection::Peer;
use crate::controller_host::{is_forwardable, run_watched};
use crate::dispatch::{self, Call, Handler};
use crate::reply::{Outcome, Refusal};

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: EnvelopeRequest = call.owned()?;
    let (peer, handler) = match opened(call, &request) {
        Ok(opened) => opened,
        Err(code) => return call.reply(&refused(code)),
    };
    let (thread, to) = (call.thread.clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let (reply, lost) = run_watched(&thread, &peer, &request.request_data, handler).await;
        let body = match reply {
            // Whoever passed it on looks for the new controller.
            _ if lost => refused(ErrorCode::NotController),
            Ok(reply) if reply.inserts.is_empty() => EnvelopeResponse {
                response_data: Some(Bytes::from(reply.bytes).slice(LENGTH_BYTES..)),
                error_code: 0,
            },
            Ok(_) => refused(ErrorCode::UnknownServerError),
            Err(refusal) => {
                info!("a request that was passed on is refused: {refusal}");
                refused(match refusal {
                    Refusal::Body { .. } | Refusal::Head(_) => ErrorCode::InvalidRequest,
                    _ => ErrorCode::UnknownServerError,
                })
            }
        };
        to.with(&body)
    })))
}

fn refused(code: ErrorCode) -> EnvelopeResponse {
    EnvelopeResponse { response_data: None, error_code: code.code() }
}

/// Who asks and what for, or why that is not answered.
fn opened(call: &Call<'_>, request: &EnvelopeRequest) -> Result<(Rc<Peer>, Handler), ErrorCode> {
    let address = client_address(&request.client_host_address).ok_or(ErrorCode::InvalidRequest)?;
    principal(request.request_principal.as_deref()).ok_or(ErrorCode::PrincipalDeserializationFailure)?;
    if !call.node().controller().channel().leads() {
        return Err(ErrorCode::NotController);
    }
    let (head, _) = RequestHead::read(&request.request_data).map_err(|error| match error {
        HeadError::Key { .. } | HeadError::Malformed(_) => ErrorCode::InvalidRequest,
    })?;
    let peer = Rc::new(Peer::passed_on(address, &call.peer.listener_name));
    if !is_forwardable(head.api) {
        return Err(ErrorCode::InvalidRequest);
    }
    let handler = dispatch::handler(head.api, peer.listener).ok_or(ErrorCode::UnsupportedVersion)?;
    if !head.api.info().serves(head.version, call.node().unstable_api_versions()) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    Ok((peer, handler))
}

fn client_address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// The client's principal: a version and the fields (Kafka's `DefaultKafkaPrincipalBuilder`).
fn principal(bytes: Option<&[u8]>) -> Option<DefaultPrincipalData> {
    let (version, body) = bytes?.split_first_chunk::<2>()?;
    DefaultPrincipalData::decode(body, i16::from_be_bytes(*version)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_an_address_and_a_name() {
        assert_eq!(client_address(&[10, 1, 2, 3]), Some("10.1.2.3".parse().unwrap()));
        assert_eq!(client_address(&[0; 16]), Some("::".parse().unwrap()));
        assert_eq!(client_address(&[1, 2, 3]), None);
        let known = principal(Some(b"\0\0\x05User\x0aANONYMOUS\0\0")).unwrap();
        assert_eq!((known.r#type.as_str(), known.name.as_str()), ("User", "ANONYMOUS"));
        assert_eq!(principal(None), None);
        assert_eq!(principal(Some(b"\0\x07\x05User\x02A\0\0")), None, "a version that is not known");
        assert_eq!(principal(Some(b"\0\0\x05Us")), None);
    }
}
