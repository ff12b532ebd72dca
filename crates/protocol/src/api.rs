//! What an API is, and which versions of it are told to clients (KIP-511, KIP-896).

pub use crate::api_table::{APIS, ApiKey};

/// What 4.3.1 knows of one API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiInfo {
    /// Its key.
    pub key: ApiKey,
    /// Its name, without `Request`.
    pub name: &'static str,
    /// The lowest version that can be decoded.
    pub min_version: i16,
    /// The highest version that can be decoded.
    pub max_version: i16,
    /// Whether the highest version is unstable: not advertised unless `unstable.api.versions.enable` is set.
    pub unstable_max: bool,
    /// The first flexible version; `i16::MAX` for none.
    pub flexible_from: i16,
    /// Whether a broker listener serves it.
    pub on_broker: bool,
    /// Whether a controller listener serves it.
    pub on_controller: bool,
}

/// A row of the table: an API that no listener serves, in versions none of which is flexible or unstable.
pub(crate) const fn row(key: ApiKey, name: &'static str, min_version: i16, max_version: i16) -> ApiInfo {
    ApiInfo {
        key,
        name,
        min_version,
        max_version,
        unstable_max: false,
        flexible_from: i16::MAX,
        on_broker: false,
        on_controller: false,
    }
}

/// The kinds of listeners that serve APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// Clients and other brokers.
    Broker,
    /// Controllers, brokers' requests to controllers, and `--bootstrap-controller` tools.
    Controller,
}

impl ApiKey {
    /// The API of a request's first field, if 4.3.1 has one.
    pub fn from_i16(key: i16) -> Option<ApiKey> {
        APIS.binary_search_by_key(&key, |api| api.key as i16).ok().map(|i| APIS[i].key)
    }

    /// What is known of it.
    pub fn info(self) -> &'static ApiInfo {
        let at = APIS.binary_search_by_key(&(self as i16), |api| api.key as i16);
        &APIS[at.expect("every key has a row")]
    }

    /// Its name, as Kafka writes it.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The version of the request header: 2 (flexible) or 1.
    pub fn request_header_version(self, version: i16) -> i16 {
        if version >= self.info().flexible_from { 2 } else { 1 }
    }

    /// The version of the response header: 1 (flexible) or 0; always 0 for ApiVersions, which a client must be able
    /// to read before it knows what the broker speaks.
    pub fn response_header_version(self, version: i16) -> i16 {
        if self != ApiKey::ApiVersions && version >= self.info().flexible_from { 1 } else { 0 }
    }
}

/// What the table says of a row besides.
impl ApiInfo {
    pub(crate) const fn flexible(mut self, from: i16) -> ApiInfo {
        self.flexible_from = from;
        self
    }

    pub(crate) const fn unstable(mut self) -> ApiInfo {
        self.unstable_max = true;
        self
    }

    pub(crate) const fn broker(mut self) -> ApiInfo {
        self.on_broker = true;
        self
    }

    pub(crate) const fn controller(mut self) -> ApiInfo {
        self.on_controller = true;
        self
    }
}

impl ApiInfo {
    /// Whether `listener` serves it.
    pub fn on(&self, listener: Listener) -> bool {
        match listener {
            Listener::Broker => self.on_broker,
            Listener::Controller => self.on_controller,
        }
    }

    /// The highest version that is told to clients.
    pub fn highest(&self, unstable: bool) -> i16 {
        if self.unstable_max && !unstable { self.max_version - 1 } else { self.max_version }
    }

    /// The range that ApiVersions tells. Produce is told from 0 on although 0-2 are refused: librdkafka takes a
    /// missing 0 for a broker without message sets (KAFKA-18659).
    pub fn advertised(&self, listener: Listener, unstable: bool) -> (i16, i16) {
        let low =
            if self.key == ApiKey::Produce && listener == Listener::Broker { 0 } else { self.min_version };
        (low, self.highest(unstable))
    }

    /// Whether a request of `version` can be decoded and is served.
    pub fn serves(&self, version: i16, unstable: bool) -> bool {
        (self.min_version..=self.highest(unstable)).contains(&version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_official_jar() {
        assert_eq!(APIS.len(), 89);
        assert_eq!(APIS.iter().filter(|a| a.on_broker).count(), 77);
        assert_eq!(APIS.iter().filter(|a| a.on_controller).count(), 41);
    }

    #[test]
    fn headers_follow_flexibility() {
        assert_eq!(ApiKey::Fetch.request_header_version(11), 1);
        assert_eq!(ApiKey::Fetch.request_header_version(12), 2);
        assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(4), 0);
        assert_eq!(ApiKey::OffsetDelete.request_header_version(0), 1);
        assert_eq!(ApiKey::from_i16(4), None);
        assert_eq!(ApiKey::from_i16(92), Some(ApiKey::DeleteShareGroupOffsets));
    }

    #[test]
    fn ranges_told_to_clients() {
        assert_eq!(ApiKey::Produce.info().advertised(Listener::Broker, false), (0, 13));
        assert!(!ApiKey::Produce.info().serves(2, false));
        assert_eq!(ApiKey::InitProducerId.info().advertised(Listener::Broker, false), (0, 5));
        assert_eq!(ApiKey::InitProducerId.info().advertised(Listener::Broker, true), (0, 6));
    }
}
