// What is typed stays in this browser until it is sent. Nothing of it is secret: a private key is not kept.

const name = (me, kind) => `fhir-registrar.draft.${me.objectId}.${kind}`;

/** What was typed before, with the key under which it is sent once however often that is tried. */
export function read(me, kind) {
  try {
    const found = JSON.parse(localStorage.getItem(name(me, kind)));
    if (found?.values && found?.key) return found;
  } catch {
    // What cannot be read is no draft.
  }
  return { values: {}, key: crypto.randomUUID() };
}

/** Keep it. */
export function keep(me, kind, draft) {
  const text = JSON.stringify(draft);
  if (!/PRIVATE KEY/.test(text)) localStorage.setItem(name(me, kind), text);
}

/** Forget it. */
export function forget(me, kind) {
  localStorage.removeItem(name(me, kind));
}
