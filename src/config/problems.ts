import { PATTERNS } from './schema.ts';
import { nearestName } from '../shared/nearest-name.ts';

/** The settings of a file, before they are checked. */
export type Tree = { [key: string]: unknown };

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An error of the schema checker about one value. */
interface SchemaProblem {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
}

interface Checked {
  readonly tree: Tree;
  /** The keys that a section may have, for "did you mean"; `path` is the section's path. */
  readonly keysAt: (path: string) => readonly string[];
  /** The environment variable that can set a setting instead of the file. */
  readonly variableFor: (path: string) => string | undefined;
  /** Paths whose text came at least partly from the environment. */
  readonly substituted: ReadonlySet<string>;
}

type Facts = Readonly<Record<string, unknown>>;

const TYPES: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  object: 'a mapping',
  string: 'text',
};

/** The message for each schema rule. Rules without a row only follow from others. */
const SAYINGS: Readonly<Record<string, (facts: Facts) => string>> = {
  type: ({ type }) => `must be ${TYPES[String(type)] ?? `a ${String(type)}`}`,
  minimum: ({ limit }) => `must be at least ${String(limit)}`,
  maximum: ({ limit }) => `must be at most ${String(limit)}`,
  minLength: ({ limit }) =>
    limit === 1 ? 'must not be empty' : `must have at least ${String(limit)} characters`,
  pattern: ({ pattern }) => `must be ${PATTERNS[String(pattern)] ?? `like ${String(pattern)}`}`,
  minProperties: () => 'must name at least one service',
};

/** All schema violations of a tree, one line per problem. */
export function schemaProblems(errors: readonly SchemaProblem[], checked: Checked): string[] {
  const lines = errors.flatMap((error) => {
    const path = error.instancePath.slice(1).replaceAll('/', '.');
    const facts = error.params as Facts;
    if (error.keyword === 'additionalProperties')
      return namesIn(facts['additionalProperties']).map((key) => unknownKey(path, key, checked));
    if (error.keyword === 'required')
      return namesIn(facts['requiredProperties']).map((key) => missingKey(joined(path, key), checked));
    const saying =
      error.keyword === 'anyOf' ? oneOf(errors, error.instancePath) : SAYINGS[error.keyword]?.(facts);
    return saying === undefined ? [] : [`${path} ${saying}, got ${quoted(path, checked)}`];
  });
  return [...new Set(lines)];
}

function namesIn(keys: unknown): string[] {
  return Array.isArray(keys) ? keys.map(String) : [];
}

/** The message for a choice of words. The checker reports one error for each allowed word, all at the same path. */
function oneOf(errors: readonly SchemaProblem[], instancePath: string): string {
  const words = errors
    .filter((error) => error.keyword === 'const' && error.instancePath === instancePath)
    .map((error) => String((error.params as Facts)['allowedValue']));
  return `must be one of ${words.join(', ')}`;
}

function unknownKey(path: string, key: string, { keysAt }: Checked): string {
  if (path === 'services')
    return `services.${key}: use only lowercase letters, digits and dashes in a service name`;
  const near = nearestName(key, keysAt(path));
  const proposal = near === undefined ? '' : `; did you mean ${joined(path, near)}?`;
  return `${joined(path, key)} is not a setting${proposal}`;
}

function missingKey(path: string, { variableFor }: Checked): string {
  const variable = variableFor(path);
  return `${path} is missing: set it${variable === undefined ? '' : `, or set ${variable} in the environment`}`;
}

function joined(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

export function valueAt(tree: Tree, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>(
      (value, key) => (isTree(value) && Object.hasOwn(value, key) ? value[key] : undefined),
      tree,
    );
}

/** Values that are never quoted in a message. */
const SECRET = /key|token|url/i;

function quoted(path: string, { tree, substituted }: Checked): string {
  const isSecret = SECRET.test(path.split('.').at(-1) ?? '') || substituted.has(path);
  return isSecret ? 'another value (not shown)' : JSON.stringify(valueAt(tree, path));
}

interface Listener {
  readonly path: string;
  readonly port: number;
}

/** Ports that are used twice, and backend addresses that are the proxy's own. Each problem names both users. */
export function portProblems(tree: Tree): string[] {
  const services = Object.keys(isTree(tree['services']) ? tree['services'] : {});
  const paths = ['http.port', 'desk.port', ...services.flatMap(portPathsOf)];
  const listeners: Listener[] = [];
  const problems: string[] = [];
  for (const path of paths) {
    const port = valueAt(tree, path);
    if (typeof port !== 'number') continue;
    const other = listeners.find((listener) => listener.port === port);
    if (other === undefined) listeners.push({ path, port });
    else problems.push(`${path} is ${port}, which is also the value of ${other.path}: use different ports`);
  }
  const targets = ['orchestrator.endpoint', ...services.flatMap(endpointPathsOf)];
  return [...problems, ...targets.flatMap((path) => selfProblem(tree, path, listeners))];
}

function portPathsOf(service: string): string[] {
  return ['port', 'healthPort', 'pubPort'].map((key) => `services.${service}.${key}`);
}

function endpointPathsOf(service: string): string[] {
  return ['endpoint', 'pubEndpoint'].map((key) => `services.${service}.legacy.${key}`);
}

/** A scratch instance on the service's own port would be the service itself, and one without the copy would prove nothing. */
export function scratchProblems(tree: Tree): string[] {
  const services = Object.keys(isTree(tree['services']) ? tree['services'] : {});
  return services.flatMap((service) => {
    const path = `services.${service}.legacy.scratchCommand`;
    const command = valueAt(tree, path);
    if (!Array.isArray(command)) return [];
    const text = command.join(' ');
    const isComplete = text.includes('{port}') && /\{(?:folder|file)\}/.test(text);
    return isComplete ? [] : [`${path} must contain {port}, and {folder} or {file}`];
  });
}

const LOOPBACK_HOST = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|::1|\[::1\])$/;

/** The operator's API is open without tokens, so it must then listen on this machine only. */
export function operatorProblems(tree: Tree): string[] {
  const host = valueAt(tree, 'http.host');
  const tokens = valueAt(tree, 'operator.tokens');
  const given = isTree(tokens) ? Object.keys(tokens) : [];
  if (given.length === 0 && typeof host === 'string' && !LOOPBACK_HOST.test(host))
    return [
      `http.host is ${host}: set operator.tokens, or use 127.0.0.1, because the operator's API can be reached from other machines`,
    ];
  const seen = new Map<unknown, string>();
  return given.flatMap((name) => {
    const token = valueAt(tree, `operator.tokens.${name}.token`);
    const other = seen.get(token);
    seen.set(token, name);
    return other === undefined
      ? []
      : [
          `operator.tokens.${name} has the same token as operator.tokens.${other}: give each person an own token`,
        ];
  });
}

/** The desk can change things, so it needs tokens. Without them it works only on this machine, and only if requested. */
export function deskProblems(tree: Tree): string[] {
  const desk = valueAt(tree, 'desk');
  const tokens = valueAt(tree, 'operator.tokens');
  if (!isTree(desk) || (isTree(tokens) && Object.keys(tokens).length > 0)) return [];
  if (desk['withoutSignIn'] !== true) return ['desk needs operator.tokens, so that people can sign in'];
  const host = String(desk['host']);
  return LOOPBACK_HOST.test(host)
    ? []
    : [
        `desk.host is ${host}: set operator.tokens, or use 127.0.0.1, because the desk can be reached from other machines`,
      ];
}

/** In front of real services every change needs a person's name, even a change from this machine. */
export function openDeskProblems(tree: Tree): string[] {
  return valueAt(tree, 'desk.withoutSignIn') === true
    ? [
        'desk.withoutSignIn works only with the stand-ins of npm start: remove it and set operator.tokens, or remove desk',
      ]
    : [];
}

const LOOPBACK = /^[a-z]+:\/\/(?:localhost|127\.[0-9.]+|\[::1\]):([0-9]+)/;

function selfProblem(tree: Tree, path: string, listeners: readonly Listener[]): string[] {
  const endpoint = valueAt(tree, path);
  const port = typeof endpoint === 'string' ? LOOPBACK.exec(endpoint)?.[1] : undefined;
  const self = listeners.find((listener) => String(listener.port) === port);
  return self === undefined ? [] : [`${path} is the proxy's own address: ${self.path} is ${self.port} too`];
}
