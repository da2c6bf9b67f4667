//! What a daemon did to its files, read from what `strace` wrote.

use crate::support::trace::{self, Line};
use std::collections::BTreeMap;

/// A call that succeeded, or of which nobody knows because the process was killed in it.
pub struct Call {
    /// Lines of all traces so far, on which it began and ended.
    pub begun: usize,
    pub ended: usize,
    pub at: u64,
    /// Whether the process was killed in it.
    pub is_unknown: bool,
    pub what: What,
}

/// Paths are relative to the data directory; the directory itself is the empty path.
#[derive(Debug)]
pub enum What {
    Open {
        path: String,
        file: u32,
        creates: bool,
        truncates: bool,
        appends: bool,
    },
    /// `None`: at the file's position.
    Write {
        file: u32,
        offset: Option<u64>,
        bytes: Vec<u8>,
    },
    Seek {
        file: u32,
        to: u64,
    },
    Resize {
        file: u32,
        length: u64,
    },
    /// At least so long.
    Reserve {
        file: u32,
        length: u64,
    },
    Duplicate {
        file: u32,
        to: u32,
    },
    Sync {
        file: u32,
        is_data_only: bool,
    },
    SyncAll,
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    MakeFolder {
        path: String,
    },
}

/// The calls of a trace that concern this directory; `lines` is how many lines of other traces came before.
pub fn calls(trace: &str, root: &str, lines: usize) -> Vec<Call> {
    let mut positions = Files { root, known: BTreeMap::new() };
    let call = |line: Line| {
        let what = positions.read(&line.text)?;
        let (begun, ended) = (lines + line.begun, lines + line.ended);
        let is_unknown = line.text.ends_with("= ?");
        Some(Call { is_unknown, begun, ended, at: line.at.expect("a trace with times"), what })
    };
    trace::joined(trace).into_iter().filter_map(call).collect()
}

/// Which descriptors are files of the data directory.
struct Files<'r> {
    root: &'r str,
    known: BTreeMap<u32, ()>,
}

impl Files<'_> {
    fn read(&mut self, text: &str) -> Option<What> {
        let (name, rest) = text.split_once('(')?;
        let (arguments, result) = rest.rsplit_once(" = ")?;
        if result.starts_with('-') {
            return None;
        }
        let arguments: Vec<&str> = arguments.strip_suffix(')').unwrap_or(arguments).split(", ").collect();
        // one of a process that was killed meanwhile has no result
        let is_unknown = result.starts_with('?');
        match name {
            "openat" if !is_unknown => self.opened(&arguments, result),
            "write" | "pwrite64" => {
                let file = self.file(arguments[0])?;
                let bytes = unescaped(arguments[1]);
                let written = if is_unknown { bytes.len() } else { number(result) as usize };
                let offset = (name == "pwrite64").then(|| number(arguments[3]));
                Some(What::Write { file, offset, bytes: bytes[..written].to_vec() })
            }
            "writev" | "pwritev" | "pwritev2" => {
                let file = self.file(arguments[0])?;
                let pieces =
                    text.split("iov_base=").skip(1).map(|piece| piece.split(", iov_len").next().unwrap());
                let bytes: Vec<u8> = pieces.flat_map(unescaped).collect();
                let written = if is_unknown { bytes.len() } else { number(result) as usize };
                // behind the vector and its length
                let offset = (name != "writev").then(|| number(after_vector(&arguments)));
                Some(What::Write { file, offset, bytes: bytes[..written].to_vec() })
            }
            // of the others that nobody knows of none leaves bytes
            _ if is_unknown => None,
            "lseek" => Some(What::Seek { file: self.file(arguments[0])?, to: number(result) }),
            "ftruncate" => {
                Some(What::Resize { file: self.file(arguments[0])?, length: number(arguments[1]) })
            }
            "fcntl" if arguments[1].starts_with("F_DUPFD") => {
                let (file, to) = (self.file(arguments[0])?, number(result) as u32);
                self.known.insert(to, ());
                Some(What::Duplicate { file, to })
            }
            "fsync" | "fdatasync" => {
                let is_data_only = name == "fdatasync";
                Some(What::Sync { file: self.file(arguments[0])?, is_data_only })
            }
            "syncfs" => self.file(arguments[0]).map(|_| What::SyncAll),
            "rename" => {
                let (from, to) = (self.path(arguments[0])?, self.path(arguments[1])?);
                Some(What::Rename { from, to })
            }
            "unlink" | "rmdir" => Some(What::Remove { path: self.path(arguments[0])? }),
            "mkdir" => Some(What::MakeFolder { path: self.path(arguments[0])? }),
            "fallocate" => {
                let file = self.file(arguments[0])?;
                assert_eq!(arguments[1], "0", "only to make a file longer");
                Some(What::Reserve { file, length: number(arguments[2]) + number(arguments[3]) })
            }
            "unlinkat" => Some(What::Remove { path: self.path_in(arguments[0], arguments[1])? }),
            "link" | "linkat" | "renameat" | "renameat2" | "mkdirat" | "truncate" | "copy_file_range"
            | "symlink" => {
                let is_ours = text.contains(&escaped(self.root));
                assert!(!is_ours, "not replayed: {}", &text[..text.len().min(300)]);
                None
            }
            _ => None,
        }
    }

    fn opened(&mut self, arguments: &[&str], result: &str) -> Option<What> {
        let flags = arguments[2];
        let (file, _) = result.split_once('<')?;
        let file = file.parse().ok()?;
        let Some(path) = self.path_in(arguments[0], arguments[1]) else {
            self.known.remove(&file);
            return None;
        };
        self.known.insert(file, ());
        Some(What::Open {
            path,
            file,
            creates: flags.contains("O_CREAT"),
            truncates: flags.contains("O_TRUNC"),
            appends: flags.contains("O_APPEND"),
        })
    }

    /// A descriptor, if it is a file of ours.
    fn file(&self, argument: &str) -> Option<u32> {
        let (file, path) = argument.split_once('<')?;
        let file = file.parse().ok()?;
        let is_ours = path.starts_with(&escaped(self.root));
        assert!(!is_ours || self.known.contains_key(&file), "opened unseen: {argument}");
        is_ours.then_some(file)
    }

    /// A path that may be relative to an open folder.
    fn path_in(&self, folder: &str, argument: &str) -> Option<String> {
        let name = unescaped(argument);
        if name.starts_with(b"/") {
            return self.path(argument);
        }
        let folder = folder.split_once('<')?.1.trim_end_matches('>');
        self.path(&[folder, "\\x2f", argument.trim_matches('"')].concat())
    }

    fn path(&self, argument: &str) -> Option<String> {
        let path = String::from_utf8(unescaped(argument)).unwrap();
        let rest = path.strip_prefix(self.root)?;
        assert!(rest.is_empty() || rest.starts_with('/'), "{path}");
        Some(rest.trim_start_matches('/').to_owned())
    }
}

/// The offset of a vectored write: what follows its vector and the vector's length.
fn after_vector<'a>(arguments: &[&'a str]) -> &'a str {
    let end = arguments.iter().position(|argument| argument.ends_with(']')).unwrap();
    arguments[end + 2]
}

fn number(text: &str) -> u64 {
    let digits = text.trim_end_matches(')');
    let digits = digits.split([' ', '<']).next().unwrap();
    digits.strip_prefix("0x").map_or_else(|| digits.parse(), |hex| u64::from_str_radix(hex, 16)).unwrap()
}

/// The bytes of `"\x61\x62"`.
fn unescaped(text: &str) -> Vec<u8> {
    assert!(!text.ends_with("..."), "a trace with whole strings");
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    let text = text.trim_matches('"').as_bytes();
    text.chunks_exact(4).map(|four| digit(four[2]) << 4 | digit(four[3])).collect()
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}
