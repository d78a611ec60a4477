// Everything to paste: for the FHIR server, for MSAL, for a SMART launcher, for GitHub Actions. No secret is in any of it.
import { block, fill, h } from "./dom.js";
import { fresh } from "./inputs.js";
import { languages } from "./msal.js";
import { words } from "./words.js";

const text = words.paste;

/** The tabs that make sense for a registration; the first one is open. */
export function pasteable(registration) {
  const sheets = [
    [text.server, server(registration)], [text.msal, msal(registration)], [text.smart, smart(registration)],
    [text.actions, actions(registration)], [text.raw, raw(registration)],
  ].filter(([, content]) => content);
  return tabs(sheets);
}

/** Tabs as the ARIA practices have them: one is in the order of Tab, arrows lead to the others. */
function tabs(sheets) {
  const id = fresh("tabs");
  const panel = h("div", { role: "tabpanel", id, tabindex: "0" });
  const buttons = sheets.map(([name, content], index) => {
    const button = h("button", { type: "button", role: "tab", id: `${id}-${index}`, "aria-controls": id }, name);
    button.addEventListener("click", () => open(index, content));
    return button;
  });
  const open = (index, content) => {
    buttons.forEach((each, at) => {
      each.setAttribute("aria-selected", String(at === index));
      each.tabIndex = at === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", buttons[index].id);
    fill(panel, content);
  };
  const list = h("div.tabs", { role: "tablist", "aria-label": text.tabs }, buttons);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    buttons[next].focus();
    buttons[next].click();
  });
  open(0, sheets[0][1]);
  return [list, panel];
}

function server({ fhirServerSettings }) {
  if (!fhirServerSettings) return null;
  const lines = Object.entries(fhirServerSettings).map(([name, value]) => `${name}=${value}`).join("\n");
  return [h("p.hint", {}, text.serverText), block(lines, text.server)];
}

function msal(registration) {
  const found = languages(registration);
  if (!found.length) return null;
  const id = fresh("language");
  const shown = h("div");
  const choice = h("select", { id }, found.map(([name], index) => h("option", { value: String(index) }, name)));
  const show = () => fill(shown, block(found[Number(choice.value)][1], found[Number(choice.value)][0]));
  choice.addEventListener("change", show);
  show();
  return [h("div.field", {}, h("label", { for: id }, text.language), choice), shown];
}

function smart(registration) {
  const { clientId, redirectUris, resource, oauth, fhirServerUrl, clientType } = registration;
  if (clientType === "service" || clientType === "confidential") return null;
  if (clientType === "resource") {
    return [h("p.hint", {}, text.smartText), block(JSON.stringify({ iss: fhirServerUrl, aud: fhirServerUrl }, null, 2), text.smart)];
  }
  const settings = { clientId, iss: resource, redirectUri: redirectUris[0], scope: oauth.scope, pkceMode: "required" };
  return [h("p.hint", {}, text.smartText), block(`FHIR.oauth2.authorize(${JSON.stringify(settings, null, 2)});`, text.smart)];
}

function actions(registration) {
  const { clientType, credential, clientId, tenantId, oauth, secret } = registration;
  if (clientType !== "service" || (!secret && credential?.type !== "federated")) return null;
  const token = `az account get-access-token --scope "${oauth.scope}" --query accessToken --output tsv`;
  const login = (client) => [
    "permissions:", "  id-token: write", "  contents: read", "jobs:", "  call-fhir:", "    runs-on: ubuntu-latest", "    steps:",
    "      - uses: azure/login@v2", "        with:", `          client-id: ${client}`, `          tenant-id: ${tenantId}`,
    "          allow-no-subscriptions: true",
  ];
  if (credential?.type === "federated") {
    const lines = [...login(clientId), "      - run: |", `          TOKEN="$(${token})"`, '          echo "::add-mask::$TOKEN"'];
    return [h("p.hint", {}, text.actionsText), block(lines.join("\n"), text.actions)];
  }
  const lines = [
    ...login("${{ vars.VAULT_READER_CLIENT_ID }}"), "      - run: |",
    `          SECRET="$(az keyvault secret show --id "${secret.id}" --query value --output tsv)"`, '          echo "::add-mask::$SECRET"',
    `          curl --silent ${oauth.tokenEndpoint} \\`, `            --data client_id=${clientId} --data grant_type=client_credentials \\`,
    `            --data-urlencode "scope=${oauth.scope}" --data-urlencode "client_secret=$SECRET"`,
  ];
  return [h("p.hint", {}, text.actionsSecret), block(lines.join("\n"), text.actions)];
}

function raw({ clientId, tenantId, oauth }) {
  const { authority, tokenEndpoint, authorizationEndpoint, scope } = oauth;
  return block(JSON.stringify({ clientId, tenantId, authority, tokenEndpoint, authorizationEndpoint, scope }, null, 2), text.raw);
}
