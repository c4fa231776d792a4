# shellcheck shell=bash disable=SC2034,SC2154
# A PostgreSQL of the load's own: made in a temporary directory, reached by a unix socket in it, and removed at the end. Sourced
# after lib.sh, and used after open_workplace. It syncs to the disk as one that is installed does.

# The newest that is there, or that of POSTGRES_BIN.
find_postgres() {
  local bin
  postgres_bin=${POSTGRES_BIN:-}
  if [[ ! $postgres_bin ]]; then
    for bin in /usr/lib/postgresql/*/bin; do
      [[ ! -x $bin/initdb ]] || postgres_bin=$bin
    done
  fi
  [[ -x $postgres_bin/initdb ]] || die "PostgreSQL is missing: install it (Debian: apt-get install postgresql)"
}

# What is set besides the defaults; named in the tables.
cluster_settings=(shared_buffers=128MB max_wal_size=4GB)

# PostgreSQL does not run as root.
unprivileged=()
if ((EUID == 0)); then
  unprivileged=(setpriv --reuid postgres --regid postgres --clear-groups)
fi

# start_cluster: sets cluster, the directory with its socket.
start_cluster() {
  local setting arguments=() began now
  find_postgres
  cluster=$work/cluster
  mkdir "$cluster"
  # Others may pass through it, and nothing else.
  chmod 711 "$work"
  ((EUID != 0)) || chown postgres "$cluster"
  (cd "$cluster" && "${unprivileged[@]}" "$postgres_bin/initdb" -U postgres --auth=trust -E UTF8 --locale=C -D "$cluster/data") \
    >"$base/cluster.log" 2>&1 || die "initdb failed; see $base/cluster.log"
  for setting in listen_addresses= max_connections=200 "${cluster_settings[@]}"; do
    arguments+=(-c "$setting")
  done
  (cd "$cluster" && exec "${unprivileged[@]}" "$postgres_bin/postgres" -D "$cluster/data" -k "$cluster" "${arguments[@]}") \
    >>"$base/cluster.log" 2>&1 &
  cluster_pid=$!
  pids+=("$cluster_pid")
  now_us began
  until "$postgres_bin/pg_isready" -q -h "$cluster"; do
    now_us now
    kill -0 "$cluster_pid" 2>/dev/null || die "PostgreSQL ended at once; see $base/cluster.log"
    ((now - began < patience * 1000000)) || die "no answer from PostgreSQL in $patience s; see $base/cluster.log"
    nap 0.05
  done
}

# sql STATEMENT: its rows, unaligned.
sql() {
  psql -h "$cluster" -U postgres -XqAt -v ON_ERROR_STOP=1 -c "SET search_path TO ${schema:-public}" -c "$1"
}

# on_cluster SCHEMA: what the next new_server writes into its configuration for that schema.
on_cluster() {
  schema=$1
  actions_lines="AsyncStoreLibraryName=postgres
ConnectionString=host=$cluster user=postgres dbname=postgres
Schema=$schema"
}

# cluster_name: the version and the settings, for the line above a table.
cluster_name() {
  printf 'PostgreSQL %s with %s, fsync=%s, synchronous_commit=%s, by unix socket' \
    "$(sql 'SHOW server_version' | cut -d ' ' -f 1)" "$(
      IFS=,
      printf '%s' "${cluster_settings[*]}"
    )" "$(sql 'SHOW fsync')" "$(sql 'SHOW synchronous_commit')"
}
