//! The random client: one mailbox, one session, one generator. What it does next depends on its seed and on what it did
//! before, never on the server or the engine, so that a seed repeats its commands.

use super::model::{Held, Model, Token};
use super::replay::time_of_day;
use crate::world::Mailboxes;
use crate::world::imap::{Imap, Reply, encode_utf7, quoted};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::time::Duration;

/// Never renamed, never deleted.
const FIXED: [&str; 4] = ["INBOX", "Sent", "Drafts", "Trash"];
const FLAGS: [&str; 5] = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "soak"];
/// A mailbox does not get more folders than this.
const MOST_FOLDERS: usize = 12;

pub struct Client {
    pub(super) user: String,
    pub(super) mailboxes: Mailboxes,
    pub(super) imap: Imap,
    pub(super) rng: StdRng,
    selected: Option<String>,
    pub model: Model,
    pub done: usize,
}

type Operation = fn(&mut Client);

/// What the client may do, and how often out of a hundred or so.
const OPERATIONS: [(u32, Operation); 14] = [
    (30, Client::arrive),
    (14, Client::change_flags),
    (14, Client::move_some),
    (5, Client::copy_some),
    (12, Client::expunge_some),
    (4, Client::create),
    (3, Client::rename),
    (2, Client::delete),
    (3, Client::empty_into_trash_and_delete),
    (3, Client::empty_into_trash_and_rename),
    (4, Client::rename_and_file_into_it),
    (4, Client::create_file_and_delete_another),
    (3, Client::move_one_of_two),
    (1, Client::renew_uid_validity),
];

impl Client {
    pub fn new(mailboxes: &Mailboxes, user: &str, rng: StdRng) -> Self {
        let mailbox = user.split('@').next().unwrap();
        let (mailboxes, imap) = (mailboxes.clone(), mailboxes.imap(user));
        Self { user: user.into(), mailboxes, imap, rng, selected: None, model: Model::new(mailbox), done: 0 }
    }

    /// One operation, then what a client rests; often nothing.
    pub fn act(&mut self) -> Duration {
        let total = OPERATIONS.iter().map(|(weight, _)| weight).sum();
        let mut draw = self.rng.random_range(0..total);
        let operation = OPERATIONS.iter().find(|(weight, _)| {
            let is_it = draw < *weight;
            draw = draw.saturating_sub(*weight);
            is_it
        });
        operation.unwrap().1(self);
        self.done += 1;
        if self.rng.random_bool(0.2) {
            Duration::ZERO
        } else {
            Duration::from_millis(self.rng.random_range(0..1_600))
        }
    }

    // --- what is chosen ---

    /// A folder that is so, at random.
    fn some_folder(&mut self, is_wanted: impl Fn(&str, &[Held]) -> bool) -> Option<String> {
        let names: Vec<&String> = self
            .model
            .folders
            .iter()
            .filter(|(name, held)| is_wanted(name, held))
            .map(|(name, _)| name)
            .collect();
        names.choose(&mut self.rng).map(|name| (*name).clone())
    }

    fn some_uids(&mut self, folder: &str, most: usize) -> Vec<u32> {
        let uids: Vec<u32> = self.model.held(folder).iter().map(|held| held.uid).collect();
        let count = self.rng.random_range(1..=most);
        let mut chosen: Vec<u32> = uids.choose_multiple(&mut self.rng, count).copied().collect();
        chosen.sort_unstable();
        chosen
    }

    /// Some messages of a folder that has any.
    fn some_messages(&mut self, most: usize) -> Option<(String, Vec<u32>)> {
        let folder = self.some_folder(|_, held| !held.is_empty())?;
        let uids = self.some_uids(&folder, most);
        Some((folder, uids))
    }

    fn all_uids(&self, folder: &str) -> Vec<u32> {
        self.model.held(folder).iter().map(|held| held.uid).collect()
    }

    // --- one command each ---

    fn arrive(&mut self) {
        let folder = if self.rng.random_bool(0.85) {
            String::from("INBOX")
        } else {
            self.some_folder(|_, _| true).unwrap()
        };
        for _ in 0..self.rng.random_range(1..=3) {
            let padding = self.rng.random_range(0..200);
            let (token, raw) = self.model.make(padding);
            let head = format!("APPEND {} () {{{}+}}\r\n", name(&folder), raw.len());
            self.note([token.clone()], &format!("APPEND {folder}"));
            let replies = self.imap.command_bytes(&[head.as_bytes(), &raw].concat()).unwrap();
            let uid =
                code(&replies, "APPENDUID").and_then(|code| code.split(' ').nth(1)?.parse().ok()).unwrap();
            self.model.put(&folder, Held { uid, token });
        }
    }

    fn change_flags(&mut self) {
        let Some((folder, uids)) = self.some_messages(4) else { return };
        let sign = if self.rng.random_bool(0.6) { "+" } else { "-" };
        let flag = FLAGS.choose(&mut self.rng).unwrap();
        self.select(&folder);
        self.store(&folder, &uids, &format!("{sign}FLAGS ({flag})"));
    }

    fn move_some(&mut self) {
        let Some((folder, uids)) = self.some_messages(3) else { return };
        let Some(target) = self.some_folder(|name, _| name != folder) else { return };
        self.select(&folder);
        self.move_to(&folder, &uids, &target);
    }

    fn copy_some(&mut self) {
        let Some((folder, uids)) = self.some_messages(2) else { return };
        let Some(target) = self.some_folder(|name, _| name != folder) else { return };
        self.select(&folder);
        self.copy_to(&folder, &uids, &target);
    }

    fn expunge_some(&mut self) {
        let Some((folder, uids)) = self.some_messages(4) else { return };
        self.select(&folder);
        self.expunge(&folder, &uids);
    }

    fn create(&mut self) {
        if self.model.folders.len() < MOST_FOLDERS {
            let folder = self.model.folder_name();
            self.create_folder(&folder);
        }
    }

    fn rename(&mut self) {
        let Some(folder) = self.some_folder(|name, _| is_free(name)) else { return };
        let to = self.model.folder_name();
        self.rename_folder(&folder, &to);
    }

    fn delete(&mut self) {
        let Some(folder) = self.some_folder(|name, _| is_free(name)) else { return };
        self.delete_folder(&folder);
    }

    // --- commands directly after each other ---

    fn empty_into_trash_and_delete(&mut self) {
        let Some((folder, tokens)) = self.empty_into_trash() else { return };
        self.delete_folder(&folder);
        self.note(tokens, &format!("and at once DELETE {folder}"));
    }

    fn empty_into_trash_and_rename(&mut self) {
        let Some((folder, tokens)) = self.empty_into_trash() else { return };
        let to = self.model.folder_name();
        self.rename_folder(&folder, &to);
        self.note(tokens, &format!("and at once RENAME {folder} -> {to}"));
    }

    fn empty_into_trash(&mut self) -> Option<(String, Vec<Token>)> {
        let folder = self.some_folder(|name, held| is_free(name) && !held.is_empty())?;
        let uids = self.all_uids(&folder);
        let tokens = self.tokens(&folder, &uids);
        self.select(&folder);
        self.move_to(&folder, &uids, "Trash");
        Some((folder, tokens))
    }

    fn rename_and_file_into_it(&mut self) {
        let Some(folder) = self.some_folder(|name, _| is_free(name)) else { return };
        let to = self.model.folder_name();
        let uids = self.some_uids("INBOX", 3);
        let tokens = self.tokens("INBOX", &uids);
        self.select("INBOX");
        self.rename_folder(&folder, &to);
        self.note(tokens, &format!("RENAME {folder} -> {to} and at once"));
        self.move_to("INBOX", &uids, &to);
    }

    fn create_file_and_delete_another(&mut self) {
        if self.model.folders.len() > MOST_FOLDERS {
            return;
        }
        let folder = self.model.folder_name();
        let other = self.some_folder(|name, held| is_free(name) && held.is_empty());
        let uids = self.some_uids("INBOX", 3);
        let tokens = self.tokens("INBOX", &uids);
        self.select("INBOX");
        self.create_folder(&folder);
        self.note(tokens.clone(), &format!("CREATE {folder} and at once"));
        self.move_to("INBOX", &uids, &folder);
        if let Some(other) = other {
            self.delete_folder(&other);
            self.note(tokens, &format!("and at once DELETE {other}, which is empty"));
        }
    }

    /// Of a message and its copy one is moved, or the message is expunged and its copy moved.
    fn move_one_of_two(&mut self) {
        let made = &self.model.made;
        let copied = |held: &&Held| made[&held.token].instances > 1;
        let all =
            self.model.folders.iter().flat_map(|(name, held)| held.iter().map(move |held| (name, held)));
        let mut twins: Vec<(String, Held)> =
            all.filter(|(_, held)| copied(held)).map(|(name, held)| (name.clone(), held.clone())).collect();
        twins.sort_by(|(_, one), (_, other)| one.token.cmp(&other.token));
        let pairs: Vec<_> = twins.windows(2).filter(|pair| pair[0].1.token == pair[1].1.token).collect();
        let Some([(one, first), (other, second)]) = pairs.choose(&mut self.rng) else { return };
        let (one, first, other, second) = (one.clone(), first.uid, other.clone(), second.uid);
        let Some(target) = self.some_folder(|name, _| name != one && name != other) else { return };
        if self.rng.random_bool(0.5) {
            self.select(&one);
            self.expunge(&one, &[first]);
        }
        self.select(&other);
        self.move_to(&other, &[second], &target);
    }

    fn renew_uid_validity(&mut self) {
        let Some(folder) = self.some_folder(|_, held| !held.is_empty()) else { return };
        let keeps_uids = self.rng.random_bool(0.5);
        let tokens = self.tokens(&folder, &self.all_uids(&folder));
        self.note(tokens, &format!("another UIDVALIDITY for {folder}, UIDs kept: {keeps_uids}"));
        self.leave(&folder);
        if keeps_uids {
            self.mailboxes.change_uid_validity(&self.user, &folder);
        } else {
            self.mailboxes.bump_uid_validity(&self.user, &folder);
        }
        self.imap = self.mailboxes.imap(&self.user);
        self.selected = None;
        self.read_again(&folder);
    }

    /// Learns the UIDs that the server gave anew.
    fn read_again(&mut self, folder: &str) {
        let by_sum: std::collections::BTreeMap<String, Token> = self
            .model
            .held(folder)
            .iter()
            .map(|held| (self.model.made[&held.token].sha256.clone(), held.token.clone()))
            .collect();
        let before = self.model.held(folder).len();
        let seen = self.mailboxes.list(&self.user, folder);
        let held: Vec<Held> =
            seen.iter().map(|seen| Held { uid: seen.uid, token: by_sum[&seen.sha256].clone() }).collect();
        assert_eq!(held.len(), before, "the server lost mail of {folder}");
        self.model.folders.insert(folder.to_owned(), held);
    }

    // --- to the server, and into the model ---

    fn select(&mut self, folder: &str) {
        self.imap.command(&format!("SELECT {}", name(folder))).unwrap();
        self.selected = Some(folder.to_owned());
    }

    /// Dovecot ends a session whose selected folder is deleted or renamed.
    fn leave(&mut self, folder: &str) {
        if self.selected.take_if(|selected| selected == folder).is_some() {
            self.imap.command("UNSELECT").unwrap();
        }
    }

    fn store(&mut self, folder: &str, uids: &[u32], change: &str) {
        let tokens = self.tokens(folder, uids);
        self.note(tokens, &format!("STORE {folder} {uids:?} {change}"));
        self.imap.command(&format!("UID STORE {} {change}", set(uids))).unwrap();
    }

    fn move_to(&mut self, folder: &str, uids: &[u32], target: &str) {
        if uids.is_empty() {
            return;
        }
        let tokens = self.tokens(folder, uids);
        self.note(tokens, &format!("MOVE {folder} {uids:?} -> {target}"));
        let replies = self.imap.command(&format!("UID MOVE {} {}", set(uids), name(target))).unwrap();
        let pairs = copied(&replies);
        for held in self.model.take(folder, uids) {
            self.model.put(target, Held { uid: pairs[&held.uid], token: held.token });
        }
    }

    fn copy_to(&mut self, folder: &str, uids: &[u32], target: &str) {
        let tokens = self.tokens(folder, uids);
        self.note(tokens.clone(), &format!("COPY {folder} {uids:?} -> {target}"));
        let replies = self.imap.command(&format!("UID COPY {} {}", set(uids), name(target))).unwrap();
        let pairs = copied(&replies);
        for (token, uid) in tokens.into_iter().zip(uids) {
            self.model.made.get_mut(&token).unwrap().instances += 1;
            self.model.put(target, Held { uid: pairs[uid], token });
        }
    }

    fn expunge(&mut self, folder: &str, uids: &[u32]) {
        self.store(folder, uids, "+FLAGS (\\Deleted)");
        self.imap.command(&format!("UID EXPUNGE {}", set(uids))).unwrap();
        self.model.take(folder, uids);
    }

    fn create_folder(&mut self, folder: &str) {
        self.imap.command(&format!("CREATE {}", name(folder))).unwrap();
        self.model.folders.insert(folder.to_owned(), Vec::new());
    }

    fn rename_folder(&mut self, folder: &str, to: &str) {
        let tokens = self.tokens(folder, &self.all_uids(folder));
        self.note(tokens, &format!("RENAME {folder} -> {to}"));
        self.leave(folder);
        self.imap.command(&format!("RENAME {} {}", name(folder), name(to))).unwrap();
        let held = self.model.folders.remove(folder).unwrap();
        self.model.folders.insert(to.to_owned(), held);
    }

    fn delete_folder(&mut self, folder: &str) {
        let tokens = self.tokens(folder, &self.all_uids(folder));
        self.note(tokens, &format!("DELETE {folder}"));
        self.leave(folder);
        self.imap.command(&format!("DELETE {}", name(folder))).unwrap();
        self.model.folders.remove(folder);
    }

    /// The tokens of these UIDs, in their order.
    fn tokens(&self, folder: &str, uids: &[u32]) -> Vec<Token> {
        let held = self.model.held(folder);
        uids.iter().map(|uid| held.iter().find(|held| held.uid == *uid).unwrap().token.clone()).collect()
    }

    fn note(&mut self, tokens: impl IntoIterator<Item = Token>, command: &str) {
        let now = serde_json::to_value(stafette::clock::now()).unwrap();
        self.model.note(tokens, &format!("{} {command}", time_of_day(&now)));
    }
}

fn is_free(folder: &str) -> bool {
    !FIXED.contains(&folder)
}

fn name(folder: &str) -> String {
    quoted(&encode_utf7(folder))
}

fn set(uids: &[u32]) -> String {
    uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// What a response code says, wherever among the replies it stands.
fn code(replies: &[Reply], wanted: &str) -> Option<String> {
    let inside = |reply: &Reply| {
        let (_, rest) = reply.text.split_once(&format!("[{wanted} "))?;
        Some(rest.split_once(']')?.0.to_owned())
    };
    replies.iter().find_map(inside)
}

/// Old UID to new UID, by COPYUID (RFC 4315: both sets in the same order).
fn copied(replies: &[Reply]) -> std::collections::BTreeMap<u32, u32> {
    let text = code(replies, "COPYUID").unwrap();
    let mut sets = text.split(' ').skip(1).map(expanded);
    let (from, to) = (sets.next().unwrap(), sets.next().unwrap());
    from.into_iter().zip(to).collect()
}

fn expanded(set: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        first.parse::<u32>().unwrap()..=last.parse().unwrap()
    };
    set.split(',').flat_map(range).collect()
}
