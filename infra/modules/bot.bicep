// The bot that people of Microsoft Teams ask: of this tenant alone, with the identity of the app and so without a secret.
// Teams is its only channel; a channel that is on by itself, as Web Chat, signs with keys that the app does not take.
param suffix string
param tags object
param appHost string
param registrarIdentityId string
param registrarClientId string

resource bot 'Microsoft.BotService/botServices@2022-09-15' = {
  name: 'bot-registrar-${suffix}'
  location: 'global'
  tags: tags
  kind: 'azurebot'
  sku: { name: 'F0' }
  properties: {
    displayName: 'FHIR Registrar'
    endpoint: 'https://${appHost}/api/chat/teams'
    msaAppId: registrarClientId
    msaAppMSIResourceId: registrarIdentityId
    msaAppTenantId: subscription().tenantId
    msaAppType: 'UserAssignedMSI'
    disableLocalAuth: true
  }
}

resource teams 'Microsoft.BotService/botServices/channels@2022-09-15' = {
  parent: bot
  name: 'MsTeamsChannel'
  location: 'global'
  properties: {
    channelName: 'MsTeamsChannel'
    properties: { isEnabled: true }
  }
}
