//! From the text of a CSV file to mailboxes as they are posted: which separator it is, what the columns mean, and
//! what is wrong on which line. Pure.

use super::file::{Line, Table};
use crate::problem::LineError;
use serde_json::{Map, Value};

/// What a cell of a column becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// Kept to the last blank.
    Secret,
    Number,
    Truth,
    /// Several, apart by blanks, commas or semicolons.
    Words,
    /// Only `none`: there is none of it.
    Nothing,
}

const COLUMNS: [(&str, Kind); 34] = [
    ("id", Kind::Text),
    ("address", Kind::Text),
    ("display_name", Kind::Text),
    ("provider", Kind::Text),
    ("ref", Kind::Text),
    ("active", Kind::Truth),
    ("auth.kind", Kind::Text),
    ("auth.app", Kind::Text),
    ("auth.login", Kind::Text),
    ("auth.aliases", Kind::Words),
    ("auth.delegates", Kind::Words),
    ("auth.user", Kind::Text),
    ("auth.password", Kind::Secret),
    ("auth.refresh_token", Kind::Secret),
    ("imap", Kind::Nothing),
    ("imap.host", Kind::Text),
    ("imap.port", Kind::Number),
    ("imap.security", Kind::Text),
    ("smtp", Kind::Nothing),
    ("smtp.host", Kind::Text),
    ("smtp.port", Kind::Number),
    ("smtp.security", Kind::Text),
    ("smtp.auth", Kind::Text),
    ("smtp.auth.user", Kind::Text),
    ("smtp.auth.password", Kind::Secret),
    ("policy.since", Kind::Text),
    ("policy.folders", Kind::Text),
    ("policy.bodies", Kind::Text),
    ("policy.max_message", Kind::Number),
    ("policy.on_server_delete", Kind::Text),
    ("owner.ref", Kind::Text),
    ("owner.name", Kind::Text),
    ("owner.notify", Kind::Text),
    ("owner.language", Kind::Text),
];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    path: Vec<String>,
    kind: Kind,
}

impl Column {
    fn name(&self) -> String {
        self.path.join(".")
    }
}

/// Reads a CSV file's text.
pub(super) fn read(text: &str) -> Table {
    let (separator, text, skipped) = separator(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(text.as_bytes());
    let mut lines = Lines { text: text.as_bytes(), counted: 0, ends: 0 };
    let mut table = Table::default();
    let mut columns: Option<Vec<Column>> = None;
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                table.errors.push(LineError::new(skipped + 1, None, error.to_string()));
                break;
            }
        };
        let line = lines.of(&record).saturating_add(skipped);
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let Some(columns) = &columns else {
            match header(&record, line) {
                Ok(read) => columns = Some(read),
                Err(errors) => return Table { lines: Vec::new(), errors },
            }
            continue;
        };
        match row(columns, &record, line) {
            Ok(value) => table.lines.push(Line { line, value }),
            Err(errors) => table.errors.extend(errors),
        }
    }
    if columns.is_none() {
        let message = "the file is empty: its first line names the columns, for example id,address,auth.kind";
        table.errors.push(LineError::new(1, None, message));
    }
    table
}

/// Counts the lines that records begin on. The reader's own count is of before the line end of CRLF and of empty
/// lines.
struct Lines<'t> {
    text: &'t [u8],
    counted: usize,
    ends: u64,
}

impl Lines<'_> {
    fn of(&mut self, record: &csv::StringRecord) -> u64 {
        let said = record.position().and_then(|place| usize::try_from(place.byte()).ok()).unwrap_or_default();
        let rest = self.text.get(said..).unwrap_or_default();
        let begin = said + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = self.text.get(self.counted..begin).unwrap_or_default();
        self.ends += memchr::memchr_iter(b'\n', passed).count() as u64;
        self.counted = begin;
        self.ends + 1
    }
}

/// The separator, the text after a line `sep=;` (which Excel writes and obeys), and how many lines that was.
fn separator(text: &str) -> (u8, &str, u64) {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let named = first.trim().to_lowercase();
    if let Some(named @ (b',' | b';' | b'\t')) =
        first.trim_end_matches(['\r', '\n']).as_bytes().get(4).copied().filter(|_| named.starts_with("sep="))
        && let Some((_, rest)) = text.split_once('\n')
    {
        return (named, rest, 1);
    }
    let count = |separator: u8| first.bytes().filter(|byte| *byte == separator).count();
    // no column's name holds one of these: the one that is there is the separator
    let found = [b';', b'\t', b','].into_iter().max_by_key(|separator| count(*separator)).unwrap_or(b',');
    (found, text, 0)
}

fn header(record: &csv::StringRecord, line: u64) -> Result<Vec<Column>, Vec<LineError>> {
    let (mut columns, mut errors) = (Vec::<Column>::new(), Vec::new());
    for (place, cell) in record.iter().enumerate() {
        let name = cell.trim();
        let lower = name.to_lowercase();
        let column = match (lower.strip_prefix("labels."), COLUMNS.iter().find(|(known, _)| *known == lower))
        {
            (Some(label), _) if !label.is_empty() => {
                let label: String = name.chars().skip("labels.".len()).collect();
                Column { path: vec![String::from("labels"), label], kind: Kind::Text }
            }
            (_, Some((known, kind))) => {
                Column { path: known.split('.').map(String::from).collect(), kind: *kind }
            }
            // a column without a name may be there if it is empty
            _ if name.is_empty() => {
                Column { path: vec![format!("column {}", place + 1)], kind: Kind::Nothing }
            }
            _ => {
                let message = "no mailbox has such a field: rename the column, or remove it";
                errors.push(LineError::new(line, Some(name), message));
                continue;
            }
        };
        if columns.iter().any(|other| other.path == column.path) {
            errors.push(LineError::new(line, Some(name), "this column is there twice"));
        }
        columns.push(column);
    }
    if errors.is_empty() && !columns.iter().any(|column| column.path == ["address"]) {
        let message = "this column is missing: the first line names the columns, and address has to be one";
        errors.push(LineError::new(line, Some("address"), message));
    }
    if errors.is_empty() { Ok(columns) } else { Err(errors) }
}

fn row(columns: &[Column], record: &csv::StringRecord, line: u64) -> Result<Value, Vec<LineError>> {
    let mut errors = Vec::new();
    if record.iter().skip(columns.len()).any(|cell| !cell.trim().is_empty()) {
        let message = format!(
            "{} cells under {} columns: put a cell that holds a separator into quotation marks",
            record.len(),
            columns.len()
        );
        errors.push(LineError::new(line, None, message));
    }
    let mut value = Value::Object(Map::new());
    for (column, cell) in columns.iter().zip(record.iter()) {
        let made = typed(column.kind, cell);
        match made.and_then(|made| made.map_or(Ok(()), |made| place(&mut value, &column.path, made))) {
            Ok(()) => {}
            Err(message) => errors.push(LineError::new(line, Some(&column.name()), message)),
        }
    }
    if errors.is_empty() { Ok(value) } else { Err(errors) }
}

/// A cell as a value; `None` if it is empty.
fn typed(kind: Kind, cell: &str) -> Result<Option<Value>, String> {
    if cell.contains(['\n', '\r']) {
        return Err(String::from(
            "the cell goes over several lines: is a quotation mark not closed on this line?",
        ));
    }
    let bare = cell.trim();
    if bare.is_empty() {
        return Ok(None);
    }
    let lower = bare.to_lowercase();
    let made = match kind {
        Kind::Text => Value::from(bare),
        Kind::Secret => Value::from(cell),
        Kind::Number => match bare.parse::<u64>() {
            Ok(number) => Value::from(number),
            Err(_) => return Err(format!("{bare:?} is no number")),
        },
        Kind::Truth => match lower.as_str() {
            // Excel writes them in its user's language
            "true" | "yes" | "1" | "wahr" | "ja" => Value::from(true),
            "false" | "no" | "0" | "falsch" | "nein" => Value::from(false),
            _ => return Err(format!("{bare:?} is neither true nor false")),
        },
        Kind::Words => bare.split([',', ';', ' ']).filter(|word| !word.is_empty()).map(Value::from).collect(),
        Kind::Nothing if lower == "none" => Value::Null,
        Kind::Nothing => return Err(format!("{bare:?} has no place here: say none, or leave it empty")),
    };
    Ok(Some(made))
}

/// Puts a value where a dotted name says.
fn place(value: &mut Value, path: &[String], made: Value) -> Result<(), String> {
    let taken = || Err(String::from("another column of this line says something else about it"));
    let mut at = value;
    for name in path {
        let Value::Object(fields) = at else { return taken() };
        at = fields.entry(name.as_str()).or_insert_with(|| Value::Object(Map::new()));
    }
    if at.as_object().is_none_or(|fields| !fields.is_empty()) {
        return taken();
    }
    *at = made;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn errors(text: &str) -> Vec<(u64, String, String)> {
        let named = |error: LineError| (error.line, error.field.unwrap_or_default(), error.message);
        read(text).errors.into_iter().map(named).collect()
    }

    #[test]
    fn the_separator_is_found_and_dotted_names_become_objects() {
        let rows = [
            ["id", "address", "Auth.Kind", "imap.host", "imap.port", "owner.ref", "labels.Team", "active"],
            ["anna", "anna@x.test", "oauth", "mail.x.test", "993", "crm-17", "A 1", "WAHR"],
        ];
        for separator in [",", ";", "\t"] {
            for end in ["\n", "\r\n"] {
                let text = rows.map(|row| row.join(separator)).join(end);
                let table = read(&text);
                assert!(table.errors.is_empty(), "{:?}", table.errors);
                assert_eq!(table.lines.len(), 1);
                assert_eq!(table.lines[0].line, 2);
                assert_eq!(
                    table.lines[0].value,
                    json!({"id": "anna", "address": "anna@x.test", "auth": {"kind": "oauth"}, "active": true,
                        "imap": {"host": "mail.x.test", "port": 993}, "owner": {"ref": "crm-17"},
                        "labels": {"Team": "A 1"}})
                );
            }
        }
    }

    #[test]
    fn cells_are_quoted_left_out_and_secrets_kept_as_they_are() {
        let text = "sep=;\naddress;display_name;auth.password;auth.aliases;imap;smtp.auth.user;\n\
                    \n;;;;;\n a@x.test ;\"Müller; \"\"Anna\"\"\"; p w ;a b,c;none;u\nb@x.test";
        let table = read(text);
        assert!(table.errors.is_empty(), "{:?}", table.errors);
        assert_eq!(table.lines.iter().map(|line| line.line).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(
            table.lines[0].value,
            json!({"address": "a@x.test", "display_name": "Müller; \"Anna\"", "imap": null,
                "auth": {"password": " p w ", "aliases": ["a", "b", "c"]}, "smtp": {"auth": {"user": "u"}}})
        );
        assert_eq!(table.lines[1].value, json!({"address": "b@x.test"}));
    }

    #[test]
    fn each_bad_line_is_named() {
        let found =
            errors("address,imap.port,active\na@x,many,true\nb@x,1,perhaps\nc@x,1,true,rest\nd@x,1,true");
        assert_eq!(found.iter().map(|(line, _, _)| *line).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(found[0].1, "imap.port");
        assert_eq!(found[1].1, "active");
        assert!(found[2].2.contains("4 cells under 3 columns"), "{found:?}");
        let both = errors("address,smtp,smtp.host\na@x,none,h\n");
        assert_eq!((both[0].0, both[0].1.as_str()), (2, "smtp.host"));
    }

    #[test]
    fn a_quotation_mark_that_is_not_closed_swallows_no_lines_unseen() {
        let found = errors("address,display_name\na@x,\"Anna\nb@x,Ben\nc@x,Carl\n");
        assert_eq!((found.len(), found[0].0, found[0].1.as_str()), (1, 2, "display_name"));
    }

    #[test]
    fn a_header_that_cannot_be_used_says_so_once() {
        assert_eq!(errors("")[0].0, 1);
        let unknown = errors("address,colour,imap.tls\na@x,red,1\nb@x,red,1");
        assert_eq!(unknown.iter().map(|error| error.1.as_str()).collect::<Vec<_>>(), ["colour", "imap.tls"]);
        assert_eq!(errors("address,address\na@x,b@x")[0].2, "this column is there twice");
        let none = errors("a@x.test,oauth\n");
        assert!(none[0].2.contains("rename the column"), "{none:?}");
        assert!(errors("id\nanna")[0].2.contains("missing"));
    }
}
