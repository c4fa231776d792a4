# What BullMQ and bunqueue share: producers and workers of js_client.mjs. To be sourced by one, which sets `system`, its name there,
# and before the first of these is called `runtime`, the program that runs it, and `client_port`.

# js COMMAND...: that command with what the client goes by.
js() {
  SYSTEM=$system SYSTEM_HOME=$rivals/$system PORT=$client_port STARTS=$work/starts "$@"
}

client() {
  js timeout "$client_limit" "$runtime" load/rivals/js_client.mjs "$@"
}

begin_work() {
  begin_workers
  js launch producer "$runtime" "$here/load/rivals/js_client.mjs" feed "$connections"
}

begin_workers() {
  js launch worker "$runtime" "$here/load/rivals/js_client.mjs" work 64
}

end_work() {
  finish_server producer
  finish_server worker
}

latency() {
  client latency "$1" && cat "$work/starts"
}
