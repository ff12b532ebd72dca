#!/bin/sh
# Nothing to stop: Ottla needs no ZooKeeper. Says so and succeeds, for scripts that begin with it.
self=$0
while [ -h "$self" ]; do
  link=$(readlink "$self")
  case $link in /*) self=$link ;; *) self=$(dirname "$self")/$link ;; esac
done
bin=$(cd "$(dirname "$self")" && pwd -P)
exec "$bin/ottla" zookeeper-server-stop "$@"
