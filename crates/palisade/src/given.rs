//! What the command line and the environment gave, as opposed to defaults: only that counts for more than the
//! configuration file.
use clap::ArgMatches;
use clap::parser::ValueSource;
use palisade_config::{Given, KEYS, Origin};

/// The arguments of the innermost subcommand that a setting of the configuration file exists for.
pub fn of(matches: &ArgMatches) -> Given {
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    let mut given = Given::default();
    for key in KEYS {
        // not every command has every argument
        let Ok(Some(values)) = innermost.try_get_raw(key.argument) else {
            continue;
        };
        let origin = match innermost.value_source(key.argument) {
            Some(ValueSource::CommandLine) => Origin::Flag(format!("--{}", key.flag)),
            Some(ValueSource::EnvVariable) => {
                let name = key.flag.replace('-', "_").to_uppercase();
                Origin::Environment(format!("PALISADE_{name}"))
            }
            _ => continue,
        };
        let texts = values.map(|v| v.to_string_lossy().into_owned()).collect();
        given.note(key.argument, texts, origin);
    }
    given
}
