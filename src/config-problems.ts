import { PATTERNS } from './config-schema.ts';
import { nearestName } from './nearest-name.ts';

/** Settings as a file holds them, before they are checked. */
export type Tree = { [key: string]: unknown };

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What the schema checker says of one value. */
interface SchemaProblem {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
}

interface Checked {
  readonly tree: Tree;
  /** Keys that a section may hold, for proposals; `path` is that of the section. */
  readonly keysAt: (path: string) => readonly string[];
  /** The environment variable that may give a setting in the file's place. */
  readonly variableFor: (path: string) => string | undefined;
  /** Paths whose text came from the environment, at least in part. */
  readonly substituted: ReadonlySet<string>;
}

type Facts = Readonly<Record<string, unknown>>;

const TYPES: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  object: 'a mapping',
  string: 'text',
};

/** What each rule of the schema asks, in words. Rules without a row are consequences of others. */
const SAYINGS: Readonly<Record<string, (facts: Facts) => string>> = {
  type: ({ type }) => `must be ${TYPES[String(type)] ?? `a ${String(type)}`}`,
  minimum: ({ limit }) => `must be at least ${String(limit)}`,
  maximum: ({ limit }) => `must be at most ${String(limit)}`,
  minLength: ({ limit }) =>
    limit === 1 ? 'must not be empty' : `must have at least ${String(limit)} characters`,
  pattern: ({ pattern }) => `must be ${PATTERNS[String(pattern)] ?? `like ${String(pattern)}`}`,
  minProperties: () => 'must name at least one service',
};

/** Everything the schema has against a tree, one line for each problem. */
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

/** A choice of words: each that was not taken is an error of its own, at the same place. */
function oneOf(errors: readonly SchemaProblem[], instancePath: string): string {
  const words = errors
    .filter((error) => error.keyword === 'const' && error.instancePath === instancePath)
    .map((error) => String((error.params as Facts)['allowedValue']));
  return `must be one of ${words.join(', ')}`;
}

function unknownKey(path: string, key: string, { keysAt }: Checked): string {
  if (path === 'services') return `services.${key} must be named in small letters, digits and dashes`;
  const near = nearestName(key, keysAt(path));
  const proposal = near === undefined ? '' : `; did you mean ${joined(path, near)}?`;
  return `${joined(path, key)} is no setting${proposal}`;
}

function missingKey(path: string, { variableFor }: Checked): string {
  const variable = variableFor(path);
  return `${path} is missing${variable === undefined ? '' : `, and so is ${variable} in the environment`}`;
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
  return isSecret ? 'something else (not shown)' : JSON.stringify(valueAt(tree, path));
}

interface Listener {
  readonly path: string;
  readonly port: number;
}

/** A port that is used twice, and a backend's address that is one of our own: both named with both their users. */
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
    else problems.push(`${path} is ${port}, which ${other.path} uses too`);
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

const LOOPBACK_HOST = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|::1|\[::1\])$/;

/** Who may ask and change what: without tokens only whoever is on this machine. */
export function operatorProblems(tree: Tree): string[] {
  const host = valueAt(tree, 'http.host');
  const tokens = valueAt(tree, 'operator.tokens');
  const given = isTree(tokens) ? Object.keys(tokens) : [];
  if (given.length === 0 && typeof host === 'string' && !LOOPBACK_HOST.test(host))
    return [`http.host is ${host}: beyond this machine the operator's routes need operator.tokens`];
  const seen = new Map<unknown, string>();
  return given.flatMap((name) => {
    const token = valueAt(tree, `operator.tokens.${name}.token`);
    const other = seen.get(token);
    seen.set(token, name);
    return other === undefined
      ? []
      : [`operator.tokens.${name} has the same token as operator.tokens.${other}`];
  });
}

/** The desk changes things: without tokens it is only for trying out, on this machine, and where that was asked for. */
export function deskProblems(tree: Tree): string[] {
  const desk = valueAt(tree, 'desk');
  const tokens = valueAt(tree, 'operator.tokens');
  if (!isTree(desk) || (isTree(tokens) && Object.keys(tokens).length > 0)) return [];
  if (desk['withoutSignIn'] !== true) return ['desk needs operator.tokens to sign in with'];
  const host = String(desk['host']);
  return LOOPBACK_HOST.test(host)
    ? []
    : [`desk.host is ${host}: beyond this machine the desk needs operator.tokens`];
}

/** What stands in front of real services is changed by nobody without a name, not even from this machine. */
export function openDeskProblems(tree: Tree): string[] {
  return valueAt(tree, 'desk.withoutSignIn') === true
    ? [
        'desk.withoutSignIn is only for the services that npm start brings along: in front of others leave it out, and give operator.tokens to sign in with, or leave out the desk',
      ]
    : [];
}

const LOOPBACK = /^[a-z]+:\/\/(?:localhost|127\.[0-9.]+|\[::1\]):([0-9]+)/;

function selfProblem(tree: Tree, path: string, listeners: readonly Listener[]): string[] {
  const endpoint = valueAt(tree, path);
  const port = typeof endpoint === 'string' ? LOOPBACK.exec(endpoint)?.[1] : undefined;
  const self = listeners.find((listener) => String(listener.port) === port);
  return self === undefined ? [] : [`${path} is the proxy itself: ${self.path} is ${self.port}`];
}
