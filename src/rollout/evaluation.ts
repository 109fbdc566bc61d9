import { Unleash, type Context, type UnleashConfig } from 'unleash-client';
import { flagName, KILL_SWITCH, SERVICE_FLAGS, type ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { FlagAnswer, FlagContext, Flags } from '../engine/ports/ports.ts';
import { cappedFeature } from './capped-feature.ts';
import type { DefinitionStore } from './definition-store.ts';
import { rolloutPercentage } from './rollout-percentage.ts';

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
export interface Evaluation {
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
