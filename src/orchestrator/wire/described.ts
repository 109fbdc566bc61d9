import { isJsonObject } from '../../domain/json.ts';

/** What the fields of a schema are: by name, and by `parent.name` where that differs. */
interface Descriptions {
  readonly fields: Readonly<Record<string, string>>;
  readonly exceptions: Readonly<Record<string, string>>;
  /** The parent of what stands in `payload` and `data`. */
  readonly action: string;
}

/** The same JSON schema with a description at every property that is known. `parent` names what holds it. */
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
