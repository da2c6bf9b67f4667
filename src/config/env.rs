//! `STAFETTE_*` variables as keys: `STAFETTE_HTTP__LISTEN` is `http.listen`.

use super::error::ConfigError;

/// Variables that are not keys of the file: secrets, and the tests' fault points.
const NOT_KEYS: [&str; 9] = [
    "STAFETTE_CONFIG",
    "STAFETTE_MASTER_KEY",
    "STAFETTE_MASTER_KEY_FILE",
    "STAFETTE_ADMIN_KEY",
    "STAFETTE_ADMIN_KEY_FILE",
    "STAFETTE_FAULTS",
    "STAFETTE_URL",
    "STAFETTE_KEY",
    "STAFETTE_LOG",
];

/// Lays the variables over a table. A value is read as TOML where it is a number, boolean or array, else
/// as text.
pub(super) fn overlay(
    table: &mut toml::Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    for (name, text) in variables {
        let Some(path) = name.strip_prefix("STAFETTE_") else { continue };
        if NOT_KEYS.contains(&name.as_str()) {
            continue;
        }
        let mut keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        let Some(last) = keys.pop() else { continue };
        let mut place = &mut *table;
        for key in keys {
            let entry = place.entry(key).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            place = entry
                .as_table_mut()
                .ok_or_else(|| ConfigError::Invalid(format!("{name}: there is no such section")))?;
        }
        place.insert(last, value(&text));
    }
    Ok(())
}

fn value(text: &str) -> toml::Value {
    let parsed = format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
    match parsed {
        Some(value @ (toml::Value::Integer(_) | toml::Value::Boolean(_) | toml::Value::Array(_))) => value,
        _ => toml::Value::String(text.to_owned()),
    }
}
