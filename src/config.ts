import { readFileSync, statSync } from 'node:fs';
import { Compile } from 'typebox/compile';
import { Settings } from 'typebox/system';
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import {
  isTree,
  deskProblems,
  openDeskProblems,
  operatorProblems,
  portProblems,
  schemaProblems,
  valueAt,
  type Tree,
} from './config-problems.ts';
import { ConfigSchema, type Config } from './config-schema.ts';
import { calendarProblems } from './config-calendar.ts';
import { messageOf } from './domain/errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Every problem of a configuration at once. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  /** @param lineOf where the file has the setting that a problem begins with */
  constructor(file: string, problems: readonly string[], lineOf: LineOf = () => undefined) {
    const told = problems.map((problem) => {
      const line = lineOf(keyOf(problem));
      return `  - ${problem}${line === undefined ? '' : ` (line ${line})`}`;
    });
    super(`Configuration ${file} is not usable:\n${told.join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** The line of a setting, or of the nearest section around it that the file has. */
export type LineOf = (path: string) => number | undefined;

/** The setting that a problem is about: each begins with it. */
export function keyOf(problem: string): string {
  return /^[\w-]+(?:\.[\w-]+)*/.exec(problem)?.[0] ?? '';
}

const LOCAL_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const DEFAULTS: Tree = {
  proxy: { host: '127.0.0.1', deadlineMs: 4_500, drainMs: 3_000, takeOverMs: 0 },
  http: { host: '127.0.0.1', port: 5580 },
  limits: {
    messageBytes: 4 * 1024 * 1024,
    jsonDepth: 500,
    jsonValues: 100_000,
    inFlightRequests: 10_000,
    inFlightBytes: 32 * 1024 * 1024,
  },
  journal: {
    folder: './data/journal',
    poolSize: 4,
    preparedStatements: true,
    retentionHours: 24,
    whenAway: 'legacy-only',
    spillLimitBytes: 1024 * 1024 * 1024,
    laneBacklog: 100_000,
    totalBacklog: 10_000_000,
  },
  orchestrator: {
    endpoint: 'tcp://127.0.0.1:5570',
    readTimeoutMs: 250,
    deliveryTimeoutMs: 5_000,
    batchSize: 200,
    inFlight: 64,
  },
  shadow: {
    queueSize: 1_000,
    concurrency: 16,
    timeoutMs: 2_000,
    lanePercentage: 1,
    sampleHours: 0,
    repeatsPerMinute: 30,
  },
  copies: { concurrency: 2, automatic: true },
  rollout: { folder: './flags' },
  operator: { tokens: {} },
  interlocks: 'enforce',
  criteria: { readLatencyToleranceMs: 5 },
  guard: { mode: 'enforce', coolDownSeconds: 900, keepDays: 30, keepBundles: 20, alertFormat: 'signed' },
  reconciliation: { changed: '30 2 * * *', full: '30 3 * * *', timeZone: LOCAL_ZONE },
  reports: { schedule: '0 6 * * *', timeZone: LOCAL_ZONE, keepDays: 400, webhookFormat: 'signed' },
  telemetry: { logLevel: 'info', traceSampleRatio: 0.01 },
};

const SERVICE_DEFAULTS: Tree = { retention: {}, legacy: { inFlight: 1, queueSize: 10_000, connections: 32 } };
const DESK_DEFAULTS: Tree = { host: '127.0.0.1', port: 5581, withoutSignIn: false, pages: 'all' };
const UNLEASH_DEFAULTS: Tree = { appName: 'crossfade', refreshIntervalMs: 1_000, project: 'default' };
/** A client token names what it may read: `project:environment.secret`. */
const CLIENT_TOKEN = /^[^:\s]+:([^.:\s]+)\./;

/** Settings that may also come from the environment: where, and under which name. */
const FROM_ENVIRONMENT: readonly (readonly [name: string, path: readonly string[]])[] = [
  ['DATABASE_URL', ['journal', 'databaseUrl']],
  ['CROSSFADE_ENCRYPTION_KEY', ['journal', 'encryptionKey']],
  ['CROSSFADE_SIGNAL_TOKEN', ['guard', 'signalToken']],
  ['CROSSFADE_ALERT_KEY', ['guard', 'alertKey']],
  ['CROSSFADE_REPORT_KEY', ['reports', 'webhookKey']],
  ['UNLEASH_URL', ['rollout', 'unleash', 'url']],
  ['UNLEASH_API_TOKEN', ['rollout', 'unleash', 'apiToken']],
  ['UNLEASH_APP_NAME', ['rollout', 'unleash', 'appName']],
  ['UNLEASH_ADMIN_URL', ['rollout', 'unleash', 'adminUrl']],
  ['UNLEASH_ADMIN_TOKEN', ['rollout', 'unleash', 'adminToken']],
  ['UNLEASH_PROJECT', ['rollout', 'unleash', 'project']],
  ['UNLEASH_ENVIRONMENT', ['rollout', 'unleash', 'environment']],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', ['telemetry', 'otlpEndpoint']],
];

/**
 * Reads a YAML file, fills in the environment and the defaults, and checks everything.
 * @param services those that the proxy is started in front of; where it is not started at all, what is for trying out is no problem
 * @throws ConfigError listing every problem
 */
export function loadConfig(
  file: string,
  env: Environment,
  services: 'embedded' | 'real' = 'embedded',
): Config {
  const problems: string[] = [];
  const substituted = new Set<string>();
  const read = substitutedIn(readTree(file), { env, problems, substituted, path: '' }) as Tree;
  const tree = withDefaults(fromEnvironment(read, env));
  // Its default is 8: a person wants to see everything at once.
  Settings.Set({ maxErrors: 1_000 });
  const checker = Compile(ConfigSchema);
  if (!checker.Check(tree))
    problems.push(...schemaProblems([...checker.Errors(tree)], { tree, keysAt, variableFor, substituted }));
  problems.push(...portProblems(tree), ...calendarProblems(tree), ...guardProblems(tree));
  problems.push(...limitProblems(tree), ...journalProblems(tree), ...unleashProblems(tree));
  problems.push(...operatorProblems(tree), ...deskProblems(tree), ...reportProblems(tree));
  if (services === 'real') problems.push(...openDeskProblems(tree));
  if (problems.length > 0) throw new ConfigError(file, problems, linesOf(file));
  return tree as Config;
}

function whyUnread(error: unknown): string {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
    ? 'there is no such file: the examples in config/ explain every key, and one of them is copied to begin with'
    : messageOf(error);
}

/** @throws ConfigError listing every place that is not YAML, without quoting it: it may hold a secret */
export function readTree(file: string): Tree {
  const lines = new LineCounter();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(file, [whyUnread(error)]);
  }
  const document = parseDocument(text, { prettyErrors: false, lineCounter: lines });
  if (document.errors.length > 0) {
    const said = document.errors.map(({ message, pos }) => `line ${lines.linePos(pos[0]).line}: ${message}`);
    throw new ConfigError(file, said);
  }
  const tree: unknown = document.toJS() ?? {};
  if (isTree(tree)) return tree;
  throw new ConfigError(file, ['it must be a mapping of settings']);
}

/** Where a YAML file has its settings. A file that cannot be read has none. */
export function linesOf(file: string): LineOf {
  try {
    const lines = new LineCounter();
    const { contents } = parseDocument(readFileSync(file, 'utf8'), { lineCounter: lines });
    return (path) => {
      const offset = offsetOf(contents, path.split('.'));
      return offset === undefined ? undefined : lines.linePos(offset).line;
    };
  } catch {
    return () => undefined;
  }
}

/** Of the last key of the path that is there. */
function offsetOf(node: unknown, [key, ...rest]: readonly string[]): number | undefined {
  if (key === undefined || !isMap(node)) return undefined;
  const pair = node.items.find((one) => isScalar(one.key) && String(one.key.value) === key);
  if (pair === undefined || !isScalar(pair.key)) return undefined;
  return offsetOf(pair.value, rest) ?? pair.key.range?.[0];
}

function variableFor(path: string): string | undefined {
  return FROM_ENVIRONMENT.find(([, keys]) => keys.join('.') === path)?.[0];
}

/** The keys that the schema knows for a section. */
function keysAt(path: string): string[] {
  let schema: unknown = ConfigSchema;
  for (const key of path === '' ? [] : path.split('.')) {
    const { properties, patternProperties } = schema as Readonly<Record<string, Tree | undefined>>;
    schema = properties?.[key] ?? Object.values(patternProperties ?? {})[0] ?? {};
  }
  return Object.keys((schema as { readonly properties?: object }).properties ?? {});
}

interface Substitution {
  readonly env: Environment;
  readonly problems: string[];
  readonly substituted: Set<string>;
  readonly path: string;
}

/**
 * `${NAME}` in a text stands for an environment variable, which must be set; `${NAME:-text}` need not be.
 * What comes out empty, and a section that holds only comments, is as if it was not there.
 */
export function substitutedIn(value: unknown, at: Substitution): unknown {
  if (typeof value === 'string') return substitutedText(value, at);
  if (!isTree(value)) return value ?? undefined;
  const entries = Object.entries(value).map(([key, member]) => {
    const path = at.path === '' ? key : `${at.path}.${key}`;
    return [key, substitutedIn(member, { ...at, path })] as const;
  });
  return Object.fromEntries(entries.filter(([, member]) => member !== undefined)) as Tree;
}

function substitutedText(
  text: string,
  { env, problems, substituted, path }: Substitution,
): string | undefined {
  const result = text.replaceAll(
    /\$\{(\w+)(?::-([^}]*))?\}/g,
    (_, name: string, otherwise: string | undefined) => {
      substituted.add(path);
      const given = env[name] ?? '';
      if (given === '' && otherwise === undefined)
        problems.push(`${path} needs the environment variable ${name}, which is not set`);
      return given === '' ? (otherwise ?? '') : given;
    },
  );
  return result === '' && text !== '' ? undefined : result;
}

/** What the file says goes before the environment. */
function fromEnvironment(tree: Tree, env: Environment): Tree {
  const asksUnleash = valueAt(tree, 'rollout.unleash') !== undefined || (env['UNLEASH_URL'] ?? '') !== '';
  const given = FROM_ENVIRONMENT.filter(
    ([name]) => (env[name] ?? '') !== '' && (asksUnleash || !name.startsWith('UNLEASH_')),
  );
  return given.reduce((result, [name, path]) => merged(nested(path, env[name]), result), tree);
}

export function nested(path: readonly string[], value: unknown): Tree {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Tree;
}

/** The first tree, overridden by what the second one says. */
export function merged(base: Tree, over: Tree): Tree {
  const result: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    result[key] = isTree(below) && isTree(value) ? merged(below, value) : value;
  }
  return result;
}

function withDefaults(tree: Tree): Tree {
  const result = merged(DEFAULTS, tree);
  const { services, rollout, desk } = result;
  if (isTree(desk)) result['desk'] = merged(DESK_DEFAULTS, desk);
  if (isTree(services)) {
    result['services'] = Object.fromEntries(
      Object.entries(services).map(([name, service]) => [
        name,
        isTree(service) ? merged({ timeZone: LOCAL_ZONE, ...SERVICE_DEFAULTS }, service) : service,
      ]),
    );
  }
  if (isTree(rollout) && isTree(rollout['unleash'])) {
    result['rollout'] = { ...rollout, unleash: unleashWithDefaults(rollout['unleash']) };
  }
  return result;
}

function unleashWithDefaults(unleash: Tree): Tree {
  const environment = CLIENT_TOKEN.exec(String(unleash['apiToken']))?.[1];
  return merged({ ...UNLEASH_DEFAULTS, ...(environment !== undefined && { environment }) }, unleash);
}

/** A webhook that is signed needs its key; what goes to a chat is not signed, because its address is the secret. */
function guardProblems(tree: Tree): string[] {
  const [url, key, format] = ['guard.alertUrl', 'guard.alertKey', 'guard.alertFormat'].map((path) =>
    valueAt(tree, path),
  );
  return url !== undefined && key === undefined && format === 'signed'
    ? ['guard.alertUrl needs guard.alertKey: alerts are signed (CROSSFADE_ALERT_KEY)']
    : [];
}

function reportProblems(tree: Tree): string[] {
  const [url, key, format] = ['reports.webhookUrl', 'reports.webhookKey', 'reports.webhookFormat'].map(
    (path) => valueAt(tree, path),
  );
  return url !== undefined && key === undefined && format === 'signed'
    ? ['reports.webhookUrl needs reports.webhookKey: what is posted is signed (CROSSFADE_REPORT_KEY)']
    : [];
}

function unleashProblems(tree: Tree): string[] {
  const unleash = valueAt(tree, 'rollout.unleash');
  if (!isTree(unleash) || unleash['adminToken'] === undefined || unleash['environment'] !== undefined)
    return [];
  return ['rollout.unleash.environment is needed: the client token does not name it (UNLEASH_ENVIRONMENT)'];
}

function limitProblems(tree: Tree): string[] {
  const [messageBytes, inFlightBytes] = ['messageBytes', 'inFlightBytes'].map((key) =>
    valueAt(tree, `limits.${key}`),
  );
  return Number(inFlightBytes) < Number(messageBytes)
    ? [
        `limits.inFlightBytes must be at least limits.messageBytes (${String(messageBytes)}), got ${String(inFlightBytes)}`,
      ]
    : [];
}

/** The embedded journal's folder is made where it is missing: what stands in its place is told here, not by the database. */
function journalProblems(tree: Tree): string[] {
  const folder = valueAt(tree, 'journal.folder');
  if (typeof folder !== 'string' || valueAt(tree, 'journal.databaseUrl') !== undefined) return [];
  return isFile(folder) ? [`journal.folder ${folder} is a file, it must be a folder`] : [];
}

function isFile(path: string): boolean {
  try {
    return !statSync(path).isDirectory();
  } catch {
    return false;
  }
}
