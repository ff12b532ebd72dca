#!/bin/sh
# Starts a node. The server's process is this one: its pid and its signals are the server's.
# USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*
self=$0
while [ -h "$self" ]; do
  link=$(readlink "$self")
  case $link in /*) self=$link ;; *) self=$(dirname "$self")/$link ;; esac
done
bin=$(cd "$(dirname "$self")" && pwd -P)
LOG_DIR=${LOG_DIR:-$bin/../logs}
export LOG_DIR
exec "$bin/ottla" kafka.Kafka "$@"
