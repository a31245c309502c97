// Reads {documents, questions, removals} as JSON, writes {answers, needed}.
//
// documents: {name: {kind: "identity" | "boundary" | "resource", policy}}
// questions: [{principal, action, resource, account, context, documents: [names]}]
// removals:  [[document, number of a statement, what takes its place or null]]
// answers:   of each question "Allowed", "ImplicitlyDenied", "ExplicitlyDenied" or an error
// needed:    of each removal the first question that is answered otherwise then, or -1: denied
//            without a statement that allows, allowed without one that denies
import { readFileSync } from 'node:fs'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const asked = JSON.parse(readFileSync(0, 'utf8'))

function without(document, number, instead) {
  const Statement = document.policy.Statement.flatMap((statement, each) =>
    each !== number ? [statement] : instead === null ? [] : [instead],
  )
  return { ...document, policy: { ...document.policy, Statement } }
}

async function judge(question, documents) {
  const of = (kind) =>
    question.documents
      .filter((name) => documents[name].kind === kind)
      .map((name) => ({ name, policy: documents[name].policy }))
      .filter(({ policy }) => policy.Statement.length > 0)
  const boundaries = question.documents.filter((name) => documents[name].kind === 'boundary')
  const result = await runSimulation(
    {
      request: {
        principal: question.principal,
        action: question.action,
        resource: { resource: question.resource, accountId: question.account },
        contextVariables: question.context,
      },
      identityPolicies: of('identity'),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: of('resource')[0]?.policy,
      permissionBoundaryPolicies: boundaries.length > 0 ? of('boundary') : undefined,
    },
    {},
  )
  return result.resultType === 'error' ? JSON.stringify(result.errors) : result.overallResult
}

const answers = []
for (const question of asked.questions) answers.push(await judge(question, asked.documents))

const matches = (pattern, action) =>
  new RegExp('^' + pattern.replace(/[*]/g, '.*').replace(/[?]/g, '.') + '$', 'i').test(action)

const needed = []
for (const [name, number, instead] of asked.removals) {
  const statement = asked.documents[name].policy.Statement[number]
  const documents = { ...asked.documents, [name]: without(asked.documents[name], number, instead) }
  const allows = statement.Effect === 'Allow'
  let found = -1
  for (const [index, question] of asked.questions.entries()) {
    if ((answers[index] === 'Allowed') !== allows || !question.documents.includes(name)) continue
    if (![statement.Action].flat().some((each) => matches(each, question.action))) continue
    if (((await judge(question, documents)) === 'Allowed') !== allows) {
      found = index
      break
    }
  }
  needed.push(found)
}

process.stdout.write(JSON.stringify({ answers, needed }))
