import { type Context, Unleash, type UnleashConfig } from 'unleash-client';
import { flagName, KILL_SWITCH, SERVICE_FLAGS, type ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { FlagAnswer, FlagContext, Flags } from '../engine/ports/ports.ts';
import type { DefinitionStore } from './definition-store.ts';
import type { Feature } from './definitions.ts';

/** The scope of each flag: a service as a whole, one lane, or one request. The evaluation gets no narrower facts. */
const FLAG_SCOPE = {
  'dual-write': 'service',
  'shadow-read': 'request',
  'read-cutover': 'request',
  'write-cutover': 'lane',
  'legacy-read-only': 'service',
} as const satisfies Record<ServiceFlag, 'service' | 'lane' | 'request'>;

const ON: FlagAnswer = { enabled: true, reason: 'on' };
const OFF: FlagAnswer = { enabled: false, reason: 'off' };
const UNKNOWN: FlagAnswer = { enabled: false, reason: 'unknown_flag' };
/** The answer if the SDK threw an error for the definition. */
const NOT_EVALUABLE: FlagAnswer = { enabled: false, reason: 'not_evaluable' };

interface Subject {
  userId: string | undefined;
  sessionId: string | undefined;
  readonly properties: Record<'service' | 'action' | 'lane' | 'agent', string | undefined>;
}

/** The flags over a store of definitions, evaluated by unleash-client. */
interface Evaluation {
  readonly flags: Flags;
  /** For its usage metrics. The owner starts and stops it. */
  readonly unleash: Unleash;
}

export function createEvaluation(store: DefinitionStore, config: UnleashConfig): Evaluation {
  const unleash = new Unleash({
    ...config,
    repository: store,
    disableAutoStart: true,
    skipInstanceCountWarning: true,
  });
  const names = createFlagNames();
  // One object serves all evaluations, because they are synchronous and do not keep it.
  const subject: Subject = {
    userId: undefined,
    sessionId: undefined,
    properties: { service: undefined, action: undefined, lane: undefined, agent: undefined },
  };
  // The SDK's type allows no undefined fields, but its code treats them as absent.
  const shown = subject as unknown as Context;
  const evaluate = (name: string): FlagAnswer => {
    try {
      return unleash.isEnabled(name, shown) ? ON : OFF;
    } catch {
      return NOT_EVALUABLE;
    }
  };
  const ask = (name: string, atMost = 100): FlagAnswer => {
    const feature = store.getToggle(name);
    if (feature === undefined) return UNKNOWN;
    if (atMost >= rolloutPercentage(feature)) return evaluate(name);
    return store.asIf(cappedFeature(feature, atMost), () => evaluate(name));
  };
  const flags: Flags = {
    isEnabled(flag, context) {
      describeSubject(subject, flag, context);
      return ask(names(context.service)[flag], context.atMost);
    },
    killSwitch() {
      describeAll(subject);
      return ask(KILL_SWITCH).enabled;
    },
    percentage: (flag, service) => rolloutPercentage(store.getToggle(names(service)[flag])),
    version: () => store.version(),
    onChange: (listener) => store.onReplaced(listener),
  };
  return { flags, unleash };
}

type FlagNames = Readonly<Record<ServiceFlag, string>>;

/** The SDK looks up flags by name on every read, so the names are built once per service. */
function createFlagNames(): (service: ServiceName) => FlagNames {
  const known = new Map<ServiceName, FlagNames>();
  return (service) => {
    const found = known.get(service);
    if (found !== undefined) return found;
    const entries = SERVICE_FLAGS.map((flag) => [flag, flagName(service, flag)]);
    const made = Object.fromEntries(entries) as FlagNames;
    known.set(service, made);
    return made;
  };
}

function describeSubject(subject: Subject, flag: ServiceFlag, context: FlagContext): void {
  const scope = FLAG_SCOPE[flag];
  const isWhole = scope === 'service';
  const isRequest = scope === 'request';
  subject.userId = isWhole ? undefined : context.owner;
  // Without an id the SDK decides randomly each time, so a flag of the whole service would flicker under a gradual rollout.
  subject.sessionId = isWhole ? context.service : context.lane;
  subject.properties.service = context.service;
  subject.properties.lane = isWhole ? undefined : context.lane;
  subject.properties.action = isRequest ? context.action : undefined;
  subject.properties.agent = isRequest ? context.agent : undefined;
}

function describeAll(subject: Subject): void {
  subject.userId = undefined;
  subject.sessionId = KILL_SWITCH;
  subject.properties.service = undefined;
  subject.properties.lane = undefined;
  subject.properties.action = undefined;
  subject.properties.agent = undefined;
}

type Strategy = NonNullable<Feature['strategies']>[number];

const known = new WeakMap<Feature, Map<number, Feature>>();

/**
 * The feature limited to at most `atMost` percent. It keeps a part of the same lanes, because a gradual rollout takes lanes in a fixed
 * order. Lists of users or hosts stay, because a person has named each of them. @param atMost 0–100
 */
function cappedFeature(feature: Feature, atMost: number): Feature {
  let byCap = known.get(feature);
  if (byCap === undefined) known.set(feature, (byCap = new Map()));
  let capped = byCap.get(atMost);
  if (capped === undefined) byCap.set(atMost, (capped = cap(feature, atMost)));
  return capped;
}

function cap(feature: Feature, atMost: number): Feature {
  if (atMost <= 0) return { ...feature, enabled: false };
  const strategies = feature.strategies ?? [];
  if (strategies.length === 0) return { ...feature, strategies: [everyone(feature.name, atMost)] };
  return {
    ...feature,
    strategies: strategies.map((strategy) => capStrategy(strategy, feature.name, atMost)),
  };
}

function capStrategy(strategy: Strategy, name: string, atMost: number): Strategy {
  const share = SHARE_OF_STRATEGY[strategy.name];
  if (share === 'everything') return { ...strategy, ...everyone(name, atMost, strategy) };
  if (share === undefined || share === 'some') return strategy;
  const asked = Number(strategy.parameters[share.parameter]);
  const parameters = { ...strategy.parameters, [share.parameter]: String(Math.min(asked, atMost)) };
  return { ...strategy, parameters };
}

function everyone(name: string, atMost: number, of?: Strategy): Strategy {
  return {
    ...(of ?? { constraints: [] }),
    name: 'flexibleRollout',
    parameters: { rollout: String(atMost), stickiness: 'sessionId', groupId: name },
  } as Strategy;
}

/** The strategy parameter that holds the share, by strategy; `everything` and `some` have none. */
export const SHARE_OF_STRATEGY: Readonly<
  Record<string, { readonly parameter: string } | 'everything' | 'some'>
> = {
  default: 'everything',
  flexibleRollout: { parameter: 'rollout' },
  gradualRolloutRandom: { parameter: 'percentage' },
  gradualRolloutSessionId: { parameter: 'percentage' },
  gradualRolloutUserId: { parameter: 'percentage' },
  userWithId: 'some',
  remoteAddress: 'some',
  applicationHostname: 'some',
};

/** A list of users or hosts has no share. 1 means "more than nothing", because any share reaches a stage. */
const SOME = 1;

/** The parts of a flag that determine its requested share. */
interface Shares {
  readonly enabled: boolean;
  readonly strategies?: readonly {
    readonly name: string;
    readonly parameters: Readonly<Record<string, unknown>>;
  }[];
}

/**
 * The largest share that a strategy requests, in whole percents from 0 to 100. Constraints and segments are ignored. The SDK divides
 * owners into hundredths, so 33.3 selects 33 % and 0.5 selects no owner.
 */
export function rolloutPercentage(feature: Shares | undefined): number {
  if (feature?.enabled !== true) return 0;
  const strategies = feature.strategies ?? [];
  // The SDK evaluates an enabled flag without strategies as on for everyone.
  if (strategies.length === 0) return 100;
  return Math.max(...strategies.map(({ name, parameters }) => shareOf(name, parameters)));
}

function shareOf(name: string, parameters: Readonly<Record<string, unknown>>): number {
  const share = SHARE_OF_STRATEGY[name];
  if (share === undefined) return 0;
  if (share === 'everything') return 100;
  if (share === 'some') return SOME;
  const value = Number(parameters[share.parameter]);
  return Number.isFinite(value) ? Math.floor(Math.min(Math.max(value, 0), 100)) : 0;
}
