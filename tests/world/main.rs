//! The test world as a program: `cargo run --example world -- start --dir DIR`. `start` prints one JSON object
//! and stays until it is told to end; the other commands act on a running world by its folder.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "mod.rs"]
mod world;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use serde_json::json;
use world::config::Ports;
use world::mailbox::Mailboxes;
use world::{SeedOptions, World};

#[derive(Parser)]
#[command(about = "Dovecot, Postfix and an Entra ID stand-in for tests and demos")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a world and stay until SIGTERM, SIGINT, or the end of stdin.
    Start(Start),
    /// Fill a Maildir.
    Seed(Seed),
    /// Deliver a message, read from stdin, by LMTP.
    Deliver(Place),
    /// Change flags: `--change=+FLAGS --flags '\Seen'`.
    Flags(Flags),
    Move(Move),
    /// Delete and expunge one message.
    Delete(Message),
    /// Print a user's folders and messages as JSON.
    List(Place),
    CreateFolder(Folder),
    DeleteFolder(Folder),
    BumpUidvalidity(Folder),
    /// End a user's sessions.
    Kick(Place),
}

#[derive(Args)]
struct Start {
    #[arg(long)]
    dir: Option<PathBuf>,
    #[arg(long, value_delimiter = ',', default_value = "anna@makler.test,ben@makler.test,clara@kunde.test")]
    mailboxes: Vec<String>,
    /// user=mailbox pairs: tokens of the user open the mailbox too.
    #[arg(long, value_delimiter = ',')]
    delegates: Vec<String>,
    /// Messages seeded into the first mailbox.
    #[arg(long, default_value_t = 0)]
    seed_messages: usize,
    /// Answer this many FETCHes through the Exchange proxy with a throttling BAD, asking for 2 s.
    #[arg(long, default_value_t = 0)]
    throttle: u32,
    /// Also end when stdin ends.
    #[arg(long)]
    stdin: bool,
}

#[derive(Args)]
struct Seed {
    #[arg(long)]
    maildir: PathBuf,
    #[arg(long, default_value_t = 1_000)]
    messages: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 100)]
    inbox_percent: u32,
    #[arg(long, default_value_t = 8_192.0)]
    median_size: f64,
}

#[derive(Args)]
struct Place {
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    user: String,
}

#[derive(Args)]
struct Folder {
    #[command(flatten)]
    place: Place,
    #[arg(long)]
    folder: String,
}

#[derive(Args)]
struct Message {
    #[command(flatten)]
    place: Place,
    #[arg(long, default_value = "INBOX")]
    folder: String,
    #[arg(long)]
    uid: u32,
}

#[derive(Args)]
struct Flags {
    #[command(flatten)]
    message: Message,
    #[arg(long, default_value = "+FLAGS", allow_hyphen_values = true)]
    change: String,
    #[arg(long)]
    flags: String,
}

#[derive(Args)]
struct Move {
    #[command(flatten)]
    message: Message,
    #[arg(long)]
    to: String,
}

fn main() {
    match Cli::parse().command {
        Command::Start(options) => start(&options),
        Command::Seed(options) => seed(&options),
        Command::Deliver(place) => {
            let mut raw = Vec::new();
            std::io::stdin().read_to_end(&mut raw).unwrap();
            running(&place.dir).deliver(&place.user, &raw);
        }
        Command::Flags(args) => {
            let (place, message) = (&args.message.place, &args.message);
            running(&place.dir).set_flags(
                &place.user,
                &message.folder,
                message.uid,
                &args.change,
                &args.flags,
            );
        }
        Command::Move(args) => {
            let (place, message) = (&args.message.place, &args.message);
            running(&place.dir).move_message(&place.user, &message.folder, message.uid, &args.to);
        }
        Command::Delete(message) => {
            running(&message.place.dir).delete_message(&message.place.user, &message.folder, message.uid);
        }
        Command::List(place) => println!("{}", json!(running(&place.dir).snapshot(&place.user))),
        Command::CreateFolder(args) => running(&args.place.dir).create_folder(&args.place.user, &args.folder),
        Command::DeleteFolder(args) => running(&args.place.dir).delete_folder(&args.place.user, &args.folder),
        Command::BumpUidvalidity(args) => {
            println!("{}", running(&args.place.dir).bump_uid_validity(&args.place.user, &args.folder));
        }
        Command::Kick(place) => running(&place.dir).kick(&place.user),
    }
}

fn running(dir: &Path) -> Mailboxes {
    let text = std::fs::read(dir.join("world.json")).expect("the folder of a running world");
    let facts: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let ports: Ports = serde_json::from_value(facts["ports"].clone()).unwrap();
    Mailboxes::new(&dir.canonicalize().unwrap(), &ports)
}

fn start(options: &Start) {
    let mut builder = World::builder();
    for mailbox in &options.mailboxes {
        builder = builder.mailbox(mailbox);
    }
    for (user, mailbox) in options.delegates.iter().filter_map(|pair| pair.split_once('=')) {
        builder = builder.delegate(user, mailbox);
    }
    if let Some(dir) = &options.dir {
        builder = builder.dir(dir);
    }
    let world = builder.start();
    let (imap, smtp) = (world.exchange_imap(), world.exchange_smtp());
    if options.throttle > 0 {
        imap.throttle("*FETCH*", "2000", options.throttle);
    }
    let seeded = (options.seed_messages > 0)
        .then(|| world.seed(&options.mailboxes[0], &SeedOptions::messages(options.seed_messages)));
    let entra = world.entra();
    let app = |app: world::entra::App| {
        let redirects: Vec<String> = app.redirects.iter().map(|redirect| redirect.uri.clone()).collect();
        json!({"client_id": app.client_id, "client_secret": app.secret(), "redirects": redirects})
    };
    let facts = json!({
        "dir": world.dir(), "ports": world.ports, "exchange_imap_port": imap.port, "exchange_smtp_port": smtp.port,
        "host": "localhost", "ca": world.ca_pem(), "mailboxes": options.mailboxes, "password": "pass",
        "authority": entra.authority_url(), "control": format!("{}/control/", entra.authority_url()),
        "tenant_id": entra.tenant_id(), "web_app": app(entra.web_app()), "native_app": app(entra.native_app()),
        "daemon_app": app(entra.daemon_app()), "seeded": seeded,
    });
    std::fs::write(world.dir().join("world.json"), facts.to_string()).unwrap();
    println!("{facts}");
    await_end(options.stdin);
}

/// Returns on SIGTERM, SIGINT, or, if wanted, the end of stdin.
fn await_end(stdin: bool) {
    let (tell, told) = std::sync::mpsc::channel();
    let by_signal = tell.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut term = signal(SignalKind::terminate()).unwrap();
            tokio::select! { _ = term.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
        });
        let _ = by_signal.send(());
    });
    if stdin {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = tell.send(());
        });
    }
    let _ = told.recv();
}

fn seed(options: &Seed) {
    let settings = SeedOptions {
        messages: options.messages,
        seed: options.seed,
        inbox_percent: options.inbox_percent,
        median_size: options.median_size,
        ..SeedOptions::default()
    };
    let report = world::seeder::seed(&options.maildir, &settings).unwrap();
    world::stage::ensure_vmail();
    world::stage::own_by_vmail(&options.maildir).unwrap();
    println!("{}", serde_json::to_string(&report).unwrap());
}
