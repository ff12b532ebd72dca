//! Authentication, encryption and access control.

keys! {
    SECURITY

    String "authorizer.class.name" = "", NonNull, Low, ReadOnly, Refused("access control"),
        "Java class that decides who may do what; empty lets everybody do everything.";
    Long "delegation.token.expiry.check.interval.ms" = "3600000", AtLeast(1.0), Low, ReadOnly,
        Later("delegation tokens"),
        "How often expired delegation tokens are removed.";
    Long "delegation.token.expiry.time.ms" = "86400000", AtLeast(1.0), Medium, ReadOnly,
        Later("delegation tokens"),
        "Life of a delegation token until it must be renewed.";
    Long "delegation.token.max.lifetime.ms" = "604800000", AtLeast(1.0), Medium, ReadOnly,
        Later("delegation tokens"),
        "Longest life of a delegation token, renewals included.";
    Password "delegation.token.secret.key" = null, Any, Medium, ReadOnly, Later("delegation tokens"),
        "Secret that signs delegation tokens, the same on every node; not set turns tokens off.";
    Class "principal.builder.class" =
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder", Any, Medium, PerBroker,
        Refused("plug-in classes"),
        "Java class that names who is connected.";
    Class "sasl.client.callback.handler.class" = null, Any, Medium, ReadOnly, Refused("plug-in classes"),
        "Java class that supplies this node's own credentials.";
    List "sasl.enabled.mechanisms" = "GSSAPI", ANY_LIST, Medium, PerBroker, Later("SASL"),
        "SASL mechanisms on offer.";
    Password "sasl.jaas.config" = null, Any, Medium, PerBroker, Later("SASL"),
        "Login module and its options, as one line of a JAAS file.";
    String "sasl.kerberos.kinit.cmd" = "/usr/bin/kinit", Any, Medium, PerBroker,
        NoEffect("tickets are renewed without an outside command"),
        "Path of kinit.";
    Long "sasl.kerberos.min.time.before.relogin" = "60000", Any, Medium, PerBroker, Later("SASL"),
        "Shortest time between two attempts to renew a ticket.";
    List "sasl.kerberos.principal.to.local.rules" = "DEFAULT", ANY_LIST, Medium, PerBroker, Later("SASL"),
        "Rules that turn a Kerberos name into a user name.";
    String "sasl.kerberos.service.name" = null, Any, Medium, PerBroker, Later("SASL"),
        "Kerberos service name of the brokers.";
    Double "sasl.kerberos.ticket.renew.jitter" = "0.05", Any, Medium, PerBroker, Later("SASL"),
        "Random share added to the time of renewal.";
    Double "sasl.kerberos.ticket.renew.window.factor" = "0.8", Any, Medium, PerBroker, Later("SASL"),
        "Share of a ticket's life after which it is renewed.";
    Class "sasl.login.callback.handler.class" = null, Any, Medium, ReadOnly, Refused("plug-in classes"),
        "Java class that answers the questions of a login.";
    Class "sasl.login.class" = null, Any, Medium, ReadOnly, Refused("plug-in classes"),
        "Java class that logs in.";
    Int "sasl.login.connect.timeout.ms" = null, Any, Low, ReadOnly, Later("SASL"),
        "Time limit of connecting to an identity provider.";
    Int "sasl.login.read.timeout.ms" = null, Any, Low, ReadOnly, Later("SASL"),
        "Time limit of reading from an identity provider.";
    Short "sasl.login.refresh.buffer.seconds" = "300", Any, Medium, PerBroker, Later("SASL"),
        "Time before its expiry by which a credential should be refreshed.";
    Short "sasl.login.refresh.min.period.seconds" = "60", Any, Medium, PerBroker, Later("SASL"),
        "Shortest time between two refreshes of a credential.";
    Double "sasl.login.refresh.window.factor" = "0.8", Any, Medium, PerBroker, Later("SASL"),
        "Share of a credential's life after which it is refreshed.";
    Double "sasl.login.refresh.window.jitter" = "0.05", Any, Medium, PerBroker, Later("SASL"),
        "Random share added to the time of a refresh.";
    Long "sasl.login.retry.backoff.max.ms" = "10000", Any, Low, ReadOnly, Later("SASL"),
        "Longest pause before a failed login is tried again.";
    Long "sasl.login.retry.backoff.ms" = "100", Any, Low, ReadOnly, Later("SASL"),
        "First pause before a failed login is tried again.";
    String "sasl.mechanism.inter.broker.protocol" = "GSSAPI", Any, Medium, PerBroker, Later("SASL"),
        "SASL mechanism among brokers.";
    String "sasl.oauthbearer.assertion.algorithm" =
        "RS256", OneOfAnyCase(&["ES256", "RS256"]), Medium, ReadOnly,
        Later("SASL"),
        "Algorithm that signs the assertion a token is asked for with.";
    String "sasl.oauthbearer.assertion.claim.aud" = null, Any, Medium, ReadOnly, Later("SASL"),
        "Audience in the assertion.";
    Int "sasl.oauthbearer.assertion.claim.exp.seconds" = "300", Between(0.0, 86400.0), Low, ReadOnly,
        Later("SASL"),
        "Life of the assertion from its creation.";
    String "sasl.oauthbearer.assertion.claim.iss" = null, Any, Medium, ReadOnly, Later("SASL"),
        "Issuer in the assertion.";
    Boolean "sasl.oauthbearer.assertion.claim.jti.include" = "false", Any, Medium, ReadOnly, Later("SASL"),
        "Whether the assertion carries an id of its own.";
    Int "sasl.oauthbearer.assertion.claim.nbf.seconds" = "60", Between(0.0, 3600.0), Low, ReadOnly,
        Later("SASL"),
        "How far before its creation the assertion is already valid.";
    String "sasl.oauthbearer.assertion.claim.sub" = null, Any, Medium, ReadOnly, Later("SASL"),
        "Subject in the assertion.";
    String "sasl.oauthbearer.assertion.file" = null, Any, Medium, ReadOnly, Later("SASL"),
        "File with a ready assertion.";
    String "sasl.oauthbearer.assertion.private.key.file" = null, Any, Medium, ReadOnly, Later("SASL"),
        "File with the key that signs the assertion.";
    Password "sasl.oauthbearer.assertion.private.key.passphrase" = null, Any, Medium, ReadOnly, Later("SASL"),
        "Password of the key that signs the assertion.";
    String "sasl.oauthbearer.assertion.template.file" = null, Any, Medium, ReadOnly, Later("SASL"),
        "File with headers and claims that go into every assertion.";
    String "sasl.oauthbearer.client.credentials.client.id" = null, Any, Medium, ReadOnly, Later("SASL"),
        "Client id that a token is asked for with.";
    Password "sasl.oauthbearer.client.credentials.client.secret" = null, Any, Medium, ReadOnly, Later("SASL"),
        "Client secret that a token is asked for with.";
    Int "sasl.oauthbearer.clock.skew.seconds" = "30", Any, Low, ReadOnly, Later("SASL"),
        "Difference of clocks that is forgiven when a token's times are checked.";
    List "sasl.oauthbearer.expected.audience" = "", ANY_LIST, High, ReadOnly, Later("SASL"),
        "Audiences of which a token must name one.";
    String "sasl.oauthbearer.expected.issuer" = null, Any, High, ReadOnly, Later("SASL"),
        "Issuer that a token must name.";
    Long "sasl.oauthbearer.jwks.endpoint.refresh.ms" = "3600000", Any, Low, ReadOnly, Later("SASL"),
        "How often the issuer's keys are fetched again.";
    Long "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms" = "10000", Any, Low, ReadOnly, Later("SASL"),
        "Longest pause before a failed fetch of keys is tried again.";
    Long "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms" = "100", Any, Low, ReadOnly, Later("SASL"),
        "First pause before a failed fetch of keys is tried again.";
    String "sasl.oauthbearer.jwks.endpoint.url" = null, Any, Medium, ReadOnly, Later("SASL"),
        "Where the issuer's public keys are.";
    Class "sasl.oauthbearer.jwt.retriever.class" =
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", Any, Medium, ReadOnly,
        Refused("plug-in classes"),
        "Java class that fetches tokens.";
    Class "sasl.oauthbearer.jwt.validator.class" =
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", Any, Medium, ReadOnly,
        Refused("plug-in classes"),
        "Java class that checks tokens.";
    String "sasl.oauthbearer.scope" = null, Any, Medium, ReadOnly, Later("SASL"),
        "Scope that is asked for with a token.";
    String "sasl.oauthbearer.scope.claim.name" = "scope", Any, Low, ReadOnly, Later("SASL"),
        "Claim of a token that holds the scope.";
    String "sasl.oauthbearer.sub.claim.name" = "sub", Any, Low, ReadOnly, Later("SASL"),
        "Claim of a token that holds the user.";
    String "sasl.oauthbearer.token.endpoint.url" = null, Any, Medium, ReadOnly, Later("SASL"),
        "Where tokens are fetched from.";
    Class "sasl.server.callback.handler.class" = null, Any, Medium, ReadOnly, Refused("plug-in classes"),
        "Java class that checks credentials.";
    Int "sasl.server.max.receive.size" = "524288", Any, Medium, ReadOnly, Later("SASL"),
        "Largest message while a client authenticates.";
    String "security.providers" = null, Any, Low, ReadOnly, NoEffect("there is no JVM here"),
        "Java classes that provide security algorithms.";
    Boolean "ssl.allow.dn.changes" = "false", Any, Low, ReadOnly, Later("TLS"),
        "Whether a new key store may carry another distinguished name.";
    Boolean "ssl.allow.san.changes" = "false", Any, Low, ReadOnly, Later("TLS"),
        "Whether a new key store may carry other alternative names.";
    List "ssl.cipher.suites" = "", ANY_LIST, Medium, PerBroker, Later("TLS"),
        "Cipher suites that may be used; empty is the library's choice.";
    String "ssl.client.auth" = "none", OneOf(&["required", "requested", "none"]), Medium, PerBroker,
        Later("TLS"),
        "Whether clients must show a certificate: required, requested or none.";
    List "ssl.enabled.protocols" = "TLSv1.2,TLSv1.3", ANY_LIST, Medium, PerBroker, Later("TLS"),
        "TLS versions that may be used.";
    String "ssl.endpoint.identification.algorithm" = "https", Any, Low, PerBroker, Later("TLS"),
        "How a peer's name is checked against its certificate; empty turns the check off.";
    Class "ssl.engine.factory.class" = null, Any, Low, PerBroker, Refused("plug-in classes"),
        "Java class that makes TLS engines.";
    Password "ssl.key.password" = null, Any, Medium, PerBroker, Later("TLS"),
        "Password of the private key.";
    String "ssl.keymanager.algorithm" = "SunX509", Any, Medium, PerBroker, NoEffect("there is no JVM here"),
        "Java algorithm that manages keys.";
    Password "ssl.keystore.certificate.chain" = null, Any, Medium, PerBroker, Later("TLS"),
        "Certificates in PEM, in place of a file.";
    Password "ssl.keystore.key" = null, Any, Medium, PerBroker, Later("TLS"),
        "Private key in PEM, in place of a file.";
    String "ssl.keystore.location" = null, Any, Medium, PerBroker, Later("TLS"),
        "File of the key store.";
    Password "ssl.keystore.password" = null, Any, Medium, PerBroker, Later("TLS"),
        "Password of the key store's file.";
    String "ssl.keystore.type" = "JKS", Any, Medium, PerBroker, Later("TLS"),
        "Format of the key store: JKS, PKCS12 or PEM.";
    String "ssl.principal.mapping.rules" = "DEFAULT", Any, Low, ReadOnly, Later("TLS"),
        "Rules that turn the name in a certificate into a user name.";
    String "ssl.protocol" = "TLSv1.3", Any, Medium, PerBroker, Later("TLS"),
        "TLS version that is preferred.";
    String "ssl.provider" = null, Any, Medium, PerBroker, NoEffect("there is no JVM here"),
        "Java provider of TLS.";
    String "ssl.secure.random.implementation" = null, Any, Low, PerBroker, NoEffect("there is no JVM here"),
        "Java source of random numbers.";
    String "ssl.trustmanager.algorithm" = "PKIX", Any, Medium, PerBroker, NoEffect("there is no JVM here"),
        "Java algorithm that manages trust.";
    Password "ssl.truststore.certificates" = null, Any, Medium, PerBroker, Later("TLS"),
        "Trusted certificates in PEM, in place of a file.";
    String "ssl.truststore.location" = null, Any, Medium, PerBroker, Later("TLS"),
        "File of the trust store.";
    Password "ssl.truststore.password" = null, Any, Medium, PerBroker, Later("TLS"),
        "Password of the trust store's file.";
    String "ssl.truststore.type" = "JKS", Any, Medium, PerBroker, Later("TLS"),
        "Format of the trust store: JKS, PKCS12 or PEM.";
}
