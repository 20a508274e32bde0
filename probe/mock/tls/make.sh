#!/bin/bash
# Make localhost.pem and localhost.key again. `openssl ca`, because `openssl req` cannot say that a
# certificate holds since 2020: one that holds since today fails where the clock is behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/index"
cat >"$work/config" <<END
[ca]
default_ca = own
[own]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
[names]
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
basicConstraints = critical, CA:TRUE
subjectKeyIdentifier = hash
END
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
  -keyout localhost.key -out "$work/request"
openssl ca -config "$work/config" -batch -selfsign -notext -extensions names \
  -startdate 20200101000000Z -enddate 21200101000000Z \
  -keyfile localhost.key -in "$work/request" -out localhost.pem
