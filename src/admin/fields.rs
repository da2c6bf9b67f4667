//! Fields of a JSON body: read, and refused by name where they are wrong. Pure.

use crate::problem::Problem;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A value as what is expected; 422 with the field named if it is not.
pub(crate) fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Problem> {
    if !value.is_object() {
        return Err(Problem::unprocessable("invalid_body", "the body must be a JSON object"));
    }
    T::deserialize(value).map_err(|error| {
        let text = error.to_string();
        let path = culprit::<T>(value, &text);
        let detail = if path.is_empty() { text } else { format!("{path}: {text}") };
        Problem::unprocessable("invalid_field", detail)
    })
}

/// A larger object's fields are not tried one by one: it is named itself.
const MOST_FIELDS: usize = 100;

/// Which field an error is about: the one without which the error is another. serde names unknown and missing
/// fields, but not the one that has a wrong type.
fn culprit<T: DeserializeOwned>(value: &Value, error: &str) -> String {
    if let Some(missing) = error.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return gap::<T>(value, missing, error);
    }
    let fails_alike =
        |without: &Value| T::deserialize(without).is_err_and(|other| other.to_string() == error);
    let mut path = String::new();
    let mut pointer = String::new();
    while let Some(Value::Object(fields)) = value.pointer(&pointer)
        && fields.len() <= MOST_FIELDS
    {
        let found = fields.keys().find(|name| {
            let mut without = value.clone();
            if let Some(Value::Object(fields)) = without.pointer_mut(&pointer) {
                fields.remove(name.as_str());
            }
            !fails_alike(&without)
        });
        let Some(name) = found else { break };
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
    }
    path
}

/// Where a missing field belongs: where its presence makes another error, and not that it is unknown.
fn gap<T: DeserializeOwned>(value: &Value, missing: &str, error: &str) -> String {
    let inner = value.as_object().into_iter().flatten().filter(|(_, value)| value.is_object());
    let places = std::iter::once(None).chain(inner.map(|(name, _)| Some(name.as_str())));
    let unknown = format!("unknown field `{missing}`");
    let belongs = |place: &Option<&str>| {
        let mut with = value.clone();
        let object = match place {
            Some(name) => with.get_mut(*name),
            None => Some(&mut with),
        };
        object.into_iter().for_each(|object| set(object, missing, Value::Null));
        match T::deserialize(&with) {
            Ok(_) => true,
            Err(other) => other.to_string() != error && !other.to_string().starts_with(&unknown),
        }
    };
    match places.into_iter().find(belongs) {
        Some(Some(place)) => format!("{place}.{missing}"),
        Some(None) | None => String::from(missing),
    }
}

/// RFC 7396: members of a patch replace, `null` removes.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, change) in patch {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.as_str()).or_insert(Value::Null), change);
        }
    }
}

/// Sets a member of an object.
pub(crate) fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(String::from(name), value);
    }
}

/// A text without blanks and quotes around it; `None` if nothing is left.
pub(crate) fn trimmed(text: &str) -> Option<String> {
    let bare = text.trim().trim_matches(['"', '\'', '“', '”', '„', '‘', '’', '`']).trim();
    (!bare.is_empty()).then(|| String::from(bare))
}

/// [`trimmed`], and refused by name if a blank or control character is within.
pub(crate) fn word(field: &str, text: &str) -> Result<Option<String>, Problem> {
    let Some(bare) = trimmed(text) else { return Ok(None) };
    if bare.chars().any(|c| c.is_whitespace() || c.is_control() || c == '"') {
        return Err(Problem::field(field, format!("{bare:?} holds a blank, quote or control character")));
    }
    Ok(Some(bare))
}

/// [`trimmed`], and refused by name if it would not stay on its line of a protocol or a header.
pub(crate) fn line(field: &str, text: &str) -> Result<Option<String>, Problem> {
    let Some(bare) = trimmed(text) else { return Ok(None) };
    on_a_line(field, &bare)?;
    Ok(Some(bare))
}

/// Refuses a text with a line end or another control character in it. What it is is not repeated: it may be a secret.
pub(crate) fn on_a_line(field: &str, text: &str) -> Result<(), Problem> {
    match text.chars().any(char::is_control) {
        true => Err(Problem::field(field, "holds a line end or another control character")),
        false => Ok(()),
    }
}

/// For `deserialize_with`: distinguishes `null` from absent.
pub(super) fn said<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_replaces_removes_and_leaves_the_rest() {
        let mut value = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut value, &json!({"a": {"b": null, "e": {"f": null}}, "d": [2]}));
        assert_eq!(value, json!({"a": {"c": 2, "e": {}}, "d": [2]}));
    }

    #[test]
    fn the_field_of_a_wrong_type_is_named_with_its_path() {
        #[derive(serde::Deserialize, Debug)]
        #[allow(dead_code)]
        #[serde(deny_unknown_fields)]
        struct Inner {
            port: u16,
        }
        #[derive(serde::Deserialize, Debug)]
        #[allow(dead_code)]
        #[serde(deny_unknown_fields)]
        struct Outer {
            name: String,
            imap: Inner,
        }
        let named = |value| typed::<Outer>(&value).unwrap_err().to_string();
        assert!(named(json!({"name": "x", "imap": {"port": "y"}})).contains("imap.port: "));
        assert!(named(json!({"name": "x", "imap": {}})).contains("imap.port: missing"));
        assert!(named(json!({"imap": {"port": 1}})).contains("name: missing"));
    }

    #[test]
    fn a_bad_field_among_thousands_is_not_searched_for() {
        #[derive(serde::Deserialize, Debug)]
        #[allow(dead_code)]
        struct Labelled {
            labels: std::collections::BTreeMap<String, String>,
        }
        let mut labels: serde_json::Map<String, Value> =
            (0..5000).map(|number| (format!("label {number:04}"), json!("x".repeat(100)))).collect();
        labels.insert(String::from("the last"), json!(1));
        let begun = crate::clock::monotonic();
        let refused = typed::<Labelled>(&json!({"labels": labels})).unwrap_err().to_string();
        let took = crate::clock::monotonic() - begun;
        assert!(refused.contains("labels: ") && took.as_secs() < 2, "{refused} after {took:?}");
    }
}
