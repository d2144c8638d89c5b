/** Values, as literals and as JSON; variables that stand for them. Most fit where they stand. */

import {
  getNamedType,
  getNullableType,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  GraphQLNonNull,
  isInputObjectType,
  isInputType,
  isListType,
  isNullableType,
  isRequiredInputField,
  isScalarType,
  isSpecifiedScalarType,
  type NamedTypeNode,
  parseType,
  typeFromAST,
} from 'graphql';

import type { Choices } from './choices.ts';
import { NUMBERS, SPELLINGS, STRINGS, TYPES, WRONG, WRONG_JSON } from './literals.ts';
import { schema } from './schema.ts';

/** Texts that mean something to herald. */
export interface Words {
  handles: string[];
  ids: string[];
  /** Of connections. */
  cursors: string[];
  /** Of the log. */
  start: string;
}

interface Variable {
  name: string;
  type: string;
  default: string[] | undefined;
  json: string | undefined;
}

/** Whether it is one of herald's own scalars: what fits them is no matter of the specification. */
function isOwn(type: GraphQLInputType): boolean {
  const named = getNamedType(type);
  return isScalarType(named) && !isSpecifiedScalarType(named);
}

/** The members that may be given. To mark a conversation would change the world. */
function membersOf(type: GraphQLInputObjectType) {
  const fields = Object.values(type.getFields());
  return fields.filter(({ name }) => type.name !== 'MarkInput' || name !== 'conversationId');
}

export class Values {
  readonly #choices: Choices;
  readonly #words: Words;
  /** Whether a mistake is made here. */
  readonly #errs: () => boolean;
  readonly variables: Variable[] = [];

  constructor(choices: Choices, words: Words, errs: () => boolean) {
    this.#choices = choices;
    this.#words = words;
    this.#errs = errs;
  }

  /** A value for a place of this type, perhaps a variable: its tokens. */
  value(type: GraphQLInputType, isConst = false): string[] {
    if (!isOwn(type) && this.#errs()) return [this.#choices.of(WRONG)];
    if (!isConst && this.#choices.oneIn(5)) return ['$', this.#variable(type)];
    if (isNullableType(type) && this.#choices.oneIn(12)) return ['null'];
    const inner = getNullableType(type);
    if (isListType(inner)) {
      // One value stands for the list of it.
      if (this.#choices.oneIn(6)) return this.value(inner.ofType, true);
      return ['[', ...this.#times(3).flatMap(() => this.value(inner.ofType, isConst)), ']'];
    }
    if (isInputObjectType(inner)) return this.#object(inner, isConst);
    return [this.#scalar(inner.name)];
  }

  #object(type: GraphQLInputObjectType, isConst: boolean): string[] {
    const fields = membersOf(type).filter(
      (field) => (isRequiredInputField(field) ? !this.#errs() : this.#choices.oneIn(3)) || this.#errs(),
    );
    const members = fields.map((field) => [field.name, ':', ...this.value(field.type, isConst)]);
    if (members[0] && this.#errs()) members.push(members[0]);
    if (this.#errs()) members.push(['nothing', ':', '1']);
    return ['{', ...members.flat(), '}'];
  }

  #scalar(type: string): string {
    switch (type) {
      case 'Int':
        return this.#choices.of(NUMBERS);
      case 'Float':
        return this.#choices.of(['1.5', '1', '-0.0', '1e5', '1.5E-3']);
      case 'Boolean':
        return this.#choices.of(['true', 'false']);
      case 'DeliveryStatus':
        return this.#choices.of(['SENT', 'DELIVERED', 'READ']);
      case 'Cursor':
        return JSON.stringify(this.#words.start);
      case 'ID':
        if (this.#choices.oneIn(10)) return this.#choices.of(['5', '-7', '123456789012345678901234567890', '0']);
        return this.#choices.oneIn(10) ? this.#choices.of(STRINGS) : this.#spell(this.#words.ids);
      default:
        if (this.#choices.oneIn(4)) return this.#choices.of(STRINGS);
        return this.#spell(this.#choices.oneIn(2) ? this.#words.cursors : this.#words.handles);
    }
  }

  #spell(texts: string[]): string {
    const text = this.#choices.of(texts) ?? 'nothing';
    return (this.#choices.oneIn(3) ? this.#choices.of(SPELLINGS) : SPELLINGS[0])(text);
  }

  /** A variable that fits here, one that is there or a new one: its name. */
  #variable(place: GraphQLInputType): string {
    const text = String(place);
    if (this.#errs()) return this.declare(this.#choices.of(TYPES));
    // A stricter type does as well, and so does a looser one that has a default.
    const isOther = this.#choices.oneIn(3);
    const type = !isOther ? text : isNullableType(place) ? `${text}!` : text.slice(0, -1);
    const needsDefault = isOther && !isNullableType(place);
    const known = this.variables.filter((variable) => variable.type === type && (variable.default || !needsDefault));
    return (this.#choices.oneIn(2) ? undefined : this.#choices.of(known)?.name) ?? this.declare(type, needsDefault);
  }

  /** A new variable: its name. */
  declare(type: string, needsDefault = false): string {
    const named = typeFromAST(schema, parseType(type) as NamedTypeNode);
    const known = isInputType(named) ? named : undefined;
    const name = this.#errs() && this.variables[0] ? this.variables[0].name : `v${this.variables.length}`;
    const hasDefault = needsDefault || this.#choices.oneIn(6);
    const standard = hasDefault ? (known ? this.#default(known) : ['1']) : undefined;
    const mayMiss = standard !== undefined || (known && isNullableType(known)) || this.#errs();
    const json = mayMiss && this.#choices.oneIn(3) ? undefined : known ? this.#json(known) : '"x"';
    this.variables.push({ name, type, default: standard, json });
    return name;
  }

  #default(type: GraphQLInputType): string[] {
    const value = this.value(type, true);
    // With null for its default, a variable fits no place that must have a value.
    return value[0] === 'null' && !this.#errs() ? this.value(new GraphQLNonNull(getNullableType(type)), true) : value;
  }

  #json(type: GraphQLInputType): string {
    if (!isOwn(type) && this.#errs()) return this.#choices.of(WRONG_JSON);
    // What becomes of a directive whose condition is null is nowhere agreed on.
    if (isNullableType(type) && String(type) !== 'Boolean' && this.#choices.oneIn(8)) return 'null';
    const inner = getNullableType(type);
    if (isListType(inner)) {
      if (this.#choices.oneIn(5)) return this.#json(new GraphQLNonNull(getNullableType(inner.ofType)));
      return `[${this.#times(3).map(() => this.#json(inner.ofType))}]`;
    }
    if (isInputObjectType(inner)) {
      const fields = membersOf(inner).filter(
        (field) => (isRequiredInputField(field) ? !this.#errs() : this.#choices.oneIn(3)) || this.#errs(),
      );
      return `{${fields.map((field) => `"${field.name}":${this.#json(field.type)}`)}}`;
    }
    switch (inner.name) {
      case 'Int':
        return this.#choices.oneIn(4) ? this.#choices.of(['1.0', '2e0', '0.1e1', '-0']) : this.#choices.of(NUMBERS);
      case 'Float':
        return this.#choices.of(['1.5', '1', '1e3', '-0.0']);
      case 'Boolean':
        return this.#choices.of(['true', 'false']);
      case 'DeliveryStatus':
        return this.#choices.of(['"SENT"', '"READ"', '"NOTHING"', '1']);
      case 'Cursor':
        return JSON.stringify(this.#words.start);
      case 'ID':
        if (this.#choices.oneIn(8))
          return this.#choices.of(['5', '5.0', '-7', '9007199254740993', '123456789012345678901', '"\\ud83d\\ude00"']);
        return JSON.stringify(this.#choices.of(this.#words.ids));
      default:
        return JSON.stringify(this.#choices.of(this.#choices.oneIn(2) ? this.#words.cursors : this.#words.handles));
    }
  }

  /** Up to so many. */
  #times(most: number): number[] {
    return Array.from({ length: this.#choices.below(most + 1) }, (_, index) => index);
  }

  /** The definitions of the variables: their tokens. */
  definitions(): string[] {
    if (this.variables.length === 0) return [];
    const each = ({ name, type, default: value }: Variable) => [
      '$',
      name,
      ':',
      type,
      ...(value ? ['=', ...value] : []),
    ];
    return ['(', ...this.variables.flatMap(each), ')'];
  }

  /** What the request gives for the variables, as JSON. */
  given(): string | undefined {
    const given = this.variables.flatMap(({ name, json }) => (json === undefined ? [] : [`"${name}":${json}`]));
    // What nothing asks for is let pass.
    if (this.#choices.oneIn(12)) given.push('"more":{"a":[1]}');
    if (given.length === 0) return this.#choices.of([undefined, 'null', '{}'] as const);
    return `{${given}}`;
  }
}
