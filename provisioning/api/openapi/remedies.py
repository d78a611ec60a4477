"""What to do about each code with which a call, or a part of a request, is refused; the answer itself says more."""

from collections.abc import Mapping
from typing import Final

REMEDIES: Final[Mapping[str, str]] = {
    "app-role-not-found": "The resource has no app role of this name. offered has those that it has.",
    "app-role-not-permitted": (
        "The policy does not allow this app role at that resource. Leave it out, or ask for an exception."
    ),
    "approval-needed": (
        "The policy wants an approval, which nobody can give with function keys. Have the operator set "
        "CALLER_AUTH=entra."
    ),
    "approver-unknown": "Whoever holds a function key cannot be told apart. Decide signed in with Entra.",
    "body-not-delivered": "A body was announced and none arrived. Send it with its Content-Length, and not in chunks.",
    "body-not-expected": "This call takes no body. Send it without one.",
    "body-too-large": "A request may have at most 64 KB.",
    "callback-not-allowed": "The operator allows no callbacks to this host. Use another, leave it out, or ask.",
    "certificate-chain": "Send the client's own certificate only, without those of its issuers.",
    "certificate-ends-too-soon": "The certificate ends within seven days. Send a newer one.",
    "certificate-expired": "The certificate has expired. Send one that is valid.",
    "certificate-key": "The key of the certificate is not RSA of 2048 bits or more. Make a new one.",
    "certificate-not-pem": (
        "Send PEM: all from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, and nothing around it."
    ),
    "certificate-not-yet-valid": "The certificate is not valid yet. Send it once it is.",
    "certificate-signature": (
        "The certificate is signed with an algorithm that is not safe any more. Make a new one with SHA-256."
    ),
    "certificate-too-large": "A certificate may have at most 16 KB as PEM. Send a smaller one.",
    "certificate-unreadable": "What is between the lines is no X.509 certificate. Export it anew.",
    "claim-wildcard": "Entra compares the claim whole. Write it as it stands in the token.",
    "client-type-unknown": "Send clientType: resource, confidential, public or service.",
    "condition-not-supported": "Of the conditional headers only If-Match is known here. Send that one.",
    "control-character": "Line breaks and control characters are not allowed. Remove them.",
    "credential-type-unknown": "Send the type secret, federated or certificate.",
    "data-roles-need-approval": (
        "Somebody else has to agree to data roles, and with function keys nobody could. Leave them out."
    ),
    "data-roles-not-offered": "Only a managed FHIR service has data roles. Leave them out, or ask for appRoles.",
    "digest-differs": "The digest is not that of what is asked. Read it again, and decide about that.",
    "permissions-differ": "These are not what the client asks for. Read the list of clients, and send those.",
    "display-name-not-permitted": "The policy has a rule for names, which GET /policy shows. Choose another name.",
    "encoding-not-supported": "A compressed body is not unpacked here. Send it without Content-Encoding.",
    "fhir-server-already-registered": (
        "The FHIR server has a registration. List those with clientType=resource to find and use it."
    ),
    "fhir-server-held": (
        "A registration of the FHIR server was deleted in the last 30 days, and until then its last owner "
        "alone may register it again. Name that owner; the owner can be changed afterwards."
    ),
    "fhir-server-not-available": (
        "Somebody else has the FHIR server, had it lately, or may alone claim it. Ask whoever runs it."
    ),
    "fhir-server-not-claimable": (
        "The policy names who may register this FHIR server. Name that owner, or ask for an exception."
    ),
    "field-not-allowed": "This client type has no such field. Remove it; the message says what is meant instead.",
    "field-not-changeable": "This cannot be changed. Register anew.",
    "foreign-page": "Call from this service's own page, or with a bearer token.",
    "graph-refused": (
        "Graph has refused it for a reason that has no rule here. Show its request id to whoever runs the service."
    ),
    "graph-throttled": "Graph asks for fewer requests. Send it again later.",
    "graph-token-refused": (
        "Graph did not accept the service's token. Send it again later; tell whoever runs the service if it lasts."
    ),
    "graph-unavailable": "Graph could not be reached. Send it again later.",
    "groups-not-in-token": (
        "You are in more groups than a token names. Have the administrator set groupMembershipClaims to "
        "ApplicationGroup."
    ),
    "host-not-allowed": "Use a host that the policy allows; GET /policy shows them.",
    "idempotency-key-not-supported": "Only POST /registrations takes an Idempotency-Key. Use If-Match to do this once.",
    "idempotency-key-reused": "The Idempotency-Key was used for another request. Send a new key, or the same request.",
    "internal-error": "The service failed; its log has the cause. It is safe to send it again.",
    "invalid-continuation-token": "Send the continuationToken of the page before, unchanged.",
    "invalid-idempotency-key": "An Idempotency-Key has 1 to 255 visible ASCII characters, such as a UUID.",
    "invalid-if-match": "If-Match is * or the ETag of an answer, quotes included; several with commas.",
    "invalid-json": "The body is not JSON (RFC 8259). The message says where it goes wrong.",
    "invalid-on-behalf-of": "On-Behalf-Of is the Entra object id of one person.",
    "invalid-prefer": "Of the preferences wait alone is known: Prefer: wait=10, in seconds. Send that, or none.",
    "invalid-query": "The query breaks rules. Mend what errors names.",
    "invalid-request": "The request breaks rules. Mend what errors names: each with its place.",
    "invisible-character": (
        "A character is invisible, changes the direction of writing, or is not assigned. Remove it; joiners "
        "inside of words and emoji may stay."
    ),
    "mapped-claims-unverified-audience": (
        "Send accessTokenVersion 2, or have the operator add the domain to VERIFIED_DOMAINS."
    ),
    "misconfigured": "The service is not configured; its log names each wrong setting.",
    "name-character": "Use letters, digits and punctuation; in the name of a scope of your own no slash.",
    "name-duplicate": "The same name stands earlier in the list. Remove one.",
    "name-is-uri": "Write the name of the scope or app role alone: what stands after the last slash.",
    "name-leading-dot": "The name of a scope or role must not begin with a dot.",
    "name-not-claimable": (
        "The name belongs to a service of Microsoft, or is in ALLOWED_RESOURCES or FHIR_SERVICE_IDS. Register a name "
        "of your own."
    ),
    "no-identity-token": (
        "The service got no token for itself. Send it again later; tell whoever runs the service if it lasts."
    ),
    "no-data-roles": "The registration asks for no data roles, so there is nothing to take back.",
    "not-a-duration": "Write days and time as ISO 8601 has it, such as P90D.",
    "not-a-guid": "Give an Entra object id.",
    "not-a-moment": "Write a day, as 2027-01-31, or a moment of RFC 3339 with its zone.",
    "not-a-person": "Sign in on the page. Only a person who has signed in is somebody in the chat.",
    "not-an-approver": "Have the owner of the resource decide, or somebody with the app role Registrations.Approve.",
    "not-an-email-address": "Give one e-mail address, such as team@contoso.com: notices go there.",
    "not-json": "Send the request as JSON, with Content-Type: application/json.",
    "not-one-of": "Send one of the values that the message names.",
    "not-ready": "Something is lacking. checks has each permission, with its remedy.",
    "not-replicated-yet": "Entra does not know the object yet. Send it again later.",
    "not-the-owner": "Have its owner do that, or a caller with the app role Registrations.Manage.All.",
    "nothing-to-decide": "It does not wait for an approval any more. Read it again.",
    "on-behalf-not-allowed": "On-Behalf-Of needs the app role Registrations.OnBehalf. Leave it out.",
    "openid-scope": "This scope belongs to Microsoft Graph. Leave it to clients to ask for it.",
    "operation-in-progress": "An operation is pending. Wait until it has ended, then send this again.",
    "out-of-range": "Send a number within the limits that the message names.",
    "outer-whitespace": "White space at the beginning or end is not allowed. Remove it.",
    "not-in-person": "Whoever consents is a person, signs in, and sends it without On-Behalf-Of.",
    "own-request": "Whoever asked for it does not approve it. Ask somebody else.",
    "owner-not-yours": (
        "Name yourself or one of your groups. Another owner needs the app role Registrations.Manage.All."
    ),
    "patch-path": "The path leads to nothing. Read the registration again; indexes begin at 0, and - is the end.",
    "patch-test-failed": "The registration has another value there. Read it again.",
    "resource-in-use": "Have its clients deleted first: GET /registrations/{id}/clients; or send cascade=true.",
    "permission-in-use": "Have the clients changed first that ask for it: GET /registrations/{id}/clients.",
    "permission-missing": "The service lacks a permission in Graph. Tell whoever runs it.",
    "policy-broken": "The policy of this service is broken. Tell whoever runs it; it is read again within a minute.",
    "policy-unavailable": "The policy of this service cannot be read. Send it again later.",
    "private-key": (
        "This is a private key. Send the certificate alone, make a new key pair, and keep the key to yourself."
    ),
    "query-parameter-empty": "Give it a value, or leave it out.",
    "query-parameter-repeated": "Send it once.",
    "query-parameter-unknown": "The call has no such parameter. Remove it.",
    "reference-required": "The policy wants a serviceManagementReference. Send it.",
    "refused-by-policy": "The policy refuses it. errors names each rule, and how to ask for an exception.",
    "registration-changed": "The registration is not what If-Match names any more. Read it again, and send its ETag.",
    "registration-holds-no-secret": "This registration has no secret to rotate.",
    "registration-in-progress": "It is being provisioned. Delete it once it is active or failed.",
    "registration-not-active": "Only an active registration can be rotated or changed.",
    "registration-not-failed": "Only a failed registration can be retried.",
    "registration-not-found": "There is no registration of that id.",
    "registration-unreadable": "A newer version of the service wrote it. Send it again later.",
    "required": "The field is missing. Send it.",
    "resource-is-a-client": "Name the registration of a FHIR server: this one is a client.",
    "resource-not-active": (
        "The registration of the FHIR server has failed or was deleted. Repair it, or register it anew."
    ),
    "resource-not-allowed": "Register the FHIR server first, or have the operator add it to ALLOWED_RESOURCES.",
    "resource-not-found": "There is no such resource in the tenant, or none that you may know of. Correct its name.",
    "resource-not-permitted": "The policy does not allow clients of this resource. Ask for an exception.",
    "resource-not-ready": "The FHIR server is still being registered. Send it again once that is done.",
    "role-named-as-scope": "A scope has this name but for the case of a letter. Spell both alike, or rename one.",
    "role-required": "Ask the administrator for the app role that the message names.",
    "scheme-not-allowed": "Use a scheme that the policy allows; GET /policy shows them.",
    "scope-not-found": "The resource has no scope of this name. offered has those that it has.",
    "scope-required": "Name a scope of the resource. offered has those that it has.",
    "secret-lifetime-not-permitted": "The policy allows only shorter lives. Send a shorter secretLifetime.",
    "secret-lifetime-out-of-range": "Send a life between the limits that the message names.",
    "secret-lifetime-without-secret": "This credential is no secret, so none has a life. Remove it.",
    "secret-not-permitted": "The policy wants a federated credential or a certificate for this app role.",
    "signing-keys-unavailable": "The keys that tokens are signed with could not be read. Send it again later.",
    "smart-scope-name": (
        "Write {patient|user|system}.{all|a FHIR resource type}.{read|write|all|letters of cruds in this "
        "order}, such as patient.Observation.rs."
    ),
    "smart-scope-slash": "Entra has SMART scopes by their dotted names: patient.Patient.rs.",
    "storage-unavailable": "Storage could not answer. Send it again later, with the same Idempotency-Key.",
    "subject-duplicate": "The same subject stands earlier in the list. Remove one.",
    "subject-twice": "Send subject or subjects, not both.",
    "too-few-items": "Send one at least.",
    "too-many-items": "Send fewer; the message names the limit.",
    "too-many-per-hour": (
        "The owner has as many new registrations in this hour as the policy allows. Send it again after Retry-After."
    ),
    "too-many-registrations": (
        "The owner has as many registrations as the policy allows. Delete one, or ask for an exception."
    ),
    "unauthenticated": "Sign in, or send a token of the tenant for this API.",
    "uri-character": (
        "It holds a character that Entra refuses. Percent-encode it, and write an international host as xn--."
    ),
    "uri-client-id": (
        "It holds what could be a client id. Register another URI first, and add this one by PATCH with its own."
    ),
    "uri-credentials": "It must not hold a user name or password. Remove everything up to the @.",
    "uri-differs-by-port": (
        "Entra ignores the port of a loopback URI, so two that differ by it cannot be told apart. Keep one."
    ),
    "uri-duplicate": "The same URI stands earlier in the list. Remove one of them.",
    "uri-empty-query": "Not everybody keeps a ? with nothing behind it. Remove it.",
    "uri-fragment": "A redirect URI has no fragment (RFC 6749, section 3.1.2). Remove # and what follows.",
    "uri-host": "The host is none. Write a dotted name, or an address of IPv4.",
    "uri-ipv6": "Entra does not support an IPv6 host. Use 127.0.0.1, or a host name.",
    "uri-not-absolute": "A URI must be absolute: begin with its scheme, such as https://.",
    "uri-not-https": "Use https; plain http is for localhost and 127.0.0.1 only.",
    "uri-not-public": "Entra fetches the issuer's keys from the internet. Give a host that it reaches.",
    "uri-path": "Use path segments of letters, digits and . _ ~ -; none empty, none of them . or ..",
    "uri-query": "The URL of a server has no query and no fragment. End it with its base path.",
    "uri-scheme": "Use https, or http on localhost; a scheme of the app's own is for the platform native.",
    "uri-too-long": "Shorten it; the message names the limit.",
    "uri-unsafe-scheme": "Use a scheme that is a domain of yours in reverse order (RFC 8252, section 7.1).",
    "uri-wildcard": "Name each in full: a wildcard lets others in.",
    "wrong-length": "Write as many characters as the message names.",
    "wrong-type": "Send a value of the type that the message names.",
}
