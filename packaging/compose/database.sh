#!/bin/sh
# Makes the role and the schema of the servers, when the database is made. The role owns that schema and can do nothing else.
set -eu
password=$(cat "${SERVER_PASSWORD_FILE:-/run/secrets/server_password}")
psql -v ON_ERROR_STOP=1 -v password="$password" --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
CREATE ROLE actiond LOGIN PASSWORD :'password' CONNECTION LIMIT 30;
CREATE DATABASE actiond;
REVOKE ALL ON DATABASE actiond FROM PUBLIC;
GRANT CONNECT ON DATABASE actiond TO actiond;
\connect actiond
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA actiond AUTHORIZATION actiond;
SQL
