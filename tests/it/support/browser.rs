//! A real browser.

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A headless Chromium that prefers German, driven by WebDriver.
pub struct Browser {
    runtime: tokio::runtime::Runtime,
    client: Option<Client>,
    driver: Child,
    profile: tempfile::TempDir,
}

impl Browser {
    pub fn start() -> Self {
        let mut driver = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "chromedriver", "--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        // "ChromeDriver was started successfully on port 12345."
        let port: u16 = lines
            .find_map(|line| {
                line.unwrap().split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
            })
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=900,700",
            "--accept-lang=de-DE",
        ];
        let mut arguments: Vec<String> = arguments.map(String::from).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({"goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium",
            "prefs": {"intl.accept_languages": "de-DE,de"}}});
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(hyper_util_connector());
            builder.capabilities(wanted.as_object().unwrap().clone());
            builder.connect(&format!("http://127.0.0.1:{port}")).await.unwrap()
        });
        Self { runtime, client: Some(client), driver, profile }
    }

    fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    pub fn open(&self, url: &str) {
        self.runtime.block_on(self.client().goto(url)).unwrap();
    }

    /// Clicks, and waits until the page that was clicked on is gone.
    pub fn click(&self, css: &str) {
        self.runtime.block_on(async {
            let body = self.client().find(Locator::Css("body")).await.unwrap();
            self.client().find(Locator::Css(css)).await.unwrap().click().await.unwrap();
            while body.is_displayed().await.is_ok() {
                tokio::task::yield_now().await;
            }
            self.client().wait().for_element(Locator::Css("h1")).await.unwrap();
        });
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        self.runtime.block_on(self.client().current_url()).unwrap().into()
    }

    /// Clicks on what leads to no other page.
    pub fn press(&self, css: &str) {
        self.runtime.block_on(async {
            self.client().find(Locator::Css(css)).await.unwrap().click().await.unwrap();
        });
    }

    pub fn text(&self) -> String {
        self.runtime
            .block_on(async { self.client().find(Locator::Css("body")).await.unwrap().text().await.unwrap() })
    }

    /// Kept for whoever wants to look at what users see.
    pub fn picture(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let png = self.runtime.block_on(self.client().screenshot()).unwrap();
        assert!(png.len() > 1000);
        std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }

    /// The window's size, in CSS pixels.
    pub fn size(&self, width: u32, height: u32) {
        self.runtime.block_on(self.client().set_window_size(width, height)).unwrap();
    }

    /// What axe finds on the page that keeps somebody from using it: its rules of serious and critical impact.
    pub fn barriers(&self) -> Value {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("target/foreign/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}: tests/run.sh installs it, run it once", path.display())
        });
        let run = "const done = arguments[arguments.length - 1]; axe.run({iframes: false}).then((found) => done(found.violations\
                   .filter((one) => ['serious', 'critical'].includes(one.impact))\
                   .map((one) => [one.id, one.nodes.map((node) => node.html)])));";
        self.runtime.block_on(async {
            self.client().execute(&axe, vec![]).await.unwrap();
            self.client().execute_async(run, vec![]).await.unwrap()
        })
    }

    /// Whether the page is wider than its window.
    pub fn is_too_wide(&self) -> bool {
        let wide = "return document.documentElement.scrollWidth > document.documentElement.clientWidth;";
        self.runtime.block_on(self.client().execute(wide, vec![])).unwrap() == json!(true)
    }
}

fn hyper_util_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(self.runtime.block_on(client.close()));
        }
        drop(self.driver.kill());
        drop(self.driver.wait());
        assert!(self.profile.path().is_dir());
    }
}
