// How an application gets a token with MSAL, by language. A secret is read from Key Vault, and stands nowhere here.

const quoted = (text) => JSON.stringify(text);
const list = (scopes, [open, close] = ["[", "]"]) => `${open}${scopes.map(quoted).join(", ")}${close}`;

/** [language, code] for each language in which MSAL serves such a client. */
export function languages(registration) {
  const { clientType, platform, clientId, oauth } = registration;
  if (clientType === "resource" || !oauth.scope) return [];
  const known = {
    ...registration,
    client: quoted(clientId), authority: quoted(oauth.authority.replace(/\/v2\.0$/, "")),
    redirect: quoted(registration.redirectUris?.[0] ?? ""), scopes: oauth.scope.split(" "),
  };
  if (clientType === "public") return platform === "spa" ? inBrowser(known) : onDevice(known);
  return clientType === "service" ? asItself(known) : onServer(known);
}

function inBrowser({ client, authority, redirect, scopes }) {
  const config = `
  auth: {
    clientId: ${client},
    authority: ${authority},
    redirectUri: ${redirect},
  },
`;
  return [
    ["JavaScript", `import { PublicClientApplication } from "@azure/msal-browser";

const app = await PublicClientApplication.createPublicClientApplication({${config}});
const { accessToken } = await app.acquireTokenPopup({ scopes: ${list(scopes)} });`],
    ["TypeScript (React)", `import { PublicClientApplication } from "@azure/msal-browser";
import { MsalProvider } from "@azure/msal-react";

const app = new PublicClientApplication({${config}});
export const request = { scopes: ${list(scopes)} };
// <MsalProvider instance={app}> … </MsalProvider>, and in it useMsal().instance.acquireTokenSilent(request)`],
    ["TypeScript (Angular)", `MsalModule.forRoot(
  new PublicClientApplication({${config}}),
  { interactionType: InteractionType.Redirect, authRequest: { scopes: ${list(scopes)} } },
  { interactionType: InteractionType.Redirect, protectedResourceMap: new Map() },
)`],
    ["TypeScript (Vue)", `import { PublicClientApplication } from "@azure/msal-browser";

export const app = new PublicClientApplication({${config}});
await app.initialize();
await app.handleRedirectPromise();
await app.loginRedirect({ scopes: ${list(scopes)} });`],
    ["C# (Blazor)", `builder.Services.AddMsalAuthentication(options =>
{
    options.ProviderOptions.Authentication.ClientId = ${client};
    options.ProviderOptions.Authentication.Authority = ${authority};
    options.ProviderOptions.DefaultAccessTokenScopes = ${list(scopes)};
});`],
  ];
}

function onDevice({ client, authority, redirect, scopes }) {
  return [
    ["Python", `import msal

app = msal.PublicClientApplication(${client}, authority=${authority})
result = app.acquire_token_interactive(scopes=${list(scopes.filter((each) => !["openid", "profile", "offline_access"].includes(each)))})`],
    ["C#", `var app = PublicClientApplicationBuilder.Create(${client})
    .WithAuthority(${authority}).WithRedirectUri(${redirect}).Build();
var result = await app.AcquireTokenInteractive(new[] ${list(scopes, ["{ ", " }"])}).ExecuteAsync();`],
    ["Java", `var app = PublicClientApplication.builder(${client})
    .authority(${authority}).build();
var request = InteractiveRequestParameters.builder(new URI(${redirect})).scopes(Set.of(${list(scopes, ["", ""])})).build();
var result = app.acquireToken(request).get();`],
    ["Kotlin (Android)", `// res/raw/msal.json
{
  "client_id": ${client},
  "redirect_uri": ${redirect},
  "authorities": [{ "type": "AAD", "authority_url": ${authority} }]
}
// then
app.acquireToken(AcquireTokenParameters.Builder().startAuthorizationFromActivity(activity)
    .withScopes(listOf(${list(scopes, ["", ""])})).withCallback(callback).build())`],
    ["Swift (iOS)", `let authority = try MSALAADAuthority(url: URL(string: ${authority})!)
let config = MSALPublicClientApplicationConfig(clientId: ${client}, redirectUri: ${redirect}, authority: authority)
let app = try MSALPublicClientApplication(configuration: config)
let parameters = MSALInteractiveTokenParameters(scopes: ${list(scopes)}, webviewParameters: webview)
app.acquireToken(with: parameters) { result, error in }`],
  ];
}

/** How each language gets what the client proves itself with: a secret from Key Vault, or another way. */
function proofs({ secret, credential }) {
  if (secret) {
    const vault = quoted(new URL(secret.id).origin);
    const name = quoted(secret.id.split("/secrets/")[1].split("/")[0]);
    return {
      js: [`import { DefaultAzureCredential } from "@azure/identity";
import { SecretClient } from "@azure/keyvault-secrets";

const vault = new SecretClient(${vault}, new DefaultAzureCredential());
const { value: clientSecret } = await vault.getSecret(${name});`, "clientSecret"],
      py: [`from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

secret = SecretClient(${vault}, DefaultAzureCredential()).get_secret(${name}).value`, "secret"],
      cs: [`var vault = new SecretClient(new Uri(${vault}), new DefaultAzureCredential());
KeyVaultSecret secret = await vault.GetSecretAsync(${name});`, ".WithClientSecret(secret.Value)"],
      java: [`var vault = new SecretClientBuilder().vaultUrl(${vault})
    .credential(new DefaultAzureCredentialBuilder().build()).buildClient();
var proof = ClientCredentialFactory.createFromSecret(vault.getSecret(${name}).getValue());`],
      go: [`identity, _ := azidentity.NewDefaultAzureCredential(nil)
vault, _ := azsecrets.NewClient(${vault}, identity, nil)
secret, _ := vault.GetSecret(ctx, ${name}, "", nil)
proof, _ := confidential.NewCredFromSecret(*secret.Value)`],
    };
  }
  if (credential?.type === "certificate") {
    return {
      js: [`const clientCertificate = { thumbprintSha256: process.env.THUMBPRINT, privateKey: await readFile("client.key", "utf8") };`, "clientCertificate"],
      py: [`key = open("client.key").read()`, `{"private_key": key, "public_certificate": open("client.pem").read()}`],
      cs: [`var certificate = X509Certificate2.CreateFromPemFile("client.pem", "client.key");`, ".WithCertificate(certificate)"],
      java: [`var proof = ClientCredentialFactory.createFromCertificate(privateKey, certificate);`],
      go: [`certificates, key, _ := confidential.CertFromPEM(pem, "")
proof, _ := confidential.NewCredFromCert(certificates, key)`],
    };
  }
  return {
    js: [`const clientAssertion = async () => readFile(process.env.AZURE_FEDERATED_TOKEN_FILE, "utf8");`, "clientAssertion"],
    py: [`token = open(os.environ["AZURE_FEDERATED_TOKEN_FILE"]).read()`, `{"client_assertion": token}`],
    cs: [`var file = Environment.GetEnvironmentVariable("AZURE_FEDERATED_TOKEN_FILE");`, ".WithClientAssertion(_ => File.ReadAllTextAsync(file))"],
    java: [`var proof = ClientCredentialFactory.createFromClientAssertion(Files.readString(Path.of(System.getenv("AZURE_FEDERATED_TOKEN_FILE"))));`],
    go: [`proof := confidential.NewCredFromAssertionCallback(func(context.Context, confidential.AssertionRequestOptions) (string, error) {
	token, err := os.ReadFile(os.Getenv("AZURE_FEDERATED_TOKEN_FILE"))
	return string(token), err
})`],
  };
}

function asItself(known) {
  const { client, authority, scopes } = known;
  const { js, py, cs, java, go } = proofs(known);
  return [
    ["JavaScript", `import { ConfidentialClientApplication } from "@azure/msal-node";
${js[0]}
const app = new ConfidentialClientApplication({
  auth: { clientId: ${client}, authority: ${authority}, ${js[1]} },
});
const { accessToken } = await app.acquireTokenByClientCredential({ scopes: ${list(scopes)} });`],
    ["Python", `import msal
${py[0]}
app = msal.ConfidentialClientApplication(
    ${client}, authority=${authority}, client_credential=${py[1]})
token = app.acquire_token_for_client(scopes=${list(scopes)})["access_token"]`],
    ["C#", `${cs[0]}
var app = ConfidentialClientApplicationBuilder.Create(${client})
    .WithAuthority(${authority})
    ${cs[1]}.Build();
var result = await app.AcquireTokenForClient(new[] ${list(scopes, ["{ ", " }"])}).ExecuteAsync();`],
    ["Java", `${java[0]}
var app = ConfidentialClientApplication.builder(${client}, proof)
    .authority(${authority}).build();
var result = app.acquireToken(ClientCredentialParameters.builder(Set.of(${list(scopes, ["", ""])})).build()).get();`],
    ["Go", `${go[0]}
app, _ := confidential.New(${authority}, ${client}, proof)
result, err := app.AcquireTokenByCredential(ctx, []string${list(scopes, ["{", "}"])})`],
  ];
}

function onServer(known) {
  const { client, authority, redirect, scopes } = known;
  const { js, py, cs, java, go } = proofs(known);
  return [
    ["JavaScript", `import { ConfidentialClientApplication } from "@azure/msal-node";
${js[0]}
const app = new ConfidentialClientApplication({
  auth: { clientId: ${client}, authority: ${authority}, ${js[1]} },
});
const url = await app.getAuthCodeUrl({ scopes: ${list(scopes)}, redirectUri: ${redirect} });
// at the redirect URI
const { accessToken } = await app.acquireTokenByCode({ code, scopes: ${list(scopes)}, redirectUri: ${redirect} });`],
    ["Python", `import msal
${py[0]}
app = msal.ConfidentialClientApplication(
    ${client}, authority=${authority}, client_credential=${py[1]})
flow = app.initiate_auth_code_flow(${list(scopes.filter((each) => !["openid", "profile", "offline_access"].includes(each)))}, redirect_uri=${redirect})
# send the user to flow["auth_uri"]; at the redirect URI
token = app.acquire_token_by_auth_code_flow(flow, request.args)["access_token"]`],
    ["C#", `${cs[0]}
var app = ConfidentialClientApplicationBuilder.Create(${client})
    .WithAuthority(${authority})
    .WithRedirectUri(${redirect})${cs[1]}.Build();
var result = await app.AcquireTokenByAuthorizationCode(new[] ${list(scopes, ["{ ", " }"])}, code).ExecuteAsync();`],
    ["Java", `${java[0]}
var app = ConfidentialClientApplication.builder(${client}, proof)
    .authority(${authority}).build();
var request = AuthorizationCodeParameters.builder(code, new URI(${redirect})).scopes(Set.of(${list(scopes, ["", ""])})).build();
var result = app.acquireToken(request).get();`],
    ["Go", `${go[0]}
app, _ := confidential.New(${authority}, ${client}, proof)
result, err := app.AcquireTokenByAuthCode(ctx, code, ${redirect}, []string${list(scopes, ["{", "}"])})`],
  ];
}
