// The editor of policies: numbers its lines, and asks the API what is wrong with the text and what it would have decided.

import { ask } from "./ask.js";

const form = document.getElementById("policy");
const text = document.getElementById("policy-text");
const numbers = document.getElementById("policy-lines");
const report = document.getElementById("policy-report");
const days = document.getElementById("policy-days");

const made = (tag, words, more = {}) => Object.assign(document.createElement(tag), { textContent: words, ...more });

function number() {
  numbers.textContent = Array.from(text.value.split("\n"), (_, at) => at + 1).join("\n");
  numbers.scrollTop = text.scrollTop;
}

function say(...parts) {
  report.replaceChildren(...parts);
}

// Lines and columns count from 1; columns count characters.
function go({ line, column }) {
  const lines = text.value.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  const at = before + Array.from(lines[line - 1] ?? "").slice(0, column - 1).join("").length;
  text.focus();
  text.setSelectionRange(at, at + 1);
}

async function check() {
  const said = await ask("POST", `${form.dataset.path}/validate`, JSON.stringify({ text: text.value }));
  if (said.mistake) {
    const { line, column, message, policy } = said.mistake;
    say(made("p", `Line ${line}, column ${column}${policy ? ` (${policy})` : ""}: ${message}`, { className: "alarm" }));
    return go(said.mistake);
  }
  const when = said.nowhere_weaker ? "It is nowhere weaker than what is in force: it would take effect at once." : "It may be weaker than what is in force: it would take effect after the delay.";
  say(made("p", `The text is right. ${when}`, { className: "note" }));
}

function decision({ allowed, approvals, own_device: ownDevice, delay_seconds: delay, policies }) {
  if (!allowed) return `refused${policies.length ? ` by ${policies.join(", ")}` : ""}`;
  const needs = [approvals && `${approvals} approvals`, ownDevice && "another device", delay && `${delay} seconds`].filter(Boolean);
  return needs.length ? `allowed with ${needs.join(", ")}` : "allowed";
}

function changed(one) {
  const item = made("li", "");
  const base = location.pathname.replace(/\/policies\/editor$/, "");
  item.append(made("a", one.restore, { href: `${base}/restores/${one.restore}` }));
  item.append(` of ${one.user}, ${new Date(one.asked_at).toLocaleString()}: now ${decision(one.now)}; then ${decision(one.then)}`);
  return item;
}

async function tryOut() {
  const body = { text: text.value, days: Number(days.value) };
  const said = await ask("POST", `${form.dataset.path}/dry-run`, JSON.stringify(body));
  const rest = said.complete ? "" : " Not all of that time was looked at.";
  const summary = `Of ${said.looked_at} restores, ${said.refused} would have been refused, ${said.needs_more} would have needed more, ${said.needs_less} less, and ${said.allowed} would have been allowed that are refused now.${rest}`;
  const list = made("ul", "");
  list.append(...said.changed.map(changed));
  say(made("p", summary, { className: "note" }), list);
}

function onClick(id, way) {
  const button = document.getElementById(id);
  button.disabled = false;
  button.addEventListener("click", () => way().catch((problem) => say(made("p", problem.message, { className: "alarm" }))));
}

onClick("policy-check", check);
onClick("policy-try", tryOut);
text.addEventListener("input", number);
text.addEventListener("scroll", number);
number();
