// The function app on the Flex Consumption plan, its settings, and the platform that asks callers to sign in.
param suffix string
param location string
param tags object
param apiClientId string
param allowedApplications string
param authorityHost string
param graphEndpoint string
param verifiedDomains string
param allowedResources string
param policy string
param grants string
param signInActivity string
param granterClientId string
param granterIdentityId string
@secure()
param notifyWebhookUrl string
param notifyWebhookSecretUri string
param notifyWebhookFormat string
param callbackHosts string
param callbackSigningKeyUri string
param slackWorkspace string
param slackSigningSecretUri string
param slackBotTokenUri string
param teamsBot bool
param pythonVersion string
param alwaysReadyHttp int
param maximumInstanceCount int
param instanceMemoryMB int
param zoneRedundant bool
param privateInbound bool
param subnetId string
param registrarIdentityId string
param registrarClientId string
param registrarPrincipalId string
param signInIdentityId string
param signInClientId string
param storageBlobs string
param storageQueues string
param storageTables string
param packages string
param vaultUri string
param vaultId string
param fhirServiceIds string
param insightsConnectionString string

var callers = empty(allowedApplications) ? [] : split(replace(allowedApplications, ' ', ''), ',')

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${suffix}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: 'func-registrar-${suffix}'
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: union({
      '${registrarIdentityId}': {}
      '${signInIdentityId}': {}
    }, empty(granterIdentityId) ? {} : {
      '${granterIdentityId}': {}
    })
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: privateInbound ? 'Disabled' : 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    keyVaultReferenceIdentity: registrarIdentityId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packages
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: registrarIdentityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: pythonVersion
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyHttp == 0 ? [] : [
          {
            name: 'http'
            instanceCount: alwaysReadyHttp
          }
        ]
        // Half of the worker's threads: a call waits for storage alone, and the queue's functions scale by themselves.
        triggers: { http: { perInstanceConcurrency: 16 } }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: {
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: registrarClientId
    AzureWebJobsStorage__blobServiceUri: storageBlobs
    AzureWebJobsStorage__queueServiceUri: storageQueues
    AzureWebJobsStorage__tableServiceUri: storageTables
    APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${registrarClientId};Authorization=AAD'
    OTEL_EXPORTER_OTLP_ENDPOINT: ''
    OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: signInClientId
    AZURE_TENANT_ID: subscription().tenantId
    AZURE_CLIENT_ID: registrarClientId
    AZURE_AUTHORITY_HOST: authorityHost
    GRAPH_ENDPOINT: graphEndpoint
    KEY_VAULT_URL: vaultUri
    KEY_VAULT_ID: vaultId
    FHIR_SERVICE_IDS: fhirServiceIds
    REGISTRAR_OBJECT_ID: registrarPrincipalId
    VERIFIED_DOMAINS: verifiedDomains
    ALLOWED_RESOURCES: allowedResources
    POLICY: policy
    CALLER_AUTH: 'entra'
    SECRET_LIFETIME: 'P180D'
    SECRET_ROTATE_BEFORE: 'P30D'
    SECRET_OVERLAP: 'P7D'
    SECRET_OVERLAP_LIMIT: 'P28D'
    SECRET_PROOF_COUNT: '3'
    SECRET_PROOF_TIMEOUT: 'PT5M'
    PLANNER_SCHEDULE: '0 */5 * * * *'
    RECONCILE_SCHEDULE: '0 30 2 * * *'
    PYTHON_THREADPOOL_THREAD_COUNT: '32'
    GRANTS: grants
    SIGN_IN_ACTIVITY: signInActivity
    GRANTER_CLIENT_ID: granterClientId
    NOTIFY_WEBHOOK_URL: notifyWebhookUrl
    NOTIFY_WEBHOOK_SECRET: empty(notifyWebhookSecretUri) ? '' : '@Microsoft.KeyVault(SecretUri=${notifyWebhookSecretUri})'
    NOTIFY_WEBHOOK_FORMAT: notifyWebhookFormat
    SLACK_WORKSPACE: slackWorkspace
    SLACK_SIGNING_SECRET: empty(slackSigningSecretUri) ? '' : '@Microsoft.KeyVault(SecretUri=${slackSigningSecretUri})'
    SLACK_BOT_TOKEN: empty(slackBotTokenUri) ? '' : '@Microsoft.KeyVault(SecretUri=${slackBotTokenUri})'
    TEAMS_BOT_ID: teamsBot ? registrarClientId : ''
    CHAT_SESSION: 'PT8H'
    CALLBACK_HOSTS: callbackHosts
    CALLBACK_SIGNING_KEY: empty(callbackSigningKeyUri) ? '' : '@Microsoft.KeyVault(SecretUri=${callbackSigningKeyUri})'
  }
}

// It lists who may call, the API's own application included: an empty list lets nobody in, and bad tokens through.
// What is open is what provisioning/domain/front_door.py takes for open; with anything more the app refuses every call.
resource authentication 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: true
      runtimeVersion: '~1'
    }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
      redirectToProvider: 'azureactivedirectory'
      excludedPaths: [
        '/api/health'
        '/api/docs'
        '/api/openapi.json'
        '/api/page/*'
        '/api/chat/slack'
        '/api/chat/teams'
      ]
    }
    httpSettings: {
      requireHttps: true
      routes: { apiPrefix: '/.auth' }
      forwardProxy: { convention: 'NoProxy' }
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: apiClientId
          // No secret: this is the setting that holds the client id of the identity that vouches for the application.
          clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
          openIdIssuer: '${authorityHost}/${subscription().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [apiClientId, 'api://${apiClientId}']
          defaultAuthorizationPolicy: { allowedApplications: union([apiClientId], callers) }
        }
      }
    }
    login: {
      tokenStore: { enabled: false }
      cookieExpiration: {
        convention: 'FixedTime'
        timeToExpiration: '08:00:00'
      }
      nonce: {
        validateNonce: true
        nonceExpirationInterval: '00:05:00'
      }
    }
  }
  dependsOn: [settings]
}

resource noFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource noPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

output appId string = app.id
output appName string = app.name
output appHost string = app.properties.defaultHostName
