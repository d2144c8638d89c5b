/** What graphql-js, the reference implementation, makes of a request: whether it is refused, and if not the answer. */

import {
  createSourceEventStream,
  type DocumentNode,
  execute,
  executeSync,
  type ExecutionResult,
  getOperationAST,
  getVariableValues,
  GraphQLError,
  Kind,
  MaxIntrospectionDepthRule,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  specifiedRules,
  validate,
  type ValidationRule,
  visit,
} from 'graphql';

import type { Case } from './generate.ts';
import { roots, schema } from './schema.ts';
import type { World } from './world.ts';

export type Verdict =
  | { refused: string }
  | { document: DocumentNode; operation: OperationDefinitionNode; variables: Record<string, unknown> };

/**
 * `@skip` and `@include` are forbidden among the root fields of a subscription since the edition of September 2025
 * (section 5.2.4.1, CollectSubscriptionFields). graphql-js holds to it from version 17 on, which needs a newer Node.js.
 */
const UnconditionalSubscriptions: ValidationRule = (context) => ({
  OperationDefinition(node) {
    if (node.operation !== 'subscription') return;
    const seen = new Set<string>();
    const look = (set: SelectionSetNode) => {
      for (const selection of set.selections) {
        const found = selection.directives?.find(({ name }) => name.value === 'skip' || name.value === 'include');
        if (found) context.reportError(new GraphQLError('a condition at the root of a subscription', { nodes: found }));
        if (selection.kind === Kind.INLINE_FRAGMENT) look(selection.selectionSet);
        if (selection.kind !== Kind.FRAGMENT_SPREAD || seen.has(selection.name.value)) continue;
        seen.add(selection.name.value);
        const fragment = context.getFragment(selection.name.value);
        if (fragment) look(fragment.selectionSet);
      }
    };
    look(node.selectionSet);
  },
});

// How deep introspection may go is each server's own limit, and no rule of the specification.
const RULES = [...specifiedRules.filter((rule) => rule !== MaxIntrospectionDepthRule), UnconditionalSubscriptions];

/** What graphql-js makes of a request. Two ways of writing a string are the same argument, where fields are merged. */
export function judge(request: Case): Verdict {
  try {
    const document = visit(parse(request.document), { StringValue: ({ value }) => ({ kind: Kind.STRING, value }) });
    const [error] = validate(schema, document, RULES);
    if (error) return { refused: error.message };
    const operation = getOperationAST(document, request.operationName);
    if (!operation) return { refused: 'no such operation' };
    const variables = (JSON.parse(request.variables ?? 'null') ?? {}) as Record<string, unknown>;
    const { errors } = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
    return errors ? { refused: errors[0]!.message } : { document, operation, variables };
  } catch (error) {
    if (error instanceof GraphQLError) return { refused: error.message };
    throw error;
  }
}

type Accepted = Exclude<Verdict, { refused: string }>;

/** The answer to a query or a mutation. */
export function answer(
  world: World,
  { isSignedIn, operationName }: Case,
  { document, operation, variables }: Accepted,
) {
  const rootValue = roots(world, isSignedIn)[operation.operation];
  return executeSync({ schema, document, rootValue, variableValues: variables, operationName: operationName ?? null });
}

/** The answers to a subscription; one without data says why it cannot begin. */
export async function answers(
  world: World,
  { operationName }: Case,
  { document, variables }: Accepted,
): Promise<ExecutionResult[]> {
  const shared = { schema, document, variableValues: variables, operationName: operationName ?? null };
  const source = await createSourceEventStream({ ...shared, rootValue: roots(world, true).subscription });
  if (!(Symbol.asyncIterator in source)) return [source];
  const answers: ExecutionResult[] = [];
  for await (const rootValue of source as AsyncIterable<unknown>) answers.push(await execute({ ...shared, rootValue }));
  return answers;
}
