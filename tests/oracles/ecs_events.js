// Checks ECS documents, a list of lines on stdin, against Elastic's own field definitions (npm @elastic/ecs; its folder is
// the first argument): that every field outside of `keyfold` exists and has its type, and holds only values that are allowed.
// Stdout: {"version", "documents"}. Fails at the first document that is not valid.

const assert = require("node:assert");
const fs = require("node:fs");
const net = require("node:net");
const { EcsFlat, EcsVersion } = require(process.argv[2]);

const types = {
  keyword: (value) => typeof value === "string",
  match_only_text: (value) => typeof value === "string",
  long: (value) => Number.isSafeInteger(value),
  ip: (value) => net.isIP(value) !== 0,
  date: (value) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value) && !Number.isNaN(Date.parse(value)),
};

function* fields(object, prefix) {
  for (const [name, value] of Object.entries(object)) {
    const path = prefix + name;
    if (path === "keyfold") continue;
    if (value !== null && typeof value === "object" && !Array.isArray(value)) yield* fields(value, path + ".");
    else yield [path, value];
  }
}

function check(document) {
  for (const [path, value] of fields(document, "")) {
    const field = EcsFlat[path];
    assert(field, `${path} is no field`);
    const array = field.normalize.includes("array");
    assert.strictEqual(Array.isArray(value), array, `${path}: an array or not`);
    for (const one of array ? value : [value]) {
      assert(types[field.type](one), `${path}: ${JSON.stringify(one)} is no ${field.type}`);
      const allowed = field.allowed_values?.map((value) => value.name);
      assert(!allowed || allowed.includes(one), `${path}: ${one} is not allowed`);
    }
  }
  checkTypes(document.event);
  assert.strictEqual(document.ecs.version, EcsVersion);
  assert(document["@timestamp"]);
}

function checkTypes(event) {
  for (const category of event.category) {
    const expected = EcsFlat["event.category"].allowed_values.find((value) => value.name === category);
    for (const type of event.type) assert(expected.expected_event_types.includes(type), `${category} ${type}`);
  }
}

const lines = JSON.parse(fs.readFileSync(0, "utf8"));
for (const line of lines) {
  const document = JSON.parse(line);
  try {
    check(document);
  } catch (error) {
    throw new Error(`${document.event.action}: ${error.message}`);
  }
}
console.log(JSON.stringify({ version: EcsVersion, documents: lines.length }));
