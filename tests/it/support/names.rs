//! A name server that knows mail exchangers and services; what it does not know is an empty answer. It keeps what it is asked.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// A record.
#[derive(Clone, Copy)]
pub enum Record {
    Mx(u16, &'static str),
    /// Priority, weight, port, target.
    Srv(u16, u16, u16, &'static str),
}

pub struct NameServer {
    pub at: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    pub fn start(known: &[(&'static str, Record)]) -> Self {
        let known = known.to_vec();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = socket.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let (name, kind, end) = question(&buffer[..length]);
                let answers: Vec<_> = known
                    .iter()
                    .filter(|(owner, record)| *owner == name && record.kind() == kind)
                    .map(|(_, record)| *record)
                    .collect();
                heard.lock().unwrap().push(name);
                let mut answer = buffer[..2].to_vec();
                answer.extend([0x81, 0x80, 0, 1, 0, u8::try_from(answers.len()).unwrap(), 0, 0, 0, 0]);
                answer.extend(&buffer[12..end]);
                for record in answers {
                    let data = record.data();
                    answer.extend([0xC0, 0x0C, 0, u8::try_from(kind).unwrap(), 0, 1, 0, 0, 0, 60]);
                    answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
                    answer.extend(data);
                }
                socket.send_to(&answer, from).unwrap();
            }
        });
        Self { at, asked }
    }

    /// The names it was asked for, so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Record {
    fn kind(self) -> u16 {
        match self {
            Self::Mx(..) => 15,
            Self::Srv(..) => 33,
        }
    }

    fn data(self) -> Vec<u8> {
        match self {
            Self::Mx(preference, host) => [&preference.to_be_bytes()[..], &labels(host)].concat(),
            Self::Srv(priority, weight, port, host) => {
                let numbers = [priority, weight, port].map(u16::to_be_bytes).concat();
                [numbers, labels(host)].concat()
            }
        }
    }
}

/// Name, type, and where the question ends.
fn question(message: &[u8]) -> (String, u16, usize) {
    let (mut at, mut name) = (12, Vec::new());
    while message[at] != 0 {
        let end = at + 1 + usize::from(message[at]);
        name.push(String::from_utf8(message[at + 1..end].to_vec()).unwrap().to_lowercase());
        at = end;
    }
    (name.join("."), u16::from_be_bytes([message[at + 1], message[at + 2]]), at + 5)
}

fn labels(name: &str) -> Vec<u8> {
    let one = |label: &str| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat();
    name.split('.').filter(|label| !label.is_empty()).flat_map(one).chain([0]).collect()
}
