import type { ComparisonRule, RuleKind, ShownItems } from '../domain/comparison.ts';
import type { HttpEndpoint, ZmqEndpoint } from '../domain/endpoint.ts';
import type { Retention } from '../domain/retention.ts';
import type {
  ActionDefinition,
  Dialect,
  LaneDefinition,
  LaneDigest,
  MappedRead,
  NamedItems,
  PassthroughAction,
  PrimaryMapping,
  ServiceDefinition,
  SideEffects,
  WriteAction,
} from '../domain/service-definition.ts';
import { nearestName } from '../shared/nearest-name.ts';

/** What is wrong with a value: one sentence for each problem, which starts with its path. */
type Check = (value: unknown, path: string) => readonly string[];

/** A check for every member of a type. A member that the type gets later must be added here. */
type Members<Type> = { readonly [Member in keyof Required<Type>]: Check };

/**
 * Every problem with the shape of a definition of a user, who may not have run the type check. Each starts with the path of the
 * member: `actions.add_todo.reverse must be one of exact, lossy, impossible, got "lossi"`.
 */
export function shapeProblems(definition: object): readonly string[] {
  return DEFINITION(definition, '');
}

function must(requirement: string, fits: (value: unknown) => boolean): Check {
  return (value, path) => {
    if (fits(value)) return [];
    return [
      value === undefined
        ? `${path} is missing: it must be ${requirement}`
        : `${path} must be ${requirement}, got ${shown(value)}`,
    ];
  };
}

const LONGEST_SHOWN = 60;

function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'a list';
  if (isObject(value)) return 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

type Values = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function optional(check: Check): Check {
  return (value, path) => (value === undefined ? [] : check(value, path));
}

function oneOf(...words: readonly unknown[]): Check {
  return must(words.length === 1 ? String(words[0]) : `one of ${words.join(', ')}`, (value) =>
    words.includes(value),
  );
}

function listOf(check: Check): Check {
  return (value, path) =>
    Array.isArray(value)
      ? value.flatMap((element, index) => check(element, `${path}[${index}]`))
      : must('a list', () => false)(value, path);
}

/** @param what the object, for the message about a member that it does not have */
function object<Type>(what: string, members: Members<Type>): Check {
  const checks = Object.entries<Check>(members);
  const names = checks.map(([name]) => name);
  return (value, path) => {
    if (!isObject(value)) return must('an object', () => false)(value, path);
    const unknown = Object.keys(value).filter((name) => !names.includes(name));
    return [
      ...checks.flatMap(([name, check]) => check(value[name], joined(path, name))),
      ...unknown.map((name) => `${joined(path, name)} is not a member of ${what}${nearest(name, names)}`),
    ];
  };
}

const joined = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

function nearest(name: string, names: readonly string[]): string {
  const near = nearestName(name, names);
  return near === undefined ? '' : `; did you mean ${near}?`;
}

/** An object in which one member decides which others it has. */
function byMember(member: string, checks: Readonly<Record<string, Check>>): Check {
  const known = oneOf(...Object.keys(checks));
  return (value, path) => {
    if (!isObject(value)) return must('an object', () => false)(value, path);
    const check = checks[String(value[member])];
    return check === undefined ? known(value[member], joined(path, member)) : check(value, path);
  };
}

const byKind = (kinds: Readonly<Record<string, Check>>): Check => byMember('kind', kinds);

const FUNCTION = must('a function', (value) => typeof value === 'function');
const TEXT = must('text', (value) => typeof value === 'string');
const FULL_TEXT = must('text that is not empty', (value) => typeof value === 'string' && value !== '');
const FLAG = must('true or false', (value) => typeof value === 'boolean');
const NUMBER = must('a number', (value) => typeof value === 'number' && Number.isFinite(value));
const COUNT = must('a whole number of at least 1', (value) => Number.isInteger(value) && Number(value) >= 1);
const MOST = must(
  'a whole number of at least 1, or Infinity',
  (value) => value === Infinity || (Number.isInteger(value) && Number(value) >= 1),
);
const ANY: Check = () => [];
const LAST_PORT = 65_535;
const PORT = must(
  `a port from 1 to ${LAST_PORT}`,
  (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= LAST_PORT,
);

/** `largestAgeSeconds` is left out where the orchestrator raises them. */
const SIDE_EFFECTS = {
  raisedBy: ANY,
  what: FULL_TEXT,
  concerns: optional(FUNCTION),
  largestAgeSeconds: must('left out', (value) => value === undefined),
};

const RULE = {
  kind: ANY,
  path: FULL_TEXT,
  owner: FULL_TEXT,
  reason: FULL_TEXT,
  expires: optional(FULL_TEXT),
};

const FLOORS = object('floors', {
  k: optional(COUNT),
  overlap: optional(NUMBER),
  rankBiasedOverlap: optional(NUMBER),
  lexicalRecall: optional(NUMBER),
});

const ruleWith = (members: Readonly<Record<string, Check>>): Check =>
  object<ComparisonRule>('this kind of rule', { ...RULE, ...members });

const RULES: Readonly<Record<RuleKind, Check>> = {
  prefix: ruleWith({}),
  equal_if_missing: ruleWith({}),
  set: ruleWith({}),
  ignore: ruleWith({ hidesList: optional(oneOf(true)) }),
  tolerance_seconds: ruleWith({ seconds: NUMBER }),
  tolerance: ruleWith({ within: NUMBER }),
  default: ruleWith({ value: ANY }),
  keyed: ruleWith({ key: FULL_TEXT }),
  ranking: ruleWith({
    key: FULL_TEXT,
    text: optional(TEXT),
    query: optional(TEXT),
    floors: optional(FLOORS),
  }),
};

const WRITE_MEMBERS = object<WriteAction>('a write', {
  kind: ANY,
  owner: FUNCTION,
  outcome: FUNCTION,
  reverse: oneOf('exact', 'lossy', 'impossible'),
  loses: optional(FULL_TEXT),
  toOrchestrator: FUNCTION,
  asPrimary: optional(object<PrimaryMapping>('asPrimary', { plan: FUNCTION, answer: FUNCTION })),
  names: optional(object<NamedItems>('names', { atMost: MOST, find: FUNCTION })),
  toLegacy: optional(FUNCTION),
  issueOwner: optional(FUNCTION),
  alsoTouches: optional(FUNCTION),
  itemKeys: optional(FUNCTION),
  onlyAdds: optional(oneOf(true)),
  provesEmpty: optional(FLAG),
  sideEffects: optional(
    byMember('raisedBy', {
      legacy: object<SideEffects>('sideEffects', { ...SIDE_EFFECTS, largestAgeSeconds: COUNT }),
      orchestrator: object<SideEffects>('sideEffects that the orchestrator raises', SIDE_EFFECTS),
    }),
  ),
});

/** Members that a write needs, or must not have, because of another. The rest of the message is what follows the name. */
const TOGETHER: readonly ((write: Values) => readonly [member: string, problem: string] | undefined)[] = [
  ({ reverse, loses }) =>
    (reverse === 'lossy' || reverse === 'impossible') && loses === undefined
      ? ['loses', `is missing: it must say what legacy does not get, because reverse is ${reverse}`]
      : undefined,
  ({ reverse, loses }) =>
    reverse === 'exact' && loses !== undefined
      ? ['loses', 'must be left out, because reverse is exact']
      : undefined,
  ({ names, toLegacy, reverse }) =>
    names !== undefined && toLegacy === undefined && reverse !== 'impossible'
      ? ['toLegacy', 'is missing: without it the reverse of a write with names is impossible']
      : undefined,
  ({ names, toLegacy }) =>
    toLegacy !== undefined && names === undefined
      ? ['toLegacy', 'must be left out of a write without names, because legacy gets the request itself']
      : undefined,
  ({ reverse, toLegacy }) =>
    reverse === 'impossible' && toLegacy !== undefined
      ? ['toLegacy', 'must be left out, because reverse is impossible']
      : undefined,
];

const WRITE: Check = (value, path) => [
  ...WRITE_MEMBERS(value, path),
  ...TOGETHER.flatMap((check) => {
    const found = isObject(value) ? check(value) : undefined;
    return found === undefined ? [] : [`${joined(path, found[0])} ${found[1]}`];
  }),
];

const READ = object<MappedRead>('a read', {
  kind: ANY,
  owner: FUNCTION,
  onLegacy: FUNCTION,
  legacyOnly: ANY,
  toOrchestrator: FUNCTION,
  fromOrchestrator: FUNCTION,
  rules: listOf(byKind(RULES)),
  items: optional(object<ShownItems>('items', { list: FULL_TEXT, members: listOf(FULL_TEXT) })),
});

type LegacyOnly = Extract<ActionDefinition, { readonly legacyOnly: string }>;

const LEGACY_ONLY = object<LegacyOnly>('a read with legacyOnly', {
  kind: ANY,
  owner: FUNCTION,
  onLegacy: FUNCTION,
  legacyOnly: FULL_TEXT,
});

const ACTIONS: Readonly<Record<ActionDefinition['kind'], Check>> = {
  write: WRITE,
  read: (value, path) =>
    (isObject(value) && value['legacyOnly'] !== undefined ? LEGACY_ONLY : READ)(value, path),
  passthrough: object<PassthroughAction>('a passthrough', {
    kind: ANY,
    reason: FULL_TEXT,
    changesNothing: optional(ANY),
  }),
};

const ENDPOINTS: Readonly<Record<ServiceDefinition['endpoint']['kind'], Check>> = {
  zmq: object<ZmqEndpoint>('a zmq endpoint', {
    kind: ANY,
    port: PORT,
    healthPort: optional(PORT),
    pubPort: optional(PORT),
    healthReply: optional(FUNCTION),
  }),
  http: object<HttpEndpoint>('an http endpoint', {
    kind: ANY,
    prefix: must('a path that begins with /', (value) => typeof value === 'string' && value.startsWith('/')),
    actionOf: FUNCTION,
    messageOf: optional(FUNCTION),
  }),
};

const LANES = object<LaneDefinition>('lanes', {
  sessionPrefix: TEXT,
  retention: object<Retention>('retention', {
    idleSeconds: optional(COUNT),
    isProlongedByUse: optional(FLAG),
    takesLocalTimeForUtc: optional(FLAG),
    owners: optional(COUNT),
    entries: optional(COUNT),
    counts: optional(FUNCTION),
  }),
  owners: FUNCTION,
  ownersAround: optional(FUNCTION),
  readLegacy: FUNCTION,
  isReadable: optional(FUNCTION),
  readMany: optional(FUNCTION),
  strays: optional(FUNCTION),
  digest: optional(
    object<LaneDigest>('digest', {
      fields: listOf(FULL_TEXT),
      without: listOf(FULL_TEXT),
      excludeTags: listOf(FULL_TEXT),
    }),
  ),
  writerOf: optional(FUNCTION),
  restoreRequest: optional(FUNCTION),
  restoreOwner: optional(FUNCTION),
  mapping: optional(listOf(object<{ from: string; to: string }>('mapping', { from: TEXT, to: TEXT }))),
  kindTags: optional(listOf(FULL_TEXT)),
  createPayload: FUNCTION,
  retime: optional(FUNCTION),
  fieldsOf: FUNCTION,
  derivedFieldsOf: optional(FUNCTION),
});

const ONE_ACTION = byKind(ACTIONS);

const DEFINITION = object<ServiceDefinition>('a definition', {
  name: FULL_TEXT,
  endpoint: byKind(ENDPOINTS),
  dialect: object<Dialect>('dialect', { error: FUNCTION }),
  selector: optional(FULL_TEXT),
  requestId: optional(FULL_TEXT),
  actions: (value, path) =>
    isObject(value)
      ? Object.entries(value).flatMap(([name, action]) => ONE_ACTION(action, joined(path, name)))
      : must('an object', () => false)(value, path),
  lanes: LANES,
  probe: FULL_TEXT,
  flush: optional(FULL_TEXT),
  canary: optional(FUNCTION),
  isSerial: optional(FLAG),
  unmapped: listOf(
    object<{ what: string; reason: string }>('unmapped', { what: FULL_TEXT, reason: FULL_TEXT }),
  ),
  noticed: optional(listOf(FULL_TEXT)),
});
