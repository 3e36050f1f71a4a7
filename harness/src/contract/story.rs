//! An actor's calls, one after another, over HTTP.
//!
//! Each answer is told by the contract's rules, its captures become variables, and its cookies stay in
//! the actor's jar. A story ends with the first call that cannot be made, since an answer before it
//! did not bring what it needs.

use std::time::SystemTime;

use rowlock_contract::variables::Value;
use rowlock_contract::{
    CallSpec, Completion, Contract, CookieJar, Meaning, Template, Variables, classify,
};
use rowlock_core::answer::{Answer, Ending, Unknown};
use rowlock_core::call::{NoReply, Reply};
use serde::{Deserialize, Serialize};

use super::program::{Participant, PlannedCall};
use crate::client::Client;

/// How much of a body is shown, in characters.
const BODY_SHOWN: usize = 120;

/// What an actor was told, call by call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoryAnswer {
    /// Who called what.
    pub label: String,
    /// The calls that were made, with their answers.
    pub calls: Vec<Told>,
    /// Why the next call could not be made, if the story ended before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_off: Option<String>,
}

/// What the client of one call was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The call's name.
    pub call: String,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// What that means.
    pub completion: Completion,
    /// The beginning of the body of an answer that is not ok.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
    /// What of the answer must fit a serial order, where the contract says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<String>,
}

impl Told {
    fn of(call: &CallSpec, reply: &Result<Reply, NoReply>) -> Told {
        // Every call was sent, as far as anybody knows.
        let answer = reply.as_ref().map_err(|why| match why {
            NoReply::NotSent => NoReply::Unknown(Unknown::ConnectionLost),
            known => *known,
        });
        let completion = classify(call, answer);
        let said = match (&completion.means, reply) {
            (Meaning::Ok, _) | (_, Err(_)) => String::new(),
            (_, Ok(reply)) => excerpt(&reply.body),
        };
        let compared = match (&completion.means, reply) {
            (Meaning::Ok, Ok(reply)) => call.compared(reply),
            _ => Vec::new(),
        };
        Told {
            call: call.name.clone(),
            compared,
            status: reply.as_ref().ok().map(|reply| reply.status),
            completion,
            said,
        }
    }

    /// `409 conflict: sold_out`.
    pub(super) fn reply(&self) -> String {
        let status = self.status.map(|status| status.to_string());
        let status = status.unwrap_or_else(|| "no answer".into());
        format!("{status} {}", self.completion)
    }
}

fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(BODY_SHOWN) {
        Some((at, _)) => format!("{} …", &text[..at]),
        None => text,
    }
}

impl StoryAnswer {
    /// Takes the answers to the same story under the same key in: what was ok once is ok, and what
    /// nobody knows after one attempt, a refusal of another does not tell.
    pub(super) fn come_again(&mut self, again: &StoryAnswer) {
        let rank = |told: &Told| match told.completion.ending {
            Ending::Ok => 2,
            Ending::Unknown(_) => 1,
            Ending::Refused | Ending::GaveWay => 0,
        };
        for (position, told) in again.calls.iter().enumerate() {
            match self.calls.get_mut(position) {
                Some(earlier) if rank(earlier) > rank(told) => {}
                Some(earlier) => *earlier = told.clone(),
                None => self.calls.push(told.clone()),
            }
        }
        self.broken_off.clone_from(&again.broken_off);
    }
}

impl Answer for StoryAnswer {
    /// That of the first call that did not end well.
    fn ending(&self) -> Ending {
        let endings = self.calls.iter().map(|told| told.completion.ending);
        let mut bad = endings.filter(|ending| *ending != Ending::Ok);
        bad.next().unwrap_or(Ending::Ok)
    }

    fn describe(&self) -> String {
        format!("{}: {}", self.label, self.reply())
    }

    fn reply(&self) -> String {
        let replies: Vec<_> = match self.calls.as_slice() {
            [only] => vec![only.reply()],
            calls => (calls.iter())
                .map(|told| format!("{} {}", told.call, told.reply()))
                .collect(),
        };
        match &self.broken_off {
            Some(why) => format!("{}; then {why}", replies.join(", ")),
            None => replies.join(", "),
        }
    }
}

/// An actor between two calls: its variables and its cookies.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) variables: Variables,
    pub(super) jar: CookieJar,
}

impl Standing {
    /// The same with variables on a layer above.
    pub(super) fn with(
        &self,
        more: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<Standing, String> {
        let mut variables = self.variables.clone();
        variables.push();
        for (name, value) in more {
            let value = match &value {
                Value::Text(text) => Template::parse(text)?
                    .fill_value(&variables)
                    .map_err(|error| error.to_string())?,
                _ => value,
            };
            variables.set(name, value);
        }
        Ok(Standing {
            variables,
            jar: self.jar.clone(),
        })
    }
}

/// What a story is told with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Telling<'a> {
    pub(super) contract: &'a Contract,
    /// The idempotency key of its calls.
    pub(super) key: &'a str,
}

/// Makes one call. `Err` says why it could not be made.
pub(super) async fn make(
    telling: Telling<'_>,
    planned: &PlannedCall,
    standing: &mut Standing,
    client: &mut Client,
) -> Result<(Told, Result<Reply, NoReply>), String> {
    let Some(spec) = telling.contract.call(&planned.call) else {
        return Err(format!("the contract has no call `{}`", planned.call));
    };
    let of_call = standing.with(planned.with.clone())?;
    let variables = of_call.variables.with(standing.jar.variables());
    let filled = spec.fill(&variables, Some(telling.key));
    let mut call = filled.map_err(|error| error.to_string())?;
    if let Some(cookie) = standing.jar.header(&call.path) {
        call.headers.push(("cookie".into(), cookie));
    }
    if !client.is_open() {
        connect_again(client).await?;
    }
    let mut reply = client.ask(&call).await.reply;
    // A connection that the service had closed meanwhile: nothing has left this side.
    if reply == Err(NoReply::NotSent) {
        connect_again(client).await?;
        reply = client.ask(&call).await.reply;
    }
    if let Ok(reply) = &reply {
        standing.jar.take(&call.path, reply, SystemTime::now());
    }
    let told = Told::of(spec, &reply);
    if let (Meaning::Ok, Ok(reply)) = (told.completion.means, &reply) {
        let captured = spec.capture(reply).map_err(|error| error.to_string());
        // What is missing is missed by whoever needs it.
        for (name, value) in captured.unwrap_or_default() {
            standing.variables.set(name, value);
        }
    }
    Ok((told, reply))
}

async fn connect_again(client: &mut Client) -> Result<(), String> {
    let connected = client.connect_again().await;
    *client = connected.map_err(|error| format!("no connection: {error}"))?;
    Ok(())
}

/// Makes the calls of a story, one after another, as far as they can be made.
pub(super) async fn tell(
    telling: Telling<'_>,
    participant: &Participant,
    standing: Standing,
    client: &mut Client,
) -> StoryAnswer {
    let mut answer = StoryAnswer {
        label: participant.label(),
        calls: Vec::new(),
        broken_off: None,
    };
    let mut standing = match standing.with(participant.with.clone()) {
        Ok(standing) => standing,
        Err(why) => {
            answer.broken_off = Some(why);
            return answer;
        }
    };
    for planned in &participant.story {
        match make(telling, planned, &mut standing, client).await {
            Ok((told, _)) => answer.calls.push(told),
            Err(why) => {
                answer.broken_off = Some(why);
                return answer;
            }
        }
    }
    answer
}
