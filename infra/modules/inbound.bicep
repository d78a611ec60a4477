// The app's own private endpoint, where callers have to come from its network too.
param suffix string
param location string
param tags object
param appId string
param networkId string
param endpointSubnetId string

// The portal's suffixes do not tell it: an app's address is in a domain of its own in each cloud.
var zoneNames = {
  AzureCloud: 'privatelink.azurewebsites.net'
  AzureUSGovernment: 'privatelink.azurewebsites.us'
  AzureChinaCloud: 'privatelink.chinacloudsites.cn'
}

resource zone 'Microsoft.Network/privateDnsZones@2020-06-01' = {
  name: zoneNames[environment().name]
  location: 'global'
  tags: tags
}

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = {
  parent: zone
  name: 'link-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: networkId }
  }
}

resource connection 'Microsoft.Network/privateEndpoints@2024-01-01' = {
  name: 'pe-app-${suffix}'
  location: location
  tags: tags
  properties: {
    subnet: { id: endpointSubnetId }
    privateLinkServiceConnections: [
      {
        name: 'app'
        properties: {
          privateLinkServiceId: appId
          groupIds: ['sites']
        }
      }
    ]
  }
}

resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-01-01' = {
  parent: connection
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: 'app'
        properties: { privateDnsZoneId: zone.id }
      }
    ]
  }
}
