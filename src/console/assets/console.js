// Times in the viewer's zone (UTC stays in the tooltip), and acts: the API says what an act is, a passkey signs it, and then
// it is done.

import { ask, base64url, made, signed } from "./ask.js";

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

const part = (id) => document.getElementById(`act-${id}`);
const dialog = document.getElementById("act");

// The path and the body that the form stands for.
function request(form) {
  let path = form.dataset.path;
  const body = {};
  for (const field of form.elements) {
    const { as } = field.dataset;
    if (!field.name) continue;
    if (as === "part") path = path.replace(encodeURIComponent(`{${field.name}}`), encodeURIComponent(field.value));
    else if (as === "list") body[field.name] = [...(body[field.name] ?? []), ...(field.checked ? [field.value] : [])];
    else if (as === "words") body[field.name] = field.value.split(/[\s,]+/).filter((word) => word !== "");
    else if (field.value !== "") body[field.name] = as === "json" ? JSON.parse(field.value) : field.value;
  }
  return { method: "POST", path, body: JSON.stringify(body) };
}

function line({ name, value }) {
  const item = document.createElement("li");
  item.append(Object.assign(document.createElement("b"), { textContent: `${name}: ` }), value);
  return item;
}

function show(shown, needsPasskey) {
  part("title").textContent = shown.title;
  part("lines").replaceChildren(...shown.lines.map(line));
  part("passkey").hidden = !needsPasskey;
  part("problem").textContent = "";
  part("answer").hidden = part("done").hidden = true;
  part("go").hidden = part("cancel").hidden = false;
  if (!dialog.open) dialog.showModal();
}

function refuse(problem) {
  if (!dialog.open) show({ title: "This could not be done", lines: [] }, false);
  part("go").hidden = true;
  part("problem").textContent = problem.message;
}

// What is shown once, and what an act found out; otherwise the page says how it is now.
function tell(form, answer) {
  const once = answer?.code ?? answer?.token ?? answer?.link;
  const found = answer?.outcome ?? (answer?.sampled === undefined ? undefined : `${answer.opened} of ${answer.sampled} records opened`);
  if (form.dataset.then !== undefined) return location.assign(answer.version);
  if (!once && !found) return location.reload();
  part("note").textContent = once ? "This is shown once. Copy it now." : "Done.";
  part("value").textContent = once ?? found;
  part("answer").hidden = part("done").hidden = false;
  part("go").hidden = part("cancel").hidden = true;
}

async function act(form) {
  const asked = request(form);
  const begun = await ask("POST", "/v1/admin/acts", JSON.stringify(asked));
  show(begun.shown, Boolean(begun.options));
  part("go").onclick = async () => {
    part("go").disabled = true;
    try {
      const signature = begun.options && { "Keyfold-Act": begun.act, "Keyfold-Assertion": base64url(await signed(begun.options)) };
      tell(form, await ask("POST", asked.path, asked.body, signature ?? {}));
    } catch (problem) {
      refuse(problem);
    } finally {
      part("go").disabled = false;
    }
  };
}

const WAYS = {
  async leave(form) {
    await ask("POST", form.dataset.path);
    location.assign("/console/sign-in");
  },
  async passkey(form) {
    const name = form.elements.namedItem("name").value;
    const begun = await ask("POST", form.dataset.path);
    await ask("POST", `${form.dataset.path}/${begun.ceremony}?name=${encodeURIComponent(name)}`, await made(begun.options));
    location.reload();
  },
};

part("cancel").addEventListener("click", () => dialog.close());
part("done").addEventListener("click", () => location.reload());

for (const form of document.querySelectorAll("form.act")) {
  form.hidden = false;
  form.querySelector("button:not([type])").disabled = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    (WAYS[form.dataset.way] ?? act)(form).catch(refuse);
  });
}
