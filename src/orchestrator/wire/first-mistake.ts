import type { TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { isJsonObject } from '../../domain/json.ts';

/** A problem of a value: its path and a message. */
export interface Mistake {
  /** Member names and list indexes, from the outside to the inside. */
  readonly path: readonly string[];
  readonly complaint: string;
  /** The exceeded limit, if any. */
  readonly limit?: number;
}

/** The used part of a schema. */
interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly allOf?: readonly Shape[];
  readonly items?: TSchema;
  readonly maxItems?: number;
  readonly minItems?: number;
  readonly additionalProperties?: unknown;
}

type Properties = Readonly<Record<string, Shape>>;

/** Shown length of an unknown name. */
const SHOWN_NAME_LENGTH = 64;

const validators = new Map<TSchema, Validator>();
const gathered = new Map<Shape, Properties>();

/**
 * The first mistake of a value; undefined if it matches the schema. typebox explains every item before it returns, at 200,000 items per
 * second. So lists that are too large are refused by their size, and only the first wrong item of a list is explained.
 */
export function firstMistake(schema: TSchema, value: unknown): Mistake | undefined {
  const oversize = oversizeOf(schema as Shape, value, []);
  if (oversize !== undefined) return oversize;
  const validator = validatorOf(schema);
  if (validator.Check(value)) return undefined;
  const places = new Map<string, number>();
  const [first] = validator.Errors(shortened(schema as Shape, value, { places, path: '' }));
  if (first === undefined) return { path: [], complaint: 'was refused' };
  return explained(first, places);
}

type Explanation = ReturnType<Validator['Errors']>[number];

function explained(
  { instancePath, keyword, message, params }: Explanation,
  places: ReadonlyMap<string, number>,
): Mistake {
  const { limit, requiredProperties } = params as { limit?: unknown; requiredProperties?: string[] };
  const [missing] = requiredProperties ?? [];
  const path = pathOf(instancePath, places);
  if (missing !== undefined) return { path: [...path, missing], complaint: 'is required' };
  // typebox reports this keyword for an unknown member of a closed object.
  if (keyword === 'boolean') return { path, complaint: 'is unknown' };
  return { path, complaint: message, ...(limit !== undefined && { limit: Number(limit) }) };
}

/** The path in the whole value. In a list that was shortened to one item it uses the item's original index. */
function pathOf(instancePath: string, places: ReadonlyMap<string, number>): string[] {
  const names = instancePath.split('/').slice(1);
  return names.map((name, at) => {
    const place = places.get(names.slice(0, at).join('/'));
    return place === undefined ? name : String(place);
  });
}

/** A list with too many items, or the first unknown member of a closed object. */
function oversizeOf(shape: Shape, value: unknown, path: readonly string[]): Mistake | undefined {
  if (Array.isArray(value)) {
    const { maxItems: limit } = shape;
    if (limit === undefined || value.length <= limit) return undefined;
    return { path, complaint: `must not have more than ${limit} items`, limit };
  }
  if (!isJsonObject(value)) return undefined;
  const properties = propertiesOf(shape);
  if (shape.additionalProperties === false)
    for (const name in value)
      if (!Object.hasOwn(properties, name))
        return { path: [...path, name.slice(0, SHOWN_NAME_LENGTH)], complaint: 'is unknown' };
  for (const [name, member] of Object.entries(properties)) {
    const mistake = oversizeOf(member, value[name], [...path, name]);
    if (mistake !== undefined) return mistake;
  }
  return undefined;
}

interface Shortening {
  /** By the path of a list, the index of its remaining item. */
  readonly places: Map<string, number>;
  readonly path: string;
}

/** The value with only its known members, and with one item per list: the first wrong one, or a right one. It has the same first mistake. */
function shortened(shape: Shape, value: unknown, { places, path }: Shortening): unknown {
  if (Array.isArray(value)) return shortenedList(shape, value, { places, path });
  if (!isJsonObject(value)) return value;
  const properties = propertiesOf(shape);
  const known: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(properties)) {
    if (!Object.hasOwn(value, name)) continue;
    const inside = { places, path: path === '' ? name : `${path}/${name}` };
    known[name] = shortened(member, value[name], inside);
  }
  return known;
}

function shortenedList({ items }: Shape, list: readonly unknown[], { places, path }: Shortening): unknown {
  if (items === undefined || list.length === 0) return list;
  const validator = validatorOf(items);
  const wrong = list.findIndex((item) => !validator.Check(item));
  if (wrong === -1) return list.slice(0, 1);
  places.set(path, wrong);
  return [list[wrong]];
}

function propertiesOf(shape: Shape): Properties {
  let properties = gathered.get(shape);
  if (properties === undefined) {
    properties = Object.assign({}, shape.properties, ...(shape.allOf ?? []).map(propertiesOf)) as Properties;
    gathered.set(shape, properties);
  }
  return properties;
}

function validatorOf(schema: TSchema): Validator {
  let validator = validators.get(schema);
  if (validator === undefined) {
    validator = Compile(schema);
    validators.set(schema, validator);
  }
  return validator;
}
