//! Actions that are programs (`Type=Command`), with real programs: shell scripts, `perl`, `tar`.
//!
//! | module | what it tests |
//! |---|---|
//! | `words` | how `Command` and the parameters become arguments, what is refused, Help |
//! | `descriptor` | descriptor 3, however the program is started |
//! | `surroundings` | standard input, environment, working directory, user |
//! | `results` | what the program wrote becomes the result |
//! | `floods` | programs that write far too much, or where they should not |
//! | `progress` | progress, partial results and the log |
//! | `ends` | exit codes, signals, time-outs, waiting for the result |
//! | `steering` | stop, pause and resume |
//! | `leaving` | programs that leave others behind |
//! | `killed` | the server is killed while programs run |
//! | `orphans` | the same, with daemons that nothing tells by itself |
//! | `real` | `tar` on a real tree, many short programs |
//! | `scarce` | too few open files for all |
//! | `scripts` | the scripts themselves, without a server |

mod descriptor;
mod ends;
mod floods;
mod killed;
mod leaving;
mod orphans;
mod progress;
mod real;
mod results;
mod scarce;
mod scripts;
mod steering;
mod surroundings;
mod words;
