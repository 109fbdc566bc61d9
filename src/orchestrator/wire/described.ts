import { isJsonObject } from '../../domain/json.ts';

/** Descriptions of fields by name, or by `parent.name` for exceptions. */
interface Descriptions {
  readonly fields: Readonly<Record<string, string>>;
  readonly exceptions: Readonly<Record<string, string>>;
  /** The parent name of members of `payload` and `data`. */
  readonly action: string;
}

/** The JSON schema with a description for every known property. `parent` is the name of the enclosing field. */
export function described(schema: unknown, descriptions: Descriptions, parent = ''): unknown {
  if (Array.isArray(schema)) return schema.map((part) => described(part, descriptions, parent));
  if (!isJsonObject(schema)) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => [
      keyword,
      keyword === 'properties'
        ? propertiesOf(value, descriptions, parent)
        : described(value, descriptions, parent),
    ]),
  );
}

function propertiesOf(properties: unknown, descriptions: Descriptions, parent: string): unknown {
  if (!isJsonObject(properties)) return properties;
  const { fields, exceptions, action } = descriptions;
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => {
      const description = exceptions[`${parent}.${name}`] ?? fields[name];
      const within = name === 'payload' || name === 'data' ? action : name;
      return [name, { description, ...(described(schema, descriptions, within) as object) }];
    }),
  );
}
