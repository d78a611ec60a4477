// The registrar in a resource group: its identities, monitoring, storage, vault and app, in this order.
// Roles are assigned beside the resource that they are for; the app comes after all of them.

@description('Name of the environment; the resources are named after it.')
@minLength(1)
@maxLength(40)
param environmentName string
param location string = resourceGroup().location
@minLength(36)
@maxLength(36)
param apiClientId string
param allowedApplications string = ''
param authorityHost string = 'https://login.microsoftonline.com'
param graphEndpoint string = 'https://graph.microsoft.com'
param verifiedDomains string = ''
param allowedResources string = ''
param policy string = ''
@allowed(['off', 'on'])
param grants string = 'off'
@allowed(['off', 'on'])
param signInActivity string = 'off'
param granterClientId string = ''
param granterIdentityId string = ''
@secure()
param notifyWebhookUrl string = ''
param notifyWebhookSecretUri string = ''
param notifyWebhookFormat string = 'cloudevents'
param callbackHosts string = ''
param callbackSigningKeyUri string = ''
param slackWorkspace string = ''
param slackSigningSecretUri string = ''
param slackBotTokenUri string = ''
param teamsBot bool = false
@allowed(['3.11', '3.12', '3.13'])
param pythonVersion string = '3.12'
param alwaysReadyHttp int = 0
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048
param zoneRedundant bool = false
param privateNetwork bool = false
param privateInbound bool = false
param alertEmail string = ''
param fhirServiceIds string = ''
param delegateVaultReaders bool = false

// The same at every deployment, and nobody else's: storage, vault and app need names that are unique in the world.
var suffix = toLower(uniqueString(subscription().id, resourceGroup().id, environmentName))
var fhirServices = empty(fhirServiceIds) ? [] : split(replace(fhirServiceIds, ' ', ''), ',')
var tags = { 'azd-env-name': environmentName }

module identities 'modules/identities.bicep' = {
  name: 'identities'
  params: {
    suffix: suffix
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    suffix: suffix
    location: location
    tags: tags
    registrarPrincipalId: identities.outputs.registrarPrincipalId
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    suffix: suffix
    location: location
    tags: tags
    registrarPrincipalId: identities.outputs.registrarPrincipalId
    privateNetwork: privateNetwork
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    suffix: suffix
    location: location
    tags: tags
    registrarPrincipalId: identities.outputs.registrarPrincipalId
    workspaceId: monitoring.outputs.workspaceId
    privateNetwork: privateNetwork
    delegateVaultReaders: delegateVaultReaders
  }
}

// Behind the URL of each is its resource id; in that are subscription, group, workspace and name.
module fhir 'modules/fhir.bicep' = [for each in fhirServices: {
  name: 'fhir-${uniqueString(each)}'
  scope: resourceGroup(split(split(each, '=')[1], '/')[2], split(split(each, '=')[1], '/')[4])
  params: {
    workspaceName: split(split(each, '=')[1], '/')[8]
    serviceName: split(split(each, '=')[1], '/')[10]
    registrarPrincipalId: identities.outputs.registrarPrincipalId
  }
}]

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  params: {
    suffix: suffix
    location: location
    tags: tags
    storageId: storage.outputs.storageId
    vaultId: vault.outputs.vaultId
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    suffix: suffix
    location: location
    tags: tags
    insightsId: monitoring.outputs.insightsId
    alertEmail: alertEmail
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  params: {
    suffix: suffix
    location: location
    tags: tags
    apiClientId: apiClientId
    allowedApplications: allowedApplications
    authorityHost: authorityHost
    graphEndpoint: graphEndpoint
    verifiedDomains: verifiedDomains
    allowedResources: allowedResources
    policy: policy
    grants: grants
    signInActivity: signInActivity
    granterClientId: granterClientId
    granterIdentityId: granterIdentityId
    notifyWebhookUrl: notifyWebhookUrl
    notifyWebhookSecretUri: notifyWebhookSecretUri
    notifyWebhookFormat: notifyWebhookFormat
    callbackHosts: callbackHosts
    callbackSigningKeyUri: callbackSigningKeyUri
    slackWorkspace: slackWorkspace
    slackSigningSecretUri: slackSigningSecretUri
    slackBotTokenUri: slackBotTokenUri
    teamsBot: teamsBot
    pythonVersion: pythonVersion
    alwaysReadyHttp: alwaysReadyHttp
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    zoneRedundant: zoneRedundant
    privateInbound: privateInbound
    subnetId: privateNetwork ? network.outputs.appSubnetId : ''
    registrarIdentityId: identities.outputs.registrarIdentityId
    registrarClientId: identities.outputs.registrarClientId
    registrarPrincipalId: identities.outputs.registrarPrincipalId
    signInIdentityId: identities.outputs.signInIdentityId
    signInClientId: identities.outputs.signInClientId
    storageBlobs: storage.outputs.blobs
    storageQueues: storage.outputs.queues
    storageTables: storage.outputs.tables
    packages: storage.outputs.packages
    vaultUri: vault.outputs.vaultUri
    vaultId: delegateVaultReaders ? vault.outputs.vaultId : ''
    fhirServiceIds: fhirServiceIds
    insightsConnectionString: monitoring.outputs.connectionString
  }
  dependsOn: [fhir]
}

module bot 'modules/bot.bicep' = if (teamsBot) {
  name: 'bot'
  params: {
    suffix: suffix
    tags: tags
    appHost: app.outputs.appHost
    registrarIdentityId: identities.outputs.registrarIdentityId
    registrarClientId: identities.outputs.registrarClientId
  }
}

module inbound 'modules/inbound.bicep' = if (privateNetwork && privateInbound) {
  name: 'inbound'
  params: {
    suffix: suffix
    location: location
    tags: tags
    appId: app.outputs.appId
    networkId: network.outputs.networkId
    endpointSubnetId: network.outputs.endpointSubnetId
  }
}

output functionAppName string = app.outputs.appName
output functionAppHost string = app.outputs.appHost
output vaultName string = vault.outputs.vaultName
output storageName string = storage.outputs.storageName
output registrarPrincipalId string = identities.outputs.registrarPrincipalId
output signInPrincipalId string = identities.outputs.signInPrincipalId
