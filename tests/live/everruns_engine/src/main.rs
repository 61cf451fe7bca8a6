//! The Everruns engine with models that answer by a script, to record from.
//!
//! Usage: `everruns-engine DIRECTORY`. Serves the crate's own `/v1` routes on a free loopback port, keeps its sessions in
//! DIRECTORY, and prints its address as one line. Each agent shows one thing; a session chooses it by `agent_name`.

use std::path::PathBuf;
use std::time::Duration;

use serve::prelude::*;
use serve::sim::{LlmSimConfig, SimToolCall, SimTurn};
use serve::{Mode, Server, sim};

const STORY: &str = "Once upon a time a session went idle. Nobody had said a word to it for an hour, and it began to \
    count its own events: one, two, three, and so on to forty. Then a message came, the session woke, and its story \
    could go on. It answered in many small pieces, as sessions do, and each piece held a little more of the tale than \
    the one before it. When all was told it went idle again, and was content.";

/// Answers with what it was told, at once.
#[agent(default)]
fn echo() -> Agent {
    told(LlmSimConfig::echo())
}

/// Tells a story in many deltas.
#[agent]
fn storyteller() -> Agent {
    told(LlmSimConfig::fixed(STORY).with_latency())
}

/// Uses a tool, and answers.
#[agent]
fn worker() -> Agent {
    told(sim::script([
        SimTurn::Mixed {
            text: "Let me look.".into(),
            tool_calls: vec![call("weather", json!({ "city": "Berlin" }))],
        },
        sim::reply("It is raining in Berlin."),
    ]))
}

/// Uses a tool that fails, and answers.
#[agent]
fn unlucky() -> Agent {
    told(sim::script([
        sim::call("broken", json!({})),
        sim::reply("The tool failed."),
    ]))
}

/// Uses two tools that a person must approve, and answers.
#[agent]
fn careful() -> Agent {
    let both = || {
        SimTurn::ToolCalls(vec![
            call("erase", json!({ "path": "/notes.txt" })),
            call("erase", json!({ "path": "/old.txt" })),
        ])
    };
    told(sim::script([both(), both(), sim::reply("I am done.")]))
}

/// Uses a tool that runs at the client, and answers.
#[agent]
fn remote() -> Agent {
    let script = sim::script([
        sim::call("read_clock", json!({ "zone": "UTC" })),
        sim::reply("It is noon."),
    ]);
    described(script)
        .customize(|agent| {
            let parameters = json!({ "type": "object", "properties": { "zone": { "type": "string" } } });
            agent.client_tool("read_clock", "Tells the time at the client.", parameters)
        })
        .build()
}

/// Asks a person, and answers.
#[agent]
fn asker() -> Agent {
    told(sim::script([
        sim::call(
            "ask_user",
            json!({ "questions": [{
                "header": "Target",
                "question": "Where should it go?",
                "options": [
                    { "label": "Staging", "description": "Safe", "default": true },
                    { "label": "Production", "description": "Live" }
                ]
            }] }),
        ),
        sim::reply("On its way."),
    ]))
}

/// Has a model that fails.
#[agent]
fn failing() -> Agent {
    told(LlmSimConfig::error("the model is out of order"))
}

/// Has a model that no longer exists.
#[agent]
fn forgotten() -> Agent {
    told(LlmSimConfig::model_not_available())
}

/// Is silent for three seconds before it says a word.
#[agent]
fn slow() -> Agent {
    told(LlmSimConfig::fixed("Here I am.").with_response_delay(Duration::from_secs(3)))
}

/// Tell the weather of a city.
#[tool]
async fn weather(cx: &Cx, city: String) -> Result<String> {
    cx.progress(format!("looking out of a window in {city}")).await;
    Ok(format!("{city}: rain"))
}

/// Fail.
#[tool]
async fn broken() -> Result<String> {
    bail!("the tool is out of order")
}

/// Erase a file. Somebody must approve.
#[tool(needs_approval)]
async fn erase(path: String) -> Result<String> {
    Ok(format!("{path} is gone"))
}

fn described(script: LlmSimConfig) -> serve::AgentBuilder {
    Agent::builder()
        .model("sim")
        .instructions("Answer by the script.")
        .offline(script)
}

fn told(script: LlmSimConfig) -> Agent {
    described(script).build()
}

fn call(name: &str, arguments: serde_json::Value) -> SimToolCall {
    SimToolCall {
        name: name.into(),
        arguments,
        id: None,
    }
}

#[tokio::main]
async fn main() -> serve::Result {
    let directory = std::env::args().nth(1).map(PathBuf::from);
    let app = App::builder().discover().build();
    let server = Server::new(app, Mode::Eval, directory)?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, server.router()).await?;
    Ok(())
}
