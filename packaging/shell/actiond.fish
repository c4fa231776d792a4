# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_actiond_global_optspecs
    string join \n config= port= data= h/help V/version
end

function __fish_actiond_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_actiond_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_actiond_using_subcommand
    set -l cmd (__fish_actiond_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c actiond -n "__fish_actiond_needs_command" -l config -d 'Configuration file [default: actiond.cfg in the working directory, if there is one]' -r -F
complete -c actiond -n "__fish_actiond_needs_command" -l port -d 'Port for ACI requests, in place of `[Server] Port`; 0 takes any free one' -r
complete -c actiond -n "__fish_actiond_needs_command" -l data -d 'Data directory, in place of `[Paths] DataDirectory`' -r -F
complete -c actiond -n "__fish_actiond_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_needs_command" -s V -l version -d 'Print version'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "serve" -d 'Run the server (this is the default)'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "config" -d 'Print every setting with its default and meaning, as a configuration file; or check one, or show what is in force'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "key" -d 'Make a key for a client, and print it once with the hash for the server\'s configuration'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "migrate" -d 'Move all actions from a data directory to a PostgreSQL database, or back'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "compact" -d 'Rewrite the database of a data directory without its free space'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "restore" -d 'Put a backup in the place of what is in a data directory, while no server runs'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "send" -d 'Send an action to a server, and wait for its end if wanted'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "status" -d 'Show an action'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "list" -d 'List the actions of a queue'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "params" -d 'Show the parameters of an action, or of all in a queue that have not ended'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "cancel" -d 'Cancel actions that are queued'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "stop" -d 'Stop actions'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "priority" -d 'Change the priority of actions that are queued'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "pause" -d 'Pause actions, or a queue'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "resume" -d 'Resume actions, or a queue'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "duplicate" -d 'Queue a copy of an action'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "retry" -d 'Start the next attempt at actions at once'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "delete" -d 'Delete actions that have ended, for good'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "queues" -d 'Show the queues of a server'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "watch" -d 'Watch queues and running actions, and steer them, on the whole screen'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "events" -d 'Follow what happens in the queues'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "schedules" -d 'List schedules, and steer them'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "backup" -d 'Have a server write a backup of all that it keeps'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "bench" -d 'Measure how many actions a server takes'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "completions" -d 'Print the completions of a shell'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "man" -d 'Write the pages of the manual, one for each command, into a directory'
complete -c actiond -n "__fish_actiond_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c actiond -n "__fish_actiond_using_subcommand serve" -l config -d 'Configuration file [default: actiond.cfg in the working directory, if there is one]' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand serve" -l port -d 'Port for ACI requests, in place of `[Server] Port`; 0 takes any free one' -r
complete -c actiond -n "__fish_actiond_using_subcommand serve" -l data -d 'Data directory, in place of `[Paths] DataDirectory`' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand config; and not __fish_seen_subcommand_from check show help" -l config -d 'Configuration file to check: print the value of each setting in force, and where it comes from' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand config; and not __fish_seen_subcommand_from check show help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand config; and not __fish_seen_subcommand_from check show help" -f -a "check" -d 'Check a configuration file: say what is wrong with it, or that it can be used'
complete -c actiond -n "__fish_actiond_using_subcommand config; and not __fish_seen_subcommand_from check show help" -f -a "show" -d 'Print the value of each setting in force, and where it comes from'
complete -c actiond -n "__fish_actiond_using_subcommand config; and not __fish_seen_subcommand_from check show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c actiond -n "__fish_actiond_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c actiond -n "__fish_actiond_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check a configuration file: say what is wrong with it, or that it can be used'
complete -c actiond -n "__fish_actiond_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Print the value of each setting in force, and where it comes from'
complete -c actiond -n "__fish_actiond_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c actiond -n "__fish_actiond_using_subcommand key" -s h -l help -d 'Print help'
complete -c actiond -n "__fish_actiond_using_subcommand migrate" -l from -d 'Place to move from: a data directory; or a database as `postgres://USER@HOST/DATABASE`, as `host=HOST user=USER`, or as `@FILE` with that on its first line' -r
complete -c actiond -n "__fish_actiond_using_subcommand migrate" -l to -d 'Place to move to, of the other kind: empty, or left by a move from the same place that was interrupted' -r
complete -c actiond -n "__fish_actiond_using_subcommand migrate" -l schema -d 'Schema of the database' -r
complete -c actiond -n "__fish_actiond_using_subcommand migrate" -l host -d 'Host in the tokens of the actions in the directory [default: 127.0.0.1]' -r
complete -c actiond -n "__fish_actiond_using_subcommand migrate" -l port -d 'Port in the tokens of the actions in the directory [default: 7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand migrate" -l config -d 'Configuration file of the server that has used the directory: host and port are those of its section Server' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand migrate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand compact" -l data -d 'Data directory, which no server uses meanwhile' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand compact" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand restore" -l from -d 'Archive of a backup, or directory before-restore-... that a restore has left in the data directory' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand restore" -l data -d 'Data directory, which no server uses meanwhile' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand send" -l priority -d 'Priority of the action; higher ones start first' -r
complete -c actiond -n "__fish_actiond_using_subcommand send" -l not-before -d 'Start it no sooner: `+SECONDS` from now, or a time of the server' -r
complete -c actiond -n "__fish_actiond_using_subcommand send" -l idempotency-key -d 'Name of the request: sent again under the same name, it is not queued a second time' -r
complete -c actiond -n "__fish_actiond_using_subcommand send" -l queue -d 'Queue in which the action is looked for while it is waited for, if it is not called as the action and its token does not tell it' -r
complete -c actiond -n "__fish_actiond_using_subcommand send" -l at-most -d 'Wait for so many seconds at most; the exit code is 9 if it has not ended then' -r
complete -c actiond -n "__fish_actiond_using_subcommand send" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand send" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand send" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand send" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand send" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand send" -s w -l wait -d 'Wait for the end of the action, show its progress, and print its result; the exit code is by its final state'
complete -c actiond -n "__fish_actiond_using_subcommand send" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand send" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand send" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand status" -l at-most -d 'Wait for so many seconds at most; the exit code is 9 if it has not ended then' -r
complete -c actiond -n "__fish_actiond_using_subcommand status" -l queue -d 'Queue of the action, for servers whose tokens do not tell it' -r
complete -c actiond -n "__fish_actiond_using_subcommand status" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand status" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand status" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand status" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand status" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand status" -l history -d 'Show each attempt, too'
complete -c actiond -n "__fish_actiond_using_subcommand status" -l log -d 'Show the last lines that running actions have logged, too'
complete -c actiond -n "__fish_actiond_using_subcommand status" -s w -l wait -d 'Wait for the end of the action, show its progress, and print its result; the exit code is by its final state'
complete -c actiond -n "__fish_actiond_using_subcommand status" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand status" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand list" -s n -l limit -d 'Show so many actions at most' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l start -d 'Place of the first action to show, from 1' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l sort-by -d 'Time to sort by: queue-time, start-time or finish-time [default: queue-time]' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l sort-order -d 'Order: descending, the latest first, or ascending [default: descending]' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l state -d 'Only actions in these states, with commas: queued, running, finished (all that have ended), processing, paused, stopping, error, cancelled, stopped' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l min-priority -d 'Only actions of this priority or a higher one' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l max-priority -d 'Only actions of this priority or a lower one' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l queued-after -d 'Only actions queued after this second: a time such as `2026-11-30T17:00:00`, or `-3600` for an hour ago' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l queued-before -d 'Only actions queued before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l started-after -d 'Only actions started after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l started-before -d 'Only actions started before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l finished-after -d 'Only actions that ended after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l finished-before -d 'Only actions that ended before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l text -d 'Only actions whose error has this text in it' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l action-id -d 'Only actions that were sent with this `ActionID`' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l parameter -d 'Only actions that were given this parameter with this value; also written as `Parameter.NAME=VALUE` without an option' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand list" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand list" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand list" -l json -d 'Print a JSON array'
complete -c actiond -n "__fish_actiond_using_subcommand list" -l csv -d 'Print CSV'
complete -c actiond -n "__fish_actiond_using_subcommand list" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand list" -l no-header -d 'Leave out the line with the names of the columns'
complete -c actiond -n "__fish_actiond_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand params" -l queue -d 'Queue' -r
complete -c actiond -n "__fish_actiond_using_subcommand params" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand params" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand params" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand params" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand params" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand params" -l final -d 'Also of what has ended, where the server has kept them'
complete -c actiond -n "__fish_actiond_using_subcommand params" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand params" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand params" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l tokens -d 'Many actions in one request: tokens with commas between them, or `@FILE` or `@-` (the standard input) with one on each line' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l queue -d 'Queue; with tokens, the one of those that do not tell it' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l limit -d 'Do it to so many actions at most' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l sort-by -d 'Time to sort by: queue-time, start-time or finish-time [default: queue-time]' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l sort-order -d 'Order: descending, the latest first, or ascending [default: descending]' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l state -d 'Only actions in these states, with commas: queued, running, finished (all that have ended), processing, paused, stopping, error, cancelled, stopped' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l min-priority -d 'Only actions of this priority or a higher one' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l max-priority -d 'Only actions of this priority or a lower one' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l queued-after -d 'Only actions queued after this second: a time such as `2026-11-30T17:00:00`, or `-3600` for an hour ago' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l queued-before -d 'Only actions queued before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l started-after -d 'Only actions started after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l started-before -d 'Only actions started before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l finished-after -d 'Only actions that ended after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l finished-before -d 'Only actions that ended before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l text -d 'Only actions whose error has this text in it' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l action-id -d 'Only actions that were sent with this `ActionID`' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l parameter -d 'Only actions that were given this parameter with this value; also written as `Parameter.NAME=VALUE` without an option' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l all -d 'All actions of --queue that the filters select, and without a filter the whole queue'
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -s y -l yes -d 'Say yes to the question that comes before a command to many'
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand cancel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l tokens -d 'Many actions in one request: tokens with commas between them, or `@FILE` or `@-` (the standard input) with one on each line' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l queue -d 'Queue; with tokens, the one of those that do not tell it' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l limit -d 'Do it to so many actions at most' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l sort-by -d 'Time to sort by: queue-time, start-time or finish-time [default: queue-time]' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l sort-order -d 'Order: descending, the latest first, or ascending [default: descending]' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l state -d 'Only actions in these states, with commas: queued, running, finished (all that have ended), processing, paused, stopping, error, cancelled, stopped' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l min-priority -d 'Only actions of this priority or a higher one' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l max-priority -d 'Only actions of this priority or a lower one' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l queued-after -d 'Only actions queued after this second: a time such as `2026-11-30T17:00:00`, or `-3600` for an hour ago' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l queued-before -d 'Only actions queued before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l started-after -d 'Only actions started after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l started-before -d 'Only actions started before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l finished-after -d 'Only actions that ended after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l finished-before -d 'Only actions that ended before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l text -d 'Only actions whose error has this text in it' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l action-id -d 'Only actions that were sent with this `ActionID`' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l parameter -d 'Only actions that were given this parameter with this value; also written as `Parameter.NAME=VALUE` without an option' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l force -d 'Force them at once: what can be killed is killed, without the time in which it could end in order'
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l running -d 'All that run in --queue, as every ACI server knows it'
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l all -d 'All actions of --queue that the filters select, and without a filter the whole queue'
complete -c actiond -n "__fish_actiond_using_subcommand stop" -s y -l yes -d 'Say yes to the question that comes before a command to many'
complete -c actiond -n "__fish_actiond_using_subcommand stop" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l tokens -d 'Many actions in one request: tokens with commas between them, or `@FILE` or `@-` (the standard input) with one on each line' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l queue -d 'Queue; with tokens, the one of those that do not tell it' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l limit -d 'Do it to so many actions at most' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l sort-by -d 'Time to sort by: queue-time, start-time or finish-time [default: queue-time]' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l sort-order -d 'Order: descending, the latest first, or ascending [default: descending]' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l state -d 'Only actions in these states, with commas: queued, running, finished (all that have ended), processing, paused, stopping, error, cancelled, stopped' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l min-priority -d 'Only actions of this priority or a higher one' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l max-priority -d 'Only actions of this priority or a lower one' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l queued-after -d 'Only actions queued after this second: a time such as `2026-11-30T17:00:00`, or `-3600` for an hour ago' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l queued-before -d 'Only actions queued before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l started-after -d 'Only actions started after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l started-before -d 'Only actions started before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l finished-after -d 'Only actions that ended after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l finished-before -d 'Only actions that ended before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l text -d 'Only actions whose error has this text in it' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l action-id -d 'Only actions that were sent with this `ActionID`' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l parameter -d 'Only actions that were given this parameter with this value; also written as `Parameter.NAME=VALUE` without an option' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l all -d 'All actions of --queue that the filters select, and without a filter the whole queue'
complete -c actiond -n "__fish_actiond_using_subcommand priority" -s y -l yes -d 'Say yes to the question that comes before a command to many'
complete -c actiond -n "__fish_actiond_using_subcommand priority" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand priority" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand pause" -l queue -d 'Queue; with tokens, the one of those that do not tell it' -r
complete -c actiond -n "__fish_actiond_using_subcommand pause" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand pause" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand pause" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand pause" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand pause" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand pause" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand pause" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand resume" -l queue -d 'Queue; with tokens, the one of those that do not tell it' -r
complete -c actiond -n "__fish_actiond_using_subcommand resume" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand resume" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand resume" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand resume" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand resume" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand resume" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand duplicate" -l at-most -d 'Wait for so many seconds at most; the exit code is 9 if it has not ended then' -r
complete -c actiond -n "__fish_actiond_using_subcommand duplicate" -l queue -d 'Queue of the action, for servers whose tokens do not tell it' -r
complete -c actiond -n "__fish_actiond_using_subcommand duplicate" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand duplicate" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand duplicate" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand duplicate" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand duplicate" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand duplicate" -s w -l wait -d 'Wait for the end of the action, show its progress, and print its result; the exit code is by its final state'
complete -c actiond -n "__fish_actiond_using_subcommand duplicate" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand duplicate" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand duplicate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l tokens -d 'Many actions in one request: tokens with commas between them, or `@FILE` or `@-` (the standard input) with one on each line' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l queue -d 'Queue; with tokens, the one of those that do not tell it' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l limit -d 'Do it to so many actions at most' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l sort-by -d 'Time to sort by: queue-time, start-time or finish-time [default: queue-time]' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l sort-order -d 'Order: descending, the latest first, or ascending [default: descending]' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l state -d 'Only actions in these states, with commas: queued, running, finished (all that have ended), processing, paused, stopping, error, cancelled, stopped' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l min-priority -d 'Only actions of this priority or a higher one' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l max-priority -d 'Only actions of this priority or a lower one' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l queued-after -d 'Only actions queued after this second: a time such as `2026-11-30T17:00:00`, or `-3600` for an hour ago' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l queued-before -d 'Only actions queued before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l started-after -d 'Only actions started after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l started-before -d 'Only actions started before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l finished-after -d 'Only actions that ended after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l finished-before -d 'Only actions that ended before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l text -d 'Only actions whose error has this text in it' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l action-id -d 'Only actions that were sent with this `ActionID`' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l parameter -d 'Only actions that were given this parameter with this value; also written as `Parameter.NAME=VALUE` without an option' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l all -d 'All actions of --queue that the filters select, and without a filter the whole queue'
complete -c actiond -n "__fish_actiond_using_subcommand retry" -s y -l yes -d 'Say yes to the question that comes before a command to many'
complete -c actiond -n "__fish_actiond_using_subcommand retry" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand retry" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l tokens -d 'Many actions in one request: tokens with commas between them, or `@FILE` or `@-` (the standard input) with one on each line' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l queue -d 'Queue; with tokens, the one of those that do not tell it' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l limit -d 'Do it to so many actions at most' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l sort-by -d 'Time to sort by: queue-time, start-time or finish-time [default: queue-time]' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l sort-order -d 'Order: descending, the latest first, or ascending [default: descending]' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l state -d 'Only actions in these states, with commas: queued, running, finished (all that have ended), processing, paused, stopping, error, cancelled, stopped' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l min-priority -d 'Only actions of this priority or a higher one' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l max-priority -d 'Only actions of this priority or a lower one' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l queued-after -d 'Only actions queued after this second: a time such as `2026-11-30T17:00:00`, or `-3600` for an hour ago' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l queued-before -d 'Only actions queued before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l started-after -d 'Only actions started after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l started-before -d 'Only actions started before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l finished-after -d 'Only actions that ended after this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l finished-before -d 'Only actions that ended before this second' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l text -d 'Only actions whose error has this text in it' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l action-id -d 'Only actions that were sent with this `ActionID`' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l parameter -d 'Only actions that were given this parameter with this value; also written as `Parameter.NAME=VALUE` without an option' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l all -d 'All actions of --queue that the filters select, and without a filter the whole queue'
complete -c actiond -n "__fish_actiond_using_subcommand delete" -s y -l yes -d 'Say yes to the question that comes before a command to many'
complete -c actiond -n "__fish_actiond_using_subcommand delete" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand queues" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand queues" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand queues" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand queues" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand queues" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand queues" -l json -d 'Print a JSON array'
complete -c actiond -n "__fish_actiond_using_subcommand queues" -l csv -d 'Print CSV'
complete -c actiond -n "__fish_actiond_using_subcommand queues" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand watch" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand watch" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand watch" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand watch" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand watch" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand events" -l queue -d 'Only these queues, with commas or the option given again' -r
complete -c actiond -n "__fish_actiond_using_subcommand events" -l token -d 'Only these actions' -r
complete -c actiond -n "__fish_actiond_using_subcommand events" -l type -d 'Only these types: queued, started, progress, finished, error, cancelled, stopped, paused, resumed, queue' -r
complete -c actiond -n "__fish_actiond_using_subcommand events" -l last-event-id -d 'Begin behind the event with this id, if the server still has what came after it' -r
complete -c actiond -n "__fish_actiond_using_subcommand events" -s n -l limit -d 'End after so many events' -r
complete -c actiond -n "__fish_actiond_using_subcommand events" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand events" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand events" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand events" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand events" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand events" -l json -d 'Print a JSON object for each event, on a line of its own'
complete -c actiond -n "__fish_actiond_using_subcommand events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -f -a "list" -d 'List the schedules (this is the default)'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -f -a "run" -d 'Queue the action of a schedule now'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -f -a "pause" -d 'Queue nothing for a schedule until it is resumed'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -f -a "resume" -d 'Go on with a schedule that was paused'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -f -a "add" -d 'Make a new schedule, which is kept over restarts'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -f -a "remove" -d 'Remove a schedule that was added'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and not __fish_seen_subcommand_from list run pause resume add remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from list" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from list" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from list" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from list" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from list" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from list" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from run" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from run" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from run" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from run" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from run" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from run" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from run" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from pause" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from pause" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from pause" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from pause" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from pause" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from pause" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from pause" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from pause" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from resume" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from resume" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from resume" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from resume" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from resume" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from resume" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from resume" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l cron -d 'When it is due: five fields as cron has them, or @hourly, @daily, @weekly, @monthly, @yearly' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l repeat-secs -d 'Or: each time that so many seconds have passed' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l start-time -d 'Time before which it is not due [default: now]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l cycles -d 'Number of actions after which it ends [default: -1, never]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l time-zone -d 'Time zone of the pattern, such as Europe/Berlin [default: that of the server]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l overlap -d 'What happens if its last action has not ended: skip, queue or replace [default: skip]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l catch-up -d 'What happens about times while no server was there: none or once [default: none]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l jitter -d 'Delay each action by up to so many seconds, by chance' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l disabled -d 'It runs only when somebody asks for it'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from remove" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from remove" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from remove" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from remove" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from remove" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from remove" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the schedules (this is the default)'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from help" -f -a "run" -d 'Queue the action of a schedule now'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from help" -f -a "pause" -d 'Queue nothing for a schedule until it is resumed'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from help" -f -a "resume" -d 'Go on with a schedule that was paused'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from help" -f -a "add" -d 'Make a new schedule, which is kept over restarts'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a schedule that was added'
complete -c actiond -n "__fish_actiond_using_subcommand schedules; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c actiond -n "__fish_actiond_using_subcommand backup" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand backup" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand backup" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand backup" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand backup" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand backup" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand backup" -l xml -d 'Print XML'
complete -c actiond -n "__fish_actiond_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand bench" -s c -l connections -d 'Number of connections, each with one request at a time' -r
complete -c actiond -n "__fish_actiond_using_subcommand bench" -l seconds -d 'Submit for so many seconds [default: 10]' -r
complete -c actiond -n "__fish_actiond_using_subcommand bench" -s n -l number -d 'Submit so many actions' -r
complete -c actiond -n "__fish_actiond_using_subcommand bench" -l server -d 'Address of the server, such as https://host:7000, or host for its port 7000 [env: ACTIOND_SERVER] [default: http://127.0.0.1:7000]' -r
complete -c actiond -n "__fish_actiond_using_subcommand bench" -l key -d 'Key that says who you are [env: `ACTIOND_KEY`]' -r
complete -c actiond -n "__fish_actiond_using_subcommand bench" -l key-file -d 'File with the key on its first line' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand bench" -l ca -d 'File with the certificate of the authority that is trusted, as PEM, in place of those of the system' -r -F
complete -c actiond -n "__fish_actiond_using_subcommand bench" -l timeout -d 'Time in seconds that an answer may take; waiting for the end of an action comes on top' -r
complete -c actiond -n "__fish_actiond_using_subcommand bench" -l keep -d 'Leave the actions where they are'
complete -c actiond -n "__fish_actiond_using_subcommand bench" -l json -d 'Print JSON'
complete -c actiond -n "__fish_actiond_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c actiond -n "__fish_actiond_using_subcommand man" -s h -l help -d 'Print help'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "serve" -d 'Run the server (this is the default)'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "config" -d 'Print every setting with its default and meaning, as a configuration file; or check one, or show what is in force'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "key" -d 'Make a key for a client, and print it once with the hash for the server\'s configuration'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "migrate" -d 'Move all actions from a data directory to a PostgreSQL database, or back'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "compact" -d 'Rewrite the database of a data directory without its free space'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "restore" -d 'Put a backup in the place of what is in a data directory, while no server runs'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "send" -d 'Send an action to a server, and wait for its end if wanted'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "status" -d 'Show an action'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "list" -d 'List the actions of a queue'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "params" -d 'Show the parameters of an action, or of all in a queue that have not ended'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "cancel" -d 'Cancel actions that are queued'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "stop" -d 'Stop actions'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "priority" -d 'Change the priority of actions that are queued'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "pause" -d 'Pause actions, or a queue'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "resume" -d 'Resume actions, or a queue'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "duplicate" -d 'Queue a copy of an action'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "retry" -d 'Start the next attempt at actions at once'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "delete" -d 'Delete actions that have ended, for good'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "queues" -d 'Show the queues of a server'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "watch" -d 'Watch queues and running actions, and steer them, on the whole screen'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "events" -d 'Follow what happens in the queues'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "schedules" -d 'List schedules, and steer them'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "backup" -d 'Have a server write a backup of all that it keeps'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "bench" -d 'Measure how many actions a server takes'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "completions" -d 'Print the completions of a shell'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "man" -d 'Write the pages of the manual, one for each command, into a directory'
complete -c actiond -n "__fish_actiond_using_subcommand help; and not __fish_seen_subcommand_from serve config key migrate compact restore send status list params cancel stop priority pause resume duplicate retry delete queues watch events schedules backup bench completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c actiond -n "__fish_actiond_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Check a configuration file: say what is wrong with it, or that it can be used'
complete -c actiond -n "__fish_actiond_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Print the value of each setting in force, and where it comes from'
complete -c actiond -n "__fish_actiond_using_subcommand help; and __fish_seen_subcommand_from schedules" -f -a "list" -d 'List the schedules (this is the default)'
complete -c actiond -n "__fish_actiond_using_subcommand help; and __fish_seen_subcommand_from schedules" -f -a "run" -d 'Queue the action of a schedule now'
complete -c actiond -n "__fish_actiond_using_subcommand help; and __fish_seen_subcommand_from schedules" -f -a "pause" -d 'Queue nothing for a schedule until it is resumed'
complete -c actiond -n "__fish_actiond_using_subcommand help; and __fish_seen_subcommand_from schedules" -f -a "resume" -d 'Go on with a schedule that was paused'
complete -c actiond -n "__fish_actiond_using_subcommand help; and __fish_seen_subcommand_from schedules" -f -a "add" -d 'Make a new schedule, which is kept over restarts'
complete -c actiond -n "__fish_actiond_using_subcommand help; and __fish_seen_subcommand_from schedules" -f -a "remove" -d 'Remove a schedule that was added'
