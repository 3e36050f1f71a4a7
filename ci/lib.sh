# Shared by the scripts of ci/: sourced, never run.
# It sets bash's strict mode, moves to the root of the checkout, and holds what
# more than one job needs.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The project's one PostgreSQL version, as Debian names its packages.
pg_version=15
# The image of ci/postgres-image, for machines that reach no image registry, and the
# official one, for those that do.
built_image="rowlock-postgres:$pg_version"
official_image="postgres:$pg_version"
# What the tests run foreign targets with: Debian's Python has Debian's psycopg.
export ROWLOCK_TEST_PYTHON=${ROWLOCK_TEST_PYTHON:-/usr/bin/python3}
# A clean checkout builds everything once. What holds does not depend on how fast it runs, and an
# optimised build takes longer than all that is run with it.
export CARGO_INCREMENTAL=0
export CARGO_PROFILE_RELEASE_OPT_LEVEL=${CARGO_PROFILE_RELEASE_OPT_LEVEL:-1}
# Only the network is tried again, never a build or a test.
export CARGO_NET_RETRY=${CARGO_NET_RETRY:-5}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$@"; exit 1; }

# install_packages PACKAGE...: install the Debian packages that are missing. Only the network
# is tried again; a package that does not install is an error at once.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi

  command -v apt-get >/dev/null || die "missing ${missing[*]}, and no apt-get to install them: install them by hand"
  [ "$(id -u)" -eq 0 ] || die "missing ${missing[*]}: run as root, or install them by hand"
  say "installing ${missing[*]}"
  apt_get update
  apt_get install --yes --no-install-recommends "${missing[@]}"
}

apt_get() {
  local log status=0
  log=$(mktemp)
  DEBIAN_FRONTEND=noninteractive apt-get -qq \
    -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=120 \
    -o Dpkg::Use-Pty=0 "$@" </dev/null >"$log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then cat "$log" >&2; fi
  rm -f "$log"
  return "$status"
}

# Debian's package makes and starts a cluster when it is installed. The harness makes
# its own, so that one would only hold port 5432 and memory.
install_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    install_packages postgresql-common
    sed -i 's/^#\?create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  fi
  install_packages "postgresql-$pg_version" "postgresql-client-$pg_version"
}

# Node and npm, from wherever they were installed; else Debian's.
install_node() {
  if command -v node >/dev/null && command -v npm >/dev/null; then return; fi
  install_packages nodejs npm
}

# unpack_npm PACKAGE DIRECTORY: put the contents of an npm package into DIRECTORY, unless it is
# there: whole or not at all.
unpack_npm() {
  local package=$1 directory=$2 unpacked
  if [ -d "$directory" ]; then return; fi
  install_node
  install -d -m 755 "$(dirname "$directory")"
  unpacked=$(mktemp -d "$directory.XXXXXX")
  say "fetching $package"
  (
    cd "$unpacked"
    npm pack --silent --fetch-retries=4 "$package" >/dev/null
    tar --extract --no-same-owner --gzip --file ./*.tgz
    # Links between shared libraries, which such a package cannot hold.
    if [ -e package/scripts/hydrate-symlinks.js ]; then cd package && node scripts/hydrate-symlinks.js; fi
  )
  chmod -R a+rX "$unpacked/package"
  mv "$unpacked/package" "$directory"
  rm -rf "$unpacked"
}

# install_npm PACKAGE DIRECTORY: put an npm package with all that it needs into
# DIRECTORY/node_modules, unless it is there: whole or not at all.
install_npm() {
  local package=$1 directory=$2 unfinished
  if [ -d "$directory" ]; then return; fi
  install_node
  install -d -m 755 "$(dirname "$directory")"
  unfinished=$(mktemp -d "$directory.XXXXXX")
  say "fetching $package"
  npm install --silent --no-save --no-audit --no-fund --ignore-scripts --fetch-retries=4 \
    --prefix "$unfinished" "$package" >/dev/null
  chmod -R a+rX "$unfinished"
  mv "$unfinished" "$directory"
}

# The version of the Docker engine that answers; fails where none does.
engine_version() { timeout 10 "$(docker_client)" version --format '{{.Server.Version}}' 2>/dev/null; }

# The docker command that the engine understands: a recent client on PATH may refuse
# Debian's engine as too old, while Debian's own client speaks to it.
docker_client() {
  local client
  for client in docker /usr/bin/docker; do
    if timeout 10 "$client" version >/dev/null 2>&1; then echo "$client"; return; fi
  done
  echo docker
}

# Set ROWLOCK_PG_IMAGE, unless it is set: the official image where it is here or can be
# had within two minutes, else the one that this machine builds.
choose_postgres_image() {
  if [ -n "${ROWLOCK_PG_IMAGE:-}" ]; then return; fi
  local client
  client=$(docker_client)
  if "$client" image inspect "$official_image" >/dev/null 2>&1 ||
    timeout 120 "$client" pull --quiet "$official_image" >/dev/null 2>&1; then
    export ROWLOCK_PG_IMAGE=$official_image
  else
    say "cannot pull $official_image: building $built_image instead"
    ci/postgres-image/build
    export ROWLOCK_PG_IMAGE=$built_image
  fi
}

# Ten thousand connections need as many files, in the harness and in the target. Root
# may ask for more than the limit it was given; others take all of theirs.
raise_file_limit() { ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"; }
