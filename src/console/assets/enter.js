// Signing in, and joining by an invitation. The invitation is behind `#`, which browsers send to nobody.

import { ask, made, nobody, signed } from "./ask.js";

const form = document.getElementById("enter");
const button = form.querySelector("button");
const problem = document.getElementById("enter-problem");

async function signIn() {
  const begun = await ask("POST", "/v1/admin/sign-in");
  await ask("POST", `/v1/admin/sign-in/${begun.ceremony}`, await signed(begun.options));
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

nobody();
button.disabled = false;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  problem.textContent = "";
  try {
    await (form.dataset.way === "join" ? join() : signIn());
    location.assign(next());
  } catch (refused) {
    problem.textContent = refused.message;
    button.disabled = false;
  }
});
