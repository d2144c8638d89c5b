/** Documents: most are valid, many nearly so. Whether one is, the generator does not know; graphql-js is asked. */

import {
  doTypesOverlap,
  getNamedType,
  type GraphQLArgument,
  GraphQLBoolean,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLInputType,
  GraphQLNonNull,
  isAbstractType,
  isCompositeType,
  isInterfaceType,
  isObjectType,
  isRequiredArgument,
  type GraphQLObjectType,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
} from 'graphql';

import type { Choices } from './choices.ts';
import { ALIASES, INTROSPECTION, MISTAKEN_DIRECTIVES } from './literals.ts';
import { schema } from './schema.ts';
import { Values, type Words } from './values.ts';

/** A request. */
export interface Case {
  document: string;
  operationName?: string | null;
  /** As JSON. */
  variables?: string | undefined;
  isSignedIn: boolean;
}

/** What is generated. `introspection` is of queries that ask about the schema. */
export type Kind = 'query' | 'mutation' | 'subscription' | 'introspection';

/** A request whose document is still in tokens. */
export interface Draft extends Omit<Case, 'document'> {
  tokens: string[];
}

/** What root fields are selected of; those left out would change the world, or are another generator's. */
const ROOTS: Record<Kind, readonly string[]> = {
  query: ['viewer', 'cursor', 'conversations', 'conversation', 'message', 'user', 'node', 'nodes', 'sessions', 'blockedUsers'],
  mutation: ['markRead', 'markDelivered', 'sendMessage', 'leaveConversation', 'addParticipants', 'renameConversation'],
  subscription: ['events', 'messageSent', 'statusChanged'],
  introspection: ['__schema', '__type'],
};

/** What may differ between implementations that are both right: descriptions of built-in types, the order of types. */
const OWN = ['__Schema.types', '__Schema.directives', '__Type.description', '__Schema.description'];

const META_FIELDS = [TypeMetaFieldDef, SchemaMetaFieldDef];

/** The depth below which nothing but leaves is selected. */
const DEEP = 5;

/**
 * The type of the values for an argument. Whether null may be given for this one changed from the edition of October 2021 to
 * that of September 2025, and graphql-js 16 has the former.
 */
function placeOf({ name, type }: GraphQLArgument): GraphQLInputType {
  return name === 'includeDeprecated' ? new GraphQLNonNull(GraphQLBoolean) : type;
}

class Generator {
  readonly #choices: Choices;
  readonly #values: Values;
  readonly #kind: Kind;
  /** Mistakes that may still be made. */
  #mistakes: number;
  readonly #fragments = new Map<string, { on: string; tokens: string[] }>();
  /** The arguments that a field had before: with others, it would conflict with itself. */
  readonly #arguments = new Map<string, string[]>();

  constructor(choices: Choices, words: Words, kind: Kind) {
    this.#choices = choices;
    this.#kind = kind;
    this.#mistakes = choices.of([0, 0, 0, 1, 1, 2]);
    this.#values = new Values(choices, words, () => this.#errs());
  }

  #errs(): boolean {
    if (this.#mistakes === 0 || !this.#choices.oneIn(25)) return false;
    this.#mistakes -= 1;
    return true;
  }

  draft(): Draft {
    const choices = this.#choices;
    const root = this.#root();
    const selections = this.#selections(root, 0);
    if (this.#errs()) this.#values.declare('Int');
    // Anonymous and short, where nothing speaks against it.
    const others = choices.oneIn(8) ? [this.#other()] : [];
    const isNamed = others.length > 0 ? !this.#errs() : choices.oneIn(3);
    const definitions = this.#values.definitions();
    const operation = this.#kind === 'introspection' ? 'query' : this.#kind;
    const isShort = root === schema.getQueryType() && !isNamed && definitions.length === 0 && !this.#errs();
    const head = isShort
      ? []
      : [
          ...this.#description(),
          operation,
          ...(isNamed ? ['Main'] : []),
          ...definitions,
          ...this.#operationDirectives(),
        ];
    const fragments = [...this.#fragments].map(([name, { on, tokens }]) => [
      ...this.#description(),
      ...['fragment', name, 'on', on, ...tokens],
    ]);
    if (fragments[0] && this.#errs()) fragments.push(fragments[0]);
    if (this.#errs()) fragments.push(['fragment', 'Unused', 'on', 'User', '{', 'id', '}']);
    const tokens = [...head, ...selections];
    const all = choices.oneIn(3) ? [...fragments, tokens, ...others] : [tokens, ...others, ...fragments];
    return {
      tokens: all.flat(),
      variables: this.#values.given(),
      isSignedIn: this.#kind === 'subscription' || !choices.oneIn(10),
      ...(this.#errs()
        ? { operationName: choices.of(['Nothing', 'Other', '', null]) }
        : isNamed && (others.length > 0 || choices.oneIn(2))
          ? { operationName: 'Main' }
          : {}),
    };
  }

  #root(): GraphQLObjectType {
    if (this.#kind === 'mutation') return schema.getMutationType()!;
    return this.#kind === 'subscription' ? schema.getSubscriptionType()! : schema.getQueryType()!;
  }

  /** Whether it is the root of a subscription, of which one field may be selected. */
  #isFollowed(type: GraphQLCompositeType): boolean {
    return this.#kind === 'subscription' && type === this.#root();
  }

  /** Another operation of the document. */
  #other(): string[] {
    if (this.#errs()) return ['{', 'cursor', '}'];
    return ['query', this.#errs() ? 'Main' : 'Other', '{', 'viewer', '{', 'id', '}', '}'];
  }

  /** Definitions of every kind may have one since the edition of September 2025. */
  #description(): string[] {
    return this.#choices.oneIn(20) ? [this.#choices.of(['"a description"', '"""\n  of more than\n  a line\n"""'])] : [];
  }

  #operationDirectives(): string[] {
    return this.#errs() ? this.#choices.of(MISTAKEN_DIRECTIVES).split(' ') : [];
  }

  #selections(type: GraphQLCompositeType, depth: number): string[] {
    const count = this.#isFollowed(type) ? (this.#errs() ? 2 : 1) : 1 + this.#choices.below(depth > 3 ? 2 : 4);
    const selected = Array.from({ length: count }, () => this.#selection(type, depth));
    if (this.#errs()) selected.pop();
    return ['{', ...selected.flat(), '}'];
  }

  #selection(type: GraphQLCompositeType, depth: number): string[] {
    const kind = this.#choices.below(9);
    if (kind >= 7 && depth < DEEP + 2) return kind === 7 ? this.#inline(type, depth) : this.#spread(type, depth);
    return this.#field(type, depth);
  }

  #field(type: GraphQLCompositeType, depth: number): string[] {
    const choices = this.#choices;
    if (this.#errs()) return [choices.of(['nothing', 'handle', 'body', '__schema', '__nothing', '...', '__type'])];
    if (depth === 0 && this.#kind === 'query' && choices.oneIn(25)) return choices.of(INTROSPECTION).split(' ');
    const field = this.#someField(type, depth);
    const alias = choices.oneIn(7) ? [choices.of(ALIASES), ':'] : [];
    if (!field) return [...alias, '__typename', ...this.#directives(type)];
    const inner = getNamedType(field.type);
    const hasSelections = isCompositeType(inner) !== this.#errs();
    return [
      ...[...alias, field.name, ...this.#argumentsOf(type, field), ...this.#directives(type)],
      ...(hasSelections ? (isCompositeType(inner) ? this.#selections(inner, depth + 1) : ['{', 'id', '}']) : []),
    ];
  }

  /** A field of the type; `undefined` for its name. */
  #someField(type: GraphQLCompositeType, depth: number): GraphQLField<unknown, unknown> | undefined {
    if (!('getFields' in type)) return undefined;
    const isRoot = type === this.#root();
    const all = this.#kind === 'introspection' && isRoot ? META_FIELDS : Object.values(type.getFields());
    const fields = all.filter(({ name, type: of }) => {
      if (isRoot) return ROOTS[this.#kind].includes(name);
      return (depth < DEEP || !isCompositeType(getNamedType(of))) && !OWN.includes(`${type.name}.${name}`);
    });
    if (this.#isFollowed(type)) return this.#choices.of(fields);
    const rest = this.#choices.below(fields.length * 2 + 1);
    // Leaves first, which are the simplest; then everything, so that half of what is selected goes deeper.
    if (rest >= fields.length) return fields[rest - fields.length];
    return fields.filter(({ type }) => !isCompositeType(getNamedType(type)))[rest] ?? fields[rest];
  }

  #argumentsOf(type: GraphQLCompositeType, field: GraphQLField<unknown, unknown>): string[] {
    const before = this.#arguments.get(`${type.name}.${field.name}`);
    if (before && !this.#choices.oneIn(6)) return before;
    const wanted = (argument: GraphQLArgument) =>
      isRequiredArgument(argument) ? !this.#errs() : this.#choices.oneIn(argument.name === 'first' ? 2 : 6);
    const given = field.args
      // What comes with checkpoints depends on time.
      .filter((argument) => argument.name !== 'checkpoints' && wanted(argument))
      .map((argument) => [argument.name, ':', ...this.#values.value(placeOf(argument))]);
    // From the start on, so that there is something to compare.
    if (this.#isFollowed(type) && given.length === 0 && !this.#choices.oneIn(6)) {
      given.push(['after', ':', ...this.#values.value(field.args[0]!.type)]);
    }
    if (given[0] && this.#errs()) given.push(given[0]);
    if (this.#errs()) given.push(['nothing', ':', '1']);
    const tokens = given.length > 0 || this.#errs() ? ['(', ...given.flat(), ')'] : [];
    this.#arguments.set(`${type.name}.${field.name}`, tokens);
    return tokens;
  }

  #directives(type: GraphQLCompositeType): string[] {
    if (this.#errs()) return this.#choices.of(MISTAKEN_DIRECTIVES).split(' ');
    if (!this.#choices.oneIn(9)) return [];
    // The specification forbids it; so that most subscriptions are valid, seldom.
    if (this.#isFollowed(type) && !this.#choices.oneIn(4)) return [];
    const name = this.#choices.of(['skip', 'include']);
    const condition = this.#choices.of(['true', 'false', '$']);
    const value = condition === '$' ? ['$', this.#values.declare('Boolean!')] : [condition];
    const both = this.#choices.oneIn(6) ? ['@', name === 'skip' ? 'include' : 'skip', '(', 'if', ':', 'true', ')'] : [];
    return ['@', name, '(', 'if', ':', ...value, ')', ...both];
  }

  #inline(type: GraphQLCompositeType, depth: number): string[] {
    const on = this.#choices.oneIn(4) ? undefined : this.#condition(type);
    const inner = on === undefined ? type : schema.getType(on);
    const head = on === undefined ? [] : ['on', on];
    const within = isCompositeType(inner) ? inner : type;
    return ['...', ...head, ...this.#directives(type), ...this.#selections(within, depth + 1)];
  }

  #spread(type: GraphQLCompositeType, depth: number): string[] {
    if (this.#errs()) return ['...', this.#choices.of(['Nothing', 'F0', 'F1'])];
    const fits = ([, { on }]: [string, { on: string }]) => {
      const other = schema.getType(on);
      return isCompositeType(other) && doTypesOverlap(schema, type, other);
    };
    const known = [...this.#fragments].filter(fits).map(([name]) => name);
    const name = this.#choices.oneIn(2) || this.#fragments.size > 4 ? this.#choices.of(known) : undefined;
    if (name === undefined && this.#fragments.size > 4) return ['__typename'];
    return ['...', name ?? this.#fragment(type, depth), ...this.#directives(type)];
  }

  #fragment(type: GraphQLCompositeType, depth: number): string {
    const on = this.#condition(type);
    const inner = schema.getType(on);
    const tokens = this.#selections(isCompositeType(inner) ? inner : type, depth + 1);
    const name = `F${this.#fragments.size}`;
    this.#fragments.set(name, { on, tokens });
    return name;
  }

  /** A type that something of this type may be of as well. */
  #condition(type: GraphQLCompositeType): string {
    if (this.#errs())
      return this.#choices.of([
        'String',
        'Nothing',
        'User',
        'Message',
        'MarkInput',
        'Cursor',
        'Query',
        'DeliveryStatus',
      ]);
    const wider = isObjectType(type) || isInterfaceType(type) ? type.getInterfaces() : [];
    const narrower = isAbstractType(type) ? schema.getPossibleTypes(type) : [];
    return this.#choices.of([type, ...narrower, ...wider])!.name;
  }
}

export function generate(choices: Choices, words: Words, kind: Kind): Draft {
  return new Generator(choices, words, kind).draft();
}
