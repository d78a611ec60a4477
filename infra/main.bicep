// What `azd up` deploys: a resource group, and the registrar in it. It needs the right to make the group; where that is
// somebody else's, deploy registrar.bicep into a group that is there. No role is assigned above a single resource.
targetScope = 'subscription'

@description('Name of the environment; the resource group and the resources are named after it.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Region of all resources. It has to offer the Flex Consumption plan.')
param location string

@description('Client id of the application that stands for the registrar\'s own API; infra/grant_permissions.py makes it.')
@minLength(36)
@maxLength(36)
param apiClientId string

@description('Client ids of the applications that may call the API beside its own, joined by commas.')
param allowedApplications string = ''

@description('Token authority of the cloud.')
param authorityHost string = 'https://login.microsoftonline.com'

@description('Microsoft Graph of the cloud.')
param graphEndpoint string = 'https://graph.microsoft.com'

@description('Verified domains of the tenant, joined by commas.')
param verifiedDomains string = ''

@description('Foreign resources that clients may ask for, joined by commas.')
param allowedResources string = ''

@description('Address of a policy document in a blob, or empty for the built-in one.')
param policy string = ''

@description('Whether clients are granted what the owner of their resource agreed to.')
@allowed(['off', 'on'])
param grants string = 'off'

@description('Whether the reports of sign-ins are read, which needs AuditLog.Read.All and Entra ID P1.')
@allowed(['off', 'on'])
param signInActivity string = 'off'

@description('Client id of a second managed identity, which assigns app roles. Empty for none.')
param granterClientId string = ''

@description('Resource id of that identity.')
param granterIdentityId string = ''

@description('Where notices go: a Key Vault reference, or an https URL. Empty for none.')
@secure()
param notifyWebhookUrl string = ''

@description('Address of the vault secret that signs notices.')
param notifyWebhookSecretUri string = ''

@description('What notices are: signed events, or cards for a channel of Microsoft Teams.')
@allowed(['cloudevents', 'teams'])
param notifyWebhookFormat string = 'cloudevents'

@description('Hosts that callbacks of registrations may go to, joined by commas. Empty for no callbacks.')
param callbackHosts string = ''

@description('Address of the vault secret that signs callbacks.')
param callbackSigningKeyUri string = ''

@description('Id of the workspace of Slack whose people may ask in the chat, such as T0123456789. Empty for no chat.')
param slackWorkspace string = ''

@description('Address of the vault secret that is the signing secret of the Slack app.')
param slackSigningSecretUri string = ''

@description('Address of the vault secret that is the bot token of the Slack app, for the form of a registration.')
param slackBotTokenUri string = ''

@description('Whether there is a bot that people of Microsoft Teams ask in the chat; it has the identity of the app.')
param teamsBot bool = false

@description('Version of Python.')
@allowed(['3.11', '3.12', '3.13'])
param pythonVersion string = '3.12'

@description('Instances that are kept warm for HTTP; 0 for none, 1 where chat commands must answer within three seconds.')
@minValue(0)
@maxValue(20)
param alwaysReadyHttp int = 0

@description('Most instances of one function. Graph takes 3,000 writes in 150 s of one app, which two or three use up.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Memory of an instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Whether instances are in several zones of the region.')
param zoneRedundant bool = false

@description('Whether storage and vault are reached through private endpoints in a network of their own, and by nobody else.')
param privateNetwork bool = false

@description('Whether callers too have to come from that network.')
param privateInbound bool = false

@description('E-mail address that alerts go to, or empty.')
param alertEmail string = ''

@description('Managed FHIR services on which the registrar may give clients data roles, as FHIR_SERVICE_IDS has them. Empty for none.')
param fhirServiceIds string = ''

@description('Whether the registrar may give others Key Vault Secrets User on single secrets of its vault, and nothing else.')
param delegateVaultReaders bool = false

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: { 'azd-env-name': environmentName }
}

module registrar 'registrar.bicep' = {
  name: 'registrar'
  scope: group
  params: {
    environmentName: environmentName
    location: location
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
    privateNetwork: privateNetwork
    privateInbound: privateInbound
    alertEmail: alertEmail
    fhirServiceIds: fhirServiceIds
    delegateVaultReaders: delegateVaultReaders
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_NAME string = registrar.outputs.functionAppName
output AZURE_FUNCTION_HOST string = registrar.outputs.functionAppHost
output AZURE_KEY_VAULT_NAME string = registrar.outputs.vaultName
output AZURE_STORAGE_NAME string = registrar.outputs.storageName
output REGISTRAR_PRINCIPAL_ID string = registrar.outputs.registrarPrincipalId
output SIGN_IN_PRINCIPAL_ID string = registrar.outputs.signInPrincipalId
