// Verifies one event: who signed its leaf, what it discloses, that it is in the tree, and who signed the tree's checkpoint
// (docs/AUDIT-FORMAT.md). Only WebCrypto does cryptography here.

import { ask } from "./ask.js";

const form = document.getElementById("check");
const results = document.getElementById("check-results");
const vkeyField = document.getElementById("check-vkey");
const { log } = form.dataset;
const index = Number(form.dataset.index);

const bytes = (base64) => Uint8Array.from(atob(base64.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const base64url = (raw) => btoa(String.fromCharCode(...raw)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const utf8 = (text) => new TextEncoder().encode(text);
const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(parts.flatMap((part) => [...part]))));
const parsed = (part) => JSON.parse(new TextDecoder().decode(bytes(part)));
const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

function hold(is, what) {
  if (!is) throw new Error(what);
}

async function isSigned(publicKey, signature, text) {
  const key = await crypto.subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, key, signature, text);
}

// RFC 7638 over an Ed25519 key (RFC 8037, section 2).
const thumbprint = async ({ crv, kty, x }) => base64url(await sha256(utf8(JSON.stringify({ crv, kty, x }))));

// C2SP signed-note: NAME+ID+KEY; the id is the beginning of SHA-256(NAME || 0x0A || 0x01 || key).
async function verifier(vkey) {
  const [, name, id, key] = vkey.trim().match(/^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/) ?? [];
  const raw = key ? bytes(key) : [];
  hold(raw.length === 33 && raw[0] === 1, "This is no Ed25519 verifier key.");
  const hash = await sha256(utf8(name), [0x0a], raw);
  const begin = Array.from(hash.slice(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join("");
  hold(begin === id, "The verifier key is damaged: its id is not its own.");
  return { name, id: hash.slice(0, 4), key: raw.slice(1) };
}

// C2SP signed-note and tlog-checkpoint.
async function opened(note, by) {
  const end = note.indexOf("\n\n");
  const text = note.slice(0, end + 1);
  const lines = note.slice(end + 2).split("\n").map((line) => line.match(/^\u2014 (\S+) (\S+)$/));
  const own = lines.filter((line) => line && line[1] === by.name).map((line) => bytes(line[2])).filter((raw) => same(raw.slice(0, 4), by.id));
  hold(own.length > 0, `Nothing on the checkpoint is signed by ${by.name} with this key.`);
  for (const raw of own) hold(await isSigned(by.key, raw.slice(4), utf8(text)), "The checkpoint's signature is wrong.");
  const [origin, size, root] = text.split("\n");
  hold(origin === by.name, "The checkpoint is of another log.");
  return { origin, size: Number(size), root: bytes(root) };
}

// RFC 9162, section 2.1.3.2.
async function rootOf(leaf, at, size, proof) {
  let [node, last, hash] = [at, size - 1, await sha256([0], utf8(leaf))];
  hold(at < size, "The checkpoint is older than the event.");
  for (const sibling of proof) {
    hold(last > 0, "The proof is too long.");
    if (node % 2 === 1 || node === last) {
      hash = await sha256([1], sibling, hash);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      hash = await sha256([1], hash, sibling);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  hold(last === 0, "The proof is too short.");
  return hash;
}

// C2SP tlog-proof.
async function included({ event, proof }, by) {
  const [head, note] = [proof.slice(0, proof.indexOf("\n\n")), proof.slice(proof.indexOf("\n\n") + 2)];
  const lines = head.split("\n").filter((line) => !line.startsWith("extra "));
  hold(lines[0] === "c2sp.org/tlog-proof@v1" && lines[1] === `index ${event.index}`, "The proof is of another event.");
  const checkpoint = await opened(note, by);
  const root = await rootOf(event.leaf, event.index, checkpoint.size, lines.slice(2).map(bytes));
  hold(same(root, checkpoint.root), "The leaf is not in the tree that was signed.");
  return checkpoint;
}

async function leafIsSigned(leaf, key) {
  const [header, payload, signature] = leaf.split(".");
  const { alg, kid } = parsed(header);
  hold(alg === "EdDSA" && kid === (await thumbprint(key)), "The leaf is signed with another key.");
  hold(await isSigned(bytes(key.x), bytes(signature), utf8(`${header}.${payload}`)), "The leaf's signature is wrong.");
}

// The event key is announced in the log: by event 0, signed with itself, and by rotations, signed with one before.
async function eventKey(wanted, by) {
  const opening = await ask("GET", `${log}/events/0`);
  await included(opening, by);
  let keys = [parsed(opening.event.leaf.split(".")[1]).event_key];
  await leafIsSigned(opening.event.leaf, keys[0]);
  const { events } = await ask("GET", `${log}/events?evt=log.key_rotated`);
  for (const { index: at } of events) {
    const rotation = await ask("GET", `${log}/events/${at}`);
    await included(rotation, by);
    await leafIsSigned(rotation.event.leaf, await known(keys, rotation.event.leaf));
    keys = [...keys, parsed(rotation.event.leaf.split(".")[1]).event_key];
  }
  return known(keys, wanted);
}

async function known(keys, leaf) {
  const { kid } = parsed(leaf.split(".")[0]);
  for (const key of keys) if ((await thumbprint(key)) === kid) return key;
  throw new Error("The leaf is signed with a key that the log has not announced.");
}

// RFC 9901: each disclosure is the one whose digest stands under its name.
async function disclosed({ leaf, disclosures }) {
  const payload = parsed(leaf.split(".")[1]);
  for (const disclosure of disclosures) {
    const [, name] = parsed(disclosure);
    const digest = base64url(await sha256(utf8(disclosure)));
    hold(payload[name]?._sd?.includes(digest), `What is disclosed as ${name} is not what was signed.`);
  }
  return disclosures.length;
}

function say(word, text) {
  const state = Object.assign(document.createElement("span"), { className: `state ${word === "failed" ? "bad" : "good"}`, textContent: word });
  const item = document.createElement("li");
  item.append(state, ` ${text}`);
  results.append(item);
}

async function check() {
  const standing = vkeyField.value ? null : await ask("GET", `${log}/log`);
  const by = await verifier(vkeyField.value || standing.vkey);
  const proven = await ask("GET", `${log}/events/${index}`);
  hold(proven.event.index === index, "The broker answered with another event.");
  const checkpoint = await included(proven, by);
  say("verified", `The checkpoint over ${checkpoint.size} events is signed by ${by.name}.`);
  say("verified", "The event is in the tree that was signed.");
  const key = await eventKey(proven.event.leaf, by);
  await leafIsSigned(proven.event.leaf, key);
  hold(parsed(proven.event.leaf.split(".")[1]).iss === by.name, "The event belongs to another log.");
  say("verified", "The leaf is signed with an event key that the log announces.");
  say("verified", `${await disclosed(proven.event)} disclosed fields are what was signed.`);
  if (standing) say("note", "The verifier key came from the broker itself. It means more with the one that you have pinned.");
}

form.querySelector("button").disabled = document.getElementById("check-save").disabled = false;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  results.replaceChildren();
  try {
    await check();
  } catch (problem) {
    say("failed", problem.message);
  }
});

document.getElementById("check-save").addEventListener("click", async () => {
  const { proof } = await ask("GET", `${log}/events/${index}`);
  const link = Object.assign(document.createElement("a"), { download: `event-${index}.tlog-proof` });
  link.href = URL.createObjectURL(new Blob([proof], { type: "text/plain" }));
  link.click();
  URL.revokeObjectURL(link.href);
});
