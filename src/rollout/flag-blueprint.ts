import { flagName, KILL_SWITCH, SERVICE_FLAGS, type ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';

/** A flag as it is made where it is missing: it moves nothing. */
export interface FlagBlueprint {
  readonly name: string;
  /** Unleash's word for what the flag is for. */
  readonly type: 'release' | 'kill-switch';
  readonly description: string;
  /** A share is on at 0 %: a person raises it. A switch is off at 100 %: a person switches it on. */
  readonly enabled: boolean;
  readonly strategy: {
    readonly name: 'flexibleRollout';
    readonly parameters: Readonly<Record<'rollout' | 'stickiness' | 'groupId', string>>;
  };
}

interface Sort {
  readonly description: string;
  /** `switch`: asked for a service as a whole, so that a share of it means nothing. */
  readonly kind: 'share' | 'switch';
  readonly stickiness: 'random' | 'sessionId';
  /** Flags of one group take the same lanes first. */
  readonly group: string;
}

const SORTS = {
  'dual-write': {
    description:
      'Writes of SERVICE are journaled and delivered to the orchestrator too. Asked for the service as a whole.',
    kind: 'switch',
    stickiness: 'sessionId',
    group: 'dual-write',
  },
  'shadow-read': {
    description: 'Share of the reads of SERVICE that are also asked of the orchestrator and compared.',
    kind: 'share',
    stickiness: 'random',
    group: 'shadow-read',
  },
  'read-cutover': {
    description: 'Share of the lanes of SERVICE whose reads the orchestrator answers.',
    kind: 'share',
    stickiness: 'sessionId',
    group: 'cutover',
  },
  'write-cutover': {
    description:
      'Share of the lanes of SERVICE whose writes go to the orchestrator first. Same group as read-cutover: the same lanes move.',
    kind: 'share',
    stickiness: 'sessionId',
    group: 'cutover',
  },
  'legacy-read-only': {
    description:
      'SERVICE takes no more writes; the orchestrator alone has them. Asked for the service as a whole.',
    kind: 'switch',
    stickiness: 'sessionId',
    group: 'legacy-read-only',
  },
} as const satisfies Record<ServiceFlag, Sort>;

/** Every flag of these services, and the kill switch: shares at 0 %, switches off. */
export function blueprintsOf(services: readonly ServiceName[]): FlagBlueprint[] {
  const ofServices = services.flatMap((service) => SERVICE_FLAGS.map((flag) => blueprintOf(service, flag)));
  return [...ofServices, killSwitch];
}

function blueprintOf(service: ServiceName, flag: ServiceFlag): FlagBlueprint {
  const { description, kind, stickiness, group } = SORTS[flag];
  return {
    name: flagName(service, flag),
    type: 'release',
    description: description.replace('SERVICE', service),
    enabled: kind === 'share',
    strategy: {
      name: 'flexibleRollout',
      parameters: {
        rollout: kind === 'share' ? '0' : '100',
        stickiness,
        groupId: `crossfade.${service}.${group}`,
      },
    },
  };
}

const killSwitch: FlagBlueprint = {
  name: KILL_SWITCH,
  type: 'kill-switch',
  description:
    'The latch for all services: while it is on, legacy answers every read. Writes go on being journaled.',
  // Off, and everything when it is on: one switch, in a hurry.
  enabled: false,
  strategy: {
    name: 'flexibleRollout',
    parameters: { rollout: '100', stickiness: 'sessionId', groupId: KILL_SWITCH },
  },
};
