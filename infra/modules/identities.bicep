// Two identities: the registrar's, which does the work, and one that does nothing but prove the API's own application to
// Entra when people sign in, so that this needs no client secret.
param suffix string
param location string
param tags object

resource registrar 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-registrar-${suffix}'
  location: location
  tags: tags
}

resource signIn 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-sign-in-${suffix}'
  location: location
  tags: tags
}

output registrarIdentityId string = registrar.id
output registrarClientId string = registrar.properties.clientId
output registrarPrincipalId string = registrar.properties.principalId
output signInIdentityId string = signIn.id
output signInClientId string = signIn.properties.clientId
output signInPrincipalId string = signIn.properties.principalId
