#!/bin/sh
# kafka-replica-verification of Ottla; the same flags and output as Apache Kafka's.
self=$0
while [ -h "$self" ]; do
  link=$(readlink "$self")
  case $link in /*) self=$link ;; *) self=$(dirname "$self")/$link ;; esac
done
bin=$(cd "$(dirname "$self")" && pwd -P)
exec "$bin/ottla" kafka-replica-verification "$@"
