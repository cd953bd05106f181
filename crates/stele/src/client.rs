//! A small HTTP client for the node's API.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use crate::config::Config;
use crate::login::Login;

/// Longest answer read as JSON, in bytes (16 MiB).
const JSON_LEN_MAX: u64 = 16 * 1024 * 1024;
/// Longest wait for an answer.
const WAIT_MAX: Duration = Duration::from_secs(70);
/// Longest wait for an answer to a glance.
const GLANCE_WAIT_MAX: Duration = Duration::from_secs(1);

/// Speaks to one node.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    login: Login,
}

impl Client {
    /// A client for the node at `url`, or the configured one. `login` is used when the node asks.
    pub(crate) fn new(url: Option<&str>, config: &Config, login: Login) -> Result<Self> {
        let base = match url {
            Some(url) => address(url)?,
            None => format!("http://{}", Config::reached(config.http_listen)),
        };
        Ok(Self {
            agent: agent(WAIT_MAX),
            base,
            login,
        })
    }

    /// One that waits a second at most, for a node on this machine.
    pub(crate) fn impatient(config: &Config, login: Login) -> Result<Self> {
        Ok(Self {
            agent: agent(GLANCE_WAIT_MAX),
            ..Self::new(None, config, login)?
        })
    }

    /// Where it speaks to.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Reads JSON.
    pub(crate) fn get_json(&self, path: &str) -> Result<Value> {
        let text = self.get_text(path, JSON_LEN_MAX)?;
        self.parse(path, &text)
    }

    /// Reads a text of at most `len_max` bytes.
    pub(crate) fn get_text(&self, path: &str, len_max: u64) -> Result<String> {
        let url = format!("{}{path}", self.base);
        let answer = self.logged_in(|header| {
            let mut request = self.agent.get(&url);
            if let Some(header) = header {
                request = request.header(AUTHORIZATION, header);
            }
            request.call()
        })?;
        self.text(path, answer, len_max)
    }

    /// Sends JSON and reads JSON.
    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}", self.base);
        let answer = self.logged_in(|header| {
            let mut request = self
                .agent
                .post(&url)
                .header(CONTENT_TYPE, "application/json");
            if let Some(header) = header {
                request = request.header(AUTHORIZATION, header);
            }
            request.send(body.to_string())
        })?;
        let text = self.text(path, answer, JSON_LEN_MAX)?;
        self.parse(path, &text)
    }

    /// Removes what is there.
    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        let url = format!("{}{path}", self.base);
        let answer = self.logged_in(|header| {
            let mut request = self.agent.delete(&url);
            if let Some(header) = header {
                request = request.header(AUTHORIZATION, header);
            }
            request.call()
        })?;
        self.text(path, answer, JSON_LEN_MAX).map(drop)
    }

    /// Sends a request; once more with a password if the node asks for one and somebody gives it.
    fn logged_in(
        &self,
        send: impl Fn(Option<String>) -> Result<Response<Body>, ureq::Error>,
    ) -> Result<Result<Response<Body>, ureq::Error>> {
        let answer = send(self.login.header());
        let refused = matches!(&answer, Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED);
        if refused && self.login.ask()? {
            return Ok(send(self.login.header()));
        }
        Ok(answer)
    }

    fn parse(&self, path: &str, text: &str) -> Result<Value> {
        serde_json::from_str(text).with_context(|| {
            format!(
                "{}{path} does not answer in JSON: is a Stele node behind that address?",
                self.base
            )
        })
    }

    fn text(
        &self,
        path: &str,
        answer: Result<Response<Body>, ureq::Error>,
        len_max: u64,
    ) -> Result<String> {
        let mut answer = answer.with_context(|| {
            format!(
                "no node answers at {}; start one with `stele start`, or name its address with --http URL",
                self.base
            )
        })?;
        let status = answer.status();
        let text = answer
            .body_mut()
            .with_config()
            .limit(len_max)
            .read_to_string()
            .with_context(|| format!("cannot read the answer of {}{path}", self.base))?;
        if status.is_success() {
            return Ok(text);
        }
        bail!("{}", failure(status.as_u16(), &text))
    }
}

/// The address of a node, without a slash at its end.
pub(crate) fn address(url: &str) -> Result<String> {
    let base = url.trim_end_matches('/').to_owned();
    if base.starts_with("https://") {
        bail!(
            "{base}: this client speaks plain HTTP to a node on the same machine; bring a remote node near with `ssh -L 8080:127.0.0.1:8080 host` and use http://127.0.0.1:8080"
        );
    }
    if !base.starts_with("http://") {
        bail!("{base:?} is not the address of a node: write it as http://127.0.0.1:8080");
    }
    Ok(base)
}

/// An HTTP client that gives every answer, whatever its status.
pub(crate) fn agent(wait_max: Duration) -> Agent {
    let settings = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(wait_max))
        .max_redirects(0)
        // A node on this machine is never behind the proxy of the environment.
        .proxy(None)
        .build();
    Agent::new_with_config(settings)
}

/// The failure a node reports, in its own words.
fn failure(status: u16, text: &str) -> String {
    let view: Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| view.get(name).and_then(Value::as_str);
    let Some(message) = field("message") else {
        return format!("the node answered with HTTP status {status}");
    };
    let mut words = message.to_owned();
    if let Some(code) = field("code") {
        words.push_str(&format!(" ({code})"));
    }
    for name in ["detail", "hint"] {
        if let Some(more) = field(name) {
            words.push_str(&format!("; {more}"));
        }
    }
    words
}

/// A text as a piece of a URL.
pub(crate) fn encoded(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(byte));
            }
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login::new("operator", None)
    }

    #[test]
    fn pieces_of_urls_are_encoded() {
        assert_eq!(encoded("a b/ü?"), "a%20b%2F%C3%BC%3F");
    }

    #[test]
    fn a_failure_keeps_the_words_of_the_node() {
        let text = r#"{"code":"42P01","message":"no table x","hint":"make it"}"#;
        assert_eq!(failure(404, text), "no table x (42P01); make it");
        assert!(failure(502, "<html>").contains("502"));
    }

    #[test]
    fn only_plain_http_addresses_are_taken() {
        let config = Config::default();
        assert!(Client::new(Some("https://x"), &config, login()).is_err());
        assert!(Client::new(Some("x:80"), &config, login()).is_err());
        let client = Client::new(Some("http://[::1]:8080/"), &config, login()).unwrap();
        assert_eq!(client.base(), "http://[::1]:8080");
    }
}
