// The key vault of the secrets. Roles alone open it, nothing in it can be purged for 90 days, and each access is told.
param suffix string
param location string
param tags object
param registrarPrincipalId string
param workspaceId string
param privateNetwork bool
param delegateVaultReaders bool

var keyVaultSecretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
var keyVaultSecretsUser = '4633458b-17de-408a-b874-0445c86b69e6'
var roleBasedAccessControlAdministrator = 'f58310d9-a9f6-439a-9e8d-f62e7b41a168'
var assignments = 'Microsoft.Authorization/roleAssignments'
// It gives and takes back this one role, and never to or from itself. For a write the request is looked at, for a
// deletion what is there.
var readersOnly = '((!(ActionMatches{\'${assignments}/write\'})) OR (@Request[${assignments}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${keyVaultSecretsUser}} AND @Request[${assignments}:PrincipalId] ForAnyOfAllValues:GuidNotEquals {${registrarPrincipalId}})) AND ((!(ActionMatches{\'${assignments}/delete\'})) OR (@Resource[${assignments}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${keyVaultSecretsUser}} AND @Resource[${assignments}:PrincipalId] ForAnyOfAllValues:GuidNotEquals {${registrarPrincipalId}}))'

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: 'kv-${suffix}'
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 90
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
    }
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}

resource keeps 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, registrarPrincipalId, keyVaultSecretsOfficer)
  scope: vault
  properties: {
    principalId: registrarPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyVaultSecretsOfficer)
  }
}

resource gives 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (delegateVaultReaders) {
  name: guid(vault.id, registrarPrincipalId, roleBasedAccessControlAdministrator)
  scope: vault
  properties: {
    principalId: registrarPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleBasedAccessControlAdministrator)
    condition: readersOnly
    conditionVersion: '2.0'
  }
}

output vaultId string = vault.id
output vaultName string = vault.name
output vaultUri string = vault.properties.vaultUri
