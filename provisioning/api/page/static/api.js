// The API as this page calls it: with the session of the browser, or with a function key that is kept in memory alone.

// The scripts are in a folder beside the calls, wherever the page that loads them is.
const BASE = new URL("../", import.meta.url);
const OURS = { "X-Registrar-Page": "1", Accept: "application/json" };
let key = null;

/** Whether callers sign in through the platform; else they have a function key. */
export const signsIn = document.documentElement.dataset.signIn === "entra";

/** Use this function key from now on. It is gone with the page. */
export function useKey(text) {
  key = text;
}

/** Whether a function key was given. */
export function hasKey() {
  return key !== null;
}

/** What the API answers where it refuses: `status`, `code`, `detail`, and `errors` with their places. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || `HTTP ${status}`);
    this.status = status;
    this.code = problem.code || "";
    this.errors = problem.errors || [];
    this.traceId = problem.traceId || "";
  }
}

/** Nobody can be reached: the network, or the service. */
export class Unreachable extends Error {}

/** Send a request as it is, with the caller's sign-in, and return what is answered as it is. */
export async function raw(method, path, { headers = {}, body } = {}) {
  const sent = { ...OURS, ...headers, ...(key === null ? {} : { "x-functions-key": key }) };
  const answer = await fetch(new URL(path, BASE), { method, headers: sent, body, credentials: "same-origin", cache: "no-store" });
  const told = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  return { status: answer.status, headers: told, body: await answer.text() };
}

/** Call the API; returns {status, body, etag, retryAfter, location}. Raises Refused or Unreachable. */
export async function call(method, path, { body, headers = {}, signal, patch = false } = {}) {
  const sent = { ...OURS, ...headers };
  if (key !== null) sent["x-functions-key"] = key;
  if (body !== undefined) sent["Content-Type"] = patch ? "application/merge-patch+json" : "application/json";
  let answer;
  try {
    answer = await fetch(new URL(path, BASE), {
      method, signal, headers: sent, body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin", redirect: "error", cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  const text = await answer.text();
  let content = {};
  try {
    content = text ? JSON.parse(text) : {};
  } catch {
    content = { detail: "" };
  }
  if (!answer.ok) throw new Refused(answer.status, content);
  return {
    status: answer.status, body: content,
    etag: answer.headers.get("ETag"),
    retryAfter: Number(answer.headers.get("Retry-After")) || null,
  };
}

const one = (id) => `registrations/${encodeURIComponent(id)}`;
const dry = (path, dryRun) => (dryRun ? `${path}?dryRun=true` : path);
const unchanged = (etag) => (etag ? { "If-Match": etag } : {});

export const whoAmI = async () => (await call("GET", "me")).body;
export const chatCode = () => call("POST", "chat/link");
export const fieldsOfForms = async () => (await call("GET", "page/fields.json")).body;
export const policy = async () => (await call("GET", "policy")).body;
export const show = (id, options) => call("GET", one(id), options);
/** Wait until an operation has ended, for as long as one call may take. */
export const awaited = (id, signal) => call("GET", one(id), { signal, headers: { Prefer: "wait=15" } });
export const preview = async (request, signal) => (await call("POST", "registrations?dryRun=true", { body: request, signal })).body;
export const submit = (request, idempotencyKey) =>
  call("POST", "registrations", { body: request, headers: { "Idempotency-Key": idempotencyKey } });
export const change = (id, changes, { etag, dryRun, signal } = {}) =>
  call("PATCH", dry(one(id), dryRun), { body: changes, headers: unchanged(etag), patch: true, signal });
export const rotate = (id, revoke, { etag, dryRun } = {}) =>
  call("POST", dry(`${one(id)}/rotate`, dryRun), { body: { revokePrevious: revoke }, headers: unchanged(etag) });
export const retry = (id, { etag, dryRun } = {}) => call("POST", dry(`${one(id)}/retry`, dryRun), { headers: unchanged(etag) });
/** Of a server with its clients, whom the page has named. */
export const remove = (id, { etag, dryRun = false } = {}) =>
  call("DELETE", `${one(id)}?cascade=true&dryRun=${dryRun}`, { headers: unchanged(etag) });
export const decide = (id, verb, decision, { etag } = {}) =>
  call("POST", `${one(id)}/${verb}`, { body: decision, headers: unchanged(etag) });

/** Agree to what a client asks of a server, exactly, or take all of it back. */
export const agree = (id, client, permissions, { etag } = {}) =>
  call("POST", `${one(id)}/clients/${encodeURIComponent(client)}/${permissions ? "approve" : "revoke"}`,
    { body: permissions ? { permissions } : undefined, headers: unchanged(etag) });

/** A page of registrations, or of events. */
export const list = async (query = {}) => (await call("GET", withQuery("registrations", query))).body;
export const events = async (id, token) =>
  (await call("GET", withQuery(`${one(id)}/events`, token ? { continuationToken: token } : {}))).body;

function withQuery(path, query) {
  const text = new URLSearchParams(query).toString();
  return text ? `${path}?${text}` : path;
}

/** Every registration of a query, however many pages they are on; `most` ends it. */
export const all = (query = {}, most = 1000) => everyOne((page) => list({ top: "200", ...query, ...page }), most);

/** Every client of a server that its owner has to do with. */
export const clients = (id, most = 1000) =>
  everyOne(async (page) => (await call("GET", withQuery(`${one(id)}/clients`, { top: "200", ...page }))).body, most);

async function everyOne(read, most) {
  const found = [];
  let token;
  do {
    const page = await read(token ? { continuationToken: token } : {});
    found.push(...page.value);
    token = page.continuationToken;
  } while (token && found.length < most);
  return found;
}
