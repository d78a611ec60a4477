// What wakes somebody, and the page to look at then. Each alert names the section of docs/operations.md that says what to
// do. They go by the log, whose texts are constants; a test compares them.
param suffix string
param location string
param tags object
param insightsId string
param alertEmail string

var runbook = 'Runbook: docs/operations.md#'
var alerts = [
  {
    name: 'failed'
    severity: 2
    text: 'An operation has failed; a person must act.'
    section: 'failure-codes'
    query: 'traces | where message has "failed with"'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT5M'
    window: 'PT15M'
    range: 'PT15M'
  }
  {
    name: 'failure-rate'
    severity: 1
    text: 'More than a fifth of the operations of an hour failed.'
    section: 'failure-codes'
    query: 'traces | where message has "failed with" or message has "succeeded" | summarize failed = countif(message has "failed with"), ended = count() | where ended >= 5 and failed * 5 > ended'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT15M'
    window: 'PT1H'
    range: 'PT1H'
  }
  {
    name: 'poison-queue'
    severity: 2
    text: 'Messages failed as often as the queue allows.'
    section: 'stuck-registrations-and-lost-messages'
    query: 'requests | where name == "give_up"'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT15M'
    window: 'PT30M'
    range: 'PT30M'
  }
  {
    name: 'unforeseen-error'
    severity: 1
    text: 'An error that nobody foresaw, or wrong settings.'
    section: 'where-to-look-first'
    query: 'traces | where message has "ended in an error that nobody foresaw" or message has "comes back: unexpected-error" or message has "The app settings are wrong"'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT5M'
    window: 'PT15M'
    range: 'PT15M'
  }
  {
    name: 'front-door'
    severity: 0
    text: 'Every call is refused, because the platform does not vouch for its caller.'
    section: 'is-everything-there'
    query: 'traces | where message has "Every call is refused"'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT5M'
    window: 'PT15M'
    range: 'PT15M'
  }
  {
    name: 'planner-silent'
    severity: 1
    text: 'The planner has not run for an hour.'
    section: 'fire-the-planner-or-the-reconciliation-by-hand'
    query: 'requests | where name == "planner" and success == true'
    operator: 'LessThan'
    threshold: 1
    every: 'PT15M'
    window: 'PT1H'
    range: 'PT1H'
  }
  {
    name: 'reconciliation-silent'
    severity: 1
    text: 'No reconciliation has come to its end for 26 hours.'
    section: 'fire-the-planner-or-the-reconciliation-by-hand'
    query: 'traces | where timestamp > ago(26h) and message startswith "reconciliation " and message has "unreadable"'
    operator: 'LessThan'
    threshold: 1
    every: 'PT1H'
    window: 'P1D'
    range: 'P2D'
  }
  {
    name: 'secret-ends'
    severity: 1
    text: 'A credential ends soon and nothing replaces it, or its rotation fails.'
    section: 'a-leaked-or-expiring-secret'
    query: 'traces | where message has "and nothing replaces it" or message has "rotate failed with"'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT1H'
    window: 'P1D'
    range: 'P1D'
  }
  {
    name: 'revocation-waits'
    severity: 1
    text: 'A secret that somebody asked to end at once still works a day later.'
    section: 'a-leaked-or-expiring-secret'
    query: 'traces | where message has "a revocation waits"'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT1H'
    window: 'P1D'
    range: 'P1D'
  }
  {
    name: 'throttled'
    severity: 3
    text: 'Graph asks for patience, and deliveries come back for it.'
    section: 'quotas'
    query: 'traces | where message has "comes back: graph-throttled"'
    operator: 'GreaterThan'
    threshold: 10
    every: 'PT15M'
    window: 'PT30M'
    range: 'PT30M'
  }
  {
    name: 'drift'
    severity: 3
    text: 'A check has found what it does not touch.'
    section: 'findings'
    query: 'traces | where message has ": found: "'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT1H'
    window: 'P1D'
    range: 'P1D'
  }
  {
    name: 'strays'
    severity: 3
    text: 'Applications or secrets carry our mark and belong to no registration.'
    section: 'what-belongs-to-no-registration'
    query: 'traces | where message has "carry our mark and belong to no registration"'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT1H'
    window: 'P1D'
    range: 'P1D'
  }
  {
    name: 'approval-waits'
    severity: 4
    text: 'Requests or changes wait for an approval, and lapse after 14 days.'
    section: 'approvals-that-wait'
    query: 'traces | where message has "waits for an approval"'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT1H'
    window: 'PT1H'
    range: 'PT1H'
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'registrar'
    emailReceivers: empty(alertEmail) ? [] : [
      {
        name: 'on-call'
        emailAddress: alertEmail
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2022-06-15' = [for alert in alerts: {
  name: 'alert-${alert.name}-${suffix}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'FHIR Registrar: ${alert.name}'
    description: '${alert.text} ${runbook}${alert.section}'
    enabled: true
    severity: alert.severity
    scopes: [insightsId]
    evaluationFrequency: alert.every
    windowSize: alert.window
    overrideQueryTimeRange: alert.range
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: alert.query
          timeAggregation: 'Count'
          operator: alert.operator
          threshold: alert.threshold
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: { actionGroups: [people.id] }
  }
}]

resource workbook 'Microsoft.Insights/workbooks@2022-04-01' = {
  name: guid(insightsId, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'FHIR Registrar'
    category: 'workbook'
    sourceId: insightsId
    serializedData: loadTextContent('../workbook.json')
  }
}
