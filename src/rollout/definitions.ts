import type { ClientFeaturesResponse, UnleashConfig } from 'unleash-client';

export type Feature = ClientFeaturesResponse['features'][number];
type Strategy = NonNullable<Feature['strategies']>[number];
type Constraint = Strategy['constraints'][number];
export type Segment = NonNullable<ClientFeaturesResponse['segments']>[number];
export type Repository = NonNullable<UnleashConfig['repository']>;

/** The content of Unleash's `/client/features`, and of a flag file. */
export interface Definitions {
  readonly features: readonly Feature[];
  readonly segments: readonly Segment[];
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Accepts only definitions that unleash-client can evaluate without throwing. Unknown fields are kept.
 * @throws Error with the place and the problem
 */
export function parseDefinitions(text: string): Definitions {
  const file = fieldsOf(JSON.parse(text), 'the file');
  if (file['version'] !== 2)
    throw new Error(`version must be 2 (Unleash's client format), got ${shown(file['version'])}`);
  return {
    features: listOf(file['features'], 'features').map((value, at) => parseFeature(value, `features[${at}]`)),
    segments: optionalListOf(file['segments'], 'segments').map((value, at) =>
      parseSegment(value, `segments[${at}]`),
    ),
  };
}

function parseFeature(value: unknown, at: string): Feature {
  const fields = fieldsOf(value, at);
  const name = textOf(fields['name'], `${at}.name`);
  if (typeof fields['enabled'] !== 'boolean')
    throw new Error(`${name}: enabled must be true or false, got ${shown(fields['enabled'])}`);
  const strategies = optionalListOf(fields['strategies'], `${name}: strategies`).map((strategy, index) =>
    parseStrategy(strategy, `${name}: strategies[${index}]`),
  );
  return { ...fields, name, enabled: fields['enabled'], strategies };
}

function parseStrategy(value: unknown, at: string): Strategy {
  const fields = fieldsOf(value, at);
  const parameters = fields['parameters'] ?? {};
  return {
    ...fields,
    name: textOf(fields['name'], `${at}.name`),
    parameters: fieldsOf(parameters, `${at}.parameters`),
    constraints: parseConstraints(fields['constraints'], `${at}.constraints`),
    segments: optionalListOf(fields['segments'], `${at}.segments`).map((id) => Number(id)),
  };
}

function parseSegment(value: unknown, at: string): Segment {
  const fields = fieldsOf(value, at);
  if (typeof fields['id'] !== 'number')
    throw new Error(`${at}.id must be a number, got ${shown(fields['id'])}`);
  return {
    ...fields,
    id: fields['id'],
    constraints: parseConstraints(fields['constraints'], `${at}.constraints`),
  };
}

function parseConstraints(value: unknown, at: string): Constraint[] {
  return optionalListOf(value, at).map((constraint, index) => {
    const fields = fieldsOf(constraint, `${at}[${index}]`);
    const values = optionalListOf(fields['values'], `${at}[${index}].values`).map(String);
    textOf(fields['contextName'], `${at}[${index}].contextName`);
    textOf(fields['operator'], `${at}[${index}].operator`);
    // An operator that the SDK does not know is evaluated as "does not hold".
    return { inverted: false, ...fields, values } as Constraint;
  });
}

function fieldsOf(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${at} must be an object, got ${shown(value)}`);
  return { ...(value as Fields) };
}

function textOf(value: unknown, at: string): string {
  if (typeof value !== 'string' || value === '') throw new Error(`${at} must be a text, got ${shown(value)}`);
  return value;
}

function listOf(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${at} must be a list, got ${shown(value)}`);
  return value;
}

function optionalListOf(value: unknown, at: string): readonly unknown[] {
  return value === undefined || value === null ? [] : listOf(value, at);
}

const SHOWN_CHARACTERS = 60;

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, SHOWN_CHARACTERS);
}
