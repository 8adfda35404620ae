// Events as they happen. The list can be paused; a stream that breaks goes on by itself from where it was.

const KEPT = 50;
const list = document.getElementById("stream");
const state = document.getElementById("stream-state");
const pause = document.getElementById("stream-pause");
let source;

export function claims(leaf) {
  const text = atob(leaf.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
}

function item(event) {
  const { evt, out, iat } = claims(event.leaf);
  const item = Object.assign(document.createElement("li"), { className: "new" });
  const link = Object.assign(document.createElement("a"), { textContent: `#${event.index}`, href: `${list.dataset.base}/events/${event.index}` });
  const at = new Date(iat * 1000);
  const time = Object.assign(document.createElement("time"), { dateTime: at.toISOString(), title: at.toISOString(), textContent: at.toLocaleTimeString() });
  const what = Object.assign(document.createElement("span"), { textContent: evt });
  const outcome = Object.assign(document.createElement("span"), { className: `state ${out === "ok" ? "good" : "bad"}`, textContent: out });
  item.append(link, time, what, outcome);
  return item;
}

function follow() {
  source = new EventSource(list.dataset.path);
  state.textContent = "Waiting for events.";
  source.onmessage = (message) => {
    list.prepend(item(JSON.parse(message.data)));
    while (list.children.length > KEPT) list.lastElementChild.remove();
    state.textContent = "Live.";
  };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) state.textContent = "The stream has ended. Reload the page to go on.";
  };
}

pause.hidden = false;
pause.addEventListener("click", () => {
  const isPaused = source.readyState === EventSource.CLOSED;
  if (isPaused) follow();
  else {
    source.close();
    state.textContent = "Paused.";
  }
  pause.textContent = isPaused ? "Pause" : "Go on";
});
follow();
