/** What relay-compiler makes of a document, as far as the documents of these tests need it, and without their schema. */

import { type ArgumentNode, type FieldNode, Kind, parse, print, type SelectionSetNode, valueFromASTUntyped, visit } from 'graphql';
import type { ConcreteRequest, NormalizationSelection, ReaderSelection } from 'relay-runtime';

/** Fields that have a list. */
const PLURAL = ['nodes'];

/** Types that Relay may read and write alike. */
type Selection = NormalizationSelection & ReaderSelection;

export function compiled(source: string): ConcreteRequest {
  const document = visit(parse(source), { SelectionSet: typed });
  const text = print(document);
  const [definition] = document.definitions;
  if (definition?.kind !== 'OperationDefinition') throw new Error(`no operation: ${text}`);
  const name = definition.name!.value;
  const argumentDefinitions = (definition.variableDefinitions ?? []).map(({ variable }) =>
    ({ kind: 'LocalArgument' as const, name: variable.name.value, defaultValue: null }));
  const selections = selected(definition.selectionSet, definition.operation === 'subscription');
  return {
    kind: 'Request',
    fragment: {
      kind: 'Fragment', name, argumentDefinitions, metadata: null, selections,
      type: definition.operation === 'query' ? 'Query' : definition.operation === 'mutation' ? 'Mutation' : 'Subscription',
    },
    operation: { kind: 'Operation', name, argumentDefinitions, selections },
    params: { id: null, cacheID: text, metadata: {}, name, operationKind: definition.operation, text },
  };
}

/** Without the schema, the types are those that the server says. */
function typed(set: SelectionSetNode, _key: unknown, parent: any): SelectionSetNode | undefined {
  if (parent.kind === Kind.OPERATION_DEFINITION || parent.kind === Kind.INLINE_FRAGMENT) return undefined;
  const typename: FieldNode = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } };
  return { ...set, selections: [typename, ...set.selections] };
}

/** `messages` is a connection, and in what a subscription tells a list. */
function selected({ selections }: SelectionSetNode, isTold: boolean): Selection[] {
  return selections.map((selection): Selection => {
    if (selection.kind === 'FragmentSpread') throw new Error('fragments are not compiled here');
    if (selection.kind === 'Field') return field(selection, isTold);
    const type = selection.typeCondition!.name.value;
    return { kind: 'InlineFragment', type, abstractKey: null, selections: selected(selection.selectionSet, isTold) };
  });
}

function field({ name: { value: name }, arguments: args = [], selectionSet }: FieldNode, isTold: boolean): Selection {
  const of = { name, alias: null, args: args.length ? args.map(argument) : null, storageKey: null };
  if (!selectionSet) return { ...of, kind: 'ScalarField' };
  const plural = PLURAL.includes(name) || (isTold && name === 'messages');
  return { ...of, kind: 'LinkedField', concreteType: null, plural, selections: selected(selectionSet, isTold) } as Selection;
}

function argument({ name: { value: name }, value }: ArgumentNode) {
  if (value.kind === 'Variable') return { kind: 'Variable' as const, name, variableName: value.name.value };
  return { kind: 'Literal' as const, name, value: valueFromASTUntyped(value) };
}
