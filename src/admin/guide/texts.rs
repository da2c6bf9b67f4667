//! The guide's texts, as data: `config/guide/`. Filling them in is pure.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How users, or the app itself, will sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// A link that comes back to us.
    #[default]
    Redirect,
    /// The native redirect, whose address is pasted.
    Native,
    /// A device code.
    Device,
    /// Without users.
    AppOnly,
    /// By a Google service account.
    ServiceAccount,
}

/// A language of the guide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Texts {
    pub(crate) title: String,
    pub(crate) unset_public_url: String,
    pub(crate) who: String,
    pub(crate) scripts: String,
    /// What the steps' commands are for.
    shell: String,
    step: Vec<StepText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText {
    /// Empty: all.
    #[serde(default)]
    ways: Vec<Way>,
    title: String,
    who: String,
    text: String,
    /// Left out where no redirect of ours is registered.
    #[serde(default)]
    needs_redirect: bool,
    #[serde(default)]
    clicks: Vec<String>,
    #[serde(default)]
    commands: Vec<String>,
    /// Commands for every mailbox.
    #[serde(default)]
    each_mailbox: Vec<String>,
}

/// A step, filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    pub(crate) title: String,
    pub(crate) who: String,
    pub(crate) text: String,
    pub(crate) clicks: Vec<String>,
    pub(crate) commands: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scripts {
    platform: BTreeMap<Way, Shells>,
    delegated: Permissions,
    application: Permissions,
    script: ScriptTexts,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shells {
    powershell: String,
    azure_cli: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Permissions {
    resource: String,
    names: Vec<String>,
    powershell: String,
    azure_cli: String,
    kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptTexts {
    powershell: String,
    powershell_secret: String,
    azure_cli: String,
    azure_cli_secret: String,
}

/// A script, filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// What is filled in, by name.
pub(crate) type Facts = BTreeMap<&'static str, String>;

impl Texts {
    /// The words of a language for a way.
    pub(crate) fn of(way: Way, language: Language) -> Result<Self, toml::de::Error> {
        let is_google = way == Way::ServiceAccount;
        toml::from_str(match language {
            Language::En if is_google => include_str!("../../../config/guide/google.en.toml"),
            Language::De if is_google => include_str!("../../../config/guide/google.de.toml"),
            Language::En => include_str!("../../../config/guide/en.toml"),
            Language::De => include_str!("../../../config/guide/de.toml"),
        })
    }

    /// The steps of a way.
    pub(crate) fn steps(&self, way: Way, facts: &Facts, mailboxes: &[String]) -> Vec<Step> {
        let as_is = |text: &str| String::from(text);
        let is_redirected = has_redirect(facts);
        let wanted = self.step.iter().filter(|step| {
            (step.ways.is_empty() || step.ways.contains(&way)) && (is_redirected || !step.needs_redirect)
        });
        wanted
            .map(|step| {
                let said = |text: &String| fill(text, facts, as_is);
                let typed = |text: &String| fill(text, facts, powershell);
                let mut commands: Vec<String> = step.commands.iter().map(typed).collect();
                for address in mailboxes {
                    let facts = Facts::from([("address", address.clone())]);
                    commands.extend(step.each_mailbox.iter().map(|text| fill(text, &facts, powershell)));
                }
                Step {
                    title: said(&step.title),
                    who: said(&step.who),
                    text: said(&step.text),
                    clicks: step.clicks.iter().map(said).collect(),
                    commands,
                }
            })
            .collect()
    }
}

/// The scripts of a way; the steps of a service account hold their commands themselves.
pub(crate) fn scripts(way: Way, facts: &Facts) -> Result<Vec<Script>, toml::de::Error> {
    if way == Way::ServiceAccount {
        return Ok(Vec::new());
    }
    let data: Scripts = toml::from_str(include_str!("../../../config/guide/scripts.toml"))?;
    let permissions = if way == Way::AppOnly { &data.application } else { &data.delegated };
    let has_secret = matches!(way, Way::Redirect | Way::AppOnly);
    // an app without users needs the redirect for the consent link only
    let is_web = way == Way::AppOnly && has_redirect(facts);
    let platform = data.platform.get(if is_web { &Way::Redirect } else { &way });
    let secret = |text: &String| if has_secret { text.trim_start().to_owned() } else { String::new() };
    let texts = &data.script;
    // the texts of the scripts first: what they hold is filled in and escaped with the rest
    let ours = [
        ("resource", permissions.resource.clone()),
        ("kind", permissions.kind.clone()),
        ("ps_list", permissions.powershell.clone()),
        ("az_list", permissions.azure_cli.clone()),
        ("ps_names", format!("'{}'", permissions.names.join("', '"))),
        ("az_names", permissions.names.join(" ")),
        ("ps_platform", platform.map_or_else(String::new, |shells| shells.powershell.clone())),
        ("az_platform", platform.map_or_else(String::new, |shells| shells.azure_cli.clone())),
        ("ps_secret", secret(&texts.powershell_secret)),
        ("az_secret", secret(&texts.azure_cli_secret)),
    ];
    let ours = Facts::from(ours);
    let as_is = |text: &str| String::from(text);
    let made = |name, text: &str, escape: fn(&str) -> String| Script {
        name,
        text: fill(&fill(text.trim_start(), &ours, as_is), facts, escape),
    };
    Ok(vec![made("powershell", &texts.powershell, powershell), made("azure_cli", &texts.azure_cli, shell)])
}

fn has_redirect(facts: &Facts) -> bool {
    facts.get("redirect_uri").is_some_and(|uri| !uri.is_empty())
}

/// Between single quotes in PowerShell, which takes the typographic ones for the same.
fn powershell(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if matches!(letter, '\'' | '\u{2018}' | '\u{2019}' | '\u{201A}' | '\u{201B}') {
            escaped.push(letter);
        }
        escaped.push(letter);
    }
    escaped
}

/// Between single quotes in a POSIX shell.
fn shell(text: &str) -> String {
    text.replace('\'', "'\\''")
}

/// Fills in what is known, in one pass: what was filled in is not looked at again.
fn fill(text: &str, facts: &Facts, escape: impl Fn(&str) -> String) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = after.split_once('}').and_then(|(name, tail)| Some((facts.get(name)?, tail)));
        match known {
            Some((value, tail)) => {
                filled.push_str(&escape(value));
                rest = tail;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

/// The whole guide as a text.
pub(crate) fn markdown(
    texts: &Texts,
    facts: &Facts,
    notes: &[String],
    steps: &[Step],
    scripts: &[Script],
) -> String {
    let mut lines =
        vec![format!("# {}", fill(&texts.title, facts, |text| String::from(text))), String::new()];
    for note in notes {
        lines.extend([format!("> {note}"), String::new()]);
    }
    for (number, step) in (1..).zip(steps) {
        lines.extend([format!("## {number}. {}", step.title), String::new()]);
        lines.extend([
            format!("*{}: {}*", texts.who, step.who),
            String::new(),
            step.text.clone(),
            String::new(),
        ]);
        if !step.clicks.is_empty() {
            lines.extend(step.clicks.iter().map(|click| format!("- {click}")));
            lines.push(String::new());
        }
        if !step.commands.is_empty() {
            lines.push(format!("```{}\n{}\n```\n", texts.shell, step.commands.join("\n")));
        }
    }
    if !scripts.is_empty() {
        lines.extend([format!("## {}", texts.scripts), String::new()]);
    }
    for script in scripts {
        let kind = if script.name == "powershell" { "powershell" } else { "sh" };
        lines.push(format!("```{kind}\n{}\n```\n", script.text.trim_end()));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAYS: [Way; 5] = [Way::Redirect, Way::Native, Way::Device, Way::AppOnly, Way::ServiceAccount];

    fn facts(tenant: &str) -> Facts {
        Facts::from([
            ("app", String::from("o365")),
            ("way", String::from("redirect")),
            ("tenant", String::from(tenant)),
            ("client_id", String::from("the-client")),
            ("redirect_uri", String::from("https://mail.example/sign-in/callback")),
            ("consent_url", String::from("https://login.example/consent")),
            ("scope", String::from("https://mail.google.com/")),
            ("domains", String::from("makler.example")),
        ])
    }

    #[test]
    fn both_languages_have_the_same_steps_and_nothing_is_left_open() {
        for way in WAYS {
            let made = [Language::En, Language::De].map(|language| {
                let texts = Texts::of(way, language).unwrap();
                let mailboxes = [String::from("anna@makler.example")];
                let steps = texts.steps(way, &facts("t"), &mailboxes);
                let scripts = scripts(way, &facts("t")).unwrap();
                let text = markdown(&texts, &facts("t"), &[], &steps, &scripts);
                for name in [
                    "app",
                    "way",
                    "tenant",
                    "client_id",
                    "redirect_uri",
                    "consent_url",
                    "address",
                    "resource",
                    "scope",
                    "domains",
                ] {
                    assert!(!text.contains(&format!("{{{name}}}")), "{name} is open in {text}");
                }
                steps.iter().map(|step| (step.clicks.len(), step.commands.len())).collect::<Vec<_>>()
            });
            assert_eq!(made[0], made[1], "{way:?}");
        }
    }

    #[test]
    fn each_way_has_its_own_platform_permissions_and_secret() {
        for (way, wanted, unwanted) in [
            (
                Way::Redirect,
                vec!["-Web @{", "credential reset", "SMTP.Send", "--web-redirect-uris 'https://"],
                "AsApp",
            ),
            (Way::Native, vec!["-PublicClient @{", "--public-client-redirect-uris"], "credential reset"),
            (
                Way::Device,
                vec!["-IsFallbackPublicClient", "--is-fallback-public-client true"],
                "RedirectUris",
            ),
            (Way::AppOnly, vec!["IMAP.AccessAsApp", "00000002-0000-0ff1", "=Role"], "AccessAsUser"),
        ] {
            let texts = scripts(way, &facts("t")).unwrap().into_iter().map(|script| script.text);
            let text = texts.collect::<Vec<_>>().join("\n");
            for word in wanted {
                assert!(text.contains(word), "{way:?} lacks {word}: {text}");
            }
            assert!(!text.contains(unwanted), "{way:?} has {unwanted}");
        }
    }

    #[test]
    fn what_is_filled_in_cannot_leave_its_quotes() {
        let made = scripts(Way::Redirect, &facts("t'; rm -rf / #{client_id}")).unwrap();
        let [powershell, shell] = made.as_slice() else { panic!("{made:?}") };
        assert!(powershell.text.contains("'t''; rm -rf / #{client_id}'"), "{}", powershell.text);
        assert!(shell.text.contains("'t'\\''; rm -rf / #{client_id}'"), "{}", shell.text);
        let texts = Texts::of(Way::AppOnly, Language::En).unwrap();
        let steps = texts.steps(Way::AppOnly, &facts("t"), &[String::from("o'hara@x.test")]);
        let all: String = steps.iter().flat_map(|step| step.commands.clone()).collect();
        assert!(all.contains("-Identity 'o''hara@x.test'"), "{all}");
    }
}
