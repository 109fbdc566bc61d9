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
  scratchProblems,
  valueAt,
  type Tree,
} from './problems.ts';
import { ConfigSchema, type Config } from './schema.ts';
import { calendarProblems } from './calendar.ts';
import { fileProblem } from '../shared/file-problem.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Lists every problem of a configuration. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  /** @param lineOf the line of the setting that a problem starts with */
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

/** The line of a setting, or of the nearest enclosing section in the file. */
export type LineOf = (path: string) => number | undefined;

/** The setting that a problem is about. Every problem starts with its path. */
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
    connections: 5_000,
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
  flips: { perSecond: 20, soakHours: 24, verifiedHours: 24, provenHours: 24 },
  rollout: { folder: './flags' },
  operator: { tokens: {} },
  interlocks: 'enforce',
  criteria: { comparisons: 3_000, withoutError: 300, mismatchRate: 0.001, readLatencyToleranceMs: 5 },
  guard: { mode: 'enforce', coolDownSeconds: 900, keepDays: 30, keepBundles: 20, alertFormat: 'signed' },
  readOnly: {
    bypassFreeSeconds: 86_400,
    requiredSeconds: 14 * 86_400,
    settleSeconds: 10,
    censusSeconds: 3_600,
  },
  reconciliation: { changed: '30 2 * * *', full: '30 3 * * *', timeZone: LOCAL_ZONE },
  reports: { schedule: '0 6 * * *', timeZone: LOCAL_ZONE, keepDays: 400, webhookFormat: 'signed' },
  telemetry: { logLevel: 'info', traceSampleRatio: 0.01 },
};

const SERVICE_DEFAULTS: Tree = { retention: {}, legacy: { inFlight: 1, queueSize: 10_000, connections: 32 } };
const DESK_DEFAULTS: Tree = { host: '127.0.0.1', port: 5581, withoutSignIn: false, pages: 'all' };
const UNLEASH_DEFAULTS: Tree = { appName: 'crossfade', refreshIntervalMs: 1_000, project: 'default' };
/** A client token contains the project and environment that it can read: `project:environment.secret`. */
const CLIENT_TOKEN = /^[^:\s]+:([^.:\s]+)\./;

/** Settings that an environment variable can set: its name, and the path of the setting. */
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
 * Reads a YAML file, adds the environment and the defaults, and checks everything.
 * @param services the legacy services; `embedded` allows settings that are only for trying out, also when nothing is started
 * @throws ConfigError listing every problem
 */
export function loadConfig(
  file: string,
  env: Environment,
  services: 'embedded' | 'real' = 'embedded',
): Config {
  const { tree, problems } = readSettings(file, env, services);
  if (problems.length > 0) throw new ConfigError(file, problems, linesOf(file));
  return tree as Config;
}

/** Like {@link loadConfig}, but returns the settings also if they have problems. @throws ConfigError if the file is not YAML */
export function readSettings(
  file: string,
  env: Environment,
  services: 'embedded' | 'real',
): { readonly tree: Tree; readonly problems: readonly string[] } {
  const problems: string[] = [];
  const substituted = new Set<string>();
  const read = substitutedIn(readTree(file), { env, problems, substituted, path: '' }) as Tree;
  const tree = withDefaults(fromEnvironment(read, env));
  // The default is 8 errors; a person needs to see all of them at once.
  Settings.Set({ maxErrors: 1_000 });
  const checker = Compile(ConfigSchema);
  if (!checker.Check(tree))
    problems.push(...schemaProblems([...checker.Errors(tree)], { tree, keysAt, variableFor, substituted }));
  problems.push(
    ...portProblems(tree),
    ...calendarProblems(tree),
    ...guardProblems(tree),
    ...scratchProblems(tree),
  );
  problems.push(...limitProblems(tree), ...journalProblems(tree), ...unleashProblems(tree));
  problems.push(...operatorProblems(tree), ...deskProblems(tree), ...reportProblems(tree));
  if (services === 'real') problems.push(...openDeskProblems(tree));
  return { tree, problems };
}

function whyUnread(error: unknown): string {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
    ? 'file not found: copy one of the examples in config/, which explain every setting'
    : fileProblem(error);
}

/** @throws ConfigError listing every YAML error, without quoting the text, because it may contain a secret */
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
    const problems = document.errors.map(
      ({ message, pos }) => `line ${lines.linePos(pos[0]).line}: ${message}`,
    );
    throw new ConfigError(file, problems);
  }
  const tree: unknown = document.toJS() ?? {};
  if (isTree(tree)) return tree;
  throw new ConfigError(file, ['the file must be a YAML mapping of settings']);
}

/** The lines of the settings in a YAML file. A file that cannot be read has none. */
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

/** The offset of the last key of the path that exists. */
function offsetOf(node: unknown, [key, ...rest]: readonly string[]): number | undefined {
  if (key === undefined || !isMap(node)) return undefined;
  const pair = node.items.find((one) => isScalar(one.key) && String(one.key.value) === key);
  if (pair === undefined || !isScalar(pair.key)) return undefined;
  return offsetOf(pair.value, rest) ?? pair.key.range?.[0];
}

function variableFor(path: string): string | undefined {
  return FROM_ENVIRONMENT.find(([, keys]) => keys.join('.') === path)?.[0];
}

/** The keys of a section in the schema. */
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
 * Replaces `${NAME}` in a text by an environment variable, which must be set, and `${NAME:-text}` by a variable with a default.
 * Empty results, and sections with only comments, are treated as unset.
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

/** The file overrides the environment. */
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

/** The first tree, overridden by the values of the second. */
export function merged(base: Tree, over: Tree): Tree {
  // A key such as __proto__ stays a key, so that the schema can refuse it.
  const result = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(over)) {
    const below = result.get(key);
    result.set(key, isTree(below) && isTree(value) ? merged(below, value) : value);
  }
  return Object.fromEntries(result);
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

/** A signed webhook needs its key. Messages to a chat are not signed, because the address is the secret. */
function guardProblems(tree: Tree): string[] {
  const [url, key, format] = ['guard.alertUrl', 'guard.alertKey', 'guard.alertFormat'].map((path) =>
    valueAt(tree, path),
  );
  return url !== undefined && key === undefined && format === 'signed'
    ? ['guard.alertUrl needs guard.alertKey (CROSSFADE_ALERT_KEY), because alerts are signed']
    : [];
}

function reportProblems(tree: Tree): string[] {
  const [url, key, format] = ['reports.webhookUrl', 'reports.webhookKey', 'reports.webhookFormat'].map(
    (path) => valueAt(tree, path),
  );
  return url !== undefined && key === undefined && format === 'signed'
    ? [
        'reports.webhookUrl needs reports.webhookKey (CROSSFADE_REPORT_KEY), because posted reports are signed',
      ]
    : [];
}

function unleashProblems(tree: Tree): string[] {
  const unleash = valueAt(tree, 'rollout.unleash');
  if (!isTree(unleash) || unleash['adminToken'] === undefined || unleash['environment'] !== undefined)
    return [];
  return [
    'rollout.unleash.environment (UNLEASH_ENVIRONMENT) is required, because the client token does not name an environment',
  ];
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

/** The embedded journal's folder is created if it is missing. A file in its place is reported here, before the database fails. */
function journalProblems(tree: Tree): string[] {
  const folder = valueAt(tree, 'journal.folder');
  if (typeof folder !== 'string' || valueAt(tree, 'journal.databaseUrl') !== undefined) return [];
  return isFile(folder) ? [`journal.folder must be a folder, but ${folder} is a file`] : [];
}

function isFile(path: string): boolean {
  try {
    return !statSync(path).isDirectory();
  } catch {
    return false;
  }
}
