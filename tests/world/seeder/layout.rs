//! Maildir++ as Dovecot lays it out: `.Parent.Child` in modified UTF-7, the marker file, subscriptions.

use std::io::Result;
use std::path::{Path, PathBuf};

use super::super::imap::encode_utf7;

pub struct Folders {
    pub inbox: PathBuf,
    pub others: Vec<PathBuf>,
}

pub fn create(maildir: &Path, names: &[String]) -> Result<Folders> {
    make(maildir)?;
    let mut others = Vec::new();
    let mut subscribed = String::from("V\t2\n\n");
    for name in names {
        let path = maildir.join(format!(".{}", encode_utf7(name).replace('/', ".")));
        make(&path)?;
        std::fs::write(path.join("maildirfolder"), "")?;
        // Version 2 of the file separates levels by tabs and wants modified UTF-7.
        subscribed.push_str(&format!("{}\n", encode_utf7(name).replace('/', "\t")));
        others.push(path);
    }
    let file = maildir.join("subscriptions");
    if !file.try_exists()? {
        std::fs::write(file, subscribed)?;
    }
    Ok(Folders { inbox: maildir.to_path_buf(), others })
}

fn make(path: &Path) -> Result<()> {
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(path.join(part))?;
    }
    Ok(())
}
