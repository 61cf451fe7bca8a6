"use strict";

const get = (id) => document.getElementById(id);
let current = null;
let shown = new Set(); // ids of the stored messages of the current session

async function call(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`/api/sessions${path}`, options);
  if (!response.ok) throw new Error((await response.json()).error);
  return response;
}

function show(kind, text) {
  const line = document.createElement("p");
  line.className = kind;
  line.textContent = text;
  get("talk").append(line);
  line.scrollIntoView();
  return line;
}

// --- The list of sessions

async function listSessions() {
  const sessions = await (await call("")).json();
  get("sessions").replaceChildren(...sessions.map((session) => {
    const button = document.createElement("button");
    button.textContent = session.title;
    button.title = session.status;
    button.setAttribute("aria-current", String(session.id === current));
    button.onclick = () => open(session.id);
    return button;
  }));
}

async function open(session) {
  current = session;
  sessionStorage.setItem("session", session);
  get("talk").replaceChildren();
  await listSessions();
  const messages = await (await call(`/${session}/messages`)).json();
  shown = new Set(messages.map((message) => message.id));
  for (const message of messages) show(message.role, message.text);
  const kept = JSON.parse(sessionStorage.getItem(`turn ${session}`));
  if (kept) {
    const said = messages.filter((message) => message.role === "user").pop();
    const isStored = said !== undefined && said.text === kept.text;
    await follow(call(`/${session}/turns?cursor=${encodeURIComponent(kept.cursor)}`), kept.text, isStored);
  }
}

// --- A turn

async function follow(request, text, isShown = false) {
  const session = current;
  if (text && !isShown) show("user", text);
  get("cancel").disabled = false;
  let answer = null;
  const waiting = [];
  try {
    for await (const [name, data] of frames(await request)) {
      if (session !== current) return; // another session is shown: this turn is rejoined later
      if (name === "cursor") sessionStorage.setItem(`turn ${session}`, JSON.stringify({ cursor: data, text }));
      else if (name === "failure") show("note", data);
      else if (shown.has(data.message_id)) continue; // it was stored before the page was loaded
      else if (data.type === "message.delta") (answer ??= show("assistant", "")).textContent += data.text;
      else if (data.type === "message.completed" && data.message.role === "assistant" && !shown.has(data.message.id)) {
        (answer ?? show("assistant", "")).textContent = textOf(data.message); // it replaces the deltas
        answer = null;
      }
      else if (data.type === "tool_call.completed") show("note", `tool ${data.name} ${JSON.stringify(data.arguments)}`);
      else if (data.type === "action.required") waiting.push(...data.actions);
      else if (data.type === "turn.ended") {
        sessionStorage.removeItem(`turn ${session}`);
        if (data.outcome === "requires_action") decide(waiting);
        else show("note", data.outcome);
      }
    }
  } catch (error) {
    show("note", error.message);
  }
  get("cancel").disabled = true;
  await listSessions();
}

function textOf(message) {
  return message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
}

function decide(actions) {
  const line = show("note", actions.map((action) => `Allow ${action.name} ${JSON.stringify(action.arguments)}?`).join("\n"));
  for (const allow of [true, false]) {
    const button = document.createElement("button");
    button.textContent = allow ? "Approve" : "Deny";
    button.onclick = () => {
      line.querySelectorAll("button").forEach((each) => each.remove());
      const answers = actions.map((action) => ({ action, allow }));
      follow(call(`/${current}/turns`, { answers }));
    };
    line.append(" ", button);
  }
}

async function* frames(response) {
  let rest = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + chunk).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const [, name, data] = part.match(/^event: (.*)\ndata: (.*)$/);
      yield [name, JSON.parse(data)];
    }
  }
}

// --- What the person does

get("form").onsubmit = async (event) => {
  event.preventDefault();
  const text = get("text").value;
  get("text").value = "";
  if (current === null) await open((await (await call("", { title: text })).json()).id);
  await follow(call(`/${current}/turns`, { text }), text);
};
get("new").onclick = async () => open((await (await call("", { title: "New session" })).json()).id);
get("cancel").onclick = async () => show("note", `cancel: ${(await (await call(`/${current}/cancel`, {})).json()).state}`);

const last = sessionStorage.getItem("session");
if (last) open(last);
else listSessions();
