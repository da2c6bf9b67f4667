//! Folder names as servers write them: the wire name is the folder's key, given back byte for byte; every message is
//! stored, whatever its folder is called.

use crate::support::anna::anna;
use crate::support::scripted::{Mail, Mailbox, Server};
use serde_json::json;

#[test]
fn folders_of_every_spelling_are_synchronized() {
    let long = "n".repeat(1000);
    let long_listed = format!("() \"/\" \"{long}\"");
    let cases: Vec<(&[u8], &[u8], &str)> = vec![
        (b"(\\HasNoChildren) \"/\" \"a \\\"quoted\\\" name\"", b"a \"quoted\" name", "a \"quoted\" name"),
        (b"() \"/\" \"back\\\\slash\"", b"back\\slash", "back\\slash"),
        (b"() \"/\" {5}\r\nl \"i\"", b"l \"i\"", "l \"i\""),
        (b"() \"/\" inbox/sub", b"inbox/sub", "INBOX/sub"),
        (b"() \"/\" \"caf\xc3\xa9\"", b"caf\xc3\xa9", "caf\u{e9}"),
        (b"() \"/\" \"latin\xe9\"", b"latin\xe9", "latin\u{e9}"),
        (b"() \"/\" \"&AOk\"", b"&AOk", "&AOk"),
        (b"() \"/\" \"&-&\"", b"&-&", "&&"),
        (b"() \"/\" \"&AAAA-\"", b"&AAAA-", "&AAAA-"),
        (b"() \"/\" \"with % and *\"", b"with % and *", "with % and *"),
        (b"() \"/\" \" lead\"", b" lead", " lead"),
        (b"() \"/\" \"trail \"", b"trail ", "trail "),
        (b"() \".\" \"a/b.c\"", b"a/b.c", "a\u{2215}b/c"),
        (b"() \"/\" \"&AOQ-\"", b"&AOQ-", "\u{e4}"),
        (b"() \"/\" \"\xc3\xa4\"", b"\xc3\xa4", "\u{e4}~2"),
        (b"() \"/\" \"\"", b"", "(no name)"),
        (long_listed.as_bytes(), long.as_bytes(), &long),
        (b"() \"nosep\"", b"nosep", "nosep"),
        (b"() Two Words", b"Two Words", "Two Words"),
        (b"(\\NoSelect) \"/\" closed", b"closed", "closed"),
        (b"(\\NONEXISTENT) \"/\" gone", b"gone", "gone"),
    ];
    let mut folders = vec![Mailbox::listed(b"() NIL INBOX", b"INBOX", [Mail::new(1, "in")])];
    for (number, (listed, name, _)) in cases.iter().enumerate() {
        folders.push(Mailbox::listed(listed, name, [Mail::new(1, &format!("m{number}"))]));
    }
    let server = Server::start(folders);
    let anna = anna(&server);
    let subjects: Vec<String> = (0..cases.len()).map(|number| format!("m{number}")).collect();
    let mut expected = vec![("INBOX", "in")];
    for ((_, _, path), subject) in cases.iter().zip(&subjects) {
        if !["closed", "gone"].contains(path) {
            expected.push((path, subject));
        }
    }
    anna.until_stored(&expected);
    anna.until_live();
    anna.rounds(2);
    anna.assert_live();
    anna.until_stored(&expected);
    for path in ["closed", "gone"] {
        assert_eq!(anna.folder(path)["selectable"], false);
    }
    assert_eq!(server.state().connections, 1);
}

#[test]
fn a_server_that_escapes_nothing_gets_its_names_back_as_it_wrote_them() {
    let listed = b"() \"\\\" \"a\\b\"";
    let server =
        Server::start([Mailbox::new("INBOX", []), Mailbox::listed(listed, b"a\\b", [Mail::new(1, "x")])]);
    server.answers("SELECT \"a\\\\b\"", "{tag} NO no such thing\r\n");
    server.answers(
        "SELECT \"a\\b\"",
        "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 2] x\r\n{tag} OK done\r\n",
    );
    let anna = anna(&server);
    anna.running.wait("the folder", || (server.state().count("SELECT \"a\\b\"") > 0).then_some(()));
    assert_eq!(server.state().count("SELECT \"a\\\\b\""), 0);
    anna.wait("its path", || Some(anna.folder("a/b")));
}

#[test]
fn an_inbox_listed_in_two_spellings_is_one_folder_or_two_as_its_counts_tell() {
    let second = |mails| Mailbox::listed(b"() \"/\" Inbox", b"Inbox", mails);
    let same = Server::start([Mailbox::new("INBOX", [Mail::new(1, "in")]), second(vec![Mail::new(1, "in")])]);
    let one = anna(&same);
    one.until_stored(&[("INBOX", "in")]);
    one.until_live();
    assert_eq!(one.folders().len(), 1);
    let other = Server::start([
        Mailbox::new("INBOX", [Mail::new(1, "in")]),
        second(vec![Mail::new(1, "x"), Mail::new(2, "y")]),
    ]);
    let two = anna(&other);
    two.until_stored(&[("INBOX", "in"), ("INBOX~2", "x"), ("INBOX~2", "y")]);
    two.rounds(2);
    assert_eq!(two.folder("INBOX")["role"], json!("inbox"));
    two.until_stored(&[("INBOX", "in"), ("INBOX~2", "x"), ("INBOX~2", "y")]);
}
