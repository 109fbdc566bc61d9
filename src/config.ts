import { readFileSync } from 'node:fs';
import { Compile } from 'typebox/compile';
import { Settings } from 'typebox/system';
import { parse } from 'yaml';
import { messageOf } from './domain/errors.ts';
import { ConfigSchema, type Config } from './config-schema.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Every problem of a configuration at once. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(file: string, problems: readonly string[]) {
    super(`Configuration ${file} is not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

type Tree = { [key: string]: unknown };

const DEFAULTS: Tree = {
  proxy: { host: '127.0.0.1', deadlineMs: 4_500 },
  http: { host: '127.0.0.1', port: 5580 },
  limits: { messageBytes: 4 * 1024 * 1024, jsonDepth: 500, inFlightRequests: 10_000 },
  journal: { folder: './data/journal', poolSize: 4, retentionHours: 24 },
  orchestrator: {
    endpoint: 'tcp://127.0.0.1:5570',
    readTimeoutMs: 250,
    deliveryTimeoutMs: 5_000,
    batchSize: 200,
    inFlight: 64,
  },
  reads: { freshnessWaitMs: 20 },
  shadow: { queueSize: 1_000, concurrency: 4, timeoutMs: 2_000 },
  copies: { concurrency: 2 },
  rollout: { folder: './flags' },
  interlocks: 'warn',
  telemetry: { logLevel: 'info', traceSampleRatio: 0.01 },
};

const SERVICE_DEFAULTS: Tree = { retention: {}, legacy: { inFlight: 1, queueSize: 10_000, connections: 32 } };
const UNLEASH_DEFAULTS: Tree = { appName: 'crossfade', refreshIntervalMs: 1_000 };

/** Settings that may also come from the environment: where, and under which name. */
const FROM_ENVIRONMENT: readonly (readonly [name: string, path: readonly string[]])[] = [
  ['DATABASE_URL', ['journal', 'databaseUrl']],
  ['CROSSFADE_ENCRYPTION_KEY', ['journal', 'encryptionKey']],
  ['UNLEASH_URL', ['rollout', 'unleash', 'url']],
  ['UNLEASH_API_TOKEN', ['rollout', 'unleash', 'apiToken']],
  ['UNLEASH_APP_NAME', ['rollout', 'unleash', 'appName']],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', ['telemetry', 'otlpEndpoint']],
];

/** Values that are never quoted in a message. */
const SECRET = /key|token|url/i;

/**
 * Reads a YAML file, fills in the environment and the defaults, and checks everything.
 * @throws ConfigError listing every problem
 */
export function loadConfig(file: string, env: Environment): Config {
  const problems: string[] = [];
  const tree = withDefaults(
    fromEnvironment(substituted(readTree(file), { env, problems, path: '' }) as Tree, env),
  );
  // Its default is 8: a person wants to see everything at once.
  Settings.Set({ maxErrors: 1_000 });
  const checker = Compile(ConfigSchema);
  if (!checker.Check(tree)) problems.push(...schemaProblems([...checker.Errors(tree)], tree));
  problems.push(...portProblems(tree), ...serviceProblems(tree));
  if (problems.length > 0) throw new ConfigError(file, problems);
  return tree as Config;
}

function readTree(file: string): Tree {
  try {
    const tree: unknown = parse(readFileSync(file, 'utf8')) ?? {};
    if (isTree(tree)) return tree;
  } catch (error) {
    throw new ConfigError(file, [messageOf(error)]);
  }
  throw new ConfigError(file, ['it must be a mapping of settings']);
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface Substitution {
  readonly env: Environment;
  readonly problems: string[];
  readonly path: string;
}

/** `${NAME}` in a text stands for an environment variable, which must be set; `${NAME:-text}` need not be. */
function substituted(value: unknown, at: Substitution): unknown {
  if (typeof value === 'string') {
    return value.replaceAll(
      /\$\{(\w+)(?::-([^}]*))?\}/g,
      (_, name: string, otherwise: string | undefined) => {
        const text = at.env[name] ?? otherwise;
        if (text === undefined)
          at.problems.push(`${at.path} needs the environment variable ${name}, which is not set`);
        return text ?? '';
      },
    );
  }
  if (!isTree(value)) return value;
  const entries = Object.entries(value).map(([key, member]) => {
    const path = at.path === '' ? key : `${at.path}.${key}`;
    return [key, substituted(member, { ...at, path })];
  });
  return Object.fromEntries(entries) as Tree;
}

/** What the file says goes before the environment. */
function fromEnvironment(tree: Tree, env: Environment): Tree {
  const given = FROM_ENVIRONMENT.filter(([name]) => (env[name] ?? '') !== '');
  return given.reduce((result, [name, path]) => merged(nested(path, env[name]), result), tree);
}

function nested(path: readonly string[], value: unknown): Tree {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Tree;
}

/** The first tree, overridden by what the second one says. */
function merged(base: Tree, over: Tree): Tree {
  const result: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    result[key] = isTree(below) && isTree(value) ? merged(below, value) : value;
  }
  return result;
}

function withDefaults(tree: Tree): Tree {
  const result = merged(DEFAULTS, tree);
  const { services, rollout } = result;
  if (isTree(services)) {
    const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    result['services'] = Object.fromEntries(
      Object.entries(services).map(([name, service]) => [
        name,
        isTree(service) ? merged({ timeZone, ...SERVICE_DEFAULTS }, service) : service,
      ]),
    );
  }
  if (isTree(rollout) && isTree(rollout['unleash'])) {
    result['rollout'] = { ...rollout, unleash: merged(UNLEASH_DEFAULTS, rollout['unleash']) };
  }
  return result;
}

interface SchemaProblem {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
}

type Say = (params: Readonly<Record<string, unknown>>) => string;

const TYPES: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  object: 'a mapping',
  string: 'text',
};

/** What each rule of the schema asks, in words. Rules without a row are consequences of others. */
const SAYINGS: Readonly<Record<string, Say>> = {
  type: ({ type }) => `must be ${TYPES[String(type)] ?? `a ${String(type)}`}`,
  minimum: ({ limit }) => `must be at least ${String(limit)}`,
  maximum: ({ limit }) => `must be at most ${String(limit)}`,
  minLength: () => 'must not be empty',
  pattern: ({ pattern }) => `must look like ${String(pattern)}`,
  anyOf: () => 'must be one of the words that the example lists',
  minProperties: () => 'must name at least one service',
};

function schemaProblems(errors: readonly SchemaProblem[], tree: Tree): string[] {
  const lines = errors.flatMap(({ keyword, instancePath, params }) => {
    const path = instancePath.slice(1).replaceAll('/', '.');
    const facts = params as Readonly<Record<string, unknown>>;
    if (keyword === 'additionalProperties') return unknownKeys(path, facts['additionalProperties']);
    if (keyword === 'required') return missingKeys(path, facts['requiredProperties']);
    const say = SAYINGS[keyword];
    return say === undefined ? [] : [`${path} ${say(facts)}, got ${quoted(path, valueAt(tree, path))}`];
  });
  return [...new Set(lines)];
}

function unknownKeys(path: string, keys: unknown): string[] {
  return (Array.isArray(keys) ? keys : []).map((key) => `${join(path, String(key))} is no setting`);
}

function missingKeys(path: string, keys: unknown): string[] {
  return (Array.isArray(keys) ? keys : []).map((key) => `${join(path, String(key))} is missing`);
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function valueAt(tree: Tree, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (isTree(value) ? value[key] : undefined), tree);
}

function quoted(path: string, value: unknown): string {
  return SECRET.test(path.split('.').at(-1) ?? '') ? 'something else (not shown)' : JSON.stringify(value);
}

/** A port that is used twice, named with both its users. */
function portProblems(tree: Tree): string[] {
  const users = new Map<unknown, string>();
  const problems: string[] = [];
  const use = (port: unknown, path: string): void => {
    if (port === undefined) return;
    const other = users.get(port);
    if (other === undefined) users.set(port, path);
    else problems.push(`${path} is ${JSON.stringify(port)}, which ${other} uses too`);
  };
  use(valueAt(tree, 'http.port'), 'http.port');
  for (const name of Object.keys(servicesOf(tree))) {
    for (const key of ['port', 'healthPort', 'pubPort'])
      use(valueAt(tree, `services.${name}.${key}`), `services.${name}.${key}`);
  }
  return problems;
}

function serviceProblems(tree: Tree): string[] {
  return Object.keys(servicesOf(tree)).flatMap((name) => {
    const zone = valueAt(tree, `services.${name}.timeZone`);
    return isTimeZone(zone)
      ? []
      : [`services.${name}.timeZone must be an IANA time zone, got ${JSON.stringify(zone)}`];
  });
}

function servicesOf(tree: Tree): Tree {
  return isTree(tree['services']) ? tree['services'] : {};
}

function isTimeZone(zone: unknown): boolean {
  try {
    return typeof zone === 'string' && Boolean(Intl.DateTimeFormat('en', { timeZone: zone }));
  } catch {
    return false;
  }
}
