// Asking the API, as whoever is signed in.

let csrf;

export async function ask(method, path, body, headers = {}) {
  if (method !== "GET" && csrf !== null) headers["Keyfold-Csrf"] = csrf ??= (await ask("GET", "/v1/admin/session")).csrf;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body || undefined, redirect: "error" });
  const said = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(said?.detail ?? said?.title ?? `The broker answered ${answer.status}.`);
  return said;
}

// There is no session yet, so nothing to repeat.
export function nobody() {
  csrf = null;
}

export async function made(options) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey);
  return JSON.stringify((await navigator.credentials.create({ publicKey })).toJSON());
}

export async function signed(options) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey);
  return JSON.stringify((await navigator.credentials.get({ publicKey })).toJSON());
}

export function base64url(text) {
  const binary = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
