/** What the tests read of a schema: the part of JSON Schema that the payloads use. */
export interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface BadValue {
  readonly what: string;
  readonly value: unknown;
}

const UNSTORABLE: readonly BadValue[] = [
  { what: 'NUL', value: 'a\0b' },
  { what: 'half of a surrogate pair', value: 'a\ud83d' },
];
const TIMES = /^(?:start|end|updated_since|.*_at)$/;

/** Values that a field must refuse, made from its schema. */
export function badValues(name: string, schema: Schema): BadValue[] {
  if (schema.enum !== undefined) return [{ what: 'an unknown word', value: 'nonsense' }, ...wrong(5, {})];
  if (schema.anyOf !== undefined) return ofAlternatives(name, schema.anyOf);
  switch (schema.type) {
    case 'string':
      return ofString(name, schema);
    case 'integer':
    case 'number':
      return ofNumber(schema);
    case 'boolean':
      return wrong('yes', 1, {}, []);
    case 'array':
      return ofArray(name, schema);
    default:
      return ofObject(schema);
  }
}

function wrong(...values: unknown[]): BadValue[] {
  return values.map((value) => ({ what: `${JSON.stringify(value)} for a type`, value }));
}

function ofAlternatives(name: string, alternatives: readonly Schema[]): BadValue[] {
  const types = alternatives.map(({ type }) => type);
  const [first] = alternatives;
  const bad = first === undefined ? [] : badValues(name, first);
  // What one alternative refuses another may take.
  return bad.filter(({ value }) => !(types.includes('number') && typeof value === 'number'));
}

function ofString(name: string, { minLength = 0, maxLength }: Schema): BadValue[] {
  return [
    ...wrong(5, true, {}, ['x']),
    ...UNSTORABLE,
    ...(minLength > 0 ? [{ what: 'nothing', value: '' }] : []),
    ...(maxLength === undefined ? [] : [{ what: `over ${maxLength}`, value: 'x'.repeat(maxLength + 1) }]),
    ...(TIMES.test(name)
      ? [
          { what: 'no time', value: 'yesterday' },
          { what: 'no day', value: '2024-13-01' },
        ]
      : []),
  ];
}

function ofNumber({ type, minimum, maximum }: Schema): BadValue[] {
  return [
    ...wrong('5', true, {}, [5]),
    ...(type === 'integer' ? [{ what: 'a fraction', value: 1.5 }] : []),
    ...(minimum === undefined ? [] : [{ what: `under ${minimum}`, value: minimum - 1 }]),
    ...(maximum === undefined ? [] : [{ what: `over ${maximum}`, value: maximum + 1 }]),
  ];
}

function ofArray(name: string, { items = {}, minItems = 0, maxItems }: Schema): BadValue[] {
  const [good] = items.type === 'string' ? ['x'] : [{}];
  return [
    ...wrong('x', 5, {}),
    ...badValues(name, items).map(({ what, value }) => ({ what: `${what} in it`, value: [value] })),
    ...(minItems > 0 ? [{ what: 'nothing in it', value: [] }] : []),
    ...(maxItems === undefined
      ? []
      : [{ what: `over ${maxItems} of them`, value: Array.from({ length: maxItems + 1 }, () => good) }]),
  ];
}

function ofObject(schema: Schema): BadValue[] {
  const fields = Object.entries(fieldsOf(schema));
  if (fields.length === 0)
    return [
      ...wrong('x', 5, true, ['x']),
      ...UNSTORABLE.map(({ what, value }) => ({ what: `${what} in it`, value: { text: value } })),
    ];
  return [
    ...wrong('x', 5, []),
    ...fields.flatMap(([name, field]) =>
      badValues(name, field).map(({ what, value }) => ({
        what: `${name} with ${what}`,
        value: { [name]: value },
      })),
    ),
  ];
}

/** The members of an object, of all parts that it is made of. */
export function fieldsOf({ properties = {}, allOf = [] }: Schema): Record<string, Schema> {
  return Object.assign({}, properties, ...allOf.map(fieldsOf)) as Record<string, Schema>;
}

/** The members that it cannot do without. */
export function requiredOf({ required = [], allOf = [] }: Schema): string[] {
  return [...required, ...allOf.flatMap(requiredOf)];
}
