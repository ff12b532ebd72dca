//! Messages in a few words, for the trace. Whatever a node decides by must be in them.

use std::fmt;

use ottla_raft::{Request, Response};

/// A request.
pub fn request(request: &Request) -> RequestWords<'_> {
    RequestWords(request)
}

/// An answer, or none.
pub fn response(response: Option<&Response>) -> ResponseWords<'_> {
    ResponseWords(response)
}

/// Writes a request.
#[derive(Debug)]
pub struct RequestWords<'a>(&'a Request);

impl fmt::Display for RequestWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Request::Vote(vote) => {
                let name = if vote.pre_vote { "PreVote" } else { "Vote" };
                let (id, epoch) = (vote.candidate.id, vote.epoch);
                write!(f, "{name} for {id} in {epoch}, log {} of {}", vote.end_offset, vote.last_epoch)
            }
            Request::BeginQuorumEpoch(it) => write!(f, "Begin {} by {}", it.epoch, it.leader_id),
            Request::EndQuorumEpoch(it) => write!(f, "End {} by {}", it.epoch, it.leader_id),
            Request::Fetch(it) => write!(
                f,
                "Fetch in {} from {} of {}, committed {}",
                it.epoch, it.offset, it.last_epoch, it.high_watermark
            ),
            Request::FetchSnapshot(it) => {
                write!(f, "FetchSnapshot in {} of {:?} from byte {}", it.epoch, it.snapshot, it.position)
            }
            Request::AddVoter(it) => write!(f, "AddVoter {}", it.voter.id),
            Request::RemoveVoter(it) => write!(f, "RemoveVoter {}", it.voter.id),
            Request::UpdateVoter(it) => write!(f, "UpdateVoter {} in {}", it.voter.key.id, it.epoch),
            Request::DescribeQuorum => write!(f, "DescribeQuorum"),
            Request::ApiVersions => write!(f, "ApiVersions"),
        }
    }
}

/// Writes an answer.
#[derive(Debug)]
pub struct ResponseWords<'a>(Option<&'a Response>);

impl fmt::Display for ResponseWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => write!(f, "nothing"),
            Some(Response::Vote(it)) => {
                write!(f, "Vote {} {:?} in {}", it.granted, it.error, it.leader.epoch)
            }
            Some(Response::Fetch(it)) => {
                write!(
                    f,
                    "Fetch {:?} by {:?} in {}, committed {}",
                    it.error, it.leader.id, it.leader.epoch, it.high_watermark
                )?;
                write!(f, ", {} bytes", it.records.len())?;
                if let Some(end) = it.diverging {
                    write!(f, ", diverging {end:?}")?;
                }
                if let Some(id) = it.snapshot {
                    write!(f, ", {id:?}")?;
                }
                Ok(())
            }
            Some(Response::FetchSnapshot(it)) => {
                write!(f, "FetchSnapshot {:?} {} of {}", it.error, it.position, it.size)
            }
            Some(other) => write!(f, "{other:?}"),
        }
    }
}
