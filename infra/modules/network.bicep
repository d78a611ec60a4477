// A network for the app, and private endpoints in it for what the app keeps.
param suffix string
param location string
param tags object
param storageId string
param vaultId string

var storageSuffix = environment().suffixes.storage
// The zone of a vault is not the suffix of its address, in any cloud.
var vaultZone = replace(environment().suffixes.keyvaultDns, '.vault.', 'privatelink.vaultcore.')
var targets = [
  {
    name: 'blob'
    zone: 'privatelink.blob.${storageSuffix}'
    target: storageId
  }
  {
    name: 'queue'
    zone: 'privatelink.queue.${storageSuffix}'
    target: storageId
  }
  {
    name: 'table'
    zone: 'privatelink.table.${storageSuffix}'
    target: storageId
  }
  {
    name: 'vault'
    zone: vaultZone
    target: vaultId
  }
]

resource network 'Microsoft.Network/virtualNetworks@2024-01-01' = {
  name: 'vnet-${suffix}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.20.0.0/24'] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: '10.20.0.0/26'
          delegations: [
            {
              name: 'flex-consumption'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: '10.20.0.64/27'
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}

resource appSubnet 'Microsoft.Network/virtualNetworks/subnets@2024-01-01' existing = {
  parent: network
  name: 'app'
}

resource endpointSubnet 'Microsoft.Network/virtualNetworks/subnets@2024-01-01' existing = {
  parent: network
  name: 'endpoints'
}

resource zones 'Microsoft.Network/privateDnsZones@2020-06-01' = [for endpoint in targets: {
  name: endpoint.zone
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [for (endpoint, index) in targets: {
  parent: zones[index]
  name: 'link-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: network.id }
  }
}]

resource connections 'Microsoft.Network/privateEndpoints@2024-01-01' = [for endpoint in targets: {
  name: 'pe-${endpoint.name}-${suffix}'
  location: location
  tags: tags
  properties: {
    subnet: { id: endpointSubnet.id }
    privateLinkServiceConnections: [
      {
        name: endpoint.name
        properties: {
          privateLinkServiceId: endpoint.target
          groupIds: [endpoint.name]
        }
      }
    ]
  }
}]

resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-01-01' = [for (endpoint, index) in targets: {
  parent: connections[index]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: endpoint.name
        properties: { privateDnsZoneId: zones[index].id }
      }
    ]
  }
}]

output networkId string = network.id
output appSubnetId string = appSubnet.id
output endpointSubnetId string = endpointSubnet.id
