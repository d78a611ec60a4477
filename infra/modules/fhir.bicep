// The right to give clients data roles on one managed FHIR service, which is there already.
param workspaceName string
param serviceName string
param registrarPrincipalId string

var roleBasedAccessControlAdministrator = 'f58310d9-a9f6-439a-9e8d-f62e7b41a168'
var assignments = 'Microsoft.Authorization/roleAssignments'
// FHIR Data Reader, Writer, Contributor, Exporter, Importer and Converter, and FHIR SMART User, in the order of their ids.
var dataRoles = '3db33094-8700-4567-8da5-1501d4e7e843, 3f88fce4-5892-4214-ae73-ba5294559913, 4465e953-8ced-4406-a58e-0f6e3f3b530b, 4ba50f17-9666-485c-a643-ff00808643f0, 4c8d0bbc-75d3-4935-991f-5f3c56d81508, 5a1fc7df-4bf1-4951-a576-89034ee01acd, a1705bd2-3a8f-45a5-8683-466fcfd5cc24'
// It gives and takes back these roles, to and from service principals alone, and never to or from itself. For a write
// the request is looked at, for a deletion what is there.
var dataRolesOnly = '((!(ActionMatches{\'${assignments}/write\'})) OR (@Request[${assignments}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${dataRoles}} AND @Request[${assignments}:PrincipalId] ForAnyOfAllValues:GuidNotEquals {${registrarPrincipalId}} AND @Request[${assignments}:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {\'ServicePrincipal\'})) AND ((!(ActionMatches{\'${assignments}/delete\'})) OR (@Resource[${assignments}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${dataRoles}} AND @Resource[${assignments}:PrincipalId] ForAnyOfAllValues:GuidNotEquals {${registrarPrincipalId}} AND @Resource[${assignments}:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {\'ServicePrincipal\'}))'

resource service 'Microsoft.HealthcareApis/workspaces/fhirservices@2023-11-01' existing = {
  name: '${workspaceName}/${serviceName}'
}

resource gives 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(service.id, registrarPrincipalId, roleBasedAccessControlAdministrator)
  scope: service
  properties: {
    principalId: registrarPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleBasedAccessControlAdministrator)
    condition: dataRolesOnly
    conditionVersion: '2.0'
  }
}
