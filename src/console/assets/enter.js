// Signing in, and joining by an invitation. The invitation is behind `#`, which browsers send to nobody.

import { ask, made, nobody, signed } from "./ask.js";

const form = document.getElementById("enter");
const button = form.querySelector("button");
const problem = document.getElementById("enter-problem");

async function signIn() {
  const begun = await ask("POST", "/v1/admin/sign-in");
  await ask("POST", `/v1/admin/sign-in/${begun.ceremony}`, await signed(begun.options));
}

async function signOn() {
  const { url } = await ask("POST", "/v1/admin/sso", JSON.stringify({ tenant: document.getElementById("enter-tenant").value || "installation" }));
  location.assign(url);
}

// The issuer's answer is in the query; it is good once.
async function signedOn() {
  const told = new URLSearchParams(location.search);
  if (!told.has("state")) throw new Error("Your organisation's login has not sent you here. Sign in again.");
  const answer = { state: told.get("state") ?? "", code: told.get("code") ?? "", iss: told.get("iss") };
  history.replaceState(null, "", location.pathname);
  await ask("POST", "/v1/admin/sso/callback", JSON.stringify(answer));
}

async function join() {
  const name = document.getElementById("enter-name").value;
  const invitation = location.hash.slice(1);
  const begun = await ask("POST", "/v1/admin/join", JSON.stringify(name ? { invitation, name } : { invitation }));
  await ask("POST", `/v1/admin/join/${begun.ceremony}`, await made(begun.options));
}

// Only into the console itself, whatever the address says.
function next() {
  const wanted = new URL(new URLSearchParams(location.search).get("next") ?? "/console", location.origin);
  const own = wanted.origin === location.origin && (wanted.pathname === "/console" || wanted.pathname.startsWith("/console/"));
  return own ? wanted.pathname + wanted.search : "/console";
}

async function attempt(pressed, step) {
  pressed.disabled = true;
  problem.textContent = "";
  try {
    await step();
  } catch (refused) {
    problem.textContent = refused.message;
    pressed.disabled = false;
  }
}

const ways = { "join": join, "sign-in": signIn, "sso": signedOn };

async function enter() {
  await ways[form.dataset.way]();
  location.assign(next());
}

function onSubmit(submitted, step) {
  const pressed = submitted.querySelector("button");
  pressed.disabled = false;
  submitted.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(pressed, step);
  });
}

nobody();
onSubmit(form, enter);
const elsewhere = document.getElementById("sign-on");
if (elsewhere) onSubmit(elsewhere, signOn);
if (form.dataset.way === "sso") attempt(button, enter);
