//! Tests of what a LIST says.

use crate::imap::sync::folder_list::*;

fn listed(name: &str, attributes: &[&str]) -> ListedFolder {
    ListedFolder {
        name: bytes::Bytes::copy_from_slice(name.as_bytes()),
        separator: Some("/".into()),
        attributes: attributes.iter().map(|&attribute| attribute.to_owned()).collect(),
        is_unescaped: false,
    }
}

#[test]
fn one_inbox_and_each_role_once() {
    let list = [
        listed("INBOX", &[]),
        listed("INBOX", &["\\marked"]),
        listed("Sent Items", &["\\sent"]),
        listed("Sent", &[]),
        listed("Kalender", &[]),
        listed("[Gmail]", &["\\noselect"]),
    ];
    let folders = folders_of(&list, true);
    let roles: Vec<_> = folders.iter().filter_map(|folder| folder.role).collect();
    assert_eq!(roles.iter().filter(|role| **role == FolderRole::Inbox).count(), 1);
    assert_eq!(roles.iter().filter(|role| **role == FolderRole::Sent).count(), 1);
    let find = |path: &str| folders.iter().find(|folder| folder.path == path).unwrap();
    assert!(!find("Kalender").included);
    assert!(!find("[Gmail]").selectable);
    assert!(folders_of(&list, false).iter().all(|folder| folder.included), "a plain server's are folders");
}

#[test]
fn names_that_are_shown_alike_are_two_folders_and_keep_their_paths() {
    let (coded, raw) = ("&AOQ-", "\u{e4}");
    let mut folders = folders_of(&[listed(coded, &[]), listed(raw, &[])], false);
    make_paths_unique(&mut folders, &BTreeMap::new());
    let path = |folders: &[Folder], name: &str| {
        folders.iter().find(|folder| folder.server_name == name.into()).unwrap().path.clone()
    };
    assert_eq!([path(&folders, coded), path(&folders, raw)], ["\u{e4}", "\u{e4}~2"]);
    let stored = folders
        .iter()
        .filter(|folder| folder.path.contains('~'))
        .map(|folder| (folder.server_name.clone(), Row { generation: 1, value: folder.clone() }));
    let stored: BTreeMap<_, _> = stored.collect();
    let mut again = folders_of(&[listed(coded, &[]), listed(raw, &[])], false);
    make_paths_unique(&mut again, &stored);
    assert_eq!([path(&again, coded), path(&again, raw)], ["\u{e4}", "\u{e4}~2"]);
}
